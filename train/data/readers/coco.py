"""Any data set with files as COCO has them, once a description says what its words mean."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from train.data.readers import coco_file, described, identity
from train.data.readers.coco_file import Annotation, CocoImage
from train.data.readers.tables import Row
from train.data.sample import Region, Sample, Samples
from train.errors import Refused


class CocoDescription(described.Description):
    """What such a data set has to say of itself."""

    # Of each split its file; of a data set without splits "".
    annotations: dict[str, described.Below] = Field(min_length=1)
    images: described.Below = "."  # their folder, in which {split} stands for the split
    categories: dict[str, described.Meaning] = Field(min_length=1)
    # Which keys of an image's entry say what.
    keys: dict[Literal["patient", "side", "view", "cancer"], str] = Field(default_factory=dict)
    facts: dict[str, str] = Field(default_factory=dict)


def samples(folder: Path, description: Path) -> Samples:
    """Read the files of all splits."""
    told = described.described(description, CocoDescription)
    found = Samples()
    for split, name in told.annotations.items():
        path = folder / name
        file = coco_file.read(path)
        names = file.names()
        unknown = sorted(set(names.values()) - told.categories.keys())
        if unknown:
            raise Refused(f"{description}: categories does not say what {unknown} of {path} mean")
        marked = file.of_images()
        place = folder / told.images.replace("{split}", split)
        for number, image in enumerate(file.images):
            entry = Row(path, number, _entry(image), "image")
            of_image = [(one, told.categories[names[one.category_id]]) for one in marked[image.id]]
            regions = list(_regions(of_image, image, found))
            sample = _sample(place / image.file_name, folder, entry, regions, told)
            drawn_on = (image.height, image.width) if sample.regions else None
            found.append(replace(sample, split=split, drawn_on=drawn_on))
    return found


def _sample(
    image: Path, folder: Path, entry: Row, regions: list[Region | None], told: CocoDescription
) -> Sample:
    if not image.is_file():
        raise entry.refused(f"{image} is missing")
    said: dict[str, str] = {name: entry.values.get(key, "") for name, key in told.keys.items()}
    who = identity.identified(image, folder, said, told.file_name, entry.place)
    kept = tuple(region for region in regions if region is not None)
    complete = told.complete and None not in regions
    return Sample(
        data_set=told.name,
        patient=who.patient,
        image=image,
        side=who.side,
        projection=who.projection,
        cancer=entry.truth(told.keys["cancer"])
        if said.get("cancer")
        else described.shows_cancer([region.malignant for region in kept], complete=complete),
        regions=kept,
        complete=complete,
        spacing_mm=told.spacing_mm,
        inverted=told.inverted,
        facts=entry.facts(**told.facts),
    )


def _regions(
    marked: list[tuple[Annotation, described.Meaning]], image: CocoImage, found: Samples
) -> Iterator[Region | None]:
    """Make regions of what is marked; None for a lesion whose outline is empty."""
    for one, meaning in marked:
        if meaning.ignored:
            found.dropped["marks of an ignored category"] += 1
            continue
        outline = coco_file.outline_of(one, image)
        if outline is None:
            found.dropped["marks with nothing in them"] += 1
            yield None
            continue
        for kind in meaning.kinds or [None]:
            yield Region(outline, kind, meaning.malignant)


def _entry(image: CocoImage) -> dict[str, str]:
    """Return whatever an image's entry says, as words; what it says as null is nothing."""
    return {key: "" if said is None else str(said) for key, said in image.model_dump().items()}
