"""What `check` says of the ways to other machines, and of the images that came in."""

from pathlib import Path

import pytest
from came_in import came_in
from rich.console import Console
from small_images import file_of, mammogram

from dicom_node.demo.show import _what_next
from dicom_node.errors import Misconfigured
from dicom_node.ledger.tables import Case
from dicom_node.life import State
from dicom_node.settings.file import Settings
from dicom_node.spool import data_set_digest
from dicom_node.watching.checkup import IMAGES, QUESTIONS, checkup
from dicom_node.wiring import Node

PRIVATE = "are the ways to ledger and bell private?"
POSTGRES = "postgresql+psycopg://u:rosebud@db.hospital.example/x"


def said(folder: Path, **keys: str) -> str:
    return QUESTIONS[PRIVATE](Node(Settings.model_validate({"node": {"data": folder, **keys}})))


@pytest.mark.parametrize(
    "keys",
    [
        {"database": POSTGRES},
        {"database": f"{POSTGRES}?sslmode=prefer"},
        {"database": "postgresql+psycopg://u@/x?host=10.1.2.3"},
        {"broker": "redis://:rosebud@10.1.2.3/0"},
        {"broker": "rediss://:rosebud@10.1.2.3/0?ssl_cert_reqs=none"},
    ],
)
def test_a_way_that_can_be_listened_to_is_warned_of(keys: dict[str, str], tmp_path: Path) -> None:
    sentence = said(tmp_path, **keys)
    assert sentence.startswith("warning: the way there can be listened to; node.")
    assert "rosebud" not in sentence


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"database": f"{POSTGRES}?sslmode=verify-full"},
        {"database": "postgresql+psycopg://u:rosebud@127.0.0.1/x"},
        {"database": "postgresql+psycopg://u@/x?host=/run/postgresql"},
        {"broker": "rediss://:rosebud@10.1.2.3/0"},
        {"broker": "redis://localhost/0"},
    ],
)
def test_a_private_way_is_not(keys: dict[str, str], tmp_path: Path) -> None:
    assert said(tmp_path, **keys) == "nothing leaves this machine in the clear"


PACS = {"name": "pacs", "ae_title": "PACS", "host": "localhost", "port": 104}
SILENCE = "is silence told from no findings?"
MEND = '; add "cad_sr" or "secondary_capture" to its objects: silence there means nothing'


@pytest.mark.parametrize(
    ("objects", "unheard"),
    [
        (["cad_sr"], ""),
        (["secondary_capture", "presentation_state"], ""),
        (["presentation_state"], "have no findings or were declined or failed"),
        (["measurement_report", "segmentation"], "have no findings or were declined or failed"),
        (["summary"], "were declined or failed"),
    ],
)
def test_a_destination_that_nothing_tells_of_no_result_is_warned_of(
    objects: list[str], unheard: str, tmp_path: Path
) -> None:
    wanted = {"destinations": [PACS, {**PACS, "name": "viewer", "objects": objects}]}
    given = {"node": {"data": tmp_path}, "delivering": wanted}
    sentence = QUESTIONS[SILENCE](Node(Settings.model_validate(given)))
    if unheard:
        hears = f"viewer ({', '.join(objects)}) hears nothing of studies that {unheard}"
        assert sentence == f"warning: {hears}{MEND}"
    else:
        assert sentence.startswith("everybody hears of studies that have no findings")


def test_notices_that_were_turned_off_are_warned_of(tmp_path: Path) -> None:
    given = {"node": {"data": tmp_path}, "delivering": {"destinations": [PACS]}}
    given["reporting"] = {"tell_failed": False}
    assert QUESTIONS[SILENCE](Node(Settings.model_validate(given))) == (
        "warning: nobody hears of studies that were failed: reporting.tell_failed = false"
    )


def test_a_warning_fails_nothing(tmp_path: Path) -> None:
    node = {"data": tmp_path, "broker": "redis://:rosebud@127.0.0.1:1/0;redis://:x@10.1.2.3/0"}
    answers = {one.question: one for one in checkup(Node(Settings.model_validate({"node": node})))}
    assert answers[PRIVATE].good
    assert answers[PRIVATE].warning
    assert not answers["does the bell ring?"].good
    assert not any("rosebud" in one.sentence for one in answers.values())


def images_of(node: Node, count: int, state: State | None = None) -> list[Path]:
    """Keep images, each of a study of its own, and return their files."""
    node.spool.prepare()
    paths = []
    for _ in range(count):
        content = file_of(image := mammogram())
        name = node.spool.image_name(str(image.SOPInstanceUID), digest := digest_of(node, content))
        case_id = came_in(node, image, content, name, digest)
        if state is not None:
            with node.ledger.writing() as session:
                session.get_one(Case, case_id).state = state
        paths.append(node.spool.path(name))
    return paths


def digest_of(node: Node, content: bytes) -> str:
    path = node.spool.incoming / "one"
    path.write_bytes(content)
    return data_set_digest(path)


def told_of_images(node: Node, *, deep: bool = False) -> tuple[bool, bool, str]:
    (said,) = [one for one in checkup(node, deep=deep) if one.question == IMAGES]
    return said.good, said.warning, said.sentence


def test_images_that_are_gone_are_counted_and_their_cases_named(node: Node) -> None:
    assert told_of_images(node) == (True, False, "none came in yet")
    gone, cut, altered, *_ = images_of(node, 4)
    assert told_of_images(node) == (True, False, "all 4 are there with their sizes")
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:-1])
    altered.write_bytes(altered.read_bytes()[:-2] + b"\xab\xcd")
    good, _, sentence = told_of_images(node)
    assert not good
    assert sentence.startswith("2 images of cases 1, 2, which are not done, are gone or not whole")
    assert "put the files back from a backup, or let their sender send these" in sentence
    assert told_of_images(node, deep=True)[2].startswith("3 images of cases 1, 2, 3, which")


def test_images_of_done_studies_may_have_been_removed_by_people(node: Node) -> None:
    for path in images_of(node, 7, State.DELIVERED):
        path.unlink()
    good, warning, sentence = told_of_images(node)
    assert (good, warning) == (True, True)
    assert sentence.startswith("warning: 7 images of cases 1, 2, 3, 4, 5 and 2 more, which are don")


PACS = {"name": "pacs", "ae_title": "PACS", "host": "10.1.30.9", "port": 104, "commitment": True}


def connecting(
    address: str,
    addresses: list[str],
    destination: dict[str, object] | None = None,
    **more: object,
) -> str:
    callers = [{"ae_title": "ROOM_1", "addresses": addresses}]
    tables = {
        "receiving": {"address": address, "callers": callers} | more,
        "delivering": {"destinations": [destination] if destination else []},
    }
    return QUESTIONS["can they connect?"](Node(Settings.model_validate(tables)))


@pytest.mark.parametrize("addresses", [["10.1.20.31"], ["127.0.0.1", "10.1.0.0/16"], ["fd00::/8"]])
def test_a_sender_that_cannot_connect_is_a_fault(addresses: list[str]) -> None:
    with pytest.raises(Misconfigured) as fault:
        connecting("127.0.0.1", addresses)
    wanted = "receiving.address is 127.0.0.1, this machine alone: ROOM_1 cannot connect from "
    assert str(fault.value).startswith(f"{wanted}{addresses[-1]}; write the address that they call")
    assert '"0.0.0.0" for every network' in str(fault.value)
    assert connecting("0.0.0.0", addresses) == "the node listens on 0.0.0.0"  # noqa: S104 - said


def test_an_answer_about_commitment_that_cannot_be_brought_is_a_fault() -> None:
    with pytest.raises(Misconfigured, match=r"pacs cannot bring its answers .* from 10\.1\.30\.9;"):
        connecting("localhost", ["127.0.0.1"], PACS)
    assert "listens on ::" in connecting("::", ["127.0.0.1"], PACS)
    for unasked in (PACS | {"commitment": False}, PACS | {"host": "localhost"}):
        assert connecting("127.0.0.1", ["::1"], unasked).startswith("receiving.address is 127.0.")


def test_whoever_may_send_from_anywhere_is_warned_of_a_port_for_this_machine_alone() -> None:
    said = connecting("127.0.0.1", [])
    assert said.startswith(
        "warning: receiving.address is 127.0.0.1, this machine alone: ROOM_1 may"
    )
    assert ": anybody may send from anywhere" in connecting("::1", ["127.0.0.1"], any_caller=True)
    assert not connecting("::1", ["127.0.0.0/8"]).startswith("warning")


def test_a_newcomer_is_told_where_the_node_listens() -> None:
    told = Console(record=True, width=200)
    _what_next(told, Path("demo"))
    readme = (Path(__file__).resolve().parents[3] / "README.md").read_text(encoding="utf-8")
    first_hour = readme[readme.index("## The first hour") : readme.index("## The five systems")]
    for page in (told.export_text(), first_hour):
        for key in ("receiving.address", "receiving.callers", "delivering.destinations"):
            assert key in page
