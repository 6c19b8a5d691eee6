"""Three bundles, and a node that may read with them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_bundles import proven, tiny

from dicom_node.settings.file import load_settings
from dicom_node.wiring import Node


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold three bundles: one, two, three."""
    folder = tmp_path_factory.mktemp("bundles")
    for seed, name in enumerate(("one", "two", "three"), start=1):
        tiny(folder / name, seed)
        proven(folder / name)
    return folder


@pytest.fixture
def home(three: Path, tmp_path: Path) -> Path:
    """Lend them to a test that changes them."""
    shutil.copytree(three, tmp_path / "bundles")
    return tmp_path / "bundles"


@pytest.fixture
def opening(
    tmp_path: Path, blank_ledger: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Node]:
    """Open the node of a settings file, as each process does for itself."""
    (tmp_path / "var").mkdir()
    shutil.copy(blank_ledger, tmp_path / "var" / "ledger.sqlite")
    config = tmp_path / "node.toml"
    monkeypatch.setenv("FOURVIEWS_CONFIG", str(config))

    def make(bundle: str = "one", point: str = "") -> Node:
        config.write_text(
            f'[node]\ndata = "{tmp_path / "var"}"\n[analyzing]\nthreads = 1\n'
            f'bundles = "{home}"\nbundle = "{bundle}"\noperating_point = "{point}"\n'
        )
        return Node(load_settings(config))

    return make
