"""R4: names from outside never become names of files, whatever they are."""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import wire
from attacked import Attacked
from pydicom import Dataset
from pydicom.tag import Tag
from raw_peer import STORAGE, Gone, Peer
from small_images import encoded, mammogram

pytestmark = pytest.mark.journey

KEYWORDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID")
SPOOLED = re.compile(
    r"(images/[0-9a-f]{2}/[0-9a-f]{64}-[0-9a-f]{32}\.dcm|quarantine/[0-9a-f]{32}-[0-9a-f]{32}\.dcm)"
)

OWN = re.compile(r"ledger\.sqlite|node\.log|data/(spool|queue)/|audit-checkpoints")


def hostile(folder: Path) -> list[bytes]:
    """List names that lead somewhere else, or to a file that is there, where they become paths."""
    return [
        b"../../victim.txt",
        b"../victim.txt",
        b"../../../../../../../../tmp/fourviews-was-here",
        str(folder / "victim.txt").encode(),
        b"/etc/passwd",
        b"~/victim",
        b"..",
        b".",
        b"...",
        b"./1.2.3",
        b"1.2.3/../../../victim.txt",
        b"1.2.3/4",
        b"1.2.3\x00/../victim",
        b"1.2.3\n4",
        b"1.2.3\r\nlistening",
        b"..\\..\\victim.txt",
        b"1.2.3\\4.5.6",
        b"C:\\victim",
        b"\\\\host\\share",
        b"CON",
        b"NUL.dcm",
        b"-rf",
        b"$(touch victim)",
        b"`touch victim`",
        b"; touch victim",
        b"|touch victim",
        b"%2e%2e%2fvictim",
        b"%s%s%n",
        b"{0.__class__}",
        b"' OR 1=1 --",
        b"'; DROP TABLE instances; --",
        b"<script>alert(1)</script>",
        b"\xff\xfe\xfd",
        b"\xef\xbc\x8e\xef\xbc\x8e/victim",
        b"\xc0\xae\xc0\xae/victim",
        b"1..2",
        b".1.2",
        b"1.2.",
        b"1.02.3",
        b"1." + b"9" * 63,
        b"1.2.3" + b" " * 50 + b"4",
        b"\x00",
        b"\x00" * 64,
        b" " * 64,
        b"ledger.sqlite",
        b"incoming",
        b"00",
    ]


def with_value(image: Dataset, keyword: str, value: bytes) -> bytes:
    """Encode an image with any bytes as one of its UIDs."""
    former = encoded(Dataset({Tag(keyword): image[keyword]}))
    value += b"\0" * (len(value) % 2)
    return encoded(image).replace(former, former[:6] + len(value).to_bytes(2, "little") + value)


def fingerprints(folder: Path) -> Mapping[str, str]:
    """Name every file with its content's hash, but those that the listener itself writes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not OWN.search(str(path))
    }


def test_R4_no_name_from_outside_leads_outside(
    listener: Attacked, figure: Callable[[str], None]
) -> None:
    folder = listener.running.folder
    data = listener.running.settings.data
    victims = [folder / "victim.txt", folder.parent / "victim.txt", data / "victim.txt"]
    victims += [data / "spool" / "victim.txt", data / "spool" / "images" / "victim.txt"]
    for victim in victims:
        victim.write_text("as it was")
    kept = mammogram()
    with Peer(listener.port) as peer:
        peer.open()
        assert peer.store(str(kept.SOPInstanceUID), encoded(kept)) == 0
    before = fingerprints(folder.parent)
    first = (listener.spool / next(iter(listener.rows().values())).path).read_bytes()
    names, taken = hostile(folder), []
    for keyword in KEYWORDS:
        for name in names:
            image = mammogram()
            content = with_value(image, keyword, name)
            announced = name if keyword == "SOPInstanceUID" else str(image.SOPInstanceUID)
            sop_class = name.decode("latin-1") if keyword == "SOPClassUID" else wire.MAMMOGRAM
            with Peer(listener.port) as peer:
                peer.open(STORAGE)
                try:
                    status = peer.store(announced, content, sop_class=sop_class)
                except (Gone, UnicodeEncodeError):
                    continue
            if status == 0:
                taken.append((keyword, name))
    assert taken == []
    other = mammogram(SOPInstanceUID=kept.SOPInstanceUID)
    with Peer(listener.port) as peer:
        peer.open()
        assert peer.store(str(kept.SOPInstanceUID), encoded(other)) == 0xA901
    spooled = [path for path in listener.spool.rglob("*") if path.is_file()]
    strangers = [
        str(path)
        for path in spooled
        if not SPOOLED.fullmatch(str(path.relative_to(listener.spool))) and path not in victims
    ]
    assert strangers == []
    assert fingerprints(folder.parent) == before
    assert all(victim.read_text() == "as it was" for victim in victims)
    assert (listener.spool / listener.rows()[str(kept.SOPInstanceUID)].path).read_bytes() == first
    assert not Path("/tmp/fourviews-was-here").exists()  # noqa: S108 - a name that was asked for
    listener.check_what_is_kept()
    listener.check_well()
    figure(
        f"{len(names)} hostile names in {len(KEYWORDS)} UIDs: 0 taken, 0 files outside the store, "
        f"0 of {len(before) + 1} overwritten"
    )


ODD_WORDS = ("../../../victim", "/etc/cron.d/x", "$(touch victim)", "CON", "a/b", "..", "\\\\x\\y")


def test_R4_what_an_image_says_besides_its_uids_names_no_file(
    listener: Attacked, figure: Callable[[str], None]
) -> None:
    before = fingerprints(listener.running.folder)
    for word in ODD_WORDS:
        image = mammogram(
            PatientID=word,
            PatientName=word,
            AccessionNumber=word[:16],
            StudyID=word[:16],
            SeriesDescription=word,
            InstitutionName=word,
            Manufacturer=word,
            StationName=word[:16],
        )
        with Peer(listener.port) as peer:
            peer.open(calling=word.replace("\\", "/").encode()[:16])  # PS3.5 forbids it there
            assert peer.store(str(image.SOPInstanceUID), encoded(image)) == 0
    spooled = [path for path in listener.spool.rglob("*.dcm") if path.is_file()]
    assert all(SPOOLED.fullmatch(str(path.relative_to(listener.spool))) for path in spooled)
    assert fingerprints(listener.running.folder) == before
    figure(f"{len(ODD_WORDS)} hostile words in 8 attributes and as callers: 0 files named by them")
