"""The table: each object, spoiled in each way, before public validators and our proof."""

from pathlib import Path

from spoiled_objects import WAYS as WAYS_OF_THE_EXAM
from spoiled_scenes import WAYS as WAYS_OF_OTHERS
from spoiling import Scene
from ways_table import judged, write

WAYS = [*WAYS_OF_THE_EXAM, *WAYS_OF_OTHERS]


def test_the_proof_stops_what_public_validators_see_and_what_they_do_not(
    scenes: dict[str, Scene], tmp_path: Path
) -> None:
    rows = judged(WAYS, scenes, tmp_path)
    write("ways", rows)
    assert [row.way.name for row in rows if not row.said] == []
    assert all(
        any(getattr(row, who) for row in rows) for who in ("dciodvfy", "dsrdump", "pixelmed")
    )
