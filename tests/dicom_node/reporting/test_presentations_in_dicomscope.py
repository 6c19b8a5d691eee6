"""A viewer of other people draws our presentation states, with the outlines on the lesions."""

from pathlib import Path

import dicomscope
import numpy as np
import pytest
from conftest import image
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from ways_table import ARTIFACTS

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.report import report
from dicom_node.reporting.sheet_proof import _along
from inference.findings import ExamFindings

pytestmark = pytest.mark.journey

WHITE = 250  # DICOMscope draws a layer in its recommended grey; the images are darker
OFF = 2  # of the image's pixels: so far above and left of its place DICOMscope draws anything
PLACES = {"LCC": (1, 0), "LMLO": (3, 1)}  # among the images, and among the presentation states


def white_along(picture: NDArray[np.uint8], points: list[float], scale: float) -> float:
    """Return which share of an outline is drawn, in the viewer's pixels."""
    pairs = zip(points[::2], points[1::2], strict=True)
    path = [((x - OFF) * scale, (y - OFF) * scale) for x, y in pairs]
    columns, rows = _along(path).round().astype(int).T
    white = np.pad((picture > WHITE).all(axis=2), 1)
    near = [white[rows + down, columns + right] for down in (0, 1, 2) for right in (0, 1, 2)]
    return float(np.logical_or.reduce(near).mean())


@pytest.mark.parametrize("name", PLACES)
def test_outlines_and_labels_are_drawn_where_the_lesions_are(
    name: str,
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
    tmp_path: Path,
) -> None:
    for header in headers:
        header.PatientName = "Garcia^Zoe"
        header.WindowCenter = 3000  # a little darker, so that nothing of the image is white
    place, number = PLACES[name]
    image(headers[place]).save_as(tmp_path / "image.dcm", enforce_file_format=True)
    wanted = frozenset({"presentation_state"})
    made = report(headers, exam, maker, first_round, wanted)[number].dataset
    (annotation,) = made.GraphicAnnotationSequence
    outlines = [list(each.GraphicData) for each in annotation.GraphicObjectSequence]
    pictures = {}
    for what in ("drawn", "bare"):
        if what == "bare":
            del made.GraphicAnnotationSequence, made.GraphicLayerSequence
        (tmp_path / f"{what}.dcm").write_bytes(encoded(made))
        seen = dicomscope.seen(tmp_path / f"{what}.dcm", tmp_path / "image.dcm", tmp_path / what)
        pictures[what] = np.asarray(seen)
        if what == "drawn":
            ARTIFACTS.mkdir(parents=True, exist_ok=True)
            seen.save(ARTIFACTS / f"dicomscope-{name}.png")
    rows, columns = int(headers[place].Rows), int(headers[place].Columns)
    high, wide = pictures["drawn"].shape[:2]
    scale = min(wide / columns, high / rows)
    shares = {
        what: [white_along(picture, outline, scale) for outline in outlines]
        for what, picture in pictures.items()
    }
    assert min(shares["drawn"]) > 0.95, shares
    assert max(shares["bare"]) < 0.05, shares
    assert (pictures["drawn"] > WHITE).all(axis=2).sum() > 1000  # outlines, some 600, and words
    assert (pictures["bare"] > WHITE).all(axis=2).sum() == 0
