"""Whom to call for a destination."""

from dataclasses import replace

from dicom_node.delivering.sender import Peer
from dicom_node.delivering.web import WebPeer
from dicom_node.ledger.commitments import places_open
from dicom_node.ledger.ledger import Ledger, now
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.roads import Place, forget_roads, wake_one
from dicom_node.settings.delivering import Destination
from dicom_node.settings.file import Settings


def destination_named(settings: Settings, name: str) -> Destination | None:
    """Find a destination by its name."""
    return next((one for one in settings.delivering.destinations if one.name == name), None)


def peer_of(settings: Settings, name: str, target: str) -> Peer | WebPeer | None:
    """Find out whom to call for a destination; `target` is a sender's AE@host:port."""
    destination = destination_named(settings, name)
    if destination is None:
        return None
    if destination.url is not None:
        return WebPeer(
            destination.url,
            destination.timeout_seconds,
            destination.user,
            destination.password,
            destination.token,
            destination.tls,
        )
    if destination.return_to_sender:
        if not target:  # it was an ordinary destination when the case was reported
            return None
        ae_title, _, place = target.rpartition("@")
        host, _, port = place.rpartition(":")
        return _peer(settings, destination, ae_title, host, int(port))
    assert destination.ae_title is not None
    assert destination.host is not None
    assert destination.port is not None
    return _peer(settings, destination, destination.ae_title, destination.host, destination.port)


def who_commits(settings: Settings, place: Place) -> Peer | None:
    """Find out whom to ask: often the archive itself, at times a neighbor of it."""
    peer = peer_of(settings, *place)
    destination = destination_named(settings, place[0])
    if destination is None or not destination.commitment or not isinstance(peer, Peer):
        return None
    return replace(
        peer,
        ae_title=destination.commitment_ae_title or peer.ae_title,
        port=destination.commitment_port or peer.port,
    )


def _peer(
    settings: Settings, destination: Destination, ae_title: str, host: str, port: int
) -> Peer:
    calling = destination.calling_ae_title or settings.receiving.ae_title
    return Peer(ae_title, host, port, calling, destination.timeout_seconds, destination.tls)


def road_of(settings: Settings, name: str, target: str) -> str | None:
    """Name the road to a destination, as the ledger does; destinations at one place share one."""
    peer = peer_of(settings, name, target)
    return None if peer is None else str(peer)


def places_at(questions: Questions, settings: Settings, road: str) -> list[Place]:
    """List who is owed something at the end of a road."""
    return [place for place in questions.owed_places() if road_of(settings, *place) == road]


def knock(ledger: Ledger, questions: Questions, settings: Settings) -> None:
    """Let one case try each closed road whose time has come, and forget roads that lead nowhere."""
    closed = {road.destination: road.due_at for road in questions.roads_down()}
    if not closed:
        return
    owed: dict[str, list[Place]] = {}
    for place in questions.owed_places():
        owed.setdefault(road_of(settings, *place) or "", []).append(place)
    places = {(one.name, "") for one in settings.delivering.destinations}
    known = {road_of(settings, *place) for place in places}
    committing = (who_commits(settings, one) for one in {*places, *places_open(questions)})
    known |= {str(peer) for peer in committing if peer is not None}
    forget_roads(ledger, {*owed, *(road for road in known if road)})
    for road, due_at in closed.items():
        if road in owed and due_at <= now():
            wake_one(ledger, owed[road])
