"""Listeners to attack: one for each module, as starting one takes seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from attacked import Attacked, attacked


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """Run a listener with short limits, open to anybody."""
    with attacked(Path(tmp_path_factory.mktemp("attacked"))) as target:
        yield target
