"""Write a PDF of one page: words in the fonts that every reader has, lines, and one picture.

A hundred lines of our own, because nothing here may depend on the clock, on a random number or on
a library's version: the same page is the same bytes (PDF 1.4, ISO 32000).
"""

import struct
import zlib
from collections.abc import Sequence
from hashlib import md5
from io import BytesIO

from PIL import Image

from dicom_node.reporting.drawing import font, printable

WIDTH, HEIGHT = 595, 842  # A4, in points
FONTS = {"F1": "Helvetica", "F2": "Helvetica-Bold"}
WIDER = 1.06  # Helvetica's widest lines, in those of the font that is at hand to measure


class Page:
    """A page that is being written; places are in points from the top left corner."""

    def __init__(self) -> None:
        self._written: list[str] = []
        self._picture: Image.Image | None = None

    def text(self, left: float, top: float, words: str, size: float, *, bold: bool = False) -> None:
        """Write words on one line, hanging from `top`."""
        escaped = printable(words)
        for letter in "\\()":
            escaped = escaped.replace(letter, "\\" + letter)
        name = "F2" if bold else "F1"
        down = HEIGHT - top - size
        self._written.append(f"BT /{name} {size:g} Tf {left:.1f} {down:.1f} Td ({escaped}) Tj ET")

    def rule(self, left: float, top: float, right: float) -> None:
        """Draw a thin line across."""
        self._written.append(
            f"0.5 w {left:.1f} {HEIGHT - top:.1f} m {right:.1f} {HEIGHT - top:.1f} l S"
        )

    def picture(self, left: float, top: float, width: float, image: Image.Image) -> None:
        """Place the picture."""
        height = width * image.height / image.width
        self._picture = image
        self._written.append(
            f"q {width:.2f} 0 0 {height:.2f} {left:.1f} {HEIGHT - top - height:.2f} cm /P Do Q"
        )

    def document(self, title: str) -> bytes:
        """Return the page as a file."""
        assert self._picture is not None
        fonts = " ".join(f"/{name} {number} 0 R" for number, name in enumerate(FONTS, start=4))
        objects = [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Contents 6 0 R "
            f"/Resources << /Font << {fonts} >> /XObject << /P 7 0 R >> >> >>".encode(),
            *(
                f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} "
                "/Encoding /WinAnsiEncoding >>".encode()
                for name in FONTS.values()
            ),
            _stream("/Filter /FlateDecode", zlib.compress(self._content(), 9)),
            _picture(self._picture),
            f"<< /Title ({title}) >>".encode("cp1252"),
        ]
        return _file(objects)

    def _content(self) -> bytes:
        return "\n".join(self._written).encode("cp1252")


def wrapped(words: str, width: float, size: float) -> list[str]:
    """Break words into lines no wider than this."""
    ruler, scale = font(100), size * WIDER / 100
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if ruler.getlength(printable(longer)) * scale <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _stream(about: str, content: bytes) -> bytes:
    head = f"<< {about} /Length {len(content)} >>\nstream\n"
    return head.encode() + content + b"\nendstream"


def _picture(image: Image.Image) -> bytes:
    """Take over a PNG's compressed rows: a PDF reader undoes them in the same way."""
    buffer = BytesIO()
    image.convert("RGB").save(buffer, "PNG", compress_level=9)
    about = (
        f"/Type /XObject /Subtype /Image /Width {image.width} /Height {image.height} "
        "/ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /FlateDecode "
        f"/DecodeParms << /Predictor 15 /Colors 3 /BitsPerComponent 8 /Columns {image.width} >>"
    )
    return _stream(about, b"".join(_chunks(buffer.getvalue())))


def _chunks(png: bytes) -> list[bytes]:
    """Return what a PNG keeps its pixels in."""
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        if png[at + 4 : at + 8] == b"IDAT":
            found.append(png[at + 8 : at + 8 + length])
        at += length + 12
    return found


def _file(objects: Sequence[bytes]) -> bytes:
    """Put numbered objects into a file, with the table that says where each begins."""
    content, starts = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, each in enumerate(objects, start=1):
        starts.append(len(content))
        content += f"{number} 0 obj\n".encode() + each + b"\nendobj\n"
    name = md5(content, usedforsecurity=False).hexdigest()
    table = "".join(f"{start:010d} 00000 n \n" for start in starts)
    trailer = (
        f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
        f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info {len(objects)} 0 R "
        f"/ID [<{name}> <{name}>] >>\nstartxref\n{len(content)}\n%%EOF\n"
    )
    return content + trailer.encode()
