"""Where there is no memory for all at once: less at a time, then on the processor; never less seen.

What fell back is written down for whoever asks with `shortages`: the model run keeps it.
"""

import copy
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Picture = NDArray[np.float32]

_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "alloc failed")
_NOTES: ContextVar[list[str] | None] = ContextVar("shortages", default=None)


class _OnDevice(Protocol):
    """Something with networks on a device: a dataclass, as all systems are."""

    @property
    def device(self) -> torch.device:
        """Tell where its networks are."""


R = TypeVar("R", bound=_OnDevice)
A = TypeVar("A")


@contextmanager
def shortages() -> Iterator[list[str]]:
    """Collect what had to be done with less memory while the block ran."""
    notes: list[str] = []
    token = _NOTES.set(notes)
    try:
        yield notes
    finally:
        _NOTES.reset(token)


def is_shortage(fault: BaseException) -> bool:
    """Tell whether a fault is want of memory; torch says so of a processor's in words only."""
    if isinstance(fault, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(fault, RuntimeError) and any(word in str(fault) for word in _WORDS)


def in_parts(read: Callable[[Picture], Picture], pictures: Picture) -> Picture:
    """Read pictures together or, where there is no memory for that, in halves."""
    try:
        return read(pictures)
    except (MemoryError, RuntimeError) as fault:
        if len(pictures) == 1 or not is_shortage(fault):
            raise
    _release()  # here, where the fault no longer holds what was made on the way to it
    half = len(pictures) // 2
    _note(f"read {half} at a time instead of {len(pictures)}")
    return np.concatenate([in_parts(read, pictures[:half]), in_parts(read, pictures[half:])])


def with_less(reader: R, read: Callable[[R], A]) -> A:
    """Let a reader read; where its device has no memory, a copy of it on the processor."""
    try:
        return read(reader)
    except (MemoryError, RuntimeError) as fault:
        if not is_shortage(fault):
            raise
    _release()
    _note(f"read on cpu, {reader.device} had no memory")
    return read(_on_processor(reader))


def _on_processor(reader: R) -> R:
    if reader.device.type == "cpu":
        return reader  # once more, now that there is more room
    cpu = torch.device("cpu")
    fields = {name: getattr(reader, name) for name in type(reader).__dataclass_fields__}  # type: ignore[attr-defined]
    moved: dict[str, Any] = {
        name: copy.deepcopy(value).to(cpu)
        for name, value in fields.items()
        if isinstance(value, nn.Module)
    }
    return replace(reader, device=cpu, **moved)  # type: ignore[type-var]


def _release() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _note(sentence: str) -> None:
    notes = _NOTES.get()
    if notes is not None and sentence not in notes:
        notes.append(sentence)
