"""DICOMscope (OFFIS), a viewer that draws presentation states, under a screen of its own."""

import os
import subprocess
from glob import glob
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
JAR = "/usr/share/java/DICOMscope.jar"
SETTINGS = Path("/etc/dcmtk/DICOMscope.cfg")
SCREEN = "-screen 0 1400x1000x24"


def seen(presentation: Path, image: Path, folder: Path) -> Image.Image:
    """Return what DICOMscope draws of an image with a presentation state."""
    folder.mkdir()
    (folder / "database").mkdir()
    settings = SETTINGS.read_text(encoding="latin-1")
    own = settings.replace("/var/lib/dcmtk/db/READWRITE", str(folder / "database"))
    (folder / "DICOMscope.cfg").write_text(own, encoding="latin-1")
    libraries = ":".join(["/usr/lib/jni", *glob("/usr/lib/*/jni")])  # noqa: PTH207 - of the system
    result = folder / "seen.png"
    java = ["java", "-cp", JAR, str(HERE / "Look.java")]
    files = [str(path.absolute()) for path in (presentation, image, result)]
    answer = subprocess.run(
        ["xvfb-run", "-a", "-s", SCREEN, *java, *files],
        cwd=folder,
        env={**os.environ, "LD_LIBRARY_PATH": libraries},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    if answer.returncode:
        raise RuntimeError(f"DICOMscope ended with {answer.returncode}: {answer.stderr[-2000:]}")
    return Image.open(result).convert("RGB")
