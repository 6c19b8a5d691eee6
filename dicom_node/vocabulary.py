"""The words by which a header says what it is: codes of views and modifiers, kinds, remarks.

Codes are known by their values alone: whether a device calls the scheme SCT, SRT or SNM3, the value
says which of the two numberings it is, SNOMED CT's or the older one.
"""

from pydicom.uid import (
    UID,
    BreastProjectionXRayImageStorageForPresentation,
    BreastProjectionXRayImageStorageForProcessing,
    BreastTomosynthesisImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
)

# What an image is, by its SOP class; the first two words a bundle's card may say that it reads.
KINDS: dict[UID, str] = {
    DigitalMammographyXRayImageStorageForPresentation: "mammogram",
    DigitalMammographyXRayImageStorageForProcessing: "for_processing",
    BreastTomosynthesisImageStorage: "tomosynthesis",
    BreastProjectionXRayImageStorageForPresentation: "breast_projection",
    BreastProjectionXRayImageStorageForProcessing: "breast_projection",
}
IN_WORDS = {
    "for_processing": "a For Processing image; the network reads For Presentation images",
    "tomosynthesis": "a tomosynthesis; the network reads single projections",
    "breast_projection": "a projection of a tomosynthesis; the network reads mammograms",
}

VIEWS: dict[str, str] = {  # CID 4014
    "399162004": "cranio-caudal",
    "R-10242": "cranio-caudal",
    "399368009": "medio-lateral oblique",
    "R-10226": "medio-lateral oblique",
    "399260004": "medio-lateral",
    "R-10224": "medio-lateral",
    "399352003": "latero-medial",
    "R-10228": "latero-medial",
    "399099002": "latero-medial oblique",
    "R-10230": "latero-medial oblique",
    "399196006": "caudo-cranial",
    "R-10244": "caudo-cranial",
    "399188001": "superolateral to inferomedial oblique",
    "R-102D0": "superolateral to inferomedial oblique",
    "441555000": "inferomedial to superolateral oblique",
    "R-40AAA": "inferomedial to superolateral oblique",
    "399192008": "exaggerated cranio-caudal, laterally",
    "R-1024A": "exaggerated cranio-caudal, laterally",
    "399101009": "exaggerated cranio-caudal, medially",
    "R-1024B": "exaggerated cranio-caudal, medially",
    "127457009": "tissue specimen",
    "G-8310": "tissue specimen",
}

MODIFIERS: dict[str, str] = {  # CID 4015, by the names that the settings use
    "399163009": "magnification",
    "R-102D6": "magnification",
    "399055006": "spot_compression",
    "R-102D7": "spot_compression",
    "399209000": "implant_displaced",
    "R-102D5": "implant_displaced",
    "399161006": "cleavage",
    "R-102D2": "cleavage",
    "399011000": "axillary_tail",
    "R-102D1": "axillary_tail",
    "399197002": "rolled_lateral",
    "R-102D3": "rolled_lateral",
    "399226006": "rolled_medial",
    "R-102D4": "rolled_medial",
    "414493004": "rolled_inferior",
    "R-102CA": "rolled_inferior",
    "415670009": "rolled_superior",
    "R-102C9": "rolled_superior",
    "399110001": "tangential",
    "R-102C2": "tangential",
    "442581004": "nipple_in_profile",
    "R-40AB3": "nipple_in_profile",
    "441752004": "anterior_compression",
    "P2-00161": "anterior_compression",
    "442593008": "inframammary_fold",
    "R-40ABE": "inframammary_fold",
    "442580003": "axillary_tissue",
    "R-40AB2": "axillary_tissue",
}
NEVER_READ = {"magnification", "spot_compression"}  # whatever the settings say
IMPLANT_DISPLACED = "implant_displaced"

# What ImageType says of images that are no ordinary mammograms.
SYNTHETIC = {"GENERATED_2D", "TOMOSYNTHESIS", "SYNTHESIZED_2D"}
SYNTHETIC_SERIES = ("C-VIEW", "CVIEW", "S-VIEW", "SVIEW", "SYNTHETIC*", "SYNTHESIZED*")
ASIDE = ("SCOUT", "STEREO")
CONTRAST = ("LOW_ENERGY", "HIGH_ENERGY", "RECOMBINED", "SUBTRACT", "POST_CONTRAST")

# What a sentence may repeat of a header: defined terms of the standard, and what devices write in
# their place. All else might be somebody's name, though it looks like a code.
_TERMS = {
    "Modality": (
        "AR, ASMT, AU, BDUS, BI, BMD, CFM, CR, CT, DG, DMS, DOC, DX, ECG, EEG, EMG, EOG, EPS, ES, "
        "FID, GM, HC, HD, IO, IVOCT, IVUS, KER, KO, LEN, LS, MG, MR, M3D, NM, OAM, OCT, OP, OPM, "
        "OPT, OPV, OSS, OT, PLAN, POS, PR, PT, PX, REG, RESP, RF, RG, RTDOSE, RTIMAGE, RTPLAN, "
        "RTRECORD, RTSTRUCT, RWV, SEG, SM, SMR, SR, SRF, STAIN, TG, US, VA, XA, XC"
    ),
    "BodyPartExamined": (
        "ABDOMEN, ARM, AXILLA, BREAST, CHEST, CSPINE, ELBOW, EXTREMITY, FEMUR, FOOT, FOREARM, "
        "HAND, HIP, HUMERUS, KNEE, LEG, LSPINE, LUNG, PELVIS, SHOULDER, SKULL, SPINE, STERNUM, "
        "THORAX, TSPINE, WHOLEBODY, WRIST"
    ),
    "ViewPosition": (
        "AP, PA, LL, RL, RLD, LLD, RLO, LLO, AT, CV, TAN, CC, MLO, ML, LM, LMO, FB, SIO, ISO, "
        "XCC, XCCL, XCCM"
    ),
    "ImageLaterality": "L, R, B, U",
    "PhotometricInterpretation": (
        "MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB, HSV, ARGB, CMYK, YBR_FULL, YBR_FULL_422, "
        "YBR_PARTIAL_420, YBR_ICT, YBR_RCT, XYB"
    ),
    "PresentationIntentType": "FOR PRESENTATION, FOR PROCESSING",
    "ExposureStatus": "NORMAL, ABORTED",
    "DetectorType": "DIRECT, SCINTILLATOR, STORAGE, FILM",
}
DEFINED_TERMS = {term for terms in _TERMS.values() for term in terms.split(", ")}
