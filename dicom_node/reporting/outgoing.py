"""What leaves the workshop: objects for the spool, and whom each is owed to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.ledger import Ledger, Turn, now
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.tables import Delivery, Instance, Product
from dicom_node.life import Receipt
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker, maker_of
from dicom_node.reporting.profile import Profile, profile_of
from dicom_node.reporting.report import Built
from dicom_node.settings.delivering import Destination
from dicom_node.settings.file import Settings
from dicom_node.spool import Spool
from inference.bundle import Card

DICOM_PORT = 104  # where no table of the callers says otherwise


def _nobody_reads() -> Sequence[Card]:
    return ()


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the reporting of a case needs."""

    ledger: Ledger
    questions: Questions
    spool: Spool
    settings: Settings
    code_version: str
    cards: Callable[[], Sequence[Card]] = _nobody_reads  # of the bundles that were to read


@dataclass(frozen=True, slots=True)
class Wish:
    """A kind of object, for destinations that want it or, for a notice, what it stands for."""

    kind: str
    wanted: str
    operating_point: str = ""  # at which the study was read

    def profile(self, shop: Workshop, destination: Destination) -> Profile:
        """Return how a destination wants it."""
        reporting = shop.settings.reporting
        return profile_of(destination, reporting, self.operating_point).of(self.kind)


def profiles_for(shop: Workshop, wish: Wish) -> list[Profile]:
    """List in which ways the destinations want a kind of object, each way once."""
    wanted = {
        wish.profile(shop, one)
        for one in shop.settings.delivering.destinations
        if wish.wanted in one.objects
    }
    return sorted(wanted, key=lambda profile: profile.words)


def maker_for(shop: Workshop, profile: Profile) -> Maker:
    """Name the device as a destination knows it."""
    own = maker_of(shop.settings.reporting, shop.code_version)
    return replace(
        own,
        manufacturer=profile.manufacturer or own.manufacturer,
        model=profile.model or own.model,
    )


def kept(shop: Workshop, turn: Turn, built: Built, profile: Profile, name: str) -> Product:
    """Write an object to the spool and describe it."""
    dataset, content = built.dataset, encoded(built.dataset)
    path = shop.spool.case_name(turn.case_id, turn.lease, name)
    digest = shop.spool.write(path, content)
    about = {"kind": built.kind, "sop_uid": str(dataset.SOPInstanceUID), "sha256": digest}
    turn.details.setdefault("built", []).append(about)
    return Product(
        case_id=turn.case_id,
        kind=built.kind,
        profile=profile.words,
        transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
        sop_class_uid=str(dataset.SOPClassUID),
        sop_uid=str(dataset.SOPInstanceUID),
        series_uid=str(dataset.SeriesInstanceUID),
        size_bytes=len(content),
        sha256=digest,
        path=path,
        made_at=by_the_clock(),
    )


def owed(
    shop: Workshop, images: Sequence[Instance], product: Product, wish: Wish
) -> list[Delivery]:
    """Owe an object to each destination that wants such a kind, made in this way."""
    at = now()
    return [
        Delivery(
            product=product,
            case_id=product.case_id,
            destination=destination.name,
            target=_sender(shop, images) if destination.return_to_sender else "",
            receipt=Receipt.OWED,
            attempts=0,
            due_at=at,
            owed_since=at,
            last_error="",
        )
        for destination in shop.settings.delivering.destinations
        if wish.wanted in destination.objects
        and wish.profile(shop, destination).words == product.profile
    ]


def _sender(shop: Workshop, images: Sequence[Instance]) -> str:
    """Name whoever sent the last image, as AE@host:port."""
    last = images[-1]
    table = shop.settings.receiving.caller_at(last.caller, last.address)
    return f"{last.caller}@{last.address}:{table.return_port if table else DICOM_PORT}"
