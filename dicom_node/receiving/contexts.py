"""Which objects and transfer syntaxes are accepted, on purpose.

Of what a sender offers in one presentation context, the first of our list is taken. Nothing is
ever re-encoded here, so whatever is listed can be decoded later (pydicom with its wheels).
"""

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    BreastTomosynthesisImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

SOP_CLASSES: dict[UID, str] = {
    DigitalMammographyXRayImageStorageForPresentation: "Digital Mammography, For Presentation",
    DigitalMammographyXRayImageStorageForProcessing: "Digital Mammography, For Processing",
    BreastTomosynthesisImageStorage: "Breast Tomosynthesis",
    SecondaryCaptureImageStorage: "Secondary Capture",
}

TRANSFER_SYNTAXES: tuple[UID, ...] = (
    ExplicitVRLittleEndian,  # first: a sender that offers it with others need not compress
    JPEGLosslessSV1,  # then what loses nothing
    JPEGLossless,
    JPEGLSLossless,
    JPEG2000Lossless,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    RLELossless,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,  # last of the exact ones: private elements lose their VR
    JPEGLSNearLossless,  # with loss: only where the sender has nothing better
    JPEG2000,
    HTJ2K,
    JPEGExtended12Bit,
    JPEGBaseline8Bit,
)


def contexts() -> list[PresentationContext]:
    """Build what the listener supports."""
    syntaxes = [str(syntax) for syntax in TRANSFER_SYNTAXES]
    storage = [build_context(str(sop_class), syntaxes) for sop_class in SOP_CLASSES]
    plain = [str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian)]
    return [build_context(str(Verification), plain), *storage]
