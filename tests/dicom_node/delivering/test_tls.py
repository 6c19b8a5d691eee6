"""A destination over TLS: its name and its authority are checked, and the node shows itself."""

import re
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from destinations import Posted
from faulty_pacs import FaultyPacs

from dicom_node.delivering.places import peer_of
from dicom_node.delivering.sender import echo
from dicom_node.errors import Busy
from dicom_node.life import State


def openssl(*words: str) -> None:
    answer = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a server for 127.0.0.1, one for another name, and the node's own papers."""
    folder = tmp_path_factory.mktemp("papers")
    for name in ("ca", "foreign"):
        openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=a"),
            *("-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem"),
        )
    for name, san in (("here", "IP:127.0.0.1"), ("elsewhere", "DNS:elsewhere"), ("node", "DNS:n")):
        (folder / f"{name}.ext").write_text(f"subjectAltName={san}")
        openssl(
            *f"req -newkey rsa:2048 -nodes -subj /CN={name}".split(),
            *("-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.csr"),
        )
        openssl(
            *("x509", "-req", "-days", "2", "-in", f"{folder}/{name}.csr"),
            *("-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key", "-CAcreateserial"),
            *("-extfile", f"{folder}/{name}.ext", "-out", f"{folder}/{name}.pem"),
        )
    return folder


@pytest.fixture
def guarded(papers: Path, request: pytest.FixtureRequest) -> Callable[..., FaultyPacs]:
    """Start PACS that are called over TLS by who has a certificate of the authority."""

    def start(
        paper: str = "here", newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
    ) -> FaultyPacs:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(papers / f"{paper}.pem", papers / f"{paper}.key")
        context.load_verify_locations(papers / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = newest
        pacs = FaultyPacs("GUARDED", tls=context)
        pacs.start()
        request.addfinalizer(pacs.stop)
        return pacs

    return start


def table(papers: Path, authority: str = "ca", own: str = "node") -> dict[str, str]:
    own_papers = {"certificate": f"{papers}/{own}.pem", "key": f"{papers}/{own}.key"} if own else {}
    return {"authorities": f"{papers}/{authority}.pem", **own_papers}


def test_objects_go_out_over_tls(
    guarded: Callable[..., FaultyPacs], posted: Callable[..., Posted], papers: Path
) -> None:
    pacs = guarded()
    office = posted({**pacs.table, "tls": table(papers)})
    case_id = office.case(objects=3)
    office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED
    assert len(pacs.kept) == 3
    peer = peer_of(office.node.settings, "guarded", "")
    assert peer is not None
    echo(peer)


@pytest.mark.parametrize(
    ("server", "tls"),
    [
        ({}, {"authority": "foreign"}),
        ({"paper": "elsewhere"}, {}),
        ({"newest": ssl.TLSVersion.TLSv1_1}, {}),
        ({}, {"own": ""}),
        ({}, None),
    ],
    ids=["a foreign authority", "another name", "too old", "no certificate of ours", "plain"],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_nothing_goes_to_whom_one_should_not_trust(
    guarded: Callable[..., FaultyPacs],
    posted: Callable[..., Posted],
    papers: Path,
    server: dict[str, object],
    tls: dict[str, str] | None,
) -> None:
    pacs = guarded(**server)
    wish = {} if tls is None else {"tls": table(papers, **tls)}
    office = posted({**pacs.table, **wish})
    case_id = office.case()
    with pytest.raises(Busy):
        office.deliver(case_id)
    assert pacs.kept == {}
    (road,) = office.node.questions.roads_down()
    assert re.search("cannot be reached|ends it at the association request", road.last_error)


def test_a_key_under_a_password_is_said_and_nobody_is_asked_at_a_terminal(
    guarded: Callable[..., FaultyPacs], posted: Callable[..., Posted], papers: Path
) -> None:
    locked = papers / "locked.key"
    openssl(*f"rsa -aes256 -passout pass:x -in {papers}/node.key -out {locked}".split())
    tls = {**table(papers), "key": str(locked)}
    office = posted({**guarded().table, "tls": tls})
    with pytest.raises(Busy):
        office.deliver(office.case())
    (road,) = office.node.questions.roads_down()
    assert "its tls table does not work" in road.last_error
