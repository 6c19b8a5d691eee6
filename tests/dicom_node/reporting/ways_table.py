"""The table of all ways: what other people's validators see in a spoiled object, and our proof."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import validators
from spoiling import Scene, Way

ARTIFACTS = Path(__file__).parents[3] / "build" / "artifacts"
REPORTS = ("cad_sr", "measurement_report", "rejection")  # what dsrdump and PixelMed can read
HEADINGS = ("object", "way", "dciodvfy", "dsrdump", "PixelMed", "our proof")


@dataclass(frozen=True, slots=True)
class Judged:
    """A way, and how many complaints each validator has; None where it does not read the kind."""

    way: Way
    kind: str
    dciodvfy: int
    dsrdump: int | None
    pixelmed: int | None
    said: str  # by our proof

    @property
    def line(self) -> str:
        """Write the row."""
        counts = (self.dciodvfy, self.dsrdump, self.pixelmed)
        seen = ["" if count is None else str(count or "-") for count in counts]
        said = self.said.splitlines()[0] if self.said else "NOTHING"
        cells = (self.way.scene, self.way.name, *seen, said)
        return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def judged(ways: Sequence[Way], scenes: Mapping[str, Scene], folder: Path) -> list[Judged]:
    """Let everybody judge each spoiled object."""
    kinds = [scenes[way.scene].kind for way in ways]
    paths = [folder / f"{number:03}.dcm" for number, _ in enumerate(ways)]
    for way, path in zip(ways, paths, strict=True):
        path.write_bytes(way.file(scenes))
    reports = [path for path, kind in zip(paths, kinds, strict=True) if kind in REPORTS]
    with ThreadPoolExecutor(2) as several:
        by_pixelmed = several.submit(validators.pixelmed_says, reports)
        modules = list(several.map(validators.dciodvfy_errors, paths))
        trees = dict(zip(reports, several.map(validators.dsrdump_errors, reports), strict=True))
        templates = by_pixelmed.result()
    return [
        Judged(
            way,
            kind,
            len(modules[number]),
            len(trees[path]) if path in trees else None,
            len(templates[path]) if path in templates else None,
            scenes[way.scene].complaint(way.spoiled(scenes)),
        )
        for number, (way, kind, path) in enumerate(zip(ways, kinds, paths, strict=True))
    ]


def write(name: str, rows: Sequence[Judged]) -> Path:
    """Print the table and keep it under build/artifacts."""
    alone = sum(not (row.dciodvfy or row.dsrdump or row.pixelmed) for row in rows)
    stopped = sum(bool(row.said) for row in rows)
    lines = [
        "| " + " | ".join(HEADINGS) + " |",
        "|" + " --- |" * len(HEADINGS),
        *(row.line for row in rows),
        "",
        f"{len(rows)} ways: {stopped} stopped by our proof, {alone} seen by no public validator.",
    ]
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    path = ARTIFACTS / f"{name}.md"
    path.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))  # noqa: T201 - the table is what the test is read for
    return path
