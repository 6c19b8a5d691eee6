"""A run's measurements as TensorBoard reads them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

EVENTS = "tensorboard"  # the folder in a run's
_FLUSH_SECONDS = 30


class Scalars(Protocol):
    """What takes the numbers of a step."""

    def __call__(self, step: int, group: str, values: Mapping[str, float]) -> None:
        """Take them."""


def can_write() -> bool:
    """Tell whether TensorBoard is installed; the node itself does without."""
    return find_spec("tensorboard") is not None


@contextmanager
def scalars(folder: Path, done: int, *, wanted: bool) -> Iterator[Scalars]:
    """Write numbers into a run's events, if they are wanted and TensorBoard is installed.

    Steps after those that are done were written by a process that was killed; they are hidden.
    """
    if not wanted or not can_write():
        yield _nowhere
        return
    from tensorboard.compat.proto.summary_pb2 import Summary
    from torch.utils.tensorboard.writer import SummaryWriter

    with SummaryWriter(
        str(folder / EVENTS), purge_step=done + 1, flush_secs=_FLUSH_SECONDS
    ) as writer:

        def add(step: int, group: str, values: Mapping[str, float]) -> None:
            # All at once: `add_scalar` wakes the writing thread for each number.
            numbers = [
                Summary.Value(tag=f"{group}/{name}", simple_value=value)
                for name, value in values.items()
            ]
            writer.file_writer.add_summary(Summary(value=numbers), step)

        yield add


def _nowhere(step: int, group: str, values: Mapping[str, float]) -> None:
    """Take numbers that nobody wants."""
