"""Images of a data set as lessons: opened once, prepared as the node prepares them, and kept."""

import hashlib
import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.progress import track

from inference.preparing.prepare import Preparation
from train.data.lesson import Known, Lesson, Truth, code_of, keep, kept
from train.data.pixels import mammogram
from train.data.sample import Region, Sample
from train.data.truths import marked
from train.errors import Refused

# What of the reading room decides how an image of a data set is read; phantoms are never read.
_DECODING = ("child", "children", "codestream", "files", "header", "pixels")
_READING = ("reading", *(f"decoding/{name}" for name in _DECODING))


def lessons(
    samples: Sequence[Sample],
    how: Preparation,
    cache: Path,
    *,
    workers: int,
    spacing_mm: tuple[float, float] | None = None,
) -> list[Lesson]:
    """Return a lesson of each sample, made now where the cache has none.

    The spacing is for images of which nobody knows it; where somebody does, it counts for nothing.
    """
    return list(one_by_one(samples, how, cache, workers=workers, spacing_mm=spacing_mm))


def one_by_one(
    samples: Sequence[Sample],
    how: Preparation,
    cache: Path,
    *,
    workers: int,
    spacing_mm: tuple[float, float] | None = None,
) -> Iterator[Lesson]:
    """Do the same for whoever needs no two of them at a time: a picture is large."""
    folder = cache / _fingerprint(how)
    folder.mkdir(parents=True, exist_ok=True)
    told = [replace(sample, spacing_mm=sample.spacing_mm or spacing_mm) for sample in samples]
    paths = [folder / f"{_name(sample)}.npz" for sample in told]
    missing = [(one, path) for one, path in zip(told, paths, strict=True) if not path.exists()]
    if missing:
        # Forking a process that already runs torch's threads may hang; spawning does not.
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            made = pool.map(partial(_make, how=how), missing, chunksize=4)
            for _ in track(made, "Preparing images", total=len(missing)):
                pass
    for sample, path in zip(told, paths, strict=True):
        yield from kept(path, sample.patient, str(sample.image))


def teachable(samples: Iterable[Sample], *, judging: bool) -> tuple[list[Sample], dict[str, int]]:
    """Return the samples that a lesson can be made of, and why others cannot.

    Whoever judges has to know of each whether it shows a cancer; to mark lesions, their places do.
    """
    fit: list[Sample] = []
    left: dict[str, int] = {}
    for sample in samples:
        if why := _unfit(sample, judging):
            left[why] = left.get(why, 0) + 1
        else:
            fit.append(sample)
    return fit, left


def _unfit(sample: Sample, judging: bool) -> str:  # noqa: FBT001 - passed on
    if sample.projection is None:
        return "neither CC nor MLO"
    if sample.cancer is None and not sample.complete:
        return "nobody says what it shows"
    if judging and sample.cancer is None and not _natures_known(sample):
        return "nobody says whether it shows a cancer"
    return ""


def _natures_known(sample: Sample) -> bool:
    """Tell whether the lesions say it; where none is, a cancer may be one that nobody saw here."""
    natures = [region.malignant for region in sample.regions]
    return True in natures or (bool(natures) and None not in natures)


def _make(one: tuple[Sample, Path], how: Preparation) -> None:
    sample, path = one
    keep(path, [opened(sample)], how)


def opened(sample: Sample, spacing_mm: tuple[float, float] | None = None) -> Known:
    """Open a sample's image, and lay on it what was marked."""
    view = mammogram(replace(sample, spacing_mm=sample.spacing_mm or spacing_mm))
    rows, columns = view.pixels.shape
    if sample.drawn_on not in {None, (rows, columns)}:
        raise Refused(
            f"{sample.image} has {rows} x {columns} pixels, and its lesions were marked on one of "
            f"{' x '.join(map(str, sample.drawn_on or ()))}: scale the marks, or take those images"
        )
    taught = [region for region in sample.regions if region.kind is not None]
    truths = (_truth(region, rows, columns) for region in taught)
    there = tuple(truth for truth in truths if truth is not None)
    # A lesion of which nothing lies in the image is somewhere, and nobody knows where.
    outlined = sample.complete and len(there) == len(taught)
    return Known(view, there, told=sample.cancer, outlined=outlined)


def _truth(region: Region, rows: int, columns: int) -> Truth | None:
    """Return a region as a lesion; None where nothing of it lies in the image."""
    place = marked(region.outline, rows, columns)
    if region.kind is None or place is None:
        return None
    sort = region.facts.get("shape") or region.facts.get("type") or ""
    return Truth(place.box, place.mask, region.kind, region.malignant, sort.lower())


def _name(sample: Sample) -> str:
    """Name a sample's file by all that its lesson depends on.

    An image that was changed is another one, and so is a mask that was drawn anew in its place.
    """
    told = replace(sample, image=Path(sample.image.name))
    text = " ".join([repr(told), *map(_state, sample.files)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _state(path: Path) -> str:
    """Tell one state of a file from the next; whoever opens one that is not there says so."""
    try:
        there = path.stat()
    except OSError:
        return "absent"
    return f"{there.st_size} {there.st_mtime_ns}"


def _fingerprint(how: Preparation) -> str:
    digest = hashlib.sha256(how.model_dump_json().encode())
    digest.update(code_of("lesson", "real", "pixels", "truths", "sample", room=_READING))
    return digest.hexdigest()[:16]
