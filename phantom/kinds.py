"""Specimens of what a mammography device sends, each by the name of its kind.

Four screening views are the rule. Devices also send scouts, spot views, raw data and stacks; some
patients have implants, or one breast; people mistype headers. Each kind is a study that shows one
of these, and says which rule of the node's it has to meet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from pydicom import Dataset, config

from phantom import changes
from phantom.changes import Change, both, described, modified, modified_outside, says, view
from phantom.dicom import datasets
from phantom.study import Study
from phantom.volumes import projection, tomosynthesis

Take = Callable[..., list[Dataset]]
"""Take the four views of a study; `for_processing=True` takes them raw."""
Make = Callable[[Take], list[Dataset]]

READ = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of study: how it is made, and what the node's rules make of it.

    A site may wish to let some kinds in, and others meet their rule only where a site wishes it:
    these wishes are `unless` and `when`, by the names of the site's settings.
    """

    name: str
    meets: str  # the code of the rule; READ where every image is read
    sentence: str
    make: Make = field(repr=False)
    unless: Mapping[str, object] = field(default_factory=dict)
    when: Mapping[str, object] = field(default_factory=dict)


def specimen(name: str, study: Study, *, preset: str = "plain") -> list[Dataset]:
    """Return the images of a kind of study, in the order in which a device would send them."""
    if name not in KINDS:
        raise ValueError(f"no kind {name!r}: ask for one of {', '.join(KINDS)}")
    return KINDS[name].make(partial(datasets, study, preset=preset, uid_salt=name))


def _every(change: Change) -> Make:
    """Make a study whose every image is changed."""
    return lambda take: [_changed(image, change) for image in take()]


def _last(change: Change) -> Make:
    """Make a study whose last view is changed."""

    def make(take: Take) -> list[Dataset]:
        *others, last = take()
        return [*others, _changed(last, change)]

    return make


def _extra(change: Change) -> Make:
    """Make a study with one image more than usual: the last view again, changed."""

    def make(take: Take) -> list[Dataset]:
        images = take()
        return [*images, _changed(changes.again(images[-1]), change)]

    return make


def _changed(image: Dataset, change: Change) -> Dataset:
    with config.disable_value_validation():  # what is mistyped is mistyped on purpose
        return change(image) or image


def _screening(take: Take) -> list[Dataset]:
    return take()


def _raw(take: Take) -> list[Dataset]:
    return take(for_processing=True)


def _raw_and_finished(take: Take) -> list[Dataset]:
    return [*take(for_processing=True), *take()]


def _one_breast(take: Take) -> list[Dataset]:
    return take()[1::2]


def _three_views(take: Take) -> list[Dataset]:
    return take()[:-1]


def _two_patients(take: Take) -> list[Dataset]:
    *others, last = take()
    last.PatientID, last.PatientName = f"{last.PatientID}-2", "Phantom^Another"
    return [*others, last]


def _contradicting(image: Dataset) -> None:
    if "ViewCodeSequence" in image:
        image.ViewPosition = "MLO" if image.PositionerPrimaryAngle == 0 else "CC"
    else:
        image.ViewCodeSequence = [changes.code("399162004", "cranio-caudal")]


def _side(one: str | None, other: str | None = None) -> Change:
    return says(ImageLaterality=one, Laterality=other)


_IMPLANT = says(BreastImplantPresent="YES")
_SYNTHETIC = says(ImageType=["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"])
_TABLE = (
    Kind("screening", READ, "the four views of a screening study", _screening),
    # What is no For Presentation mammogram.
    Kind("raw", "I01", "raw For Processing images alone", _raw),
    Kind("raw_beside", "I01", "each view twice, raw and finished", _raw_and_finished),
    Kind("tomosynthesis", "I01", "a stack of slices beside the views", _extra(tomosynthesis)),
    Kind("projection", "I01", "a breast projection beside the views", _extra(projection)),
    Kind("capture", "I01", "a screen shot beside the views", _extra(changes.captured)),
    Kind("radiograph", "I02", "an image of modality CR", _extra(says(Modality="CR"))),
    Kind(
        "intent",
        "I03",
        "a finished image that calls itself raw",
        _extra(says(PresentationIntentType="FOR PROCESSING")),
    ),
    Kind("chest", "I04", "an image of the chest", _extra(says(BodyPartExamined="CHEST"))),
    # What says too little of itself.
    Kind("no_patient_id", "I05", "images without a patient ID", _every(says(PatientID=""))),
    Kind("blank_maker", "I05", "a maker of blanks only", _every(says(Manufacturer="   "))),
    Kind("no_model", "I05", "no model of the device", _every(says(ManufacturerModelName=None))),
    Kind("no_study_date", "I05", "images without a study date", _every(says(StudyDate=None))),
    # What was taken for another purpose.
    Kind(
        "scout",
        "I06",
        "a scout of a stereotactic biopsy",
        _extra(says(ImageType=["ORIGINAL", "PRIMARY", "STEREO_SCOUT"])),
    ),
    Kind(
        "stereo",
        "I06",
        "one image of a stereo pair",
        _extra(says(ImageType=["ORIGINAL", "PRIMARY", "STEREO_PLUS"])),
    ),
    Kind(
        "synthetic",
        "I06",
        "synthetic 2D images of tomosyntheses",
        _every(_SYNTHETIC),
        unless={"synthetic_2d": True},
    ),
    Kind("quality", "I07", "a phantom of the physicist's", _extra(says(QualityControlImage="YES"))),
    Kind(
        "lossy",
        "I08",
        "images compressed with loss, as their transfer syntax says",
        _every(changes.with_loss),
        unless={"lossy": True},
    ),
    Kind(
        "lossy_once",
        "I08",
        "images once compressed with loss, as their header says",
        _every(
            says(
                LossyImageCompression="01",
                LossyImageCompressionMethod="ISO_14495_1",
                LossyImageCompressionRatio=5,
            )
        ),
        unless={"lossy": True},
    ),
    # What has other pixels.
    Kind("small", "I09", "an image of too few pixels", _extra(changes.small)),
    Kind("frames", "I09", "a mammogram that counts two frames", _extra(says(NumberOfFrames=2))),
    Kind("eight_bits", "I10", "an image of eight bits", _extra(changes.in_eight_bits)),
    Kind("color", "I10", "an image in color", _extra(changes.in_color)),
    # What shows another side or view.
    Kind("both_sides", "I11", "an image of both breasts", _extra(_side("B"))),
    Kind("no_side", "I11", "an image of no side", _extra(_side(None))),
    Kind("two_sides", "I11", "an image that says L and R", _extra(_side("L", "R"))),
    Kind(
        "lateral",
        "I12",
        "a medio-lateral view beside the four",
        _extra(view("399260004", "medio-lateral")),
    ),
    Kind(
        "exaggerated",
        "I12",
        "an exaggerated cranio-caudal view",
        _extra(view("399192008", "cranio-caudal exaggerated laterally")),
    ),
    Kind("two_views", "I12", "an image of two view codes", _extra(changes.two_views)),
    Kind(
        "two_words",
        "I12",
        "an image of one view by its code, of another by its text",
        _extra(_contradicting),
    ),
    Kind(
        "no_view", "I12", "an image of no view", _extra(says(ViewCodeSequence=[], ViewPosition=""))
    ),
    # What shows the view in another way.
    Kind(
        "spot",
        "I13",
        "a spot compression view",
        _extra(modified("399055006", "Spot compression")),
    ),
    Kind(
        "magnified",
        "I13",
        "a magnified view, by its modifier",
        _extra(modified("399163009", "Magnification")),
    ),
    Kind(
        "magnified_outside",
        "I13",
        "a magnified view, by a modifier beside the view's code",
        _extra(modified_outside("399163009", "Magnification")),
    ),
    Kind(
        "magnified_by_factor",
        "I13",
        "a magnified view, by nothing but its factor",
        _extra(says(EstimatedRadiographicMagnificationFactor=1.8)),
    ),
    Kind("cleavage", "I13", "a cleavage view", _extra(modified("399161006", "Cleavage"))),
    Kind("axillary", "I13", "an axillary tail", _extra(modified("399011000", "Axillary tail"))),
    Kind("rolled", "I13", "a rolled view", _extra(modified("399197002", "Rolled lateral"))),
    Kind("tangential", "I13", "a tangential view", _extra(modified("399110001", "Tangential"))),
    Kind(
        "displaced",
        "I13",
        "implants, pushed back for the views",
        _every(both(_IMPLANT, modified("399209000", "Implant displaced"))),
        unless={"implant_displaced": True},
    ),
    Kind(
        "nipple",
        READ,
        "views whose nipple is in profile, by a modifier",
        _every(modified("442581004", "Nipple in profile")),
    ),
    Kind(
        "partial",
        "I14",
        "a view of a part of the breast",
        _last(says(PartialView="YES")),
        unless={"partial_views": True},
    ),
    Kind(
        "implant",
        "I15",
        "implants that lie in the views",
        _every(_IMPLANT),
        unless={"implants": True},
    ),
    Kind("aborted", "I16", "an exposure that was ended", _extra(says(ExposureStatus="ABORTED"))),
    # What only the description tells.
    Kind("contrast_low", "I17", "the low energy of a contrast study", _extra(described("(LE)"))),
    Kind("contrast_high", "I17", "the high energy of one", _extra(described("(HE)"))),
    Kind("contrast", "I17", "what contrast medium showed", _extra(described("(DES)"))),
    Kind("specimen", "I17", "a specimen, on its table", _extra(described("SPECIMEN"))),
    Kind("biopsy", "I17", "a view of a biopsy", _extra(described("Biopsy"))),
    Kind("wire", "I17", "a view with a wire in it", _extra(described("Wire"))),
    Kind("spot_described", "I17", "a spot view, by its description", _extra(described("SPOT"))),
    Kind("mag_described", "I17", "a magnified view, by its description", _extra(described("MAG"))),
    # What another device or another way made.
    Kind(
        "film",
        "I20",
        "digitized films",
        _every(says(DetectorType="FILM")),
        when={"detectors": ["DIRECT", "SCINTILLATOR", ""]},
    ),
    Kind(
        "plate",
        "I20",
        "views from storage phosphor plates",
        _every(says(DetectorType="STORAGE")),
        when={"detectors": ["DIRECT", "SCINTILLATOR", ""]},
    ),
    Kind(
        "unlisted_maker",
        "I21",
        "views of a maker that the site does not name",
        _every(says(Manufacturer="Another")),
        when={"manufacturers": ["Phantom"]},
    ),
    Kind(
        "contrast_agent",
        "I22",
        "images with a contrast agent",
        _every(says(ContrastBolusAgent="IOPAMIDOL")),
        unless={"contrast": True},
    ),
    Kind(
        "low_energy",
        "I22",
        "low energy images of a contrast study",
        _every(says(ImageType=["DERIVED", "PRIMARY", "", "LOW_ENERGY"])),
        unless={"contrast": True},
    ),
    Kind(
        "burned_in",
        "I24",
        "views said to bear the patient's name in their pixels",
        _every(says(BurnedInAnnotation="YES")),
        unless={"burned_in": True},
    ),
    # What cannot be shown.
    Kind("blank", "I18", "an exposure of nothing", _last(changes.blank)),
    Kind("cut_short", "I18", "an image that lost half its pixels", _last(changes.cut_short)),
    Kind(
        "dark",
        "I18",
        "an image that was hardly exposed",
        _last(changes.dark),
        unless={"brightest_min": 0.0},
    ),
    Kind(
        "undecodable",
        "I19",
        "a transfer syntax that nobody decodes",
        _last(changes.in_a_syntax_nobody_decodes),
    ),
    # What is wrong with the study, each of its images being right.
    Kind("two_patients", "S01", "a view of another patient among the views", _two_patients),
    Kind(
        "one_breast",
        "S02",
        "two views of the one breast there is",
        _one_breast,
        when={"incomplete_studies": False},
    ),
    Kind(
        "incomplete",
        "S02",
        "three views, as if one were to come",
        _three_views,
        when={"incomplete_studies": False},
    ),
    Kind("repeated", "S03", "a view that was taken twice", _extra(says())),
    Kind(
        "young",
        "S04",
        "a patient of 17 years",
        _every(says(PatientAge="017Y")),
        when={"age_min": 40},
    ),
    Kind("male", "S04", "a male patient", _every(says(PatientSex="M")), when={"sexes": ["F"]}),
)
KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _TABLE})
