"""The validators other people wrote, each as a function from a file to a list of complaints.

`dciodvfy` (dicom3tools) knows every module of an IOD, `dsrdump` (DCMTK) the relationships of
SR items and their references, PixelMed the rows and context groups of SR templates. None of
them finds everything that the others find.
"""

import atexit
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

PIXELMED_JAR = Path("/usr/share/java/pixelmed.jar")
MANY_REPORTS = Path(__file__).with_name("ManyReports.java")
UNFINISHED = "PixelMed did not finish"
# Java's XPath limits are smaller than PixelMed's own template of TID 4000.
UNLIMITED = [
    f"-Djdk.xml.xpath{limit}=0" for limit in ("ExprOpLimit", "TotalOpLimit", "ExprGrpLimit")
]
SHORT_LIVED = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]  # a third off Java's time
HARMLESS = ("VR checker", "not yet supported")


def dciodvfy_errors(path: Path) -> list[str]:
    """Check the modules of the object's IOD."""
    answer = _run(["dciodvfy", "-new", str(path)])
    lines = (answer.stdout + answer.stderr).splitlines()
    return [line for line in lines if line.startswith("Error")]


def dsrdump_errors(path: Path) -> list[str]:
    """Check the relationships of an SR's content items and that its references lead somewhere."""
    answer = _run(["dsrdump", str(path)])
    lines = [line for line in answer.stderr.splitlines() if line.startswith(("E:", "W:", "F:"))]
    errors = [line for line in lines if not any(words in line for words in HARMLESS)]
    if answer.returncode and not errors:
        errors.append(f"dsrdump ended with {answer.returncode}")
    return errors


def pixelmed_errors(paths: Sequence[Path]) -> list[str]:
    """Check SRs against their templates."""
    said = pixelmed_says(paths)
    return [
        f"{path.name}: {line}"
        for path in paths
        for line in said[path]
        if line.startswith(("Error", UNFINISHED))
    ]


def pixelmed_says(paths: Sequence[Path]) -> dict[Path, list[str]]:
    """Return what PixelMed says of each SR; one start of Java serves a whole test process.

    Its words begin with Error or Warning; a sentence is added where it did not come to its end.
    """
    with _ONE_AT_A_TIME:
        return {path: _heard(_pixelmed().said_of(path)) for path in paths}


class _PixelMed:
    """PixelMed's validator, running. It ends with whoever started it, by the end of its input."""

    def __init__(self) -> None:
        program = ["java", *UNLIMITED, *SHORT_LIVED, "-cp", str(PIXELMED_JAR), str(MANY_REPORTS)]
        self._died_of = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - at its end
        self._process = subprocess.Popen(
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._died_of,
            text=True,
            encoding="utf-8",
        )
        atexit.register(self.end)

    @property
    def alive(self) -> bool:
        """Tell whether it can still be asked."""
        return self._process.poll() is None

    def said_of(self, path: Path) -> list[str]:
        """Let it read one file."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        lines = []
        for line in self._process.stdout:
            if line == "Done\n":
                return lines
            lines.append(line.rstrip("\n"))
        self._process.wait()
        self._died_of.seek(0)
        return [*lines, *self._died_of.read().splitlines()[-3:]]

    def end(self) -> None:
        """Stop asking, and wait until it has gone."""
        self._process.communicate()
        self._died_of.close()


_ONE_AT_A_TIME = threading.Lock()
_running: list[_PixelMed] = []


def _pixelmed() -> _PixelMed:
    """Return the one that runs, or start one."""
    if not _running or not _running[-1].alive:
        _running.append(_PixelMed())
    return _running[-1]


def pixelmed_says_alone(path: Path) -> list[str]:
    """Return what PixelMed's own command says of one SR, which takes some ten seconds."""
    program = ["java", *UNLIMITED, *SHORT_LIVED, "-cp", str(PIXELMED_JAR)]
    answer = _run([*program, "com.pixelmed.validate.DicomSRValidator", str(path)])
    return _heard((answer.stdout + answer.stderr).splitlines())


def _heard(lines: Sequence[str]) -> list[str]:
    heard = [line for line in lines if line.startswith(("Error", "Warning"))]
    if not any("Root Template Validation Complete" in line for line in lines):
        heard.append(f"{UNFINISHED}: {lines[-3:]}")
    return heard


def dcmpschk_errors(path: Path) -> list[str]:
    """Check a presentation state; DCMTK knows no names in UTF-8 and calls them invalid."""
    answer = _run(["dcmpschk", str(path)])
    lines = (answer.stdout + answer.stderr).splitlines()
    if any("Test passed" in line for line in lines) and answer.returncode == 0:
        return []
    return [line for line in lines if line.strip()] or ["dcmpschk did not say that it passed"]


def dcentvfy_errors(paths: Sequence[Path]) -> list[str]:
    """Check that objects of one study agree about patient, study and series."""
    answer = _run(["dcentvfy", *map(str, paths)])
    lines = (answer.stdout + answer.stderr).splitlines()
    # An accession number belongs to the study; dicom3tools reads a request's as the series'.
    return [line for line in lines if line.strip() and "AccessionNumber" not in line]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=300, check=False
    )
