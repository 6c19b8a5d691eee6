"""The summary: an exam on one page, as an encapsulated PDF (PS3.3, A.45.1).

The node writes no patient's name on the page: whose it is says the object around it, and the
page is of no use where that is lost.
"""

from collections.abc import Iterator, Sequence

from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from dicom_node import facts
from dicom_node.reporting import codes, frame, pdf, sheet
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.labels import MARKING, finders, outcome, percent, ranked
from dicom_node.reporting.lightbox import Lightbox, halved
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.places import pairs, place
from dicom_node.reporting.sources import Lesion, Source, edition_words
from dicom_node.reporting.unread import not_read
from dicom_node.reporting.words import exam_score, reading, revision, scope
from inference.findings import ExamFindings

KIND = "summary"
TITLE = "AI mammography summary, research use only"
EDGE = 42.0  # points, on each side of the page
COLUMNS = {"no.": 0.0, "finding": 26.0, "lesion": 130.0, "cancer": 178.0, "place; seen by": 226.0}
PICTURE_HEIGHT = 380.0  # at least; what is left above is the table's
HIGHEST_TABLE = 330.0  # from the top of the page: a table and a picture need the rest
ELSEWHERE = "More is said in the CAD SR."
SMALL, PLAIN, LARGE = 8.0, 9.0, 15.0
LINE = 1.3
WIDE = pdf.WIDTH - 2 * EDGE


def summary(
    sources: Sequence[Source],
    exam: ExamFindings,
    maker: Maker,
    circumstances: Circumstances,
    lightbox: Lightbox,
) -> Dataset:
    """Put an exam on a page, and the page into an object."""
    first = sources[0].header
    names = (
        KIND,
        first.StudyInstanceUID,
        circumstances.round,
        edition_words(exam, circumstances.edition),
    )
    series = (frame.SUMMARY_NUMBER, "summary")
    dataset = frame.begun(names, EncapsulatedPDFStorage, series, first, maker, circumstances)
    dataset.update(described(sources))
    frame.name_predecessor(dataset, circumstances)
    content = written(sources, exam, maker, circumstances, drawn(sources, lightbox))
    dataset.EncapsulatedDocumentLength = len(content)
    dataset.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    frame.stamp(dataset, circumstances.made_at)
    frame.seal(dataset)
    return dataset


def described(sources: Sequence[Source]) -> Dataset:
    """Say what kind of document it is, and what it was made of."""
    dataset = Dataset()
    dataset.Modality = "DOC"
    dataset.ConversionType = "WSD"
    dataset.AcquisitionDateTime = ""
    # Nothing that we write names the patient; the views are redrawn with whatever is in them.
    said = [facts.words(source.header, "BurnedInAnnotation") for source in sources]
    unnamed = all(one == ["NO"] for one in said)
    dataset.BurnedInAnnotation = "NO" if unnamed else "YES"
    dataset.SourceInstanceSequence = [_reference(source) for source in sources]
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.DocumentTitle = TITLE
    dataset.ConceptNameCodeSequence = [codes.item(codes.MAMMOGRAPHY_CAD_REPORT)]
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    return dataset


def drawn(sources: Sequence[Source], lightbox: Lightbox) -> Image.Image:
    """Draw the views; each mark bears its number in the table."""
    pictures = {name: halved(shown) for name, shown in sheet.pictures(sources, lightbox).items()}
    numbers = {lesion.uid: n for n, (lesion, _) in enumerate(ranked(sources), start=1)}
    return sheet.views(sources, pictures, lambda lesion: (str(numbers[lesion.uid]),))


def written(
    sources: Sequence[Source],
    exam: ExamFindings,
    maker: Maker,
    circumstances: Circumstances,
    views: Image.Image,
) -> bytes:
    """Write the page."""
    page, top = pdf.Page(), EDGE
    page.text(EDGE, top, MARKING, LARGE, bold=True)
    top += LARGE * LINE + 4
    for line in pdf.wrapped(outcome(exam, circumstances.given), WIDE, PLAIN + 2):
        page.text(EDGE, top, line, PLAIN + 2, bold=True)
        top += (PLAIN + 2) * LINE
    top += 4
    for paragraph in paragraphs(sources, exam, maker, circumstances):
        top = _paragraph(page, paragraph, top)
    top = _paragraph(page, " ".join(more(sources, exam, circumstances)), top, HIGHEST_TABLE)
    if exam.findings:
        top = _table(page, sources, exam, top + 6)
    scale = min(WIDE / views.width, (pdf.HEIGHT - EDGE - top - 8) / views.height)
    width = views.width * scale
    page.picture((pdf.WIDTH - width) / 2, top + 8, width, views)
    return page.document(TITLE)


def paragraphs(
    sources: Sequence[Source], exam: ExamFindings, maker: Maker, circumstances: Circumstances
) -> Iterator[str]:
    """Say who read what, what came out, what silence means and what this round changes."""
    yield maker.research_statement
    yield " ".join([reading(sources, exam), *exam_score(exam, circumstances.given)])
    yield " ".join(scope(exam))
    made_by = f"{maker.manufacturer} {maker.model} {maker.software_version}"
    yield f"Round {circumstances.round}. Made by {made_by}; weights {exam.digest[:16]}."


def more(
    sources: Sequence[Source], exam: ExamFindings, circumstances: Circumstances
) -> Iterator[str]:
    """Say what was left out, what this round changes, and which marks may be one lesion."""
    yield from circumstances.remarks
    yield from not_read(circumstances.unread)
    yield from revision(sources, exam, circumstances)
    yield from (pair.words for pair in pairs(sources))


def _paragraph(page: pdf.Page, words: str, top: float, lowest: float = pdf.HEIGHT) -> float:
    """Write a paragraph; where there is no room for all of it, say so."""
    for line in pdf.wrapped(words, WIDE, PLAIN):
        if top > lowest:
            page.text(EDGE, top, ELSEWHERE, PLAIN)
            return top + PLAIN * LINE + 3
        page.text(EDGE, top, line, PLAIN)
        top += PLAIN * LINE
    return top + 3


def _table(page: pdf.Page, sources: Sequence[Source], exam: ExamFindings, top: float) -> float:
    """Write a row for each finding, the surest first, and how many there was no room for."""
    for heading, left in COLUMNS.items():
        page.text(EDGE + left, top, heading, SMALL, bold=True)
    top += SMALL * LINE
    page.rule(EDGE, top, pdf.WIDTH - EDGE)
    top += 2
    rows = ranked(sources)
    for number, (lesion, source) in enumerate(rows, start=1):
        *cells, last = cells_of(number, lesion, source, exam)
        lines = pdf.wrapped(last, WIDE - COLUMNS["place; seen by"], SMALL)
        if top + (len(lines) + 1) * SMALL * LINE > pdf.HEIGHT - EDGE - PICTURE_HEIGHT:
            page.text(EDGE, top, untold(len(rows) - number + 1), SMALL, bold=True)
            return top + SMALL * LINE
        for left, cell in zip(COLUMNS.values(), cells, strict=False):
            page.text(EDGE + left, top, cell, SMALL)
        for line in lines:
            page.text(EDGE + COLUMNS["place; seen by"], top, line, SMALL)
            top += SMALL * LINE
    return top


def untold(count: int) -> str:
    """Say how many findings the table has no room for."""
    return f"and {count} less sure finding{'' if count == 1 else 's'}, in the pictures alone"


def cells_of(
    number: int, lesion: Lesion, source: Source, exam: ExamFindings
) -> tuple[str, str, str, str, str]:
    """Write a finding's row."""
    finding = lesion.finding
    cancer = "-" if finding.cancer_score is None else percent(finding.cancer_score)
    column, row = lesion.center
    where = place(lesion, source).words or f"column {column:.0f}, row {row:.0f}"
    seen = f"{where}; {finders(lesion, exam)}"
    return f"{number}", lesion.name, percent(finding.score), cancer, seen


def _reference(source: Source) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = source.header.SOPClassUID
    item.ReferencedSOPInstanceUID = source.header.SOPInstanceUID
    return item
