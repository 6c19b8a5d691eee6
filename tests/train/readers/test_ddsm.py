import gzip
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.findings import Kind
from inference.mammogram import Projection, Side
from train.data.pixels import mammogram
from train.data.readers.ddsm import samples
from train.data.sample import Polygon, Sample, Samples
from train.data.truths import marked
from train.errors import Refused

FILMS = ("LEFT_CC", "LEFT_MLO", "RIGHT_CC", "RIGHT_MLO")
ROWS, COLUMNS = 160, 120
# A square from column 30, row 20, clockwise, of 20 pixels; the last step comes back.
SQUARE = f"30 20 {'2 ' * 19}{'4 ' * 19}{'6 ' * 19}{'0 ' * 19}#"
MASS = "LESION_TYPE MASS SHAPE IRREGULAR-ARCHITECTURAL_DISTORTION MARGINS SPICULATED"
CALCIFICATIONS = "LESION_TYPE CALCIFICATION TYPE PLEOMORPHIC DISTRIBUTION N/A"


def abnormality(
    number: int, types: str = MASS, pathology: str = "MALIGNANT", outlines: int = 1
) -> str:
    return (
        f"ABNORMALITY {number}\n{types}\nASSESSMENT 5\nSUBTLETY 3\nPATHOLOGY {pathology}\n"
        f"TOTAL_OUTLINES {outlines}\nBOUNDARY\n{SQUARE}\n"
    )


def overlay(*abnormalities: str) -> str:
    return f"TOTAL_ABNORMALITIES {len(abnormalities)}\n{''.join(abnormalities)}"


def write(folder: Path, overlays: Mapping[str, str], *, smaller: int = 1) -> Path:
    """Write a case: its .ics, the films as PNG of 16 bits, and the overlays of some."""
    case = folder / "cancer_01" / "case3159"
    case.mkdir(parents=True, exist_ok=True)
    lines = [
        *("", "ics_version 1.0", "filename B-3159-1", "DATE_OF_STUDY 29 5 1998", "PATIENT_AGE 58"),
        *("FILM ", "FILM_TYPE REGULAR", "DENSITY 2", "DATE_DIGITIZED 14 7 1998"),
        *("DIGITIZER LUMISYS LASER", "SEQUENCE"),
    ]
    for film in FILMS:
        lines.append(
            f"{film} LINES {ROWS} PIXELS_PER_LINE {COLUMNS} BITS_PER_PIXEL 12 RESOLUTION 50 "
            f"{'OVERLAY' if film in overlays else 'NON_OVERLAY'}"
        )
        pixels = np.zeros((ROWS, COLUMNS), np.uint16)
        pixels[20:40, 30:50] = 4000
        name = f"B_3159_1.{film}"
        Image.fromarray(pixels[::smaller, ::smaller]).save(case / f"{name}.png")
        # What the archive shows on its pages is no film.
        Image.new("L", (9, 9)).save(case / f"{name}.LJPEG.1_highpass.gif")
        (case / f"{name}.LJPEG").write_bytes(b"nothing reads this")
    for film, text in overlays.items():
        (case / f"B_3159_1.{film}.OVERLAY").write_text(text)
    (case / "B-3159-1.ics").write_text("\r\n".join(lines))
    return folder


def view(found: Samples, side: Side, projection: Projection) -> Sample:
    (one,) = [one for one in found if (one.side, one.projection) == (side, projection)]
    return one


def test_a_chain_code_goes_around_its_lesion(tmp_path: Path) -> None:
    found = samples(write(tmp_path, {"LEFT_CC": overlay(abnormality(1))}))
    one = view(found, Side.LEFT, Projection.CC)
    (region,) = one.regions
    assert region.outline == Polygon(((30, 20), (49, 20), (49, 39), (30, 39), (30, 20)))
    assert (region.kind, region.malignant) == (Kind.MASS, True)
    assert region.facts["shape"] == "IRREGULAR-ARCHITECTURAL_DISTORTION"
    assert region.facts["subtlety"] == "3"
    seen = mammogram(one)
    assert seen.spacing_mm == (0.05, 0.05)
    lesion = marked(region.outline, *seen.pixels.shape)
    assert lesion is not None
    np.testing.assert_array_equal(lesion.mask.on(ROWS, COLUMNS), seen.pixels == 4000)


def test_every_direction_of_the_code_is_known(tmp_path: Path) -> None:
    text = overlay(abnormality(1)).replace(SQUARE, "50 50 0 1 2 3 4 5 6 7 #")
    found = samples(write(tmp_path, {"LEFT_CC": text}))
    (region,) = view(found, Side.LEFT, Projection.CC).regions
    assert region.outline == Polygon(
        ((50, 50), (50, 49), (51, 48), (52, 48), (53, 49), (53, 50), (52, 51), (51, 51), (50, 50))
    )


def test_a_smaller_picture_has_smaller_outlines_and_larger_pixels(tmp_path: Path) -> None:
    found = samples(write(tmp_path, {"LEFT_CC": overlay(abnormality(1))}, smaller=2))
    one = view(found, Side.LEFT, Projection.CC)
    seen = mammogram(one)
    assert seen.spacing_mm == (0.1, 0.1)
    lesion = marked(one.regions[0].outline, *seen.pixels.shape)
    assert lesion is not None
    np.testing.assert_array_equal(lesion.mask.on(80, 60), seen.pixels == 4000)


def test_an_abnormality_of_two_types_is_a_region_of_each(tmp_path: Path) -> None:
    text = overlay(abnormality(1, f"{CALCIFICATIONS}\n{MASS}", outlines=4))
    text = text.replace(SQUARE, f"{SQUARE}\n\tCORE\n{SQUARE}\n\tCORE\n{SQUARE}")
    found = samples(write(tmp_path, {"LEFT_CC": text}))
    first, second = view(found, Side.LEFT, Projection.CC).regions
    assert (first.kind, second.kind) == (Kind.CALCIFICATION, Kind.MASS)
    assert first.outline == second.outline
    assert first.facts["type"] == "PLEOMORPHIC"
    assert "distribution" not in first.facts
    assert first.facts["cores"] == "2"


def test_a_wrong_count_of_outlines_is_read_through(tmp_path: Path) -> None:
    text = overlay(abnormality(1, outlines=3), abnormality(2, pathology="BENIGN"))
    found = samples(write(tmp_path, {"RIGHT_MLO": text}))
    one = view(found, Side.RIGHT, Projection.MLO)
    assert [region.malignant for region in one.regions] == [True, False]
    assert one.complete


def test_a_cancer_seen_in_one_view_leaves_the_other_view_open(tmp_path: Path) -> None:
    found = samples(
        write(
            tmp_path,
            {
                "LEFT_CC": overlay(abnormality(1)),
                "RIGHT_CC": overlay(abnormality(1, pathology="BENIGN_WITHOUT_CALLBACK")),
                "RIGHT_MLO": overlay(abnormality(1, pathology="UNPROVEN")),
            },
        )
    )
    assert [one.cancer for one in found] == [True, None, False, None]
    assert {one.patient for one in found} == {"B-3159"}
    assert found[0].facts == {
        "age": "58",
        "film": "REGULAR",
        "density": "2",
        "digitizer": "LUMISYS",
    }


def test_an_abnormality_without_an_outline_is_counted(tmp_path: Path) -> None:
    text = overlay(abnormality(1)).replace(f"BOUNDARY\n{SQUARE}\n", "")
    found = samples(write(tmp_path, {"LEFT_CC": text}))
    one = view(found, Side.LEFT, Projection.CC)
    assert (one.cancer, one.regions, one.complete) == (True, (), False)
    assert sum(found.dropped.values()) == 1


def test_what_is_neither_mass_nor_calcification_is_a_region_of_no_kind(tmp_path: Path) -> None:
    text = overlay(abnormality(1, "LESION_TYPE OTHER SKIN THICKENING SEEN", "BENIGN"))
    found = samples(write(tmp_path, {"LEFT_CC": text}))
    (region,) = view(found, Side.LEFT, Projection.CC).regions
    assert (region.kind, region.facts["lesion"]) == (None, "other")


def test_a_compressed_overlay_and_another_name_of_a_picture_are_found(tmp_path: Path) -> None:
    folder = write(tmp_path, {"LEFT_CC": overlay(abnormality(1))})
    case = folder / "cancer_01" / "case3159"
    plain = case / "B_3159_1.LEFT_CC.OVERLAY"
    (case / "B_3159_1.LEFT_CC.OVERLAY.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    png = case / "B_3159_1.LEFT_CC.png"
    png.rename(case / "B_3159_1.LEFT_CC.LJPEG.png")
    (case / "B_3159_1.LEFT_MLO.png").rename(case / "B-3159-1.LEFT_MLO.png")
    assert len(view(samples(folder), Side.LEFT, Projection.CC).regions) == 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("2 2 4", "2 9 4", r"LEFT_CC\.OVERLAY, line 8: what stands behind BOUNDARY"),
        ("PATHOLOGY MALIGNANT", "PATHOLOGY BAD", "pathology is 'BAD'"),
        ("TOTAL_ABNORMALITIES 1", "TOTAL_ABNORMALITIES 2", "tells of 2 abnormalities, and has 1"),
        ("SHAPE IRREGULAR", "SHAPES IRREGULAR", "line 3"),
        ("TOTAL_ABNORMALITIES 1", "SOME 1\nTOTAL_ABNORMALITIES 1", "line 1: 'SOME'"),
    ],
)
def test_what_is_broken_in_an_overlay_is_refused(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    text = overlay(abnormality(1))
    assert old in text
    with pytest.raises(Refused, match=words):
        samples(write(tmp_path, {"LEFT_CC": text.replace(old, new)}))


def test_what_is_missing_or_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"no \.ics"):
        samples(tmp_path)
    folder = write(tmp_path, {"LEFT_CC": overlay(abnormality(1))})
    case = folder / "cancer_01" / "case3159"
    Image.new("I;16", (COLUMNS, ROWS - 20)).save(case / "B_3159_1.RIGHT_CC.png")
    with pytest.raises(Refused, match="without stretching"):
        samples(folder)
    (case / "B_3159_1.RIGHT_CC.png").unlink()
    with pytest.raises(Refused, match="convert the LJPEG"):
        samples(folder)
    write(tmp_path, {"LEFT_CC": overlay(abnormality(1))})
    (case / "B_3159_1.LEFT_CC.OVERLAY").unlink()
    with pytest.raises(Refused, match=r"no B_3159_1\.LEFT_CC\.OVERLAY"):
        samples(folder)
    ics = case / "B-3159-1.ics"
    ics.write_text(ics.read_text().replace("RESOLUTION 50", "RESOLUTION 0"))
    with pytest.raises(Refused, match="line 12"):
        samples(folder)
