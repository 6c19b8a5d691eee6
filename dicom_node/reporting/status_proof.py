"""The proof that a CAD report says of which images it speaks, and of which it cannot."""

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.uid import MammographyCADSRStorage

from dicom_node.reporting import codes
from dicom_node.reporting.codes import Concept
from dicom_node.reporting.common_proof import Claim
from dicom_node.reporting.marks import children, identifier, is_named, walk


def attempted(claim: Claim) -> Iterator[str]:
    """Check that what was done and what failed name the images of which that holds."""
    if claim.dataset.SOPClassUID != MammographyCADSRStorage:
        return
    read = {source.view.sop_instance_uid for source in claim.sources}
    missed = {str(one.header.SOPInstanceUID) for one in claim.unread if one.missed}
    yield from images_faults(claim.dataset, codes.SUCCESSFUL_DETECTIONS, read)
    yield from images_faults(claim.dataset, codes.SUCCESSFUL_ANALYSES, read)
    yield from images_faults(claim.dataset, codes.FAILED_DETECTIONS, missed)
    yield from images_faults(claim.dataset, codes.FAILED_ANALYSES, missed)
    if library_of(claim.dataset) != read | missed:
        yield "the image library has other images than were read or missed"


def library_of(dataset: Dataset) -> set[str]:
    """Return the images that a report holds."""
    return {uid for _, item in walk(dataset) if (uid := _image_uid(item))}


def images_faults(dataset: Dataset, heading: Concept, expected: set[str]) -> Iterator[str]:
    """Check that everything below a heading was done in these images, and in no others."""
    items = dict(walk(dataset))
    for holder in items.values():
        if not is_named(holder, heading):
            continue
        for one in children(holder):
            targets = [
                items.get(identifier(child))
                for child in children(one)
                if "ReferencedContentItemIdentifier" in child
            ]
            if {_image_uid(target) for target in targets if target is not None} != expected:
                yield f"the {heading.meaning} name other images than they should"


def _image_uid(item: Dataset) -> str:
    if item.get("ValueType") != "IMAGE":
        return ""
    return str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
