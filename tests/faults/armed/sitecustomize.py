"""What each process of a node under test loads before anything else: the trigger of failpoints.

The product knows nothing of this. A test lays a list of points into a folder, names the folder in
the environment, and puts this file on the Python path; the named functions are wrapped as their
modules are loaded. To arm a point is to lay a file with its name there: the first call that comes
by takes the file away and does what stands in it, once, in whichever process that was.
"""

import errno
import importlib.abc
import importlib.machinery
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import reduce, wraps
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

FOLDER = Path(os.environ.get("FOURVIEWS_FAILPOINTS", ""))

P = ParamSpec("P")
R = TypeVar("R")


def act(deed: str) -> None:
    """Do what was armed."""
    what, _, how = deed.partition(" ")
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "stall":
        time.sleep(float(how))
    elif what == "freeze":  # the whole process, its heartbeat too
        wake = f"sleep {float(how)}; kill -CONT {os.getpid()}"
        subprocess.Popen(["/bin/sh", "-c", wake], start_new_session=True)
        os.kill(os.getpid(), signal.SIGSTOP)
    elif what == "raise":
        raise fault(how)


def fault(name: str) -> Exception:
    """Make the exception of a name."""
    if name == "OperationalError":
        from sqlalchemy.exc import OperationalError

        return OperationalError("a statement", {}, Exception("a failpoint"))
    if name == "RuntimeError":
        return RuntimeError("a failpoint")
    return OSError(getattr(errno, name), os.strerror(getattr(errno, name)))


def pass_by(name: str) -> None:
    """Come by a point: do what is armed there, which only one passer-by gets hold of."""
    armed = FOLDER / name
    if not armed.exists():
        return
    fired = FOLDER / f"{name}.fired-by-{os.getpid()}"
    try:
        armed.rename(fired)
    except FileNotFoundError:
        return
    act(fired.read_text())


def wrapped(function: Callable[P, R], name: str, when: str) -> Callable[P, R]:
    """Let a function pass a point before or after its work."""

    @wraps(function)
    def with_point(*args: P.args, **kwargs: P.kwargs) -> R:
        if when == "before":
            pass_by(name)
        result = function(*args, **kwargs)
        if when == "after":
            pass_by(name)
        return result

    return with_point


class Wrapping(importlib.abc.MetaPathFinder):
    """Wraps the functions of the list as their modules are loaded."""

    def __init__(self, points: dict[str, tuple[str, str]]) -> None:
        self.points = points

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module of the list as ever, and wrap its functions once it is there."""
        if not any(where.partition(":")[0] == name for where, _ in self.points.values()):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.loader is not None
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            self.wrap(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def wrap(self, module: ModuleType) -> None:
        """Wrap what the list names in this module; what is not there ends the process."""
        for name, (where, when) in self.points.items():
            home, _, qualified = where.partition(":")
            if home != module.__name__:
                continue
            *outer, last = qualified.split(".")
            owner: Any = reduce(getattr, outer, module)
            setattr(owner, last, wrapped(getattr(owner, last), name, when))


if FOLDER.name and (FOLDER / "points.json").exists():
    sys.meta_path.insert(0, Wrapping(json.loads((FOLDER / "points.json").read_text())))
