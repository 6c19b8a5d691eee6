"""What a data set holds, counted, so that a person sees whether it was read as it was meant."""

from collections import Counter
from collections.abc import Iterator

from train.data.sample import Region, Sample, Samples

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
    yield from _each("splits", (sample.split or "none" for sample in found))
    torn = torn_patients(found)
    if torn:
        yield "splits", "patients who are in several of them", len(torn)
    unmarked = sum(not sample.complete for sample in found)
    if unmarked:
        yield "not all lesions are marked", "images", unmarked
    for why, times in found.dropped.most_common():
        yield "dropped", why, times


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
