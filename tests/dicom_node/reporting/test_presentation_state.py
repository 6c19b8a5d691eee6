"""Presentation states: what a viewer is told to draw over an image, and in which greys."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import validators
from conftest import image, lightbox_of
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.proof import prove
from dicom_node.reporting.report import Built, report
from inference.findings import ExamFindings

WANTED = frozenset({"presentation_state"})
LCC = 1  # its place among the headers


def built(
    headers: Sequence[Dataset], exam: ExamFindings, maker: Maker, when: Circumstances
) -> list[Built]:
    return report(headers, exam, maker, when, WANTED, lightbox=lightbox_of(headers))


def with_table(header: Dataset) -> None:
    del header.WindowCenter, header.WindowWidth
    table = Dataset()
    table.LUTDescriptor, table.LUTExplanation = [4096, 0, 12], "BRIGHT"
    table.LUTData = [round(4095 * (value / 4095) ** 0.5) for value in range(4096)]
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    header.VOILUTSequence = [table]


def without_a_window(header: Dataset) -> None:
    del header.WindowCenter, header.WindowWidth


def inverse(header: Dataset) -> None:
    header.PhotometricInterpretation, header.PresentationLUTShape = "MONOCHROME1", "INVERSE"


def said_once(header: Dataset) -> None:
    header.PhotometricInterpretation = "MONOCHROME1"
    del header.PresentationLUTShape


def sigmoid(header: Dataset) -> None:
    header.WindowCenter, header.WindowWidth = [2000, 1500], [900, 700]
    header.WindowCenterWidthExplanation, header.VOILUTFunction = ["NORMAL", "HARDER"], "SIGMOID"


def inverse_without_a_window(header: Dataset) -> None:
    inverse(header)
    without_a_window(header)


def useless_window(header: Dataset) -> None:
    header.WindowCenter, header.WindowWidth = 0, 0


def rescaled(header: Dataset) -> None:
    header.RescaleSlope, header.RescaleIntercept = 2, -500
    header.WindowCenter, header.WindowWidth, header.VOILUTFunction = 3000, 5000, "LINEAR_EXACT"
    del header.RescaleType


WAYS = {
    "a window": lambda _: None,
    "two windows and a sigmoid": sigmoid,
    "a table": with_table,
    "neither": without_a_window,
    "a window without width": useless_window,
    "inverse": inverse,
    "inverse, said once": said_once,
    "inverse and neither": inverse_without_a_window,
    "rescaled": rescaled,
}
UNKNOWN_TO_DCMTK = {"two windows and a sigmoid"}  # it takes every window for a straight line


def test_each_image_with_findings_gets_a_presentation_state_of_its_own(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    made = [each.dataset for each in built(headers, exam, maker, first_round)]
    assert [each.SeriesDescription for each in made] == [
        "AI presentation LCC, research use only",
        "AI presentation LMLO, research use only",
    ]
    assert len({each.SeriesInstanceUID for each in made}) == 2
    labels = [item.UnformattedTextValue for item in texts(made[0])]
    assert labels == [
        "LCC mass 1\r\nlesion 91.3 %, cancer 83.0 %\r\nshared_trunk 1.2.0",
        "LCC calcification 1\r\nlesion 60.0 %\r\nshared_trunk 1.2.0",
        "For research use only.",
    ]


def texts(made: Dataset) -> list[Dataset]:
    return list(made.GraphicAnnotationSequence[0].TextObjectSequence)


def test_no_findings_need_no_presentation_state(
    headers: list[Dataset], clear_exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    assert built(headers, clear_exam, maker, first_round) == []


def test_the_labels_of_an_agreement_say_who_saw_it(
    headers: list[Dataset], agreement: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    made = built(headers, agreement, maker, first_round)[0].dataset
    assert texts(made)[0].UnformattedTextValue.endswith("\r\nshared_trunk 91.3 %, ft_mtl 30.4 %")
    prove(made, headers, agreement)


def test_the_same_inputs_make_the_same_bytes(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    once, again = (built(headers, exam, maker, first_round) for _ in range(2))
    assert [encoded(each.dataset) for each in once] == [encoded(each.dataset) for each in again]


def test_pixels_are_opened_only_where_the_header_does_not_say_how_it_is_shown(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    (made, _) = report(headers, exam, maker, first_round, WANTED)
    prove(made.dataset, headers, exam)
    without_a_window(headers[LCC])
    with pytest.raises(ValueError, match="its pixels are not at hand"):
        report(headers, exam, maker, first_round, WANTED)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_show_an_image_is_kept_and_validators_accept_it(
    way: str,
    tmp_path: Path,
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    for header in headers:
        header.PatientName = "Garcia^Zoe"  # DCMTK's checker does not know UTF-8
        WAYS[way](header)
    source = image(headers[LCC])
    source.save_as(tmp_path / "image.dcm", enforce_file_format=True)
    made = built(headers, exam, maker, first_round)[0].dataset
    prove(made, headers, exam, lightbox_of(headers))
    path = tmp_path / "presentation.dcm"
    path.write_bytes(encoded(made))
    assert validators.dciodvfy_errors(path) == []
    assert validators.dcmpschk_errors(path) == []
    if way not in UNKNOWN_TO_DCMTK:
        assert np.abs(rendered(tmp_path) - expected(headers[LCC])).max() <= 2


def rendered(folder: Path) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    """Let DCMTK show the image as the presentation state wants it."""
    out = folder / "shown.pgm"
    command = ["dcmp2pgm", "-p", folder / "presentation.dcm", folder / "image.dcm", out]
    subprocess.run(command, check=True, capture_output=True)
    return np.asarray(Image.open(out), dtype=np.int64)


def expected(header: Dataset) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    """Show it as the node does."""
    shown = lightbox_of([header]).shown(str(header.SOPInstanceUID))
    return shown.picture.astype(np.int64)


def test_the_image_of_dcmtk_reads_the_file_it_was_given(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        rendered(tmp_path)
    assert not (tmp_path / "shown.pgm").exists()


def test_what_leaves_is_what_was_built(
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
    tmp_path: Path,
) -> None:
    made = built(headers, exam, maker, first_round)[0].dataset
    (tmp_path / "one.dcm").write_bytes(encoded(made))
    (item,) = dcmread(tmp_path / "one.dcm").GraphicAnnotationSequence
    assert [each.TrackingID for each in item.GraphicObjectSequence] == [
        "LCC mass 1",
        "LCC calcification 1",
    ]
