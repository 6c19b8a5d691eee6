"""How long four views take to be decoded: one after the other, side by side, and in place.

    python benchmarks/decoding.py

Side by side is to take less than 0.6 of one after the other, on two cores. "In place" is pydicom's
way, in this process and without limits. Only ratios of one run are worth anything.
"""

import copy
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from inference.decoding.files import open_file
from inference.reading import read
from phantom.dicom import datasets
from phantom.study import study

ROWS, COLUMNS, TIMES = 4096, 3328, 3
SYNTAXES = (ExplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless)


def large(image: Dataset) -> Dataset:
    """Make a view as large as a real detector's, with its noise."""
    pixels = np.kron(image.pixel_array, np.ones((3, 3), np.uint16))[:ROWS, :COLUMNS]
    noise = np.random.default_rng(1).integers(0, 9, pixels.shape, dtype=np.uint16)
    image = copy.deepcopy(image)
    image.Rows, image.Columns = pixels.shape
    image.PixelData = np.minimum(pixels + noise, 4095).astype("<u2").tobytes()
    return image


def written(images: list[Dataset], syntax: UID, folder: Path) -> list[Path]:
    """Write the views in a transfer syntax."""
    paths = []
    for number, image in enumerate(images):
        one = copy.deepcopy(image)
        if syntax != ExplicitVRLittleEndian:
            one.compress(syntax, generate_instance_uid=False)
        paths.append(folder / f"{number}.dcm")
        one.save_as(paths[-1], enforce_file_format=True)
    return paths


def seconds(do: Callable[[], object]) -> float:
    """Take the best of several runs."""
    best = float("inf")
    for _ in range(TIMES):
        started = time.perf_counter()
        do()
        best = min(best, time.perf_counter() - started)
    return best


def main() -> None:
    """Measure, and print a line a transfer syntax."""
    images = [large(image) for image in datasets(study(7))]
    print(f"{'four views':28} in place   one by one   side by side   ratio")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(4) as several:
        for syntax in SYNTAXES:
            paths = written(images, syntax, Path(folder))
            list(several.map(lambda path: read(open_file(path)), paths))  # the children are warm
            alone = seconds(lambda paths=paths: [dcmread(path).pixel_array for path in paths])
            serial = seconds(lambda paths=paths: [read(open_file(path)) for path in paths])
            beside = seconds(
                lambda paths=paths: list(several.map(lambda path: read(open_file(path)), paths))
            )
            print(
                f"{syntax.name[:28]:28} {alone:6.2f} s   {serial:6.2f} s     {beside:6.2f} s"
                f"       {beside / serial:.2f}"
            )


if __name__ == "__main__":
    main()
