"""The C-STORE and C-ECHO service: takes images in, answers at once, never thinks.

Trouble becomes a DIMSE status and a sentence in the audit trail. The data set goes to the disk
in chunks as it comes; no pixel is parsed, and no study is held in memory.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.transport import ThreadedAssociationServer
from sqlalchemy.exc import SQLAlchemyError

from dicom_node.errors import Busy, Declined, told
from dicom_node.ledger.arrivals import close_association, close_left_open, open_association
from dicom_node.ledger.ledger import Ledger
from dicom_node.logs import log
from dicom_node.receiving.callers import refusal
from dicom_node.receiving.contexts import contexts
from dicom_node.receiving.incoming import IncomingFile, write_to
from dicom_node.receiving.keep import Envelope, keep
from dicom_node.settings.receiving import Receiving
from dicom_node.spool import Spool

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000
REJECTED_PERMANENT, REJECTED_TRANSIENT = 1, 2
MAXIMUM_PDU_BYTES = 128 << 10
ASSOCIATE_SECONDS = 30.0

logger = log("receiving")


@dataclass
class Listener:
    """One listening address and what its handlers need."""

    receiving: Receiving
    ledger: Ledger
    spool: Spool
    _server: ThreadedAssociationServer | None = field(default=None, init=False)
    _open: dict[Association, int] = field(default_factory=dict, init=False)
    _unclosed: list[tuple[int, str]] = field(default_factory=list, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    @property
    def name(self) -> str:
        """Name this listener in the ledger."""
        return f"{self.receiving.address}:{self.receiving.port}"

    def start(self) -> None:
        """Listen; associations are served in threads of their own."""
        _config.STORE_RECV_CHUNKED_DATASET = True
        _config.ENFORCE_UID_CONFORMANCE = True
        self.spool.prepare()
        write_to(self.spool.incoming)
        forgotten = self.spool.forget_incoming()
        close_left_open(self.ledger, self.name)
        ae = AE(ae_title=self.receiving.ae_title)
        ae.supported_contexts = contexts()
        ae.maximum_pdu_size = MAXIMUM_PDU_BYTES
        ae.maximum_associations = self.receiving.max_associations + 100  # refused below, in words
        ae.acse_timeout = ae.connection_timeout = ASSOCIATE_SECONDS
        ae.dimse_timeout = ae.network_timeout = self.receiving.idle_seconds
        handlers: list[tuple[evt.EventType, Callable[[Event], object]]] = [
            (evt.EVT_REQUESTED, self._judge),
            (evt.EVT_ACCEPTED, self._let_in),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_ECHO, lambda _: SUCCESS),
            (evt.EVT_PDU_RECV, self._limit_size),
            (evt.EVT_RELEASED, lambda event: self._gone(event, "released")),
            (evt.EVT_ABORTED, lambda event: self._gone(event, "aborted")),
            (evt.EVT_CONN_CLOSE, lambda event: self._gone(event, "lost")),
        ]
        where = (self.receiving.address, self.receiving.port)
        try:
            server = ae.start_server(where, block=False, evt_handlers=handlers)  # type: ignore[arg-type]
        except OSError as trouble:
            sentence = f"receiving.address and port: {self.name} cannot be listened on"
            raise Busy(f"{sentence}: {trouble.strerror}") from trouble
        assert isinstance(server, ThreadedAssociationServer)
        self._server = server
        self.ledger.record(
            "listening", f"{self.receiving.ae_title} at {self.name}", forgotten_files=forgotten
        )
        logger.info("listening", ae_title=self.receiving.ae_title, at=self.name)

    def stop(self) -> None:
        """Stop taking in; who is connected is cut off, and sends again what was not answered."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None
            with self._lock:
                connected = list(self._open)
            for association in connected:
                association.abort()
            logger.info("stopped listening", at=self.name, cut_off=len(connected))

    # --- associations -----------------------------------------------------------------------

    def _judge(self, event: Event) -> None:
        """Turn unknown callers away before anything is negotiated, and say why."""
        caller, called, address = _who(event.assoc)
        verdict = refusal(self.receiving, caller, called, address)
        result, source, reason = REJECTED_PERMANENT, 1, 0
        if verdict is not None:
            reason, sentence = verdict
        elif len(self._open) >= self.receiving.max_associations:
            result, source, reason = REJECTED_TRANSIENT, 3, 2
            sentence = f"{caller} at {address}: {len(self._open)} senders are connected already"
        else:
            return
        logger.warning("association refused", caller=caller, address=address, why=sentence)
        event.assoc.acse.send_reject(result, source, reason)
        event.assoc.kill()
        self._try_to_record("association refused", sentence)

    def _let_in(self, event: Event) -> None:
        """Open the association's row; a study is not complete while a sender is connected."""
        self._close_rows()
        with suppress(SQLAlchemyError):  # the images themselves will be answered A700
            row = open_association(self.ledger, self.name, *_who(event.assoc))
            with self._lock:
                self._open[event.assoc] = row

    def _gone(self, event: Event, how: str) -> None:
        """Close the row, and forget what was half received."""
        message = event.assoc.dimse.message
        half = getattr(message, "_data_set_file", None)
        if isinstance(half, IncomingFile):
            half.discard()
        with self._lock:
            row = self._open.pop(event.assoc, None)
            if row is not None:
                self._unclosed.append((row, how))
        self._close_rows()

    def _close_rows(self) -> None:
        """Close the rows of those who have gone; without a database, when the next one comes."""
        with self._lock, suppress(SQLAlchemyError):
            while self._unclosed:
                close_association(self.ledger, *self._unclosed[0])
                del self._unclosed[0]

    # --- images -----------------------------------------------------------------------------

    def _limit_size(self, event: Event) -> None:
        """Cut off an object that never ends."""
        half = getattr(event.assoc.dimse.message, "_data_set_file", None)
        limit = self.receiving.max_object_megabytes << 20
        if isinstance(half, IncomingFile) and half.tell() > limit:
            event.assoc.dul.event_queue.put("Evt19")  # abort; doing it here would stall the thread

    def _store(self, event: Event) -> int:
        """Answer one C-STORE."""
        asked = event.request
        assert isinstance(asked, C_STORE)
        incoming: object = asked._dataset_file  # noqa: SLF001 - pynetdicom offers the path alone
        assert isinstance(incoming, IncomingFile)
        incoming.close()
        caller, _, address = _who(event.assoc)
        envelope = Envelope(
            association_id=self._open.get(event.assoc),
            caller=caller,
            address=address,
            sop_class_uid=str(asked.AffectedSOPClassUID),
            sop_uid=str(asked.AffectedSOPInstanceUID),
            transfer_syntax_uid=str(event.context.transfer_syntax),
        )
        about = {"sop_uid": envelope.sop_uid, "caller": envelope.caller}
        try:
            self._check_room(incoming)
            _check_class(envelope, str(event.context.abstract_syntax))
            kept = keep(self.ledger, self.spool, Path(incoming.name), envelope)
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

    def _check_room(self, incoming: IncomingFile) -> None:
        if incoming.trouble:
            raise Busy(f"the image could not be written: {incoming.trouble}")
        if self.spool.free_bytes() < self.receiving.reserve_megabytes << 20:
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


def _who(assoc: Association) -> tuple[str, str, str]:
    """Return the calling AE title, the called one, and the address."""
    asked = assoc.requestor.primitive
    assert asked is not None
    return asked.calling_ae_title.strip(), asked.called_ae_title.strip(), assoc.requestor.address


def _check_class(envelope: Envelope, negotiated: str) -> None:
    if envelope.sop_class_uid != negotiated:
        raise Declined("A900", "the object is not of the class that was negotiated")
