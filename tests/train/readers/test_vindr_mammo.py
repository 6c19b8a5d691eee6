from pathlib import Path

import numpy as np
import pytest
from small_breasts import mass, require_bright_on_dark
from small_tables import vindr_image, write_vindr

from inference.findings import Box, Kind
from inference.mammogram import Projection, Side
from train.data.readers.by_name import samples
from train.data.real import opened
from train.errors import Refused


def finding(image: str, categories: list[str], edges: str, birads: str = "4") -> dict[str, str]:
    names = ("xmin", "ymin", "xmax", "ymax")
    box = dict(zip(names, edges.split(), strict=True))
    said = {"finding_categories": str(categories), "finding_birads": f"BI-RADS {birads}"}
    return {"image_id": image, **said, **box}


def test_boxes_are_cut_at_the_edges_and_a_suspicious_one_is_malignant(tmp_path: Path) -> None:
    image = vindr_image("s1", "a", laterality="R", view_position="MLO", split="test")
    write_vindr(tmp_path, [image], [finding("a", ["Mass"], "-3.5 10 20.25 120", birads="5")])
    (sample,) = samples("vindr_mammo", tmp_path)
    assert (sample.patient, sample.side, sample.projection) == ("s1", Side.RIGHT, Projection.MLO)
    assert sample.image == tmp_path / "images" / "s1" / "a.dicom"
    assert (sample.cancer, sample.complete, sample.split) == (True, True, "test")
    assert sample.facts == {"birads": "4", "density": "C"}
    (mass,) = sample.regions
    assert mass.outline == Box(0, 10, 20.25, 100)
    assert (mass.kind, mass.malignant) == (Kind.MASS, True)
    assert mass.facts == {"finding": "Mass", "birads": "5"}


def test_birads_stands_for_what_no_pathology_said(tmp_path: Path) -> None:
    breasts = {"a": "1", "b": "3", "c": "5", "d": "5"}
    images = [
        vindr_image(f"s{name}", name, breast_birads=f"BI-RADS {birads}")
        for name, birads in breasts.items()
    ]
    marks = [
        finding("b", ["Mass"], "1 2 3 4", birads="3"),
        finding("c", ["Mass"], "1 2 3 4", birads="5"),
        finding("c", ["Mass"], "5 6 7 8", birads="3"),
    ]
    write_vindr(tmp_path, images, marks)
    found = samples("vindr_mammo", tmp_path)
    # The other view of a suspicious breast shows nothing, and is no healthy one.
    assert [sample.cancer for sample in found] == [False, None, True, None]
    natures = [[region.malignant for region in sample.regions] for sample in found]
    assert natures == [[], [None], [True, None], []]


def test_a_box_may_hold_two_kinds_or_none_of_ours(tmp_path: Path) -> None:
    both = finding("a", ["Mass", "Suspicious Calcification", "Skin Thickening"], "1 2 3 4")
    neither = finding("a", ["Architectural Distortion"], "5 6 7 8")
    write_vindr(tmp_path, [vindr_image("s1", "a")], [both, neither])
    regions = samples("vindr_mammo", tmp_path)[0].regions
    assert [region.kind for region in regions] == [Kind.MASS, Kind.CALCIFICATION, None]
    assert regions[2].facts["finding"] == "Architectural Distortion"


def test_no_finding_is_no_region_and_benign_ones_are_not_marked(tmp_path: Path) -> None:
    images = [
        vindr_image("s1", "a", breast_birads="BI-RADS 1"),
        vindr_image("s2", "b", breast_birads="BI-RADS 2"),
    ]
    nothing = [finding(one["image_id"], ["No Finding"], "nan nan nan nan") for one in images]
    write_vindr(tmp_path, images, nothing)
    found = samples("vindr_mammo", tmp_path)
    assert [sample.regions for sample in found] == [(), ()]
    assert [sample.complete for sample in found] == [True, False]
    assert found.dropped == {}


def test_what_has_no_place_in_its_image_is_counted(tmp_path: Path) -> None:
    lost = [finding("a", ["Mass"], "90 10 95 20"), finding("a", ["Mass"], "nan nan nan nan")]
    write_vindr(tmp_path, [vindr_image("s1", "a")], lost)
    found = samples("vindr_mammo", tmp_path)
    assert (found[0].regions, found[0].complete) == ((), False)
    assert found.dropped == {
        "boxes with nothing of their image in them": 1,
        "findings without a box": 1,
    }


def test_tables_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    images = [vindr_image("s1", "a")]
    write_vindr(tmp_path, images, [finding("z", ["Mass"], "1 2 3 4")])
    with pytest.raises(Refused, match=r"line 2: z is not in breast-level_annotations\.csv"):
        samples("vindr_mammo", tmp_path)
    write_vindr(tmp_path, images, [{**finding("a", [], "1 2 3 4"), "finding_categories": "Mass"}])
    with pytest.raises(Refused, match="line 2: finding_categories is 'Mass', and no list"):
        samples("vindr_mammo", tmp_path)
    (tmp_path / "images" / "s1" / "a.dicom").unlink()
    with pytest.raises(Refused, match=r"line 2: .*a\.dicom is missing"):
        samples("vindr_mammo", tmp_path)


@pytest.mark.parametrize("windowless", [(), ("plain", "inverse")], ids=["window", "no window"])
def test_a_breast_is_bright_on_dark_whichever_way_its_greys_are_stored(
    tmp_path: Path, windowless: tuple[str, ...]
) -> None:
    images = [
        vindr_image("s1", "plain", laterality="R", view_position="MLO"),
        vindr_image("s2", "inverse", laterality="R", view_position="MLO"),
    ]
    where = mass("R")
    edges = f"{where.left} {where.top} {where.right} {where.bottom}"
    marks = [finding(one["image_id"], ["Mass"], edges) for one in images]
    write_vindr(tmp_path, images, marks, inverse=["inverse"], windowless=windowless)
    plain, inverse = (opened(sample) for sample in samples("vindr_mammo", tmp_path))
    assert (plain.view.pixels + inverse.view.pixels == 4095).all()
    for known in (plain, inverse):
        assert (known.view.name, known.view.spacing_mm) == ("RMLO", (0.7, 0.7))
        assert known.view.grey.assumed is bool(windowless)
        require_bright_on_dark(known.view, "R")
        assert [truth.box for truth in known.truths] == [where]
    np.testing.assert_allclose(
        plain.view.grey.of(plain.view.pixels), inverse.view.grey.of(inverse.view.pixels), atol=0.001
    )
