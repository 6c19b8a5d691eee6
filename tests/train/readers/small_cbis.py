"""CBIS-DDSM in miniature, in both its forms, with what is broken in them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from small_tables import write_table

from phantom.dicom import uid_for

LABELS = [
    "split",
    "file",
    "patient",
    "side",
    "view",
    "n_boxes",
    "malignant",
    "pathology",
    "birads_assessment",
    "breast_density",
    "subtlety",
    "shape",
    "margins",
]

TABLE = (
    "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,"
    "{} shape,{} margins,assessment,pathology,subtlety,image file path,cropped image file path,"
    "ROI mask file path"
)
MASSES = TABLE.format("mass", "mass").split(",")
# The tables of calcifications spell one column in their own way.
CALCIFICATIONS = (
    TABLE.replace("breast_density", "breast density")
    .replace("{} shape", "calc type")
    .replace("{} margins", "calc distribution")
    .split(",")
)


def abnormality(patient: str, side: str, view: str, pathology: str, **more: str) -> dict[str, str]:
    """Describe one line of an official table."""
    return {
        "patient_id": patient,
        "left or right breast": side,
        "image view": view,
        "abnormality id": "1",
        "abnormality type": "mass",
        "assessment": "4",
        "subtlety": "3",
        "pathology": pathology,
        **more,
    }


def write_resized(folder: Path, images: Mapping[str, Iterable[tuple[str, list[float]]]]) -> None:
    """Write the resized form: of each image the pathology and the box of every mass."""
    (folder / "train").mkdir(parents=True)
    lines, annotations = [], []
    for number, (file, masses) in enumerate(images.items()):
        Image.new("L", (80, 80)).save(folder / "train" / file)
        patient, side, view = file.removesuffix(".jpg").split("_")
        annotations += [{"image_id": number, "category_id": 0, "bbox": box} for _, box in masses]
        pathologies = [pathology for pathology, _ in masses]
        lines.append(
            {
                "split": "train",
                "file": file,
                "patient": f"P_{patient}",
                "side": side,
                "view": view,
                "n_boxes": str(len(pathologies)),
                "malignant": str(int("MALIGNANT" in pathologies)),
                "pathology": "|".join(pathologies),
                "birads_assessment": "|".join("4" for _ in pathologies),
                "breast_density": "2",
                "subtlety": "|".join(str(n + 1) for n, _ in enumerate(pathologies)),
                "shape": "|".join("OVAL" for _ in pathologies),
                "margins": "|".join("N/A" for _ in pathologies),
            }
        )
    write_table(folder / "labels.csv", LABELS, lines)
    coco = {
        "categories": [{"id": 0, "name": "Mass"}],
        "images": [
            {"id": number, "file_name": file, "width": 80, "height": 80}
            for number, file in enumerate(images)
        ],
        "annotations": annotations,
    }
    (folder / "train" / "_annotations.coco.json").write_text(json.dumps(coco), encoding="utf-8")


def write_film(path: Path, pixels: NDArray[np.uint16]) -> None:
    """Write a film, a crop or a mask as the archive's DICOM files: 16 bits and no window."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid_for("cbis", path)
    image.PatientID, image.Modality = path.parent.name, "MG"
    image.Rows, image.Columns = pixels.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.PixelRepresentation = 0
    image.PixelData = pixels.astype("<u2").tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)


def write_archive(
    folder: Path,
    lines: Iterable[Mapping[str, str]],
    *,
    renamed: bool = False,
    swapped: bool = False,
) -> list[dict[str, str]]:
    """Write the folders of some abnormalities, and say the paths that their table would name.

    Newer downloads have other folders and files than the table says; in many lines crop and mask
    are taken for each other.
    """
    told = []
    for line in lines:
        kind = "Mass" if line["abnormality type"] == "mass" else "Calc"
        view = f"{line['patient_id']}_{line['left or right breast']}_{line['image view']}"
        film = f"{kind}-{line.get('split', 'Training')}_{view}"
        lesion = f"{film}_{line['abnormality id']}"
        rows, columns = map(int, line.get("size", "60 40").split())
        picture = np.arange(rows * columns, dtype=np.uint16).reshape(rows, columns)
        mask = np.zeros((rows - 1, columns), dtype=np.uint16)  # they differ by some pixels
        mask[20:30, 10:25] = 65535
        crop = picture[20:30, 10:25]
        first, second = (mask, crop) if swapped else (crop, mask)
        names = ("1-1.dcm", "1-2.dcm") if renamed else ("000000.dcm", "000001.dcm")
        below = "07-20-2016-DDSM-1/1.0-ROI mask images-2" if renamed else "1.3.6.1.1/1.3.6.1.2"
        write_film(folder / film / below / names[0], picture)
        write_film(folder / lesion / below / names[0], first)
        write_film(folder / lesion / below / names[1], second)
        paths = {
            "image file path": f"{film}/1.3.6.1.1/1.3.6.1.2/000000.dcm",
            "cropped image file path": f"{lesion}/1.3.6.1.1/1.3.6.1.2/000000.dcm\n",
            "ROI mask file path": f"{lesion}/1.3.6.1.1/1.3.6.1.2/000001.dcm\n",
        }
        told.append({k: v for k, v in line.items() if k not in {"split", "size"}} | paths)
    return told
