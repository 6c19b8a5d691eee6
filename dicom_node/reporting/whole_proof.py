"""The proof that no object is missing, none is there twice, and none is about another image.

Each object is proved by itself; that a builder left out a whole image is seen only here.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from pydicom.dataset import Dataset

from dicom_node.reporting.proof import Unsound
from inference.findings import ExamFindings, ViewFindings

ONE_AN_IMAGE = {"measurement_report", "presentation_state", "segmentation"}


def prove_whole(kind: str, made: Sequence[Dataset], exam: ExamFindings) -> None:
    """Raise Unsound unless these are all the objects of a kind that the exam asks for."""
    faults = list(_faults(kind, made, exam))
    uids = [str(one.SOPInstanceUID) for one in made]
    if len(set(uids)) != len(uids):
        faults.append(f"two objects of kind {kind} have one SOP instance UID")
    if faults:
        raise Unsound(faults)


def _faults(kind: str, made: Sequence[Dataset], exam: ExamFindings) -> Iterator[str]:
    if kind not in ONE_AN_IMAGE:
        if len(made) != 1:
            yield f"there are {len(made)} objects of kind {kind}, not one"
        return
    due = {view.sop_instance_uid for view in exam.views if _asks_for(kind, view)}
    about = Counter(uid for one in made for uid in _images_in(one, exam))
    for view in exam.views:
        uid, name = view.sop_instance_uid, f"{view.side}{view.projection}"
        if about[uid] != (uid in due):
            wanted = "one" if uid in due else "none"
            yield f"there are {about[uid]} objects of kind {kind} about {name}, not {wanted}"
    if len(made) != len(due):
        yield f"there are {len(made)} objects of kind {kind} for {len(due)} images"


def _asks_for(kind: str, view: ViewFindings) -> bool:
    if kind == "segmentation":
        masks = [found.mask for found in view.findings if found.mask is not None]
        return any(mask.pixels.any() for mask in masks)
    return bool(view.findings)


def _images_in(dataset: Dataset, exam: ExamFindings) -> set[str]:
    """Return the exam's images that an object names."""
    images = {view.sop_instance_uid for view in exam.views}
    return {
        str(element.value)
        for element in dataset.iterall()
        if element.keyword == "ReferencedSOPInstanceUID" and str(element.value) in images
    }
