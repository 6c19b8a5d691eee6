"""NaN and infinity end a case as FAILED, or an image as not read; they are never a finding."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian
from small_images import file_of, mammogram

from dicom_node.analyzing.analyze import Desk, analyze
from dicom_node.ledger.tables import Case
from dicom_node.life import State
from dicom_node.receiving.keep import Envelope, keep
from dicom_node.settings.file import Settings
from dicom_node.shipped import shipped
from dicom_node.wiring import Node
from inference import findings
from inference.analyzer import Analyzer
from inference.bundle import Calibration, Card, load_card
from inference.errors import BadBundle
from inference.findings import Box, Kind, Mask
from inference.preparing.prepare import Preparation, PreparedView
from inference.systems.views import BOTH, Scope, Seen, ViewByView

GOOD = findings.Finding(
    kind=Kind.MASS,
    box=Box(2, 2, 6, 6),
    score=0.9,
    cancer_score=0.5,
    mask=Mask(2, 2, np.ones((4, 4), np.bool_)),
    systems=("shared_trunk",),
)
ALL = Scope(BOTH, BOTH)
NAN, INFINITY = float("nan"), float("inf")
SPOILED: dict[str, Seen] = {
    "cancer NaN": Seen(NAN, (GOOD,)),
    "cancer infinite": Seen(INFINITY, (GOOD,)),
    "score NaN": Seen(0.0, (replace(GOOD, score=NAN),)),
    "score infinite": Seen(0.0, (replace(GOOD, score=INFINITY),)),
    "score of 2": Seen(0.0, (replace(GOOD, score=2.0),)),
    "score NaN beside a good one": Seen(0.0, (GOOD, replace(GOOD, score=NAN))),
    "malignancy NaN": Seen(0.0, (replace(GOOD, cancer_score=NAN),)),
    "uncertainty infinite": Seen(0.0, (replace(GOOD, uncertainty=INFINITY),)),
    "a member's score NaN": Seen(0.0, (replace(GOOD, scores=(0.5, NAN)),)),
    "box NaN": Seen(0.0, (replace(GOOD, box=Box(2, NAN, 6, 6)),)),
    "box infinite": Seen(0.0, (replace(GOOD, box=Box(2, 2, INFINITY, 6)),)),
    "box upside down": Seen(0.0, (replace(GOOD, box=Box(2, 6, 6, 2)),)),
    "mask of numbers": Seen(
        0.0,
        (replace(GOOD, mask=Mask(2, 2, np.full((4, 4), NAN))),),  # type: ignore[arg-type]
    ),
    "mask beside the image": Seen(
        0.0, (replace(GOOD, mask=Mask(14, 2, np.ones((4, 4), np.bool_))),)
    ),
}
HEADERS: dict[str, dict[str, str]] = {
    "window NaN": {"WindowCenter": "100", "WindowWidth": "nan"},
    "window infinite": {"WindowCenter": "1e400", "WindowWidth": "100"},
    "slope NaN": {"RescaleIntercept": "0", "RescaleSlope": "nan"},
    "intercept infinite": {"RescaleIntercept": "-inf", "RescaleSlope": "1"},
    "slope overflows": {"RescaleIntercept": "0", "RescaleSlope": "1e308"},
    "spacing NaN": {"ImagerPixelSpacing": r"nan\nan"},
    "spacing infinite": {"ImagerPixelSpacing": r"inf\0.1"},
    # Numbers, and none of them leaves a picture or its size.
    "spacing of less than an atom": {"ImagerPixelSpacing": r"1e-300\1e-300"},
    "spacing of a kilometer": {"ImagerPixelSpacing": r"1e6\1e6"},
    "window beside all values": {"WindowCenter": "-1e308", "WindowWidth": "100"},
    "window of everything": {"WindowCenter": "100", "WindowWidth": "1e308"},
    "slope of nothing": {"RescaleIntercept": "0", "RescaleSlope": "0"},
}


@dataclass(frozen=True)
class Says:
    """A reader that says what a test wants of each view."""

    seen: Seen
    preparations: tuple[Preparation, ...] = ()
    scope: Scope = ALL

    def read(self, pictures: Sequence[PreparedView]) -> Seen:
        assert not pictures
        return self.seen


@pytest.fixture(scope="module")
def card() -> Card:
    return load_card(shipped("bundles") / "shared_trunk_phantom")


@pytest.fixture
def node(settled: Callable[..., Settings], opened: Callable[[Settings], Node]) -> Node:
    """Open a node that takes small images."""
    return opened(settled(analyzing={"accept": {"rows_min": 16, "brightest_min": 0.0}}))


def read(node: Node, image: Dataset, seen: Seen, card: Card) -> Case:
    """Let a case of one image be read by a reader that says this, and return how it ended."""
    path = node.spool.incoming / "arriving"
    path.write_bytes(file_of(image))
    known = (str(image.SOPClassUID), str(image.SOPInstanceUID), str(ExplicitVRLittleEndian))
    assert keep(node.ledger, node.spool, path, Envelope(None, "MG1", "1.2.3.4", *known))
    (case,) = node.questions.cases_of(str(image.StudyInstanceUID))
    node.ledger.move(case.id, State.RECEIVING, State.RECEIVED)
    system = ViewByView(Says(seen), Calibration(slope=1.0, intercept=0.0))
    analyzer = Analyzer(card, card.default_operating_point, system)
    desk = Desk(node.ledger, node.questions, node.spool, node.settings, lambda: [analyzer], "test")
    with suppress(BadBundle):
        analyze(desk, case.id)
    ended = node.questions.case(case.id)
    assert ended is not None
    return ended


def has_result(node: Node, case: Case) -> bool:
    return node.questions.run_of(case.id) is not None or bool(node.questions.findings_of(case.id))


def element(keyword: str, words: str) -> RawDataElement:
    """Make an element that no writer would, as it lies in a file."""
    value = words.encode() + b" " * (len(words) % 2)
    return RawDataElement(Tag(keyword), "DS", len(value), value, 0, False, True)


def test_an_answer_in_numbers_passes(node: Node, card: Card) -> None:
    case = read(node, mammogram(), Seen(0.0, (GOOD,)), card)
    assert case.state == State.ANALYZED
    assert has_result(node, case)


def test_R21_what_a_bundle_says_in_no_numbers_fails_the_case(
    node: Node, card: Card, figure: Callable[[str], None]
) -> None:
    for what, seen in SPOILED.items():
        case = read(node, mammogram(), seen, card)
        assert (case.state, has_result(node, case)) == (State.FAILED, False), what
        assert case.reason.startswith("BadBundle: "), what
        assert "LCC" in case.reason, what
    figure(f"0 results of {len(SPOILED)} answers that were no numbers")


def test_R21_an_image_whose_header_counts_in_no_numbers_is_not_read(
    node: Node, card: Card, figure: Callable[[str], None]
) -> None:
    for what, header in HEADERS.items():
        image = mammogram()
        for keyword, words in header.items():
            image[keyword] = element(keyword, words)
        case = read(node, image, Seen(0.0, (GOOD,)), card)
        assert (case.state, has_result(node, case)) == (State.DECLINED, False), what
        assert "I18" in case.reason, what
    figure(f"0 results of {len(HEADERS)} headers that were no numbers")
