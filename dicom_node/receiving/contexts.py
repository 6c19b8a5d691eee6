"""Which objects and transfer syntaxes are accepted, on purpose.

What no network reads is taken as well, where a mammography device or a film scanner sends it with
the rest: it is kept, judged, and declined with a code. A refusal would end many a sender's job.

Of what a sender offers in one presentation context, the first of our list is taken. Nothing is
ever re-encoded here, so whatever is listed can be decoded later (pydicom with its wheels). Deflated
data sets are not listed: a small one may hold gigabytes.
"""

from collections.abc import Sequence

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    BreastProjectionXRayImageStorageForPresentation,
    BreastProjectionXRayImageStorageForProcessing,
    BreastTomosynthesisImageStorage,
    ComputedRadiographyImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
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
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
)
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

SOP_CLASSES: dict[UID, str] = {
    DigitalMammographyXRayImageStorageForPresentation: "Digital Mammography, For Presentation",
    DigitalMammographyXRayImageStorageForProcessing: "Digital Mammography, For Processing",
    BreastTomosynthesisImageStorage: "Breast Tomosynthesis",
    BreastProjectionXRayImageStorageForPresentation: "Breast Projection, For Presentation",
    BreastProjectionXRayImageStorageForProcessing: "Breast Projection, For Processing",
    ComputedRadiographyImageStorage: "Computed Radiography",
    DigitalXRayImageStorageForPresentation: "Digital X-Ray, For Presentation",
    DigitalXRayImageStorageForProcessing: "Digital X-Ray, For Processing",
    SecondaryCaptureImageStorage: "Secondary Capture",
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage: "Secondary Capture, 8 bits, frames",
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage: "Secondary Capture, 16 bits, frames",
    MultiFrameTrueColorSecondaryCaptureImageStorage: "Secondary Capture, color, frames",
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
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,  # last of the exact ones: private elements lose their VR
    JPEGLSNearLossless,  # with loss: only where the sender has nothing better
    JPEG2000,
    HTJ2K,
    JPEGExtended12Bit,
    JPEGBaseline8Bit,
)


_MOST_NAMED = 5
_NO_SYNTAX = 4  # PS3.8, table 9-18


def not_accepted(rejected: Sequence[PresentationContext]) -> str:
    """Say which objects, or which of their encodings, a sender offered in vain."""
    said = list(dict.fromkeys(_named(one) for one in rejected))
    more = f", and {len(said) - _MOST_NAMED} more" if len(said) > _MOST_NAMED else ""
    return ", ".join(said[:_MOST_NAMED]) + more


def _named(offered: PresentationContext) -> str:
    """Name a class; what is no UID might be anything, and is not repeated."""
    uid = offered.abstract_syntax
    name = uid.name if uid is not None and uid.is_valid else "a class that is no UID"
    return f"{name} (in other encodings)" if offered.result == _NO_SYNTAX else name


def contexts() -> list[PresentationContext]:
    """Build what the listener supports."""
    syntaxes = [str(syntax) for syntax in TRANSFER_SYNTAXES]
    storage = [build_context(str(sop_class), syntaxes) for sop_class in SOP_CLASSES]
    plain = [str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian)]
    return [build_context(str(Verification), plain), *storage]
