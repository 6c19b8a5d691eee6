"""Syslog over TLS: RFC 5424 lines in RFC 5425 frames, to a collector that proves who it is."""

import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from dicom_node.errors import Busy
from dicom_node.settings.audit import Syslog

PRIORITY = 10 * 8 + 5  # authorization messages, notice
UTF_8 = "\ufeff"  # what follows is UTF-8 (RFC 5424, 6.4)
TIMEOUT_SECONDS = 10.0


def line(content: bytes, at: datetime, host: str, name: str, kind: str) -> bytes:
    """Write one message: its identity is stable, so that it may be sent twice."""
    when = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    head = f"<{PRIORITY}>1 {when} {host} fourviews {name} {kind} - {UTF_8}"
    return head.encode() + content


def framed(one: bytes) -> bytes:
    """Count octets before a message (RFC 5425, 4.3)."""
    return str(len(one)).encode() + b" " + one


@dataclass
class Collector:
    """A connection to whoever collects audit messages."""

    syslog: Syslog
    _connection: ssl.SSLSocket | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        try:
            try:
                self._connection = self._connected(ssl.TLSVersion.TLSv1_2)
            except ssl.SSLError as answer:
                if answer.reason != "TLSV1_ALERT_PROTOCOL_VERSION":
                    raise
                self._connection = self._connected(ssl.TLSVersion.TLSv1_3)
        except OSError as trouble:
            where = f"{self.syslog.host}:{self.syslog.port}"
            reason = trouble.strerror or type(trouble).__name__
            raise Busy(f"the collector at {where} cannot be reached: {reason}") from trouble
        return self

    def _connected(self, version: ssl.TLSVersion) -> ssl.SSLSocket:
        """Shake hands. In 1.2 it is sure then that the collector trusts us, in 1.3 not yet."""
        syslog = self.syslog
        context = ssl.create_default_context(cafile=syslog.ca)
        context.minimum_version = context.maximum_version = version
        if syslog.certificate is not None:
            context.load_cert_chain(syslog.certificate, syslog.key)
        plain = socket.create_connection((syslog.host, syslog.port), TIMEOUT_SECONDS)
        try:
            return context.wrap_socket(plain, server_hostname=syslog.host)
        except OSError:
            plain.close()
            raise

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def send(self, lines: Iterable[bytes]) -> None:
        """Send messages, and wait until the other side has taken their bytes.

        Syslog answers nothing. A collector that closes in good order has read what was sent.
        """
        assert self._connection is not None
        try:
            self._connection.sendall(b"".join(framed(one) for one in lines))
            _hand_over(self._connection)
        except OSError as trouble:
            raise Busy(f"the collector broke off: {type(trouble).__name__}") from trouble


def _hand_over(connection: ssl.SSLSocket) -> None:
    """Say that no more comes, and wait for the other side to say so, too.

    Many just hang up. Who trusted us in the handshake has read all before; in TLS 1.3 it may be how
    a collector says that it does not trust us.
    """
    trusted = connection.version() == "TLSv1.2"
    try:
        connection.unwrap()
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        if not trusted:
            raise
