"""A Key Object Selection that takes a result back (PS3.16, TID 2010; IHE IOCM).

An archive that knows IOCM hides the objects that the note lists; any other keeps them, and the note
beside them. So the note says in words as well what it is for.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime

from pydicom import config
from pydicom.dataset import Dataset
from pydicom.uid import UID, KeyObjectSelectionDocumentStorage, SegmentationStorage

from dicom_node.reporting import codes, content, frame, naming
from dicom_node.reporting.codes import Concept
from dicom_node.reporting.content import Item
from dicom_node.reporting.maker import Maker

KIND = "rejection"
TEMPLATE = "2010"


@dataclass(frozen=True, slots=True)
class Rejected:
    """Name one object that is taken back."""

    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str

    @property
    def value_type(self) -> str:
        """Say as what kind of content item it is referred to."""
        uid = UID(self.sop_class_uid)
        is_image = uid == SegmentationStorage or uid.name.endswith("Image Storage")
        return "IMAGE" if is_image else "COMPOSITE"


@dataclass(frozen=True, slots=True)
class Recalling:
    """Say everything that a note says: why, of which round, when, and which objects."""

    reason: Concept
    round: int
    made_at: datetime
    rejected: tuple[Rejected, ...]

    def __post_init__(self) -> None:
        if not self.rejected:
            raise ValueError("a note that takes nothing back says nothing")


def words(recalling: Recalling, maker: Maker) -> str:
    """Say for people what the note is for."""
    count = len(recalling.rejected)
    return (
        f"{maker.research_statement} The result of {maker.model}, round {recalling.round}, was "
        f"recalled: {recalling.reason.meaning}. Do not use its {count} "
        f"object{'' if count == 1 else 's'}."
    )


def rejection(source: Dataset, recalling: Recalling, maker: Maker) -> Dataset:
    """Write the note for those who have these objects; `source` is one of them."""
    dataset = Dataset()
    uids = sorted(one.sop_instance_uid for one in recalling.rejected)
    names = (KIND, source.StudyInstanceUID, recalling.round, " ".join(uids))
    dataset.SOPClassUID = KeyObjectSelectionDocumentStorage
    dataset.SOPInstanceUID = naming.instance_uid(*names)
    with config.disable_value_validation():  # identifiers too long for their VR are copied
        frame.copy_patient_and_study(source, dataset)
    frame.sign(dataset, maker)
    dataset.Modality = "KO"
    dataset.SeriesInstanceUID = naming.series_uid(*names)
    dataset.SeriesNumber = frame.series_number(frame.REJECTION_NUMBER, recalling.round)
    dataset.SeriesDescription = frame.series_description("recall", recalling.round)
    dataset.InstanceNumber = recalling.round
    dataset.ReferencedPerformedProcedureStepSequence = []
    if asked := source.get("ReferencedRequestSequence"):
        dataset.ReferencedRequestSequence = deepcopy(asked)
    dataset.CurrentRequestedProcedureEvidenceSequence = [
        frame.references(source.StudyInstanceUID, _by_series(recalling.rejected))
    ]
    tree = _tree(recalling, maker)
    tree.number()
    tree.write(dataset)
    dataset.ContentTemplateSequence = [frame.template(TEMPLATE)]
    frame.stamp(dataset, recalling.made_at)
    frame.seal(dataset)
    return dataset


def _by_series(rejected: Sequence[Rejected]) -> dict[str, list[tuple[str, str]]]:
    series: dict[str, list[tuple[str, str]]] = {}
    for one in rejected:
        reference = (one.sop_class_uid, one.sop_instance_uid)
        series.setdefault(one.series_uid, []).append(reference)
    return series


def _tree(recalling: Recalling, maker: Maker) -> Item:
    tree = content.container(recalling.reason)
    tree.add(content.HAS_CONCEPT_MOD, content.code(codes.LANGUAGE, codes.ENGLISH))
    tree.add(content.HAS_OBS_CONTEXT, *_observer(maker))
    said = content.text(codes.KEY_OBJECT_DESCRIPTION, words(recalling, maker))
    return tree.add(content.CONTAINS, said, *map(_reference, recalling.rejected))


def _observer(maker: Maker) -> Iterator[Item]:
    """Name the device: the person who recalled stands in the audit trail (TID 1004)."""
    device = naming.device_uid(maker.manufacturer, maker.model, maker.serial_number)
    yield content.code(codes.OBSERVER_TYPE, codes.DEVICE)
    yield content.uid_reference(codes.DEVICE_OBSERVER_UID, device)
    yield content.text(codes.DEVICE_OBSERVER_NAME, maker.model)
    yield content.text(codes.DEVICE_OBSERVER_MANUFACTURER, maker.manufacturer)
    yield content.text(codes.DEVICE_OBSERVER_MODEL, maker.model)
    yield content.text(codes.DEVICE_OBSERVER_SERIAL, maker.serial_number)


def _reference(one: Rejected) -> Item:
    return content.reference(one.value_type, one.sop_class_uid, one.sop_instance_uid)
