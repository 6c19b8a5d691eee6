"""Each way a summary can be wrong, and what the proof says of it."""

import re
import zlib
from collections.abc import Callable

from PIL import Image
from pydicom.dataset import Dataset

from dicom_node.reporting.drawing import INK, RGB
from dicom_node.reporting.naming import uid
from dicom_node.reporting.pdf import _file, _picture
from dicom_node.reporting.summary_proof import _bytes, _pixels
from inference.findings import Kind

SUMMARIZED = "summary"
Spoiler = Callable[[Dataset], object]
PARTS = re.compile(rb"\d+ 0 obj\n(.*?)\nendobj\n", re.DOTALL)
ORANGE, BLUE = INK[Kind.MASS], INK[Kind.CALCIFICATION]


def put(dataset: Dataset, content: bytes) -> None:
    dataset.EncapsulatedDocumentLength = len(content)
    dataset.EncapsulatedDocument = content + b"\0" * (len(content) % 2)


def parts(dataset: Dataset) -> list[bytes]:
    return PARTS.findall(_bytes(dataset))


def replaced(dataset: Dataset, before: bytes, after: bytes) -> None:
    """Change the file's own words, and leave its table right."""
    found = [part.replace(before, after) for part in parts(dataset)]
    assert found != parts(dataset)
    put(dataset, _file(found))


def said(dataset: Dataset, before: bytes, after: bytes) -> None:
    """Change what is written on the page."""
    found = parts(dataset)
    _, packed = found[5].split(b"stream\n", 1)
    words = zlib.decompress(packed.removesuffix(b"\nendstream"))
    assert before in words
    content = zlib.compress(words.replace(before, after), 9)
    found[5] = (
        b"<< /Filter /FlateDecode /Length %d >>\nstream\n" % len(content) + content + b"\nendstream"
    )
    put(dataset, _file(found))


def painted(dataset: Dataset, change: Callable[[Image.Image], Image.Image | None]) -> None:
    found, image = parts(dataset), Image.fromarray(_pixels(dataset))
    found[6] = _picture(change(image) or image)
    put(dataset, _file(found))


def recolored(image: Image.Image, before: RGB, after: RGB) -> None:
    for y in range(image.height):
        for x in range(image.width):
            if image.getpixel((x, y)) == before:
                image.putpixel((x, y), after)


def mirrored(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def another(keyword: str, value: object) -> Spoiler:
    return lambda dataset: setattr(dataset, keyword, value)


def gone(keyword: str) -> Spoiler:
    return lambda dataset: delattr(dataset, keyword)


def writing(before: bytes, after: bytes = b"") -> Spoiler:
    return lambda dataset: said(dataset, before, after)


def filed(before: bytes, after: bytes) -> Spoiler:
    return lambda dataset: replaced(dataset, before, after)


SPOILED_SUMMARIES: dict[str, tuple[Spoiler, str]] = {
    "another patient": (another("PatientID", "X"), "PatientID is not the source's"),
    "another modality": (another("Modality", "OT"), "Modality is OT"),
    "no title": (another("DocumentTitle", ""), "DocumentTitle is "),
    "another type of document": (
        another("MIMETypeOfEncapsulatedDocument", "text/xml"),
        "is text/xml",
    ),
    "said to name the patient": (another("BurnedInAnnotation", "YES"), "BurnedInAnnotation is YES"),
    "verified": (another("VerificationFlag", "VERIFIED"), "VerificationFlag is VERIFIED"),
    "no sources": (gone("SourceInstanceSequence"), "form cannot be checked"),
    "one source less": (
        lambda d: d.SourceInstanceSequence.pop(),
        "names 3 images as its sources",
    ),
    "a stranger's image": (
        lambda d: setattr(d.SourceInstanceSequence[0], "ReferencedSOPInstanceUID", uid("nobody")),
        "not among the sources",
    ),
    "called otherwise": (
        lambda d: setattr(d.ConceptNameCodeSequence[0], "CodeValue", "126000"),
        "the page is called",
    ),
    "a wrong length": (another("EncapsulatedDocumentLength", 100), "it has 100 bytes"),
    "the end cut off": (
        lambda d: setattr(d, "EncapsulatedDocument", d.EncapsulatedDocument[:-200]),
        "the document says it has",
    ),
    "no document": (gone("EncapsulatedDocument"), "cannot be checked"),
    "another format": (
        lambda d: put(d, _bytes(d).replace(b"%PDF-1.4", b"%!PS-1.4")),
        "does not begin as a PDF",
    ),
    "a table that leads astray": (
        lambda d: put(d, b"%PDF-1.4\n%more\n" + _bytes(d).split(b"\n", 1)[1]),
        "is not where",
    ),
    "a script": (
        filed(b"/Type /Catalog", b"/Type /Catalog /OpenAction << /S /JavaScript /JS (x) >>"),
        "what a page does not need: JS, JavaScript, OpenAction",
    ),
    "two pages": (filed(b"/Count 1", b"/Count 2 /Type /Page "), "not one page"),
    "all findings left out": (
        writing(b"LMLO mass 3", b"and 5 less sure findings"),
        "leaves out 5 of 5 findings",
    ),
    "no heading": (writing(b"AI RESULT", b"RESULT"), "does not say 'AI RESULT"),
    "no statement": (writing(b"For research use only.", b"Enjoy."), "besides its heading"),
    "another exam score": (writing(b"82.5 %", b"12.5 %"), "cancer score of the exam 82.5 %'"),
    "another finding's score": (writing(b"91.3 %", b"19.3 %"), "LCC mass 1 91.3 %"),
    "another place": (writing(b"column 200", b"column 300"), "column 200"),
    "one finding less": (writing(b"LMLO mass 3", b""), "LMLO mass 3"),
    "another system": (
        writing(b"shared_trunk 1.2.0 at", b"other 1.2.0 at"),
        "does not say 'sh",
    ),
    "another operating point": (writing(b"screening", b"quiet"), "at operating point screening"),
    "no word of what was looked for": (writing(b"Looked for", b"Saw"), "say 'Looked for masses"),
    "no round": (writing(b"Round 1.", b""), "that it is of round 1"),
    "no version": (writing(b"Views 0.1.0", b"Views"), "does not say '0.1.0'"),
    "the patient's name": (
        writing(b"Round 1.", "Round 1. Zoë Ĝarcía".encode("cp1252", "ignore")),
        "bears the patient's name",
    ),
    "the patient's ID": (writing(b"Round 1.", b"Round 1. SYN001"), "bears the PatientID"),
    "the birth date": (writing(b"Round 1.", b"Round 1. 19650412"), "bears the PatientBirthDate"),
    "no marks": (
        lambda d: painted(d, lambda image: recolored(image, ORANGE, (90, 90, 90))),
        "LCC mass 1 is not drawn where it was found",
    ),
    "another color": (
        lambda d: painted(d, lambda image: recolored(image, ORANGE, BLUE)),
        "LCC mass 1 is not drawn in its color",
    ),
    "mirrored": (lambda d: painted(d, mirrored), "does not show its image"),
    "a smaller picture": (
        lambda d: painted(d, lambda image: image.reduce(2)),
        "the picture of the views has the shape",
    ),
    "a dot": (
        lambda d: painted(d, lambda image: image.putpixel((50, 150), (1, 1, 1))),
        "not what the findings make",
    ),
    "off the page": (writing(b"q ", b"q 9"), "does not lie on the page"),
    "no picture": (writing(b"/P Do", b""), "picture cannot be checked"),
}
