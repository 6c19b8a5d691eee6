"""Which cases somebody means: by number, by study, or by the accession number of a request.

The ledger holds no accession number, since that leads to a patient. The headers of kept files do,
near their beginning: each study's newest file is asked, and another one where that is gone.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pydicom import config
from pydicom.tag import Tag

from dicom_node import facts
from dicom_node.errors import Busy, NotYourTurn
from dicom_node.ledger.tables import Case
from dicom_node.spool import Spool
from dicom_node.watching.story import cases_named
from dicom_node.wiring import Node
from inference.decoding.header import first_elements

ACCESSION = Tag("AccessionNumber")
START_BYTES = 32 << 10  # of a file: all that the standard puts before the number is short
AT_ONCE = 16  # files; a bucket answers each of them late
NAMED = 10  # studies, in a sentence


@dataclass(frozen=True, slots=True)
class Search:
    """What became of looking for an accession number."""

    studies: tuple[str, ...]  # that have it, the newest first
    asked: int  # how many said which number they have, or that they have none
    gone: int  # how many have no file left that can be read


def cases_meant(
    node: Node, name: str, *, accession: bool = False, several: bool = False
) -> Sequence[Case]:
    """Find the cases that are meant; raise NotYourTurn with what is known instead.

    Digits are a case number before all else, and any name is a study before it is an accession
    number; `accession`: it is one. Several studies may have one: only `several` takes them all.
    """
    if not accession and (cases := cases_named(node.questions, name)):
        return cases
    found = search(node, name)
    if not found.studies:
        raise NotYourTurn(_nobody(name, found, accession=accession))
    rounds = [node.questions.cases_of(study) for study in found.studies]
    if len(rounds) > 1 and not several:
        each = [f"case {one[-1].id} of study {one[-1].study_uid}" for one in rounds[:NAMED]]
        more = f", and {len(rounds) - NAMED} more" if len(rounds) > NAMED else ""
        raise NotYourTurn(
            f"{len(rounds)} studies have the accession number {name}; name one by its case or its "
            f"study: {', '.join(each)}{more}"
        )
    return [case for one in rounds for case in one]


def search(node: Node, name: str) -> Search:
    """Ask every study that has a file here for its accession number."""
    wanted = _plain(name)
    files = node.questions.files_of_studies()
    with ThreadPoolExecutor(AT_ONCE) as pool, config.disable_value_validation():
        said = pool.map(lambda paths: number_of(node.spool, paths), files.values())
        numbers = dict(zip(files, said, strict=True))
    gone = sum(number is None for number in numbers.values())
    if gone and not node.spool.is_there():
        raise Busy("the folder of the spool is away, and the ledger holds no accession numbers")
    having = tuple(study for study, one in numbers.items() if one and _plain(one) == wanted)
    return Search(having, len(numbers) - gone, gone)


def number_of(spool: Spool, paths: Sequence[str]) -> str | None:
    """Return the number that a study's files say; empty: they say none; None: none can be read."""
    said = None
    for path in paths:
        try:
            start = spool.start(path, START_BYTES)
        except OSError:
            continue
        try:
            said = facts.text(first_elements(start, ACCESSION), "AccessionNumber")
        except Exception:  # noqa: BLE001 - bytes from outside: parsers raise anything
            said = ""
        if said:
            break
    return said


def _plain(number: str) -> str:
    """Write a number as people compare it: on the telephone nobody says which letters are large."""
    return number.strip().casefold()


def _nobody(name: str, found: Search, *, accession: bool) -> str:
    if not found.asked and not found.gone:
        asked = ""
    else:
        gone = f", {found.gone} without a file that can be read" if found.gone else ""
        asked = f": {found.asked} asked{gone}"
    if accession:
        return f"no study here has the accession number {name}{asked}"
    unknown = f"the ledger knows no study or case {name}"
    return f"{unknown}, and no study here has that accession number{asked}" if asked else unknown
