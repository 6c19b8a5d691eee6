"""Archives of other makers that are called over TLS: whom nobody trusts gets nothing, and loses it
not: once what was wrong is mended, all of it is delivered."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from authority import Papers
from dcmtk import storescp
from destinations import Posted
from free_ports import free_port
from orthanc_server import DICOM_WEB, Guarded, OrthancServer, orthanc_server
from pydicom import dcmread
from tls_terminator import tls_terminator

from dicom_node.delivering.asking import ask
from dicom_node.delivering.places import peer_of
from dicom_node.errors import Busy
from dicom_node.life import State
from dicom_node.watching.checkup import _destination

pytestmark = pytest.mark.journey

Makes = Callable[..., Posted]
TOKEN = "rosebud"  # noqa: S105 - of a test
NOBODY_VOUCHES = "none of the authorities that the node believes vouches for its certificate"
ANOTHER_NAME = "its certificate is for another name than the one it is called by"
HAS_EXPIRED = "its certificate has expired"
REFUSES = "it refuses the node's certificate|does it believe the node's certificate"
PATIENCE_SECONDS = 30.0
AT_ONCE = 0.001  # a road is looked at again


@pytest.fixture(scope="module")
def locked(papers: Papers) -> Iterator[OrthancServer]:
    """Run an Orthanc that lets in who shows a certificate, and over HTTP who has the token."""
    guarded = Guarded(papers.of("here"), papers.of("ours")[0], TOKEN)
    with orthanc_server(plugins=[DICOM_WEB], guarded=guarded) as server:
        yield server


@dataclass
class Shelf:
    """A storescp of DCMTK, over TLS or not, on one port."""

    folder: Path
    papers: Papers
    port: int = field(default_factory=free_port)
    running: ExitStack = field(default_factory=ExitStack)

    def open(self, paper: str = "here") -> None:
        """Start it anew, with other papers; without a name: without TLS."""
        self.running.close()
        certificate, key = self.papers.of(paper)
        told = ["+tls", str(key), str(certificate), "+cf", str(self.papers.of("ours")[0])]
        self.running.enter_context(storescp(self.folder, self.port, *(told if paper else [])))

    def held(self) -> set[str]:
        """List what it keeps."""
        return {str(dcmread(path).SOPInstanceUID) for path in self.folder.iterdir()}


@pytest.fixture
def shelf(papers: Papers, tmp_path: Path) -> Iterator[Shelf]:
    """Make one that is started by its test."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    one = Shelf(folder, papers)
    with one.running:
        yield one


def dicom(port: int, tls: dict[str, str] | None, ae_title: str = "STORESCP") -> dict[str, object]:
    """Stand in the settings as a destination over DIMSE."""
    place = {"ae_title": ae_title, "host": "127.0.0.1", "port": port}
    more = {} if tls is None else {"tls": tls}
    return {"name": "pacs", "timeout_seconds": PATIENCE_SECONDS, **place, **more}


def web(port: int, tls: dict[str, str], **more: object) -> dict[str, object]:
    """Stand in the settings as a destination over HTTP."""
    url = f"https://127.0.0.1:{port}/dicom-web"
    told = {"url": url, "token": TOKEN, "timeout_seconds": PATIENCE_SECONDS, "tls": tls}
    return {"name": "pacs", **told, **more}


def refused(office: Posted, case_id: int) -> str:
    """Take a turn that comes to nothing, and tell what is said of the road."""
    with pytest.raises(Busy):
        office.deliver(case_id)
    assert office.state(case_id) == State.REPORTED
    (road,) = office.node.questions.roads_down()
    return road.last_error


def mended(office: Posted, case_id: int) -> set[str]:
    """Deliver at last, and list what went."""
    office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED
    assert office.node.questions.roads_down() == []
    return {one.sop_uid for one in office.node.questions.products_of(case_id)}


def in_orthanc(orthanc: OrthancServer, office: Posted, case_id: int) -> set[str]:
    """List what an Orthanc keeps of a case."""
    case = office.node.questions.case(case_id)
    assert case is not None
    return {str(one.SOPInstanceUID) for one in orthanc.datasets(case.study_uid)}


def test_dcmtk_over_tls_gets_all_of_it_once_what_is_wrong_is_mended(
    shelf: Shelf, posted: Makes, papers: Papers
) -> None:
    def office(tls: dict[str, str] | None) -> Posted:
        return posted(dicom(shelf.port, tls), probe_seconds=AT_ONCE)

    good = papers.table()
    case_id = office(good).case(objects=2)
    for paper, wanted in (
        ("elsewhere", ANOTHER_NAME),
        ("expired", HAS_EXPIRED),
        ("", r"does it speak TLS\?"),
    ):
        shelf.open(paper)
        assert re.search(wanted, refused(office(good), case_id))
    shelf.open()
    for tls, wanted in (
        (papers.table(authority="foreign"), NOBODY_VOUCHES),
        (papers.table(own=""), REFUSES),
        (None, r"does it want TLS\?"),
    ):
        assert re.search(wanted, refused(office(tls), case_id))
    assert shelf.held() == set()
    assert mended(office(good), case_id) == shelf.held()


def test_orthanc_over_tls_gets_all_of_it_once_what_is_wrong_is_mended(
    locked: OrthancServer, posted: Makes, papers: Papers
) -> None:
    def office(tls: dict[str, str] | None) -> Posted:
        return posted(dicom(locked.dicom_port, tls, locked.aet), probe_seconds=AT_ONCE)

    good = office(papers.table())
    case_id = good.case(objects=2)
    for tls, wanted in (
        (papers.table(authority="foreign"), NOBODY_VOUCHES),
        (papers.table(own=""), REFUSES),
        (None, r"does it want TLS\?"),
    ):
        assert re.search(wanted, refused(office(tls), case_id))
    assert in_orthanc(locked, good, case_id) == set()
    assert mended(good, case_id) == in_orthanc(locked, good, case_id)
    answer = _destination(good.node.settings, "pacs")
    assert re.search(
        r" answers; the node's certificate for it is good for \d+ days", answer.sentence
    )
    assert answer.good
    assert answer.warning, "that is soon"


def test_orthanc_over_https_stores_for_who_shows_a_certificate_and_a_token(
    locked: OrthancServer, posted: Makes, papers: Papers
) -> None:
    port, authority = free_port(), papers.of("ours")[0]

    def office(tls: dict[str, str], **more: object) -> Posted:
        return posted(web(port, tls, **more), probe_seconds=AT_ONCE)

    good = office(papers.table())
    case_id = good.case(objects=2)
    for paper, wanted in (
        ("elsewhere", ANOTHER_NAME),
        ("expired", HAS_EXPIRED),
        ("", "it does not speak TLS"),
    ):
        shown = papers.of(paper) if paper else None
        with tls_terminator(port, locked.http_port, shown, authority):
            assert re.search(wanted, refused(good, case_id))
    with tls_terminator(port, locked.http_port, papers.of("here"), authority):
        for wrong, wanted in (
            (office(papers.table(authority="foreign")), NOBODY_VOUCHES),
            (office(papers.table(own="")), "it refuses the node's certificate|does not answer"),
            (office(papers.table(), token="guess"), r"does not let the node .* \(HTTP 403\)"),  # noqa: S106
        ):
            assert re.search(wanted, refused(wrong, case_id))
        assert in_orthanc(locked, good, case_id) == set()
        assert mended(good, case_id) == in_orthanc(locked, good, case_id)
        peer = peer_of(good.node.settings, "pacs", "")
        assert peer is not None
        ask(peer)
