"""Is everything in place? Each question with its answer and, where it is no, what to do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from errno import EADDRINUSE
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.x509 import load_pem_x509_certificates
from sqlalchemy.exc import SQLAlchemyError

from dicom_node.analyzing import deciding
from dicom_node.auditing.hardening import may_rewrite
from dicom_node.delivering.asking import ask as call
from dicom_node.delivering.places import peer_of
from dicom_node.doorbell import NO_EVICTION, listen_for_answer
from dicom_node.errors import Busy, Misconfigured
from dicom_node.ledger.engine import shown, without_secrets
from dicom_node.receiving.port import try_port
from dicom_node.receiving.tls import last_day, server_context
from dicom_node.settings.delivering import TELL_OF_NO_RESULT, TELL_OF_NOTHING_FOUND
from dicom_node.settings.file import Settings
from dicom_node.settings.secrets import is_loopback
from dicom_node.watching.disk import advice
from dicom_node.watching.images import ask_for_images
from dicom_node.watching.reach import WARNING, who_connects
from dicom_node.wiring import BEGINS_HERE, Node, newest_revision, revision

SOON_DAYS = 30
IMAGES = "are the received images there?"
FAR_FROM_SCREENING = 0.05  # screening finds a cancer in 5 to 10 of 1,000 exams
TELL = {  # of what, and which objects do
    "have no findings": TELL_OF_NOTHING_FOUND,
    "were declined or failed": TELL_OF_NO_RESULT,
}
ENCRYPTED = {"require", "verify-ca", "verify-full"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One question, whether all is well, and a sentence."""

    question: str
    good: bool
    sentence: str
    warning: bool = False  # good enough to run, and still to be thought about


def checkup(node: Node, *, deep: bool = False) -> Iterator[Answer]:
    """Ask everything, one after the other; `deep` reads every image whole."""
    for question, ask in (QUESTIONS | {IMAGES: partial(_images, deep=deep)}).items():
        try:
            sentence = ask(node)
            yield Answer(question, True, sentence, sentence.startswith(WARNING))
        except SQLAlchemyError as trouble:
            yield Answer(question, False, without_secrets(node.engine.url, str(trouble)))
        except (Misconfigured, Busy, OSError) as trouble:
            yield Answer(question, False, str(trouble))
    for destination in node.settings.delivering.destinations:
        yield _destination(node.settings, destination.name)


def _packages(_: Node) -> str:
    """See that another distribution's `inference` does not stand in for ours."""
    here = Path(__file__).resolve().parents[2]
    for name in ("inference", "train", "phantom"):
        spec = find_spec(name)
        where = Path(str(spec.origin)).resolve().parents[1] if spec else "nowhere"
        if where != here:
            raise Misconfigured(
                [f"{name} comes from {where}: install the node in a venv of its own"]
            )
    return f"the packages lie side by side in {here}"


def _data(node: Node) -> str:
    probe = node.settings.data / ".probe"
    node.settings.data.mkdir(parents=True, exist_ok=True)
    probe.write_bytes(b"probe")
    probe.unlink()
    free = node.spool.free_bytes() >> 20
    reserve = node.settings.receiving.reserve_megabytes
    if free < reserve:
        sentence = (
            f"{free} MB are free and receiving.reserve_megabytes is {reserve}: "
            "every image will be refused (A700); make room or lower the reserve"
        )
        raise Misconfigured([sentence])
    told = (f"{node.settings.data} can be written, {free} MB free", node.spool.ask())
    named, warnings = node.settings.node.data, []
    if free < node.settings.receiving.warns_below:
        below = f"images are refused below {reserve} MB"
        warnings.append(f"{below}: {advice(node.settings.receiving)}")
    if not named.expanduser().is_absolute():
        warnings.append(BEGINS_HERE.format(named))
    return (WARNING if warnings else "") + "; ".join(filter(None, (*told, *warnings)))


def _ledger(node: Node) -> str:
    have, want = revision(node), newest_revision(node)
    where = shown(node.engine.url)
    if have is None:
        return f"{where} is empty; the first start makes its tables (revision {want})"
    if have != want:
        raise Misconfigured(
            [f"{where} is at revision {have}, not {want}: run `dicom-node migrate`"]
        )
    return f"{where} is at revision {have}"


def _images(node: Node, *, deep: bool = False) -> str:
    if revision(node) != newest_revision(node):
        return "asked once the ledger is up to date"
    return ask_for_images(node, deep=deep)


def _trail(node: Node) -> str:
    if revision(node) is None:
        return "there is none yet"
    if node.engine.dialect.name == "sqlite":
        return "the database refuses; what the file's owner could do, `audit verify` notices"
    if may_rewrite(node.engine):
        return f"{WARNING}by this account; `dicom-node audit harden` makes one that cannot"
    return "not by this account"


def _road(node: Node) -> str:
    """See that what goes to a server beyond this machine is encrypted."""
    database, broker = node.engine.url, node.settings.broker_url
    bare = []
    if database.get_backend_name() == "postgresql":
        hosts = str(database.host or database.query.get("host") or "localhost").split(",")
        here = all(host.startswith("/") or is_loopback(host) for host in hosts)
        if not here and database.query.get("sslmode") not in ENCRYPTED:
            bare.append("node.database: add ?sslmode=verify-full to it")
    for one in broker.split(";"):
        if one.startswith("redis://") and not is_loopback(urlsplit(one).hostname or "localhost"):
            bare.append("node.broker: write rediss:// for Redis over TLS")
        if "ssl_cert_reqs=none" in one.lower():
            bare.append("node.broker: without ssl_cert_reqs=none it knows whom it talks to")
    if bare:
        return f"{WARNING}the way there can be listened to; {'; '.join(bare)}"
    return "nothing leaves this machine in the clear"


def _bell(node: Node) -> str:
    said = listen_for_answer(node.settings)
    return f"{WARNING}{said}" if NO_EVICTION in said else said


def _bundle(node: Node) -> str:
    sentences = [
        f"{card.name} {card.version} ({card.system}), "
        f"weights {card.weights_sha256[:12]} as in its card"
        for card in node.cards
    ]
    analyzing = node.settings.analyzing
    lines = [
        line
        for point in deciding.points_asked(analyzing)
        for theirs, ours in [deciding.corrections(analyzing, node.cards, point)]
        for line in (*theirs, ours)
    ]
    whys = dict.fromkeys(line.why for line in lines if line is not None)
    sentences += [f"scores are corrected: {why}" for why in whys]
    weights = deciding.weights_of(node.cards)
    others = sum(line.digest != weights for line in analyzing.calibrations)
    sentences += [f"analyzing.calibrations: {others} for other weights"] if others else []
    waits = node.models.serving.waits
    warned = [*([waits] if waits else []), *deciding.idle(analyzing, node.cards)]
    return (WARNING if warned else "") + "; ".join([*warned, *sentences])


def _scores(node: Node) -> str:
    """See that scores do not speak of patients among whom cancer is far more common than here."""
    try:
        fitted = deciding.calibrated_at(node.settings.analyzing, node.cards)
    except Misconfigured:
        return "asked once the bundle is sound"
    here = node.settings.analyzing.prevalence
    if here:
        return f"analyzing.prevalence says that {100 * here:.3g} % of the exams hold a cancer"
    far = [
        f"{who} is calibrated where {100 * part:.0f} % of the exams hold a cancer"
        for who, part in fitted.items()
        if part >= FAR_FROM_SCREENING
    ]
    if not far:
        return "they are taken as the card has them"
    return (
        f"{WARNING}{'; '.join(far)}: where far fewer do, as in screening, every cancer score is "
        "too high; write the part of your exams that does into analyzing.prevalence"
    )


def _device(node: Node) -> str:
    return node.try_device()


def _callers(node: Node) -> str:
    receiving = node.settings.receiving
    if receiving.any_caller:
        return "anybody may send (receiving.any_caller is true)"
    if not receiving.callers:
        raise Misconfigured(["nobody may send: add a [[receiving.callers]] table"])
    return ", ".join(caller.ae_title for caller in receiving.callers)


def _tls(node: Node) -> str:
    tls = node.settings.receiving.tls
    if tls is None:
        if is_loopback(node.settings.receiving.address):
            return "images come from this machine alone"
        return f"{WARNING}images come in the clear: a [receiving.tls] table would encrypt them"
    server_context(tls)
    left = (last_day(tls) - datetime.now(UTC)).days
    warned = WARNING if left < SOON_DAYS else ""
    who = "only from senders with a certificate" if tls.mutual else "from anybody who speaks TLS"
    return f"{warned}images come encrypted, {who}; the node's certificate is good for {left} days"


def _port(node: Node) -> str:
    """See that the port can be had, or that it is this node who has it."""
    receiving = node.settings.receiving
    try:
        try_port(receiving)
    except Busy as trouble:
        if not isinstance(trouble.__cause__, OSError) or trouble.__cause__.errno != EADDRINUSE:
            raise
        return f"port {receiving.port} is taken: by the running node, else by a stranger"
    return f"{receiving.address}:{receiving.port} is free"


def _destinations(node: Node) -> str:
    names = [destination.name for destination in node.settings.delivering.destinations]
    if not names:
        raise Misconfigured(
            ["results go nowhere: add a [[delivering.destinations]] table to the settings"]
        )
    return ", ".join(names)


def _silence(node: Node) -> str:
    """Say where silence would be taken for a study without findings."""
    reporting, destinations = node.settings.reporting, node.settings.delivering.destinations
    silent = []
    for one in destinations:
        if unheard := [what for what, tell in TELL.items() if not tell & {*one.objects}]:
            hears = f"hears nothing of studies that {' or '.join(unheard)}"
            silent.append(f"{one.name} ({', '.join(one.objects)}) {hears}")
    if silent:
        mend = 'add "cad_sr" or "secondary_capture" to its objects: silence there means nothing'
        return f"{WARNING}{'; '.join(silent)}; {mend}"
    wishes = {"declined": reporting.tell_declined, "failed": reporting.tell_failed}
    if untold := [state for state, is_told in wishes.items() if not is_told]:
        keys = " and ".join(f"reporting.tell_{state} = false" for state in untold)
        return f"{WARNING}nobody hears of studies that were {' or '.join(untold)}: {keys}"
    return "everybody hears of studies that have no findings, and of those that have no result"


def _destination(settings: Settings, name: str) -> Answer:
    """Call one destination."""
    question = f"does {name} answer?"
    destination = next(one for one in settings.delivering.destinations if one.name == name)
    if destination.return_to_sender:
        return Answer(question, True, "it is whoever sends; known when a study comes")
    peer = peer_of(settings, name, "")
    assert peer is not None
    try:
        call(peer)
    except Busy as trouble:
        return Answer(question, False, str(trouble))
    own = destination.tls.certificate if destination.tls is not None else None
    if own is None:
        return Answer(question, True, f"{peer} answers")
    first = load_pem_x509_certificates(own.read_bytes())[0]
    left = (first.not_valid_after_utc - datetime.now(UTC)).days
    said = f"{peer} answers; the node's certificate for it is good for {left} days"
    return Answer(question, True, said, warning=left < SOON_DAYS)


QUESTIONS: dict[str, Callable[[Node], str]] = {
    "are the packages ours?": _packages,
    "can data be kept?": _data,
    "is the ledger up to date?": _ledger,
    IMAGES: _images,
    "can the audit trail be rewritten?": _trail,
    "are the ways to ledger and bell private?": _road,
    "does the bell ring?": _bell,
    "is the bundle sound?": _bundle,
    "do scores fit who is read here?": _scores,
    "can the device compute?": _device,
    "can the port be listened on?": _port,
    "who may send?": _callers,
    "can they connect?": who_connects,
    "do images come encrypted?": _tls,
    "where do results go?": _destinations,
    "is silence told from no findings?": _silence,
}
