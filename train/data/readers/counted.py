"""What a data set holds, counted, so that a person sees whether it was read as it was meant."""

from collections import Counter
from collections.abc import Iterator

from inference.findings import Box
from train.data.pixels import size_px
from train.data.sample import Outline, Polygon, Region, Sample, Samples
from train.errors import Refused

_SLACK_PX = 1  # people draw along the edge

Line = tuple[str, str, int]  # of what, which, how many


def counted(found: Samples) -> Iterator[Line]:
    """Count images and patients, what they show, what is marked in them, and what was dropped."""
    yield "images", "", len(found)
    yield "patients", "", len({sample.patient for sample in found})
    yield from _each("views", (_view(sample) for sample in found))
    yield from _each("what they show", (_shown(sample) for sample in found))
    regions = [region for sample in found for region in sample.regions]
    yield from _each("regions", (_region(region) for region in regions))
    yield from _each("outlines", (_outline(region) for region in regions))
    yield from _misplaced(found)
    yield from _each("splits", (sample.split or "none" for sample in found))
    torn = torn_patients(found)
    if torn:
        yield "splits", "patients who are in several of them", len(torn)
    unmarked = sum(not sample.complete for sample in found)
    if unmarked:
        yield "not all lesions are marked", "images", unmarked
    for why, times in found.dropped.most_common():
        yield "dropped", why, times


def _misplaced(found: list[Sample]) -> Iterator[Line]:
    """Count outlines that leave their image: columns taken for rows, or marks of other pixels."""
    counts: Counter[str] = Counter()
    for sample in found:
        edges = [edges for region in sample.regions if (edges := _edges(region.outline))]
        if not edges and sample.drawn_on is None:
            continue
        try:
            rows, columns = size_px(sample.image)
        except Refused:
            counts["of images that cannot be opened"] += len(sample.regions)
            continue
        if sample.drawn_on not in {None, (rows, columns)}:
            counts["marked on an image of another size"] += len(sample.regions)
        for left, top, right, bottom in edges:
            if left >= columns or top >= rows or right <= 0 or bottom <= 0:
                counts["wholly outside their image"] += 1
            elif (
                min(left, top) < -_SLACK_PX
                or right > columns + _SLACK_PX
                or bottom > rows + _SLACK_PX
            ):
                counts["partly outside their image"] += 1
    for which, times in sorted(counts.items()):
        yield "outlines", which, times


def _edges(outline: Outline) -> tuple[float, float, float, float] | None:
    """Return left, top, right and bottom of what counts in pixels of its image."""
    if isinstance(outline, Box):
        return outline.left, outline.top, outline.right, outline.bottom
    if isinstance(outline, Polygon):
        columns, rows = zip(*outline.points, strict=True)
        return min(columns), min(rows), max(columns), max(rows)
    return None


def torn_patients(found: list[Sample]) -> set[str]:
    """Return the patients who stand in several splits of the data set's own."""
    splits: dict[str, set[str]] = {}
    for sample in found:
        splits.setdefault(sample.patient, set()).add(sample.split)
    return {patient for patient, of_patient in splits.items() if len(of_patient) > 1}


def _each(what: str, words: Iterator[str]) -> Iterator[Line]:
    for word, times in sorted(Counter(words).items()):
        yield what, word, times


def _view(sample: Sample) -> str:
    return f"{sample.side}{sample.projection or ', neither CC nor MLO'}"


def _shown(sample: Sample) -> str:
    if sample.cancer is None:
        return "unknown"
    if sample.cancer:
        return "cancer"
    if sample.regions:
        return "benign lesions alone"
    return "nothing" if sample.complete else "no cancer"


def _region(region: Region) -> str:
    kind = "neither mass nor calcification" if region.kind is None else str(region.kind)
    nature = {True: "malignant", False: "benign", None: "of unknown nature"}[region.malignant]
    return f"{kind}, {nature}"


def _outline(region: Region) -> str:
    return {"MaskImage": "mask", "Runs": "mask"}.get(
        type(region.outline).__name__, type(region.outline).__name__.lower()
    )
