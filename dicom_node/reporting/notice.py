"""The Mammography CAD SR of a study that was not analyzed: declined by a rule, or failed.

Silence would look like a study without findings. Workstations show its one code, "No algorithms
succeeded", and everybody else can read why.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from dicom_node.life import State
from dicom_node.reporting import cad_document, codes, content
from dicom_node.reporting.cad_document import done, entry, performed
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.codes import STANDARD, Dialect
from dicom_node.reporting.content import Item
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.unread import Unread, not_read
from inference.findings import Kind

KIND = "notice"
MEANS_NOTHING = "Nothing was looked for: that nothing is marked means nothing."


@dataclass(frozen=True, slots=True)
class Attempt:
    """A bundle that was to read the study."""

    system: str
    version: str
    digest: str
    marks: tuple[Kind, ...]
    judges: bool


@dataclass(frozen=True, slots=True, eq=False)
class Ending:
    """How a case ended without a result: DECLINED before anything was tried, or FAILED."""

    state: State
    reason: str
    images: tuple[Unread, ...]  # one at least; those that no rule declined have no code
    attempts: tuple[Attempt, ...] = ()
    result_stands: bool = False  # that of an earlier round

    @property
    def headers(self) -> list[Dataset]:
        """Return the headers of the images."""
        return [one.header for one in self.images]


def notice(
    ending: Ending, maker: Maker, circumstances: Circumstances, dialect: Dialect = STANDARD
) -> Dataset:
    """Say that a study was not analyzed, and why."""
    library = [entry(one.header, one.view[:1], one.view[1:]) for one in ending.images]
    summary = content.code(codes.FINDINGS_SUMMARY, codes.NONE_SUCCEEDED).add(
        content.HAS_PROPERTIES,
        content.text(
            codes.IMPRESSION_DESCRIPTION,
            " ".join((maker.research_statement, *told(ending, circumstances))),
        ),
        *_who(ending, maker),
    )
    tree = cad_document.report(
        library,
        summary,
        done(
            codes.SUMMARY_OF_DETECTIONS,
            (codes.SUCCESSFUL_DETECTIONS, []),
            (codes.FAILED_DETECTIONS, list(_failed_detections(ending, library))),
        ),
        done(
            codes.SUMMARY_OF_ANALYSES,
            (codes.SUCCESSFUL_ANALYSES, []),
            (codes.FAILED_ANALYSES, list(_failed_analyses(ending, library))),
        ),
    )
    return cad_document.document(
        ending.headers,
        tree,
        maker,
        circumstances,
        dialect,
        called="CAD SR, not analyzed",
        made_of=f"{KIND}/{ending.state}/{ending.reason}/{circumstances.edition}",
    )


def told(ending: Ending, circumstances: Circumstances) -> Iterator[str]:
    """Say what became of the study, in sentences that stand in the notice."""
    if ending.state is State.FAILED:
        yield f"The analysis of this study failed: {ending.reason}."
    else:
        yield f"This study was not analyzed: {ending.reason}."
    yield from not_read([one for one in ending.images if one.code])
    yield MEANS_NOTHING
    yield from circumstances.recalled
    if circumstances.round > 1:
        stands = "an earlier result of this study is not changed"
        none = "there is no earlier result of this study that holds"
        yield f"Round {circumstances.round}: {stands if ending.result_stands else none}."


def _who(ending: Ending, maker: Maker) -> Iterator[Item]:
    """Name who says so: the bundles that were to read, or the node, which judged by its rules."""
    for one in ending.attempts:
        yield from _algorithm(one)
    if not ending.attempts:
        yield from cad_document.algorithm(maker.model, maker.software_version, {})


def _algorithm(one: Attempt) -> Iterator[Item]:
    yield from cad_document.algorithm(one.system, one.version, {"bundle sha256": one.digest})


def _failed_detections(ending: Ending, library: Sequence[Item]) -> Iterator[Item]:
    for one in ending.attempts:
        for kind in one.marks:
            item = content.code(codes.DETECTION_PERFORMED, codes.DETECTIONS[kind])
            yield performed(item, _algorithm(one), library)


def _failed_analyses(ending: Ending, library: Sequence[Item]) -> Iterator[Item]:
    for one in ending.attempts:
        if one.judges:
            item = content.code(codes.ANALYSIS_PERFORMED, codes.OVERALL_IMPRESSION_ANALYSIS)
            yield performed(item, _algorithm(one), library)
