"""Run the status page: a process of its own, so that nothing that hits it hits the listener."""

import socket
import ssl
import threading

from dicom_node.errors import Busy, Misconfigured
from dicom_node.logs import log
from dicom_node.settings.watching import Page
from dicom_node.watching.page.server import CONNECTIONS, serve
from dicom_node.watching.page.site import Site
from dicom_node.wiring import Node

logger = log("page")


def show_page(node: Node, stop: threading.Event) -> None:
    """Serve the page until told to stop."""
    page = node.settings.watching.page
    if not page.users:
        raise Misconfigured(["watching.page: nobody could log in: add a user; see node.toml"])
    tls = _tls(page)
    site = Site(node, page)
    where = f"{page.address}:{page.port}"
    try:
        listening = _listening(page)
    except OSError as trouble:
        sentence = f"watching.page.address and port: {where} cannot be listened on"
        raise Busy(f"{sentence}: {trouble.strerror}") from trouble
    with listening:
        logger.info("the status page is served", at=where, tls=tls is not None)
        serve(listening, tls, site.answer, stop)


def _listening(page: Page) -> socket.socket:
    family = socket.AF_INET6 if ":" in page.address else socket.AF_INET
    return socket.create_server((page.address, page.port), family=family, backlog=CONNECTIONS)


def _tls(page: Page) -> ssl.SSLContext | None:
    """Load certificate and key."""
    if page.certificate is None or page.private_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(page.certificate, page.private_key, password="")
    except (OSError, ssl.SSLError) as fault:
        sentence = "certificate and private_key cannot be used together"
        raise Misconfigured([f"watching.page: {sentence}: {type(fault).__name__}"]) from fault
    return context
