"""`dicom-node unpack`: what an administrator copies and edits, out of an installed wheel."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from dicom_node.commands.at_hand import say, visible
from dicom_node.errors import Misconfigured
from dicom_node.shipped import shipped

# Nothing of it is secret, and the service's user has to read it, whatever the umask.
FILE, PROGRAM, FOLDER = 0o644, 0o755, 0o755


def unpack(
    folder: Annotated[Path, typer.Argument(help="Where they go, as config/ and deploy/.")],
) -> None:
    """Copy out what is shipped to be edited: the settings, and systemd's units."""
    wanted = dict(_wanted(folder))
    changed = [
        path for path, content in wanted.items() if path.exists() and _is_other(path, content)
    ]
    if changed:
        sentence = "is there and says something else: nothing was copied; choose another folder"
        raise Misconfigured([f"{path}: {sentence}" for path in changed])
    for path, content in wanted.items():
        for above in reversed(path.parents):
            if not above.exists():
                above.mkdir()
                above.chmod(FOLDER)
        path.write_bytes(content)
        path.chmod(PROGRAM if content.startswith(b"#!") else FILE)
        say(visible(path))


def _wanted(folder: Path) -> Iterator[tuple[Path, bytes]]:
    yield folder / "config" / "node.toml", (shipped("config") / "node.toml").read_bytes()
    for source in sorted(shipped("deploy").iterdir()):
        yield folder / "deploy" / source.name, source.read_bytes()


def _is_other(path: Path, content: bytes) -> bool:
    return not path.is_file() or path.read_bytes() != content
