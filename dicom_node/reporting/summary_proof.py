"""What is checked in a summary before it may leave."""

import re
import zlib
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from dicom_node.reporting import sheet_proof, summary
from dicom_node.reporting.common_proof import Check, Claim, otherwise
from dicom_node.reporting.drawing import printable
from dicom_node.reporting.labels import MARKING, outcome, ranked
from dicom_node.reporting.lightbox import halved
from dicom_node.reporting.sheet import pictures
from dicom_node.reporting.summary import ELSEWHERE, TITLE, cells_of
from dicom_node.reporting.unread import not_read
from dicom_node.reporting.words import exam_score, reading, scope
from dicom_node.settings.reporting import RESEARCH_USE

FORM = {
    "Modality": "DOC",
    "ConversionType": "WSD",
    "MIMETypeOfEncapsulatedDocument": "application/pdf",
    "DocumentTitle": TITLE,
    "VerificationFlag": "UNVERIFIED",
}
# What a page has; a reader does nothing by itself where there is no other word.
VOCABULARY = set(
    b"Type Catalog Pages Kids Count Page Parent MediaBox Contents Resources Font XObject P F1 F2 "
    b"Subtype Type1 BaseFont Helvetica Helvetica-Bold Encoding WinAnsiEncoding Filter FlateDecode "
    b"Length Image Width Height ColorSpace DeviceRGB BitsPerComponent DecodeParms Predictor Colors "
    b"Columns Title Size Root Info ID".split()
)
WORDS = re.compile(rb"\(((?:\\.|[^\\()])*)\) Tj")
UNTOLD = re.compile(r"and (\d+) less sure finding")
TELLING = 5  # letters of an identifier that no other word of the page is mistaken for


def form(claim: Claim) -> Iterator[str]:
    """Check that the object is a page of ours, of one piece."""
    dataset = claim.dataset
    for keyword, value in FORM.items():
        if dataset.get(keyword) != value:
            yield f"{keyword} is {dataset.get(keyword)}, not {value}"
    said = {str(one.header.get("BurnedInAnnotation")).strip().upper() for one in claim.sources}
    burned_in = "NO" if said == {"NO"} else "YES"  # what says nothing may have it (PS3.3 C.7.6.1)
    if dataset.get("BurnedInAnnotation") != burned_in:
        yield f"BurnedInAnnotation is {dataset.get('BurnedInAnnotation')}, not {burned_in}"
    named = [str(item.ReferencedSOPInstanceUID) for item in dataset.SourceInstanceSequence]
    if named != [source.view.sop_instance_uid for source in claim.sources]:
        yield f"the page names {len(named)} images as its sources, not those that were read"
    (name,) = dataset.ConceptNameCodeSequence
    if (name.CodeValue, name.CodingSchemeDesignator) != ("111036", "DCM"):
        yield f"the page is called {name.CodeMeaning}"


def file(claim: Claim) -> Iterator[str]:
    """Check that the PDF is whole, that its table leads to its parts, and that it only shows."""
    length, bytes_ = int(claim.dataset.EncapsulatedDocumentLength), _bytes(claim.dataset)
    if length != len(bytes_) or not bytes_.endswith(b"%%EOF\n"):
        yield f"the document says it has {length} bytes"
    if not bytes_.startswith(b"%PDF-1.4\n"):
        yield "the document does not begin as a PDF"
    table = int(bytes_.rsplit(b"startxref\n", 1)[1].split()[0])
    starts = re.findall(rb"(\d{10}) 00000 n \n", bytes_[table:])
    if not bytes_[table:].startswith(b"xref\n0 %d\n" % (len(starts) + 1)):
        yield "the document's table is not where it is said to be"
    for number, start in enumerate(starts, start=1):
        if not bytes_[int(start) :].startswith(b"%d 0 obj\n" % number):
            yield f"part {number} of the document is not where its table says"
    bare = re.sub(rb"stream\n.*?\nendstream", b"", bytes_, flags=re.DOTALL)
    if strange := set(re.findall(rb"/([\w-]+)", bare)) - VOCABULARY:
        names = b", ".join(sorted(strange)).decode("ascii", "replace")
        yield f"the document has what a page does not need: {names}"
    if len(re.findall(rb"/Type /Page\b(?!s)", bare)) != 1:
        yield "the document has not one page"


def text(claim: Claim) -> Iterator[str]:
    """Check that the page says what it is, who read, what came out, and every finding."""
    said = _said(claim.dataset)
    rows = ranked(claim.sources)
    wanted = [
        MARKING,
        outcome(claim.exam, claim.given),
        reading(claim.sources, claim.exam),
        *exam_score(claim.exam, claim.given),
        *scope(claim.exam),
        *(() if ELSEWHERE in said else (*claim.remarks, *not_read(claim.unread))),
        claim.exam.digest[:16],
        str(claim.dataset.SoftwareVersions),
    ]
    left_out = int(match[1]) if (match := UNTOLD.search(said)) else 0
    if left_out and not 0 < left_out < len(rows):
        yield f"the page leaves out {left_out} of {len(rows)} findings"
    wanted += [_row(claim, number) for number in range(1, len(rows) - left_out + 1)]
    for words in wanted:
        if " ".join(printable(words).split()) not in said:
            yield f"the page does not say '{words}'"
    if RESEARCH_USE not in said.lower().replace(MARKING.lower(), ""):
        yield f"no text of the page says '{RESEARCH_USE}' besides its heading"
    number = round(int(claim.dataset.SeriesNumber) // 1000) - 8
    if f"Round {number}" not in said:
        yield f"the page does not say that it is of round {number}"


def _row(claim: Claim, number: int) -> str:
    lesion, source = ranked(claim.sources)[number - 1]
    return " ".join(cells_of(number, lesion, source, claim.exam))


def nobody(claim: Claim) -> Iterator[str]:
    """Check that the page names no patient."""
    said = set(re.findall(r"\w+", _said(claim.dataset).lower()))
    header = claim.sources[0].header
    name = set(re.findall(r"\w+", printable(str(header.PatientName)).lower().replace("?", "")))
    if len(name) > 1 and name <= said:
        yield "the page bears the patient's name"
    for keyword in ("PatientID", "PatientBirthDate", "AccessionNumber"):
        value = str(header.get(keyword) or "").lower()
        if len(value) >= TELLING and value in said:
            yield f"the page bears the {keyword}"


def picture(claim: Claim) -> Iterator[str]:
    """Check what is drawn on the page."""
    if claim.lightbox is None:
        raise ValueError("the pixels of the images are not at hand")
    shown = {name: halved(one) for name, one in pictures(claim.sources, claim.lightbox).items()}
    views = summary.drawn(claim.sources, claim.lightbox)
    yield from sheet_proof.views_faults(_pixels(claim.dataset), claim.sources, shown, views)
    placed = re.findall(
        rb"q ([\d.]+) 0 0 ([\d.]+) ([\d.]+) ([\d.]+) cm /P Do Q", _content(claim.dataset)
    )
    ((width, height, left, bottom),) = [tuple(map(float, one)) for one in placed]
    if abs(width / height - views.width / views.height) > 0.01:  # noqa: PLR2004 - a hundredth
        yield "the picture is squeezed"
    if width < 100 or left < 0 or bottom < 0 or left + width > 595 or bottom + height > 842:  # noqa: PLR2004 - A4
        yield "the picture does not lie on the page"


def _bytes(dataset: Dataset) -> bytes:
    content: bytes = dataset.EncapsulatedDocument
    return content.removesuffix(b"\0") if len(content) % 2 == 0 else content


def _streams(dataset: Dataset) -> list[tuple[bytes, bytes]]:
    """Return what the document says of each of its streams, and what is in it."""
    pattern = rb"<< ([^\n]*) /Length (\d+) >>\nstream\n"
    bytes_ = _bytes(dataset)
    found = [
        (match[1], bytes_[match.end() : match.end() + int(match[2])])
        for match in re.finditer(pattern, bytes_)
    ]
    try:
        return [(about, zlib.decompress(packed)) for about, packed in found]
    except zlib.error as fault:
        raise ValueError("a stream of the document cannot be unpacked") from fault


def _content(dataset: Dataset) -> bytes:
    (content,) = [content for about, content in _streams(dataset) if b"/Image" not in about]
    return content


def _said(dataset: Dataset) -> str:
    """Return the page's words, those of a line behind those of the line above."""
    found = [re.sub(rb"\\(.)", rb"\1", words) for words in WORDS.findall(_content(dataset))]
    return " ".join(" ".join(words.decode("cp1252") for words in found).split())


def _pixels(dataset: Dataset) -> NDArray[np.uint8]:
    """Undo the rows of a PNG, as a PDF reader does."""
    ((about, rows),) = [one for one in _streams(dataset) if b"/Image" in one[0]]
    width, height = (int(n) for n in re.findall(rb"/(?:Width|Height) (\d+)", about))
    try:
        return np.asarray(Image.open(BytesIO(_as_png(rows, width, height))))
    except OSError as fault:
        raise ValueError("the document's picture cannot be unpacked") from fault


def _as_png(rows: bytes, width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        whole = kind + content
        return len(content).to_bytes(4, "big") + whole + zlib.crc32(whole).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows, 1))
        + chunk(b"IEND", b"")
    )


def whole(claim: Claim) -> Iterator[str]:
    """Check that all else about the document is as its images make it."""
    yield from otherwise(claim, summary.described(claim.sources))


CHECKS: tuple[Check, ...] = (form, file, text, nobody, picture, whole)
