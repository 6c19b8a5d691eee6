"""Names in the letters of the world: as devices write them, as our objects say them.

The bytes are PS3.5's own examples where it has some (annexes H to K), and else what Python's codecs
make of the words.
"""

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
import validators
from conftest import lightbox_of
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.life import State
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.decoding import decoded
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.notice import Ending, notice
from dicom_node.reporting.notice_proof import prove_notice
from dicom_node.reporting.proof import prove
from dicom_node.reporting.report import KINDS, KINDS_ON_DEMAND, report
from dicom_node.reporting.tidy import tidy
from dicom_node.reporting.unread import Unread
from inference.findings import ExamFindings

YAMADA = "Yamada^Tarou=山田^太郎=やまだ^たろう"
# H.3.1 and H.3.2
KANJI = b"=\x1b$B;3ED\x1b(%b^\x1b$BB@O:\x1b(%b=\x1b$B$d$^$@\x1b(%b^\x1b$B$?$m$&\x1b(%b"
LETTERS: dict[str, tuple[list[str], bytes, str]] = {
    "Japanese, IR 87": (["", "ISO 2022 IR 87"], b"Yamada^Tarou" + KANJI % ((b"B",) * 4), YAMADA),
    "Japanese, IR 13 and 87": (
        ["ISO 2022 IR 13", "ISO 2022 IR 87"],
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3" + KANJI % ((b"J",) * 4),
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    "Japanese, IR 13 alone": (["ISO_IR 13"], b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    # These syllables hold the bytes of ^ and \ within their escape sequences.
    "Japanese, with the bytes of delimiters": (
        ["", "ISO 2022 IR 87"],
        "Maboroshi=まぼろし".encode("iso2022_jp"),
        "Maboroshi=まぼろし",
    ),
    "Japanese, IR 159": (
        ["", "ISO 2022 IR 87", "ISO 2022 IR 159"],
        b"Takahashi=\x1b$(D0!\x1b(B^\x1b$BB@O:\x1b(B",
        "Takahashi=丂^太郎",
    ),
    "Korean, IR 149": (  # I.2
        ["", "ISO 2022 IR 149"],
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉=홍^길동",
    ),
    "Chinese, UTF-8": (  # J.1
        ["ISO_IR 192"],
        b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1=",
        "Wang^XiaoDong=王^小東",
    ),
    "Chinese, GB18030": (  # J.3
        ["GB18030"],
        b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=",
        "Wang^XiaoDong=王^小东",
    ),
    "Chinese, GBK": (["GBK"], b"Wang=\xcd\xf5^\xd0\xa1\x81\x5c", "Wang=王^小乗"),
    "Chinese, IR 58": (  # K.2
        ["", "ISO 2022 IR 58"],
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东",
    ),
    "Latin-1": (["ISO_IR 100"], "Buc^Jérôme".encode("latin-1"), "Buc^Jérôme"),
    "Latin-1, with code extensions": (
        ["ISO 2022 IR 6", "ISO 2022 IR 100"],
        b"\x1b-ABuc^J\xe9r\xf4me",
        "Buc^Jérôme",
    ),
    "Latin-2": (["ISO_IR 101"], "Wałęsa^Żaneta".encode("iso8859_2"), "Wałęsa^Żaneta"),
    "Latin-3": (["ISO_IR 109"], "Ĝarcia^Ħawwa".encode("iso8859_3"), "Ĝarcia^Ħawwa"),
    "Latin-4": (["ISO_IR 110"], "Bērziņa^Ķelda".encode("iso8859_4"), "Bērziņa^Ķelda"),
    "Latin-5, Turkish": (["ISO_IR 148"], "Çavuşoğlu".encode("iso8859_9"), "Çavuşoğlu"),
    "Latin-9": (["ISO_IR 203"], "Œuvrard^Zoë".encode("iso8859_15"), "Œuvrard^Zoë"),
    "Cyrillic": (["ISO_IR 144"], b"\xbb\xee\xdace\xdc\xd1yp\xd3", "Люкceмбypг"),  # noqa: RUF001 - Cyrillic, as it says
    "Arabic": (["ISO_IR 127"], b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1", "قباني^لنزار"),
    "Greek": (["ISO_IR 126"], b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
    "Greek and Latin": (
        ["", "ISO 2022 IR 100", "ISO 2022 IR 126"],
        b"Dion\x1b-Fis\xc4\xe9\xef^\x1b-AJ\xf6rg",
        "DionisΔιο^Jörg",  # noqa: RUF001 - Greek, as it says
    ),
    "Hebrew": (["ISO_IR 138"], b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4", "שרון^דבורה"),
    "Thai": (["ISO_IR 166"], b"\xb9\xd2\xc1\xca\xa1\xd8\xc5", "นามสกุล"),
    # From here on, the header does not say what it should.
    "nothing said, Latin-1": ([], "Müller^Jörg".encode("latin-1"), "Müller^Jörg"),
    "nothing said, UTF-8": ([], "Müller^Łucja".encode(), "Müller^Łucja"),
    "nothing said, escapes": ([], b"Yamada=\x1b$B;3ED\x1b(B", "Yamada=山田"),
    "Latin-1 said, UTF-8 written": (["ISO_IR 100"], "Müller^Łucja".encode(), "Müller^Łucja"),
    "UTF-8 said, Latin-1 written": (["ISO_IR 192"], b"M\xfcller", "Müller"),
    "Latin-1 said, Windows written": (["ISO_IR 100"], b"\x8aim\x9anek", "Šimšnek"),
    "extensions said, UTF-8 written": (
        ["", "ISO 2022 IR 87"],
        "Yamada=山田".encode(),
        "Yamada=山田",
    ),
    "a term of nobody's": (["MY OWN"], b"M\xfcller", "Müller"),
    "a term of nobody's, UTF-8": (["MY OWN"], "Müller=山田".encode(), "Müller=山田"),
    "ISO-8859-2": (["ISO-8859-2"], "Wałęsa".encode("iso8859_2"), "Wałęsa"),
    "iso_ir_144": (["iso_ir_144"], b"\xbb\xee\xda", "Люк"),
    "ISO IR 100": (["ISO IR 100"], b"M\xfcller", "Müller"),
    "ISO-2022-IR-87": (["", "ISO-2022-IR-87"], b"Yamada=\x1b$B;3ED\x1b(B", "Yamada=山田"),
    "UTF-8 by its own name": (["UTF-8"], "Müller=山田".encode(), "Müller=山田"),
    "Shift JIS": (["SHIFT_JIS"], "Yamada=山田".encode("shift_jis"), "Yamada=山田"),
    "said twice": (["ISO_IR 100", "ISO_IR 100"], b"M\xfcller", "Müller"),
}


def through_a_file(header: Dataset, terms: Sequence[str], **written: bytes) -> Dataset:
    """Write a header with these bytes in it, and read it: nobody has understood them yet."""
    header.SpecificCharacterSet = "ISO_IR 192"
    places = {}
    for number, (keyword, content) in enumerate(written.items()):
        places[chr(ord("x") + number) * len(content)] = content
        setattr(header, keyword, chr(ord("x") + number) * len(content))
    file = encoded_header(header)
    for place, content in places.items():
        assert file.count(place.encode()) == 1
        file = file.replace(place.encode(), content)
    said = _charset_element(["ISO_IR 192"])
    assert file.count(said) == 1
    return dcmread(BytesIO(file.replace(said, _charset_element(terms))))


def _charset_element(terms: Sequence[str]) -> bytes:
    if not terms:
        return b""
    value = "\\".join(terms).encode()
    value += b" " * (len(value) % 2)
    return b"\x08\x00\x05\x00CS" + len(value).to_bytes(2, "little") + value


@pytest.mark.parametrize("letters", LETTERS)
@pytest.mark.filterwarnings("ignore")  # pydicom's, about terms that nobody knows
def test_a_name_is_read_as_it_was_meant(headers: list[Dataset], letters: str) -> None:
    terms, written, meant = LETTERS[letters]
    clean = tidy(through_a_file(headers[0], terms, PatientName=written, StudyDescription=written))
    assert clean.SpecificCharacterSet == "ISO_IR 192"
    again = dcmread(BytesIO(encoded_header(clean)))
    assert str(again.PatientName) == meant
    assert again.StudyDescription.rstrip("=") == meant


@pytest.mark.parametrize("letters", LETTERS)
@pytest.mark.filterwarnings("ignore")  # pydicom's, about the letters that are wrong
def test_every_object_says_the_name_and_dciodvfy_accepts_it(
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
    tmp_path: Path,
    letters: str,
) -> None:
    terms, written, meant = LETTERS[letters]
    read = [through_a_file(headers[1], terms, PatientName=written)]
    exam = replace(exam, views=exam.views[1:2])  # a mass and a calcification in one view
    every, lightbox = KINDS | KINDS_ON_DEMAND, lightbox_of(read)
    built = report(read, exam, maker, first_round, every, lightbox=lightbox)
    assert {each.kind for each in built} == every
    for each in built:
        prove(each.dataset, read, exam, lightbox)
    ending = Ending(State.FAILED, "at trunks.py:7", (Unread(tidy(read[0]), "LCC", "", ""),))
    made = [*(each.dataset for each in built), notice(ending, maker, first_round)]
    prove_notice(made[-1], ending, first_round)
    for number, dataset in enumerate(made):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(encoded(dataset))
        assert str(dcmread(path).PatientName) == meant
        assert validators.dciodvfy_errors(path) == []


def test_words_in_items_are_written_in_the_letters_of_what_encloses_them(
    headers: list[Dataset],
) -> None:
    header = headers[0]
    header.SpecificCharacterSet = "ISO_IR 144"
    header.RequestAttributesSequence[0].RequestedProcedureDescription = "Люк"
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.PatientName = "Люк"
    buffer = BytesIO()
    header.save_as(buffer, enforce_file_format=True)
    assert "Люк".encode("iso8859_5") in buffer.getvalue()
    buffer.seek(0)
    clean = tidy(dcmread(buffer))
    assert clean.RequestAttributesSequence[0].RequestedProcedureDescription == "Люк"


def test_a_text_of_latin_letters_is_never_taken_for_another() -> None:
    for terms in ([], ["ISO_IR 100"], ["ISO_IR 6"]):
        assert decoded("Éloïse Ångström-Núñez".encode("latin-1"), terms) == "Éloïse Ångström-Núñez"


def encoded_header(clean: Dataset) -> bytes:
    clean.file_meta = FileMetaDataset()
    clean.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    clean.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
