"""The validators other people wrote, each as a function from a file to a list of complaints.

`dciodvfy` (dicom3tools) knows every module of an IOD, `dsrdump` (DCMTK) the relationships of
SR items and their references, PixelMed the rows and context groups of SR templates. None of
them finds everything that the others find.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

PIXELMED_JAR = Path("/usr/share/java/pixelmed.jar")
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
    """Check SRs against their templates; one start of Java takes some ten seconds a file."""
    errors = []
    for path in paths:
        program = ["java", *UNLIMITED, *SHORT_LIVED, "-cp", str(PIXELMED_JAR)]
        answer = _run([*program, "com.pixelmed.validate.DicomSRValidator", str(path)])
        lines = (answer.stdout + answer.stderr).splitlines()
        if not any("Root Template Validation Complete" in line for line in lines):
            errors.append(f"{path.name}: PixelMed did not finish: {lines[-3:]}")
        errors += [f"{path.name}: {line}" for line in lines if line.startswith("Error")]
    return errors


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=120, check=False
    )
