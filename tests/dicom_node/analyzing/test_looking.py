"""All images of a case at once: each judged as if alone, and no more pixels held than fit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from small_images import PIXELS, file_of, mammogram

from dicom_node.analyzing import looking
from dicom_node.analyzing.accept import judge_study, terms_of
from dicom_node.analyzing.looking import looked_at, views_of
from dicom_node.ledger.tables import Instance
from dicom_node.receiving.keep import Envelope, keep
from dicom_node.settings.file import Settings
from dicom_node.spool import Altered
from dicom_node.wiring import Node

STUDY = "2.25.8"
VIEWS = ("RCC", "LCC", "RMLO", "LMLO")


@pytest.fixture
def node(settled: Callable[..., Settings], opened: Callable[[Settings], Node]) -> Node:
    return opened(settled(analyzing={"accept": {"rows_min": 16, "brightest_min": 0.0}}))


@pytest.fixture
def images(node: Node, tmp_path: Path) -> list[Instance]:
    for number, view in enumerate(VIEWS):
        pixels = PIXELS[2 * number :] + PIXELS[: 2 * number]  # each its own
        image = mammogram(view, StudyInstanceUID=STUDY, PixelData=pixels)
        path = tmp_path / "arriving"
        path.write_bytes(file_of(image))
        said = (str(image.SOPClassUID), str(image.SOPInstanceUID), str(ExplicitVRLittleEndian))
        assert keep(node.ledger, node.spool, path, Envelope(None, "MG1", "1.2.3.4", *said))
    (case,) = node.questions.cases_of(STUDY)
    return list(node.questions.images_of(case))


@pytest.mark.parametrize("room", [0, 600, 1 << 20])
def test_what_found_no_room_is_decoded_once_more(
    room: int, node: Node, images: list[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "HELD_BYTES", room)
    terms = terms_of(node.settings, frozenset({"mammogram"}))
    judged = looked_at(node.spool, images, terms)
    held = [one.mammogram for one in judged if one.mammogram is not None]
    assert len(held) == min(room // len(PIXELS), 4)
    views = views_of(node.spool, images, judge_study(judged, terms))
    assert [view.name for view in views] == list(VIEWS)
    for number, view in enumerate(views):
        wanted = PIXELS[2 * number :] + PIXELS[: 2 * number]
        np.testing.assert_array_equal(view.pixels.ravel(), np.frombuffer(wanted, "<u2"))


def test_one_image_that_is_not_what_was_received_stops_the_case(
    node: Node, images: list[Instance]
) -> None:
    with node.spool.path(images[2].path).open("ab") as file:
        file.write(b"more")
    with pytest.raises(Altered):
        looked_at(node.spool, images, terms_of(node.settings, frozenset({"mammogram"})))
