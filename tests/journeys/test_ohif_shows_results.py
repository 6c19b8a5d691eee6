"""What a radiologist sees: OHIF in a real browser, on a real PACS, shows what the node sent.

A phantom with a mass in the right breast, seen in CC and in MLO, and calcifications in the left,
goes through the node into Orthanc. What OHIF paints is looked at by its colors, at the places where
the phantom has its lesions. `make screenshots` keeps the pictures in build/artifacts.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from dcmtk import storescu
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from ohif_page import (
    Color,
    OhifPage,
    Points,
    chromium,
    fresh_page,
    is_green,
    is_orange,
    seen_at,
)
from ohif_server import ohif_server
from orthanc_server import DICOM_WEB, OrthancServer, orthanc_server
from other_readers import read_by_ohifs_adapters, read_by_slicer, tid1500_read_by_slicer
from pydicom import Dataset
from pydicom.uid import ComprehensiveSRStorage, SegmentationStorage
from running_node import Pacs, running_node
from scipy import ndimage

from dicom_node.life import State
from dicom_node.reporting import codes, naming
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.marks import marks
from inference.findings import Kind
from phantom.dicom import datasets, write
from phantom.patient import Wanted
from phantom.study import Study, study

pytestmark = pytest.mark.journey

ARTIFACTS = Path(__file__).parents[2] / "build" / "artifacts"
SEED = 21
LESIONS = (Wanted("mass", True, side="R"), Wanted("calcification", True, side="L"))
RIGHT = ("RCC", "RMLO")
VIEWS = ("RCC", "LCC", "RMLO", "LMLO")
ATTEMPTS = 4  # OHIF loads the marks of a report every time, and now and then paints none of them
PAINTING_SECONDS = 20.0
DASHES = 4  # OHIF's lines are dashed; so near on the screen the next dash begins
Visit = Callable[[], AbstractContextManager[OhifPage]]


@dataclass(frozen=True)
class Delivered:
    """A study in the PACS, with the node's results, and what is truly in it."""

    truth: Study
    images: dict[str, Dataset]  # by the name of the view
    results: list[Dataset]  # as the PACS gives them back
    for_slicer: list[Dataset]  # what a destination has that wants a full geometry
    orthanc: OrthancServer

    @property
    def study_uid(self) -> str:
        return str(self.images["RCC"].StudyInstanceUID)

    def uid(self, name: str) -> str:
        return str(self.images[name].SOPInstanceUID)

    def lesion(self, name: str) -> tuple[float, float]:
        """Return the center of the phantom's lesion in a view, as (column, row)."""
        (seen,) = self.truth.views[VIEWS.index(name)].lesions
        return (seen.left + seen.right) / 2, (seen.top + seen.bottom) / 2

    def result(self, sop_class_uid: str, name: str, *, for_slicer: bool = False) -> Dataset:
        """Return the one result of a kind that is about a view."""
        (found,) = (
            one
            for one in (self.for_slicer if for_slicer else self.results)
            if one.SOPClassUID == sop_class_uid and f" {name}," in one.SeriesDescription
        )
        return found


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivered]:
    """Send the phantom through the node into an Orthanc that speaks DICOMweb."""
    truth = study(SEED, lesions=LESIONS)
    # OHIF 3.13.2 shows images black that name a VOI LUT Function (its issue 6239); these do not.
    images = datasets(truth, preset="hologic")
    study_uid = str(images[0].StudyInstanceUID)
    files = write(images, tmp_path_factory.mktemp("study"))
    with orthanc_server(plugins=[DICOM_WEB]) as orthanc, orthanc_server("SLICER") as slicer:
        destinations = [
            Pacs("pacs", orthanc.aet, orthanc.dicom_port),
            Pacs(
                "slicer",
                slicer.aet,
                slicer.dicom_port,
                objects=("segmentation",),
                wishes=('geometry = "full"',),
            ),
        ]
        with running_node(tmp_path_factory.mktemp("node"), destinations) as node:
            node.start("up")
            node.wait_until_listening()
            answer = storescu(files, node.port)
            assert answer.returncode == 0, answer.stderr
            case = node.wait_for_end(study_uid)
            assert case.state == State.DELIVERED, (case.reason, node.log()[-3000:])
        results, for_slicer = orthanc.datasets(study_uid), slicer.datasets(study_uid)
        for path in files:
            orthanc.upload(path.read_bytes())  # as the modality does beside us
        by_view = dict(zip(VIEWS, images, strict=True))
        yield Delivered(truth, by_view, results, for_slicer, orthanc)


@pytest.fixture(scope="module")
def visit(delivered: Delivered) -> Iterator[Visit]:
    """Lend a way to visit OHIF for the first time, as often as wanted."""
    with ohif_server(delivered.orthanc) as address, chromium() as browser:
        yield lambda: fresh_page(browser, address)


def mask_of(segmentation: Dataset) -> NDArray[np.bool_]:
    frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    return np.asarray(frames.any(axis=0))


def some_of(mask: NDArray[np.bool_], count: int = 400) -> NDArray[np.float64]:
    """Choose pixels of a mask by chance, as (column, row) of their centers."""
    rows, columns = np.nonzero(mask)
    chosen = np.random.default_rng(0).choice(len(rows), min(count, len(rows)), replace=False)
    return np.stack([columns[chosen], rows[chosen]], axis=1) + 0.5


def along(outline: Points, count: int = 200) -> NDArray[np.float64]:
    """Walk along a closed line."""
    path = np.array(outline)
    walked = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    at = np.linspace(0, walked[-1], count)
    return np.stack([np.interp(at, walked, path[:, axis]) for axis in (0, 1)], axis=1)


def share(page: OhifPage, image_uid: str, points: Points, color: Color, reach: int = 0) -> float:
    """Return at which share of an image's points the screen has a color, or has it near by."""
    colored = color(page.screen())
    if reach:
        colored = ndimage.binary_dilation(colored, iterations=reach)
    return float(seen_at(colored, page.places(image_uid, points)).mean())


def colored_in(page: OhifPage, image_uid: str, color: Color) -> int:
    """Count the pixels of a color in an image's viewport, its frame left out."""
    left, top, right, bottom = page.frame(image_uid)
    return int(color(page.screen()[top + 4 : bottom - 4, left + 4 : right - 4]).sum())


def likeness(page: OhifPage, delivered: Delivered, name: str) -> float:
    """Say how well what is on the screen goes with an image's own pixels, place by place.

    So the places at which the tests look are the image's own, and it is the right way round.
    """
    pixels = delivered.images[name].pixel_array
    breast = ndimage.binary_erosion(pixels > pixels.min() + 200, None, 10)
    points = some_of(breast, 3000)
    screen = seen_at(page.screen().mean(axis=2), page.places(delivered.uid(name), points))
    columns, rows = points.astype(np.int64).T
    smooth = ndimage.uniform_filter(pixels.astype(np.float32), 5)
    return float(np.corrcoef(screen, smooth[rows, columns])[0, 1])


def segmentations_are_painted(page: OhifPage, delivered: Delivered) -> bool:
    """Open the segmentations of the right breast, and say whether OHIF paints them."""
    painted = []
    for name in RIGHT:
        uid, description = delivered.uid(name), f"AI segmentation {name}"
        page.choose(uid)
        page.open_series(description)
        page.say_yes()
        page.wait_until(lambda d=description: page.series(d)["loaded"], f"{description} loaded")
        points = some_of(mask_of(delivered.result(SegmentationStorage, name)))
        painted.append(
            page.comes_true(
                lambda u=uid, p=points: share(page, u, p, is_orange) > 0.5, PAINTING_SECONDS
            )
        )
    return all(painted)


def outlines_are_drawn(page: OhifPage, delivered: Delivered) -> bool:
    """Open the measurement reports of the right breast, and say whether OHIF draws them.

    OHIF may have read a report and draw it only when something else lets it draw the image anew.
    """
    lines = {}
    for name in RIGHT:
        uid, description = delivered.uid(name), f"AI measurements {name}"
        page.choose(uid)
        page.open_series(description)
        page.wait_until(lambda d=description: page.series(d)["loaded"], f"{description} loaded")
        (mark,) = marks(delivered.result(ComprehensiveSRStorage, name))
        ((loaded, image_id, shapes),) = page.series(description)["measured"]
        assert loaded is True
        assert f"/instances/{uid}/" in image_id
        assert shapes == [["POLYLINE", len(mark.points)]]
        lines[uid] = along(mark.points)

    def drawn() -> bool:
        return all(share(page, uid, line, is_green, DASHES) > 0.5 for uid, line in lines.items())

    if not page.comes_true(drawn, PAINTING_SECONDS):
        for uid in lines:
            page.choose(uid)
    return page.comes_true(drawn, PAINTING_SECONDS)


@contextmanager
def shown(
    visit: Visit, delivered: Delivered, what: Callable[[OhifPage, Delivered], bool]
) -> Iterator[OhifPage]:
    """Show the study and something over it, in as few fresh visits as OHIF needs."""
    for attempt in range(1, ATTEMPTS + 1):
        with visit() as page:
            page.open(delivered.study_uid, {delivered.uid(name) for name in VIEWS})
            alike = {name: likeness(page, delivered, name) for name in VIEWS}
            assert min(alike.values()) > 0.9, f"shown otherwise than they are: {alike}"
            assert colored_in_all(page, delivered, is_orange) == dict.fromkeys(VIEWS, 0)
            assert colored_in_all(page, delivered, is_green) == dict.fromkeys(VIEWS, 0)
            if what(page, delivered):
                print(f"{what.__name__}: at visit {attempt}")  # noqa: T201 - told with -s
                page.screen(ARTIFACTS / f"ohif_{what.__name__}.png")
                yield page
                assert page.errors == []
                return
            page.screen(ARTIFACTS / f"ohif_not_{what.__name__}_{attempt}.png")
            assert page.errors == []
    pytest.fail(f"in {ATTEMPTS} fresh visits never: {what.__name__}")


def colored_in_all(page: OhifPage, delivered: Delivered, color: Color) -> dict[str, int]:
    return {name: colored_in(page, delivered.uid(name), color) for name in VIEWS}


def test_ohif_paints_the_segmentations_over_the_lesion_in_both_views_of_the_right_breast(
    visit: Visit, delivered: Delivered
) -> None:
    with shown(visit, delivered, segmentations_are_painted) as page:
        for name in RIGHT:
            uid = delivered.uid(name)
            lesion = [delivered.lesion(name)]
            assert share(page, uid, lesion, is_orange) == 1, f"not on the lesion in {name}"
            mask = mask_of(delivered.result(SegmentationStorage, name))
            assert share(page, uid, some_of(ndimage.binary_erosion(mask, None, 8)), is_orange) > 0.9
            outside = ~ndimage.binary_dilation(mask, iterations=24)
            assert share(page, uid, some_of(outside, 4000), is_orange) == 0
        painted = colored_in_all(page, delivered, is_orange)
        assert painted["LCC"] == painted["LMLO"] == 0


def test_ohif_draws_the_outline_and_the_score_around_the_lesion_in_both_views(
    visit: Visit, delivered: Delivered
) -> None:
    with shown(visit, delivered, outlines_are_drawn) as page:
        for name in RIGHT:
            uid = delivered.uid(name)
            (mark,) = marks(delivered.result(ComprehensiveSRStorage, name))
            outline = np.array(mark.points)
            assert share(page, uid, along(mark.points), is_green, DASHES) > 0.9
            left, top = outline.min(axis=0)
            right, bottom = outline.max(axis=0)
            column, row = delivered.lesion(name)
            assert left < column < right, f"the lesion in {name} lies beside its outline"
            assert top < row < bottom, f"the lesion in {name} lies beside its outline"
            for score, percent in mark.scores:
                assert page.text_is_shown(f"{score}: {percent:.2f} %"), (name, score)
        drawn = colored_in_all(page, delivered, is_green)
        assert drawn["LCC"] == drawn["LMLO"] == 0


def test_what_highdicom_makes_by_itself_is_not_painted(visit: Visit, delivered: Delivered) -> None:
    """The tests above can tell: a segmentation that OHIF cannot read is no color on the screen."""
    image = datasets(delivered.truth, preset="hologic", uid_salt="plain")[0]
    made = Segmentation(
        source_images=[image],
        pixel_array=mask_of(delivered.result(SegmentationStorage, "RCC"))[None].astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=[
            SegmentDescription(
                segment_number=1,
                segment_label="Mass",
                segmented_property_category=codes.ABNORMAL_STRUCTURE.code,
                segmented_property_type=codes.SEGMENTS[Kind.MASS].code,
                algorithm_type="MANUAL",
            )
        ],
        series_instance_uid=naming.uid("plain series"),
        series_number=9101,
        sop_instance_uid=naming.uid("plain"),
        instance_number=1,
        manufacturer="Nobody",
        manufacturer_model_name="highdicom alone",
        software_versions="1",
        device_serial_number="1",
        series_description="AI segmentation RCC",
    )
    for one in (image, made):
        delivered.orthanc.upload(encoded(one))
    with visit() as page:
        page.open(image.StudyInstanceUID, {image.SOPInstanceUID})
        page.open_series("AI segmentation RCC")
        page.wait_until(lambda: page.errors, "an error of the page")
        assert any("PixelMeasures" in error for error in page.errors)
        page.screen(ARTIFACTS / "ohif_what_highdicom_makes_by_itself.png")
        beside_the_message = page.screen()[:900, 290:]
        assert int(is_orange(beside_the_message).sum()) == 0


def test_the_adapters_of_ohif_read_every_segmentation_pixel_for_pixel(
    delivered: Delivered, tmp_path: Path
) -> None:
    images = [copy(image) for image in delivered.images.values()]
    for image in images:
        del image.PixelData  # the readers want no more than the headers
    made = [delivered.result(SegmentationStorage, name) for name in VIEWS]
    read = read_by_ohifs_adapters(made, images, tmp_path)
    for name, segmentation, labels in zip(VIEWS, made, read, strict=True):
        assert labels.keys() == {delivered.uid(name)}
        expected = mask_of(segmentation)
        assert int(expected.sum()) > 500
        assert np.array_equal(labels[delivered.uid(name)].reshape(expected.shape) > 0, expected)


def test_3d_slicers_readers_read_the_segmentations_and_the_reports(
    delivered: Delivered, tmp_path: Path
) -> None:
    for name in VIEWS:
        made = delivered.result(SegmentationStorage, name, for_slicer=True)
        ours = delivered.result(SegmentationStorage, name)
        assert made.SOPInstanceUID != ours.SOPInstanceUID
        segments = read_by_slicer(made, tmp_path)
        assert np.array_equal(np.any(segments, axis=0), mask_of(ours))
        (mark,) = marks(delivered.result(ComprehensiveSRStorage, name))
        told = tid1500_read_by_slicer(delivered.result(ComprehensiveSRStorage, name), tmp_path)
        (group,) = told["Measurements"]
        assert group["TrackingUniqueIdentifier"] == mark.tracking_uid
        assert group["TrackingIdentifier"].split() == mark.tracking_id.split()
        scores = {
            item["quantity"]["CodeMeaning"]: float(item["value"])
            for item in group["measurementItems"]
        }
        assert dict(mark.scores).items() <= scores.items()
