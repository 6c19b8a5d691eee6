"""The images of an exam as pictures: opened one at a time, and kept only at a reduced size."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset

from inference.decoding.files import Opened
from inference.mammogram import GreyScale, Mammogram
from inference.reading import read

HEIGHT = 960  # of a reduced picture, in pixels: two of them, one above the other, fill a monitor


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """An image as a viewer would show it first, reduced."""

    picture: NDArray[np.uint8]  # (row, column), black 0, white 255
    scale: float  # from pixels of the source to pixels of the picture
    grey: GreyScale


class Lightbox:
    """Hang up images, each opened once; four of them take four megabytes."""

    def __init__(self, opened: Callable[[str], Dataset | Opened]) -> None:
        self._opened = opened  # from a SOP instance UID to the image
        self._shown: dict[str, Shown] = {}

    def shown(self, sop_instance_uid: str) -> Shown:
        """Return an image as a picture."""
        if sop_instance_uid not in self._shown:
            self._shown[sop_instance_uid] = reduced(read(self._opened(sop_instance_uid)))
        return self._shown[sop_instance_uid]


def halved(shown: Shown) -> Shown:
    """Reduce a picture once more."""
    smaller = Image.fromarray(shown.picture).reduce(2)
    return Shown(np.asarray(smaller), shown.scale / 2, shown.grey)


def reduced(view: Mammogram, height: int = HEIGHT) -> Shown:
    """Make a view's picture; one that is small enough already keeps its size."""
    rows, columns = view.pixels.shape
    scale = min(1.0, height / rows)
    tones = (view.grey.table * 255).astype(np.uint8)  # before the look-up: a quarter of the room
    stored = view.pixels
    if view.grey.first:
        stored = np.subtract(stored, view.grey.first, dtype=np.int32)
    picture = Image.fromarray(tones.take(stored, mode="clip"))
    if scale < 1:
        picture = picture.resize((round(columns * scale), height), Image.Resampling.BOX)
    return Shown(np.asarray(picture), scale, view.grey)
