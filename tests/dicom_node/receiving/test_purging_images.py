"""Images go once their study is done with, no sooner, and whatever is killed meanwhile."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from open_listener import place_of
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from small_images import file_of, mammogram

from dicom_node.errors import NotYourTurn
from dicom_node.ledger.recalls import read_again
from dicom_node.ledger.removals import to_remove
from dicom_node.ledger.tables import Case
from dicom_node.life import State
from dicom_node.receiving.keep import Collision, Envelope, keep
from dicom_node.receiving.purging import purge_images
from dicom_node.settings.file import Settings
from dicom_node.settings.receiving import Receiving
from dicom_node.spool import Spool
from dicom_node.watching.balance import balance
from dicom_node.watching.images import ask_for_images
from dicom_node.wiring import Node

STUDY = "2.25.7"


@pytest.fixture
def node(settled: Callable[..., Settings], opened: Callable[[Settings], Node]) -> Node:
    made = opened(settled(receiving={"keep_images_days": 1e-9}))
    made.spool.prepare()
    return made


def arrive(node: Node, image: Dataset) -> bool:
    path = node.spool.incoming / uuid.uuid4().hex
    path.write_bytes(file_of(image))
    known = (str(image.SOPClassUID), str(image.SOPInstanceUID), str(ExplicitVRLittleEndian))
    return keep(node.ledger, node.spool, path, Envelope(None, "MG1", "1.2.3.4", *known))


def done(node: Node, *images: Dataset) -> Case:
    """Keep a study's images, and let its round have ended; return its last round."""
    for image in images:
        assert arrive(node, image)
    last = node.questions.cases_of(str(images[0].StudyInstanceUID))[-1]
    node.ledger.move(last.id, State.RECEIVING, State.DECLINED)
    return last


def purge(node: Node) -> int:
    return purge_images(node.ledger, node.questions, node.spool, node.settings.receiving)


def files(node: Node) -> list[Path]:
    return sorted((node.settings.data / "spool/images").rglob("*.dcm"))


def test_images_of_a_study_that_is_done_with_are_removed_and_accounted_for(node: Node) -> None:
    case = done(node, *(mammogram(view, StudyInstanceUID=STUDY) for view in ("LCC", "RCC")))
    assert arrive(node, mammogram())
    assert purge(node) == 2
    assert purge(node) == 0
    assert len(files(node)) == 1, "the study that comes in just now has its image"
    (event,) = [one for one in node.questions.events() if one.what == "images purged"]
    assert (event.case_id, event.details["images"]) == (case.id, 2)
    assert event.sentence.startswith("2 images are removed: nothing was to be done with the study")
    closed = balance(node, deep=True)
    assert (closed.discrepancies, closed.purged, closed.files) == ((), 2, 1)
    assert closed.accounts[0].total == 3, "received is received"
    assert ask_for_images(node, deep=False) == (
        "all 1 are there with their sizes; 2 more are no longer kept"
    )


def test_as_it_is_shipped_the_node_removes_no_image(
    settled: Callable[..., Settings], opened: Callable[[Settings], Node]
) -> None:
    node = opened(settled())
    node.spool.prepare()
    done(node, mammogram(StudyInstanceUID=STUDY))
    assert purge(node) == 0
    assert len(files(node)) == 1


def test_in_need_the_oldest_go_whatever_the_days_say_if_a_setting_lets_them(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        done(node, mammogram(StudyInstanceUID=f"2.25.{number}"))
    assert arrive(node, mammogram())
    monkeypatch.setattr(Spool, "free_bytes", lambda _: 399 << 20)

    def purge_by(**wishes: object) -> int:
        receiving = Receiving.model_validate({"keep_images_days": 30.0, **wishes})
        return purge_images(node.ledger, node.questions, node.spool, receiving)

    assert purge_by(reserve_megabytes=100) == 0
    assert purge_by(reserve_megabytes=99, emergency_clean=True) == 0
    assert purge_by(reserve_megabytes=100, emergency_clean=True) == 5
    assert node.questions.cases_of("2.25.4")[0].images_purged_at is not None
    assert node.questions.cases_of("2.25.5")[0].images_purged_at is None
    assert node.questions.last_events(1)[0].sentence == (
        "1 image is removed: 399 MB were free, less than 400"
    )
    assert purge_by(reserve_megabytes=100, emergency_clean=True) == 2
    assert purge_by(reserve_megabytes=100, emergency_clean=True) == 0
    assert len(files(node)) == 1, "what is not done with stays, come what may"


def test_what_a_killed_listener_left_goes_with_the_next_sweep(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(node, *(mammogram(view, StudyInstanceUID=STUDY) for view in ("LCC", "RCC")))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            purge(node)
    assert len(files(node)) == 2, "purged, and still there"
    closed = balance(node, deep=True)
    assert (closed.discrepancies, closed.purged, closed.left_over) == ((), 2, 2)
    with monkeypatch.context() as patch:  # killed after the first file, and the disk went away
        patch.setattr("dicom_node.receiving.purging.removed", killed)
        with pytest.raises(KeyboardInterrupt):
            purge(node)
    assert files(node) == []
    assert purge(node) == 2
    assert to_remove(node.questions, 9) == []
    assert balance(node, deep=True).discrepancies == ()


def test_a_file_that_cannot_be_removed_holds_up_no_other(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(node, *(mammogram(view, StudyInstanceUID=STUDY) for view in ("LCC", "RCC")))
    stuck = files(node)[0]
    remove = Spool.remove

    def but_one(spool: Spool, name: str) -> None:
        if spool.path(name) == stuck:
            raise PermissionError(13, "Permission denied")
        remove(spool, name)

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "remove", but_one)
        assert purge(node) == 1
    assert files(node) == [stuck]
    assert purge(node) == 1


def test_an_image_that_comes_again_is_kept_again_and_no_late_removal_meets_it(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = mammogram("LCC", StudyInstanceUID=STUDY)
    first = done(node, image)
    (late,) = files(node)
    with monkeypatch.context() as patch:  # it is written down that it goes, and it is there yet
        patch.setattr("dicom_node.receiving.purging.to_remove", lambda *_: [])
        purge(node)
    assert arrive(node, image), "no duplicate: it is kept, and a round is opened for it"
    assert not arrive(node, image)
    second = node.questions.cases_of(STUDY)[-1]
    assert (second.round, second.state) == (2, State.RECEIVING)
    assert purge(node) == 1
    assert not late.exists()
    assert place_of(node, str(image.SOPInstanceUID)).exists()
    assert balance(node, deep=True).discrepancies == ()
    (old,) = node.questions.images_of(first)
    (new,) = node.questions.images_of(second)
    assert (old.purged_at is not None, new.purged_at, new.generation) == (True, None, 1)
    stranger = mammogram("LCC", StudyInstanceUID="2.25.8", SOPInstanceUID=image.SOPInstanceUID)
    with pytest.raises(Collision, match="A901"):
        arrive(node, stranger)


def test_a_uid_that_was_purged_belongs_to_its_study_all_the_same(node: Node) -> None:
    image = mammogram("LCC", StudyInstanceUID=STUDY)
    done(node, image)
    purge(node)
    with pytest.raises(Collision, match="A901"):
        arrive(node, mammogram(StudyInstanceUID="2.25.8", SOPInstanceUID=image.SOPInstanceUID))
    image.PatientComments = "coerced by an archive"
    assert arrive(node, image)


def test_a_recalled_study_without_images_is_not_read_again(node: Node) -> None:
    case = done(node, mammogram("LCC", StudyInstanceUID=STUDY))
    purge(node)
    sentence = "1 image that came earlier is no longer kept here: send the whole study again"
    with pytest.raises(NotYourTurn, match=sentence):
        read_again(node.ledger, case.id)
    assert len(node.questions.cases_of(STUDY)) == 1
