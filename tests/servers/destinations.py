"""Destinations that answer as they are told to, and cases that owe them something."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from free_ports import free_port
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification
from pynetdicom.transport import ThreadedAssociationServer
from small_images import file_of, mammogram

from dicom_node.delivering.deliver import deliver
from dicom_node.delivering.office import Office
from dicom_node.ledger.arrivals import Arrival, keep_row
from dicom_node.ledger.ledger import now
from dicom_node.ledger.tables import Delivery, Product
from dicom_node.life import VERBS, Receipt, State
from dicom_node.wiring import Node

# Elements that all our objects have, be they empty: what takes one back has to have them, too.
ALWAYS_THERE = dict.fromkeys(("StudyID", "AccessionNumber", "ReferringPhysicianName"), "")

# A test of a mechanism that lives in SQL runs on either database.
on_both = pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)


@dataclass
class Destination:
    """A small PACS: it keeps data sets as bytes and answers what the test wants."""

    ae_title: str
    port: int = field(default_factory=free_port)
    answers: list[int] = field(default_factory=list)  # the last one repeats; none: Success
    takes: Sequence[tuple[str, Sequence[str]]] = ()  # none: every storage class
    came: list[tuple[str, str, bytes]] = field(default_factory=list)
    callers: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)  # what it answered Success to
    _server: ThreadedAssociationServer | None = None

    @property
    def table(self) -> dict[str, object]:
        """Stand in the settings."""
        name = self.ae_title.lower()
        place = {"host": "127.0.0.1", "port": self.port, "timeout_seconds": 30.0}
        return {"name": name, "ae_title": self.ae_title, **place}

    @property
    def datasets(self) -> list[bytes]:
        return [content for _, _, content in self.came]

    def start(self) -> None:
        ae = AE(ae_title=self.ae_title)
        ae.require_called_aet = True
        ae.add_supported_context(Verification)
        for sop_class, syntaxes in self.takes:
            ae.add_supported_context(sop_class, list(syntaxes))
        if not self.takes:
            for context in AllStoragePresentationContexts:
                ae.add_supported_context(UID(str(context.abstract_syntax)), ALL_TRANSFER_SYNTAXES)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_ACCEPTED, self._accepted)]
        server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        assert isinstance(server, ThreadedAssociationServer)
        self._server = server

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _accepted(self, event: evt.Event) -> None:
        self.callers.append(event.assoc.requestor.ae_title.strip())

    def _store(self, event: evt.Event) -> int:
        content = event.request.DataSet.getvalue()
        uid, syntax = event.request.AffectedSOPInstanceUID, event.context.transfer_syntax
        self.came.append((str(uid), str(syntax), content))
        status = 0x0000
        if self.answers:
            status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if status == 0x0000:
            self.taken.add(str(uid))
        return status


class Posted:
    """A node with cases that are REPORTED, and owe objects to its destinations."""

    def __init__(self, node: Node) -> None:
        self.node = node
        node.spool.prepare()
        self.office = Office(node.ledger, node.questions, node.spool, node.settings)

    def case(self, objects: int = 2, target: str = "", **owed: object) -> int:
        """Make a case that owes some objects to every destination."""
        node = self.node
        image = mammogram()
        arrival = Arrival(
            association_id=None,
            caller="MG1",
            address="10.0.0.9",
            study_uid=str(image.StudyInstanceUID),
            series_uid="2.25.1",
            sop_uid=str(image.SOPInstanceUID),
            sop_class_uid=str(image.SOPClassUID),
            transfer_syntax_uid=str(ExplicitVRLittleEndian),
            view="LCC",
            size_bytes=1,
            digest="0" * 64,
        )
        with node.ledger.writing() as session:
            case_id = keep_row(node.ledger, session, arrival, "images/x").id
        node.ledger.move(case_id, State.RECEIVING, State.RECEIVED)
        self.report(case_id, objects, target, **owed)
        return case_id

    def report(self, case_id: int, objects: int = 2, target: str = "", **owed: object) -> None:
        """Bring a case that is RECEIVED to where it owes some objects to every destination."""
        node, at = self.node, now()
        case = node.questions.case(case_id)
        assert case is not None
        for verb in VERBS[:-1]:
            with node.ledger.turn(case_id, verb) as turn:
                pass
        for number in range(objects):
            made = mammogram(StudyInstanceUID=case.study_uid, **ALWAYS_THERE)
            content = file_of(made)
            path = node.spool.case_name(case_id, turn.lease, f"{number:02d}.dcm")
            product = Product(
                case_id=case_id,
                kind=f"kind_{number}",
                transfer_syntax_uid=str(ExplicitVRLittleEndian),
                sop_class_uid=str(made.SOPClassUID),
                sop_uid=str(made.SOPInstanceUID),
                series_uid="2.25.2",
                size_bytes=len(content),
                sha256=node.spool.write(path, content),
                path=path,
                made_at=at,
            )
            with node.ledger.writing() as session:
                session.add(product)
                for one in node.settings.delivering.destinations:
                    given = {"due_at": at, "owed_since": at, **owed}
                    session.add(
                        Delivery(
                            product=product,
                            case_id=case_id,
                            destination=one.name,
                            target=target if one.return_to_sender else "",
                            receipt=Receipt.OWED,
                            attempts=0,
                            last_error="",
                            **given,
                        )
                    )

    def deliver(self, case_id: int) -> None:
        """Take the case's turn."""
        deliver(self.office, case_id)

    def state(self, case_id: int) -> State:
        case = self.node.questions.case(case_id)
        assert case is not None
        return case.state

    def rows(self, case_id: int, name: str = "pacs") -> list[Delivery]:
        """Return what a case owes, or owed, to one destination."""
        debts = self.node.questions.debts_of(case_id)
        return [debt.delivery for debt in debts if debt.delivery.destination == name]

    def contents(self, case_id: int) -> list[bytes]:
        """Return the kept files of a case."""
        products = self.node.questions.products_of(case_id)
        return [self.node.spool.read(one.path, one.sha256) for one in products]
