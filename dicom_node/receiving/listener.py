"""The C-STORE and C-ECHO service: takes images in, answers at once, never thinks.

Trouble becomes a DIMSE status and a sentence in the audit trail. The data set goes to the disk
as it comes; no pixel is parsed, and no study is held in memory.
"""

import resource
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pynetdicom import _config, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import PresentationContext
from sqlalchemy.exc import SQLAlchemyError

from dicom_node.errors import Busy, Declined, told
from dicom_node.ledger.arrivals import close_left_open
from dicom_node.ledger.ledger import Ledger
from dicom_node.ledger.tables import NAME_LENGTH
from dicom_node.life import Priority
from dicom_node.logs import log
from dicom_node.receiving.callers import (
    APPLICATION_UNKNOWN,
    DICOM_APPLICATION_CONTEXT,
    misfit,
    refusal,
)
from dicom_node.receiving.commitment import Committers, answerer, commitment_context
from dicom_node.receiving.connection import SUCCESS, Connection
from dicom_node.receiving.contexts import contexts, not_accepted
from dicom_node.receiving.incoming import IncomingFile
from dicom_node.receiving.keep import Envelope, keep
from dicom_node.receiving.places import Places
from dicom_node.receiving.port import cannot_listen
from dicom_node.receiving.server import Peer, Server
from dicom_node.receiving.sparing import Sparing
from dicom_node.receiving.tls import server_context
from dicom_node.receiving.visits import Visits
from dicom_node.receiving.wire import CutOff, Ended, Stop
from dicom_node.settings.receiving import Receiving
from dicom_node.spool import Spool

OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000
REJECTED_PERMANENT, REJECTED_TRANSIENT = 1, 2
MAXIMUM_PDU_BYTES = 128 << 10
LAST_IMAGE_SECONDS = 15.0  # for the images in flight when the node stops
LAST_WORD_SECONDS = 5.0

logger = log("receiving")


@dataclass
class Listener:
    """One listening address and what is done for those who connect."""

    receiving: Receiving
    ledger: Ledger
    spool: Spool
    number: int = 0  # of a process among several that share the port, from 1 on
    committers: Committers = field(default_factory=Committers)
    maximum_pdu_bytes: int = field(default=MAXIMUM_PDU_BYTES, init=False)
    handlers: Sequence[tuple[evt.EventType, Callable[[evt.Event], object]]] = field(
        default=(), init=False
    )
    tls: ssl.SSLContext | None = field(default=None, init=False)
    stopping: Stop = field(default_factory=Stop, init=False)
    _places: Places = field(init=False)
    _server: Server | None = field(default=None, init=False)
    _visits: Visits = field(init=False)
    _sparing: Sparing = field(default_factory=Sparing, init=False)

    @property
    def name(self) -> str:
        """Name this listener to people."""
        where = f"{self.receiving.address}:{self.receiving.port}"
        return f"{where}#{self.number}" if self.number else where

    @property
    def door(self) -> str:
        """Name it among the listeners of all machines: on each of them it may be at 0.0.0.0:104."""
        machine = socket.gethostname().partition(".")[0]
        return f"{self.name}@{machine}"[:NAME_LENGTH]

    @property
    def incoming(self) -> Path:
        """Name the folder of what is half received: each process has its own."""
        return self.spool.incoming / str(self.number) if self.number else self.spool.incoming

    @property
    def associate_seconds(self) -> float:
        """Say how long a connection may be without an association."""
        return self.receiving.associate_seconds

    @property
    def idle_seconds(self) -> float:
        """Say how long a connection may be silent."""
        return self.receiving.idle_seconds

    @property
    def most_bytes(self) -> int:
        """Say how large an object may be."""
        return self.receiving.max_object_megabytes << 20

    def start(self) -> None:
        """Listen; associations are served in threads of their own."""
        _config.LOG_HANDLER_LEVEL = "none"
        _allow_many_files()
        self.tls = server_context(self.receiving.tls) if self.receiving.tls else None
        self.spool.prepare()
        self.stopping = Stop()
        self._places = Places(self.receiving.max_associations)
        ae = Peer(ae_title=self.receiving.ae_title)
        ae.maximum_pdu_size = self.maximum_pdu_bytes
        ae.network_timeout = ae.dimse_timeout = self.receiving.idle_seconds
        self.handlers = (answerer(self.ledger, self.committers),)
        where = (self.receiving.address, self.receiving.port)
        try:
            self._server = Server(
                ae, where, self._offered(), self, self._places, shared=self.number > 0
            )
        except OSError as trouble:
            raise cannot_listen(self.receiving, trouble) from trouble
        # Not before the port is ours: what is half received there may be another's who has it.
        forgotten = self._forget_incoming()
        close_left_open(self.ledger, self.door, alone=not self.number)
        self._visits = Visits(self.ledger, self.door)
        self._server.open()
        self.ledger.record(
            "listening", f"{self.receiving.ae_title} at {self.name}", forgotten_files=forgotten
        )
        secure = self.tls is not None
        logger.info("listening", ae_title=self.receiving.ae_title, at=self.name, tls=secure)

    def _offered(self) -> list[PresentationContext]:
        return [*contexts(), *([commitment_context()] if self.committers.known else [])]

    def renew(self, receiving: Receiving, committers: Committers) -> None:
        """Have other settings for whoever comes from now on; who is connected keeps the old ones.

        The port, its certificate and its places are those of the start.
        """
        self.receiving, self.committers = receiving, committers
        self.handlers = (answerer(self.ledger, committers),)
        if self._server is not None:
            self._server.contexts = self._offered()
            self._server.ae.network_timeout = receiving.idle_seconds
            self._server.ae.dimse_timeout = receiving.idle_seconds

    def _forget_incoming(self) -> int:
        """Remove what an earlier run left half received, and leave the other processes' alone."""
        if not self.number:
            return self.spool.forget_incoming()
        self.incoming.mkdir(exist_ok=True)
        left = list(self.incoming.iterdir())
        for path in left:
            path.unlink(missing_ok=True)  # an earlier run may be about to end
        return len(left)

    def stop(self) -> None:
        """Stop taking in, at once; who is in the middle of an image may end it, and is answered."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        self.stopping.tell()
        self._wait_for_all(LAST_IMAGE_SECONDS)
        cut_off = self._places.everybody()
        for one in cut_off:
            one.push_out("the node stops")
        self._wait_for_all(LAST_WORD_SECONDS)
        self._visits.finish()
        logger.info("stopped listening", at=self.name, cut_off=len(cut_off))

    def _wait_for_all(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while len(self._places) and time.monotonic() < deadline:
            time.sleep(0.02)

    # --- associations -----------------------------------------------------------------------

    def judge(self, connection: Connection) -> tuple[int, int, int] | None:
        """Turn unknown callers away before anything is negotiated, and say why."""
        caller, called, address = connection.who
        request = connection.requestor.primitive
        assert request is not None
        malformed = misfit(request)
        if malformed is not None:
            raise CutOff(malformed, 6)
        verdict = refusal(self.receiving, caller, called, address)
        if verdict is not None and self.committers.admit(caller, called, address):
            connection.acceptor.supported_contexts, verdict = [commitment_context()], None
        result, source, reason = REJECTED_PERMANENT, 1, APPLICATION_UNKNOWN
        if request.application_context_name != DICOM_APPLICATION_CONTEXT:
            sentence = f"{caller} at {address} asked for an application that is not DICOM"
        elif verdict is not None:
            reason, sentence = verdict
        elif (full := self._full(connection)) is not None:
            result, source, reason = REJECTED_TRANSIENT, 3, 2
            sentence = f"{caller} at {address}: {full}"
        else:
            return None
        self._say_refused(sentence, caller, address)
        return result, source, reason

    def _full(self, connection: Connection) -> str | None:
        """Give a sender its place, or say why there is none."""
        if self._visits.is_full:
            return "the ledger has been away for long, and nobody else can be written down"
        return self._places.sit(connection)

    def let_in(self, connection: Connection) -> None:
        """Take note of the association: no study is complete while its sender is connected."""
        self._visits.came(connection, *connection.who)
        self._say_not_accepted(connection)

    def _say_not_accepted(self, connection: Connection) -> None:
        """Write down what a sender offered in vain: it may send less than it wanted to."""
        caller, _, address = connection.who
        what = not_accepted(connection.rejected_contexts)
        if not what:
            return
        may = self._sparing.may_say(f"{caller} at {address} offered {what}", address)
        if may is not None:
            logger.info("contexts not accepted", caller=caller, address=address, why=may)
            self._try_to_record("contexts not accepted", may)

    def gone(self, connection: Connection, ended: Ended) -> None:
        """Give the place back, and write down how the association ended."""
        was_in = self._visits.went(connection, ended)
        self._places.leave(connection)
        caller, _, address = connection.who
        if was_in:
            say = logger.info if ended.how == "released" else logger.warning
            say(f"association {ended.how}", caller=caller, address=address, why=ended.why)
        elif ended.why and ended.how != "lost":
            self._say_refused(
                f"{caller or 'a connection'} from {address}: {ended.why}", caller, address
            )

    def _say_refused(self, sentence: str, caller: str, address: str) -> None:
        """Write down who was not let in; of a flood of them, some."""
        may = self._sparing.may_say(sentence, address)
        if may is not None:
            logger.warning("association refused", caller=caller, address=address, why=may)
            self._try_to_record("association refused", may)

    # --- images -----------------------------------------------------------------------------

    def image_begins(
        self, connection: Connection, request: C_STORE, context: PresentationContext
    ) -> IncomingFile:
        """Open the file of an image, or none where it will be refused whatever it is."""
        del connection
        path = self.incoming / f"{uuid.uuid4().hex}.dcm"
        file = IncomingFile(path, self._known_refusal(request, context))
        if file.refusal is None:
            uids = (request.AffectedSOPClassUID, request.AffectedSOPInstanceUID)
            file.begin(str(uids[0]), str(uids[1]), str(context.transfer_syntax[0]))
        return file

    def image_is_here(
        self,
        connection: Connection,
        request: C_STORE,
        context: PresentationContext,
        file: IncomingFile | None,
    ) -> int:
        """Answer one C-STORE."""
        caller, _, address = connection.who
        envelope = Envelope(
            association_id=self._visits.row_of(connection),
            caller=caller,
            address=address,
            sop_class_uid=str(request.AffectedSOPClassUID or ""),
            sop_uid=str(request.AffectedSOPInstanceUID or ""),
            transfer_syntax_uid=str(context.transfer_syntax[0]),
            priority=Priority[self.receiving.priority_of(caller, address).upper()],
        )
        about = {"sop_uid": envelope.sop_uid, "caller": envelope.caller}
        try:
            kept = self._keep(file, envelope)
        except Busy as trouble:
            return self._answer(OUT_OF_RESOURCES, str(trouble), about)
        except Declined as answer:
            return self._answer(int(answer.code, 16), answer.sentence, about)
        except (SQLAlchemyError, OSError) as trouble:
            return self._answer(
                OUT_OF_RESOURCES, f"cannot keep it: {type(trouble).__name__}", about
            )
        except Exception as fault:  # noqa: BLE001 - a fault of ours is an answer too, not a silence
            logger.error("fault", why=told(fault), **about)
            return self._answer(CANNOT_UNDERSTAND, "a fault of the node; see its log", about)
        logger.info("image received" if kept else "duplicate received", **about)
        return SUCCESS

    def _keep(self, file: IncomingFile | None, envelope: Envelope) -> bool:
        if file is None:
            raise Declined("C000", "the request has no data set")
        if file.refusal is not None:
            raise file.refusal
        if file.trouble:
            raise Busy(f"the image could not be written: {file.trouble}")
        self._check_room()
        try:
            return keep(self.ledger, self.spool, file.path, envelope, file.digest, file.written)
        finally:
            file.close()

    def _known_refusal(self, request: C_STORE, context: PresentationContext) -> Exception | None:
        """Say what is wrong before the first byte of the data set."""
        if request.AffectedSOPInstanceUID is None:
            return Declined("0117", "the SOP Instance UID of the request is missing or invalid")
        if request.AffectedSOPClassUID != context.abstract_syntax:
            return Declined("A900", "the object is not of the class that was negotiated")
        try:
            self._check_room()
        except Busy as trouble:
            return trouble
        return None

    def _check_room(self) -> None:
        try:
            free = self.spool.free_bytes()
        except OSError as trouble:
            raise Busy(f"the spool cannot be asked for room: {trouble.strerror}") from trouble
        if free < self.receiving.reserve_megabytes << 20:
            raise Busy(f"less than {self.receiving.reserve_megabytes} MB are free")

    def _answer(self, status: int, sentence: str, about: dict[str, str]) -> int:
        """Say no, in the log and in the audit trail too."""
        logger.warning("image refused", status=f"{status:04X}", why=sentence, **about)
        self._try_to_record("image refused", f"{status:04X}: {sentence}", **about)
        return status

    def _try_to_record(self, what: str, sentence: str, **about: str) -> None:
        """Write to the audit trail; without a database the log alone has it."""
        with suppress(SQLAlchemyError):
            self.ledger.record(what, sentence, **about)


def _allow_many_files() -> None:
    """Take as many open files as the administrator allows: 1,024 are few for all the places."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
