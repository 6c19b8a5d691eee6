"""Where the files lie that come with the code: migrations, the default settings, bundles."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Find a shipped file or folder, in a checkout or in an installed wheel."""
    in_wheel = _PACKAGE / "_shipped" / name
    return in_wheel if in_wheel.exists() else _PACKAGE.parent / name
