"""What a sender that comes over TLS has to bring (PS3.15 B.9: BCP 195), and what it is shown."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificates

from dicom_node.errors import Misconfigured
from dicom_node.settings.receiving import TLS

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all good
TABLE = "receiving.tls"


def server_context(tls: TLS) -> ssl.SSLContext:
    """Load certificate, key and authorities, or say what is wrong with them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    last_day(tls)
    locked = b"ENCRYPTED" in _readable(tls.private_key, "private_key")
    try:
        context.load_cert_chain(tls.certificate, tls.private_key, password=lambda: _password(tls))
    except ssl.SSLError as fault:
        raise Misconfigured(
            [f"{TABLE}.private_key: {tls.private_key}: {_said(fault, locked=locked)}"]
        ) from fault
    if tls.mutual:
        if tls.authorities is None:
            sentence = "is missing: it holds the certificates that senders are verified by"
            raise Misconfigured([f"{TABLE}.authorities: {sentence}; or set mutual = false"])
        _readable(tls.authorities, "authorities")
        try:
            context.load_verify_locations(tls.authorities)
        except ssl.SSLError as fault:
            sentence = f"{tls.authorities} holds no certificates in PEM form"
            raise Misconfigured([f"{TABLE}.authorities: {sentence}"]) from fault
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def last_day(tls: TLS) -> datetime:
    """Say until when the certificate is good; one that is not good now is a fault."""
    content = _readable(tls.certificate, "certificate")
    try:
        first = load_pem_x509_certificates(content)[0]
    except ValueError as fault:
        sentence = f"{tls.certificate} holds no certificate in PEM form"
        raise Misconfigured([f"{TABLE}.certificate: {sentence}"]) from fault
    now = datetime.now(UTC)
    if now > first.not_valid_after_utc:
        sentence = f"{tls.certificate} expired on {first.not_valid_after_utc:%Y-%m-%d}"
        raise Misconfigured([f"{TABLE}.certificate: {sentence}: have it renewed"])
    if now < first.not_valid_before_utc:
        sentence = f"{tls.certificate} is good from {first.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        raise Misconfigured([f"{TABLE}.certificate: {sentence} on: look at this machine's clock"])
    return first.not_valid_after_utc


def _readable(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as trouble:
        sentence = f"{path} cannot be read: {trouble.strerror}"
        raise Misconfigured([f"{TABLE}.{key}: {sentence}"]) from trouble


def _password(tls: TLS) -> str:
    """Return the key's password; without one OpenSSL would ask at a terminal."""
    return tls.key_password.get_secret_value()


def _said(fault: ssl.SSLError, *, locked: bool) -> str:
    if fault.reason == "KEY_VALUES_MISMATCH":
        return "is not the key of the certificate"
    if locked:
        return "the key is encrypted, and key_password does not open it"
    return "holds no private key in PEM form that can be used"
