"""What was kept is used again only while everything that it was made of is as it was."""

import ast
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.findings import Kind
from inference.mammogram import Projection, Side
from inference.preparing.prepare import Preparation
from train.data import real
from train.data.real import lessons
from train.data.sample import MaskImage, Region, Sample

HOW = Preparation(height_px=48, width_px=32, pitch_mm=1.6, channels=("mean", "max"))
ROOM = Path(real.__file__).parent.parent.parent


def painted(path: Path, top: int, left: int) -> Path:
    """Paint a mask, a bright square; a moment later than the last one."""
    pixels = np.zeros((80, 60), np.uint8)
    pixels[top : top + 12, left : left + 12] = 255
    before = path.stat().st_mtime_ns if path.exists() else 0
    Image.fromarray(pixels).save(path)
    assert path.stat().st_mtime_ns != before
    return path


def test_a_mask_that_is_drawn_anew_in_its_place_is_read_again(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    greys = np.add.outer(np.arange(80), np.arange(60)[::-1] * 2).astype(np.uint8)
    Image.fromarray(greys).save(image)
    picture, mask = tmp_path / "crop.png", painted(tmp_path / "mask.png", 10, 10)
    Image.fromarray(greys[:20, :15]).save(picture)
    marks = Region(MaskImage(picture, instead=mask), Kind.MASS, malignant=True)
    sample = Sample(
        *("own", "p1", image, Side.LEFT, Projection.CC, True, (marks,)), spacing_mm=(1.0, 1.0)
    )

    def box() -> tuple[float, float]:
        (lesson,) = lessons([sample], HOW, tmp_path / "cache", workers=1)
        (found,) = lesson.boxes
        return found.left, found.top

    assert box() == (10, 10)
    painted(mask, 40, 20)
    assert box() == (20, 40)
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 2


def imported(module: str, found: set[Path]) -> set[Path]:
    """Find a module of this project and all that it imports of it, by reading them."""
    there = importlib.util.find_spec(module)
    if there is None or there.origin is None or Path(there.origin) in found:
        return found
    found.add(Path(there.origin))
    for node in ast.walk(ast.parse(Path(there.origin).read_bytes())):
        if not isinstance(node, ast.ImportFrom):
            continue
        name = str(node.module)
        if not f"{name}.".startswith(("inference.", "train.")):
            continue
        imported(name, found)
        package = importlib.util.find_spec(name)
        if package is not None and package.submodule_search_locations is not None:
            for one in node.names:
                imported(f"{name}.{one.name}", found)
    return found


def test_the_cache_is_named_by_every_module_that_makes_a_lesson(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: set[Path] = set()
    plain = Path.read_bytes

    def noted(path: Path) -> bytes:
        read.add(path.resolve())
        return plain(path) + (b"# otherwise" if path.name == "reading.py" else b"")

    lessons([], HOW, tmp_path, workers=1)
    needed = {path for path in imported("train.data.real", set()) if path.stat().st_size}
    monkeypatch.setattr(Path, "read_bytes", noted)
    lessons([], HOW, tmp_path, workers=1)
    told = {path.relative_to(ROOM).as_posix() for path in needed - read}
    # A package's docstring and the names of faults change no picture.
    assert {name for name in told if not name.endswith(("__init__.py", "errors.py"))} == set()
    assert ROOM / "inference" / "reading.py" in read
    assert len(list(tmp_path.iterdir())) == 2, "another grey scale, and the same cache"
