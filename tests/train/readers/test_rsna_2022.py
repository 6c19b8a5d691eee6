from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless
from small_breasts import breast, require_bright_on_dark
from small_tables import write_rsna

from inference.mammogram import Projection, Side
from train.data.readers.by_name import samples
from train.data.real import opened
from train.errors import Refused

LINE = {
    "site_id": "2",
    "patient_id": "10006",
    "image_id": "462822612",
    "laterality": "L",
    "view": "CC",
    "age": "61.0",
    "cancer": "0",
    "machine_id": "29",
    "difficult_negative_case": "False",
}


def test_an_image_has_the_label_of_its_breast_and_teaches_nothing_else(tmp_path: Path) -> None:
    cancer = {**LINE, "image_id": "1", "laterality": "R", "view": "MLO", "cancer": "1"}
    write_rsna(tmp_path, [LINE, cancer])
    healthy, ill = samples("rsna_2022", tmp_path)
    assert (healthy.patient, healthy.side, healthy.projection) == (
        "10006",
        Side.LEFT,
        Projection.CC,
    )
    assert (healthy.cancer, ill.cancer) == (False, True)
    assert healthy.image == tmp_path / "train_images" / "10006" / "462822612.dcm"
    assert (ill.complete, ill.regions, healthy.complete) == (False, (), False)
    assert healthy.facts == {"site": "2", "age": "61.0", "device": "29", "difficult": "False"}


def test_other_views_are_kept_and_said_to_be_none_of_ours(tmp_path: Path) -> None:
    write_rsna(tmp_path, [{**LINE, "view": "AT"}])
    assert samples("rsna_2022", tmp_path)[0].projection is None


def test_faults_are_told_with_their_line(tmp_path: Path) -> None:
    write_rsna(tmp_path, [LINE, {**LINE, "image_id": "2", "cancer": "maybe"}])
    with pytest.raises(Refused, match="line 3: cancer is 'maybe', and neither 1 nor 0"):
        samples("rsna_2022", tmp_path)
    (tmp_path / "train.csv").unlink()
    with pytest.raises(Refused, match=r"train\.csv is missing"):
        samples("rsna_2022", tmp_path)


def test_an_image_is_opened_once_somebody_says_how_large_a_pixel_is(tmp_path: Path) -> None:
    other = {**LINE, "image_id": "2", "laterality": "R", "view": "MLO"}
    write_rsna(tmp_path, [LINE, other], inverse=["2"])
    found = samples("rsna_2022", tmp_path)
    header = dcmread(found[1].image, stop_before_pixels=True)
    assert header.file_meta.TransferSyntaxUID == JPEG2000Lossless
    assert not {"ImagerPixelSpacing", "PixelSpacing", "ImageLaterality"} & set(header.dir())
    with pytest.raises(Refused, match=r"2\.dcm nor RSNA 2022 says how large a pixel is: say it in"):
        opened(found[1])
    plain, inverse = (opened(sample, spacing_mm=(0.07, 0.07)).view for sample in found)
    assert (plain.name, inverse.name, inverse.spacing_mm) == ("LCC", "RMLO", (0.07, 0.07))
    np.testing.assert_array_equal(plain.pixels, breast("L"))
    np.testing.assert_array_equal(inverse.pixels, 4095 - breast("R"))
    for view, side in ((plain, "L"), (inverse, "R")):
        require_bright_on_dark(view, side)
