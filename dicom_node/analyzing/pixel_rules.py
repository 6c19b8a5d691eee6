"""The rules that only the file itself answers: can it be opened, and what do its pixels show."""

from pathlib import Path

from pydicom.errors import InvalidDicomError

from dicom_node.analyzing.rules import Rule, Terms
from dicom_node.errors import Declined
from inference.decoding.files import Opened, open_file
from inference.errors import Unreadable
from inference.mammogram import Mammogram
from inference.reading import read

MEGABYTE = 1 << 20

FILE = Rule(
    "I00",
    "file",
    "it is a DICOM file whose header can be read",
    "a file that is broken, or no image at all",
)
FILE_SIZE = Rule(
    "I23",
    "size of the file",
    "its file is not larger than the limit",
    "an image whose file is unusually large",
    ("max_image_megabytes",),
)
PIXELS = Rule(
    "I18",
    "pixels",
    "its pixels can be decoded, use the range that the header gives them, and show something, and "
    "the header says how large they are",
    "an image whose pixels cannot be opened, or that shows nothing",
    ("brightest_min",),
)
PIXEL_RULES = (FILE, FILE_SIZE, PIXELS)


def opened(path: Path) -> Opened | Declined:
    """Open a file at its header, or say why it has none."""
    try:
        file = open_file(path)
        return file if file.header else Declined(FILE.code, "the file has no header")
    except InvalidDicomError:
        return Declined(FILE.code, "this is no DICOM file")
    except Unreadable as trouble:
        return Declined(FILE.code, str(trouble))
    except Exception as fault:  # noqa: BLE001 - bytes from outside: parsers raise anything
        if isinstance(fault, OSError) and _of_the_disk(fault):
            return Declined(FILE.code, f"the file cannot be read: {fault.strerror}")
        return Declined(FILE.code, f"the header cannot be parsed ({type(fault).__name__})")


def _of_the_disk(fault: Exception) -> bool:
    """Tell trouble with the disk from a parser's, which raises an OSError without a number too."""
    return isinstance(fault, OSError) and fault.errno is not None


def too_large(size_bytes: int, terms: Terms) -> Declined | None:
    """Decline a file that is larger than the administrator wants."""
    limit = terms.accept.max_image_megabytes
    if size_bytes <= limit * MEGABYTE:
        return None
    return Declined(FILE_SIZE.code, f"its file is larger than {limit} MB")


def decoded(file: Opened, terms: Terms) -> Mammogram | Declined:
    """Decode an image whose header is fine, and look at its pixels."""
    try:
        mammogram = read(file)
    except Unreadable as trouble:
        return Declined(PIXELS.code, str(trouble))
    except Exception as fault:
        if isinstance(fault, MemoryError) or _of_the_disk(fault):
            raise
        return Declined(PIXELS.code, f"the image cannot be read ({type(fault).__name__})")
    sentence = _shown(mammogram, terms)
    return Declined(PIXELS.code, sentence) if sentence else mammogram


def _shown(mammogram: Mammogram, terms: Terms) -> str:
    """Say what is wrong with pixels that could be decoded."""
    lowest, highest = int(mammogram.pixels.min()), int(mammogram.pixels.max())
    if lowest == highest:
        return "all its pixels have one value"
    full = len(mammogram.grey.table) - 1
    part = (highest - mammogram.grey.first) / full
    if part < terms.accept.brightest_min:
        wanted = f"{terms.accept.brightest_min:.0%}"
        return f"its highest pixel is at {part:.0%} of what BitsStored holds, not {wanted} or more"
    return ""
