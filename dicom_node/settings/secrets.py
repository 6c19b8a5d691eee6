"""Values that nobody may see: where they come from, and what each may be.

A secret has a type of its own. Whatever prints, logs or dumps settings shows stars, and a fault of
the file never repeats what stood there.
"""

import ipaddress
import os
import stat
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

CREDENTIALS = "CREDENTIALS_DIRECTORY"  # where systemd's LoadCredential puts them
_REDIS = ("redis", "rediss", "redis+socket")
_BY_HAND = "type `dicom-node-admin` in the place of `dicom-node` (docs/security.md, Secrets)"
_UNPROTECTED = "wanted: a password, as redis://:PASSWORD@host, wherever Redis is another machine"


def _found(value: object) -> object:
    """Take a value from where it is kept: env:NAME, file:/path, or credential:NAME."""
    if isinstance(value, SecretStr) or not isinstance(value, str):
        return value
    scheme, _, rest = value.partition(":")
    if scheme == "env":
        if rest not in os.environ:
            raise ValueError(
                f"the environment variable {rest} is not set: where the units alone have it, "
                f"{_BY_HAND}"
            )
        return _not_empty(os.environ[rest], f"the environment variable {rest}")
    if scheme == "credential":
        folder = os.environ.get(CREDENTIALS)
        if folder is None or Path(rest).name != rest:
            name = Path(rest).name
            raise ValueError(
                f"systemd gave no credential {name}: LoadCredential={name}:/path gives it to a "
                f"unit; by hand, {_BY_HAND}"
            )
        return _from_file(Path(folder) / rest)
    if scheme == "file" and not rest.startswith("//"):
        return _from_file(Path(rest))
    return value


def _from_file(path: Path) -> str:
    """Read a secret from a file that not everybody may read."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read()
    except OSError as trouble:
        raise ValueError(f"the file {path} cannot be read: {trouble.strerror}") from None
    if mode & stat.S_IRWXO:
        raise ValueError(f"the file {path} is open to everybody on this machine: chmod o= {path}")
    try:
        return _not_empty(content.decode("utf-8").strip(), f"the file {path}")
    except UnicodeDecodeError:
        raise ValueError(f"the file {path} holds no text") from None


def _not_empty(value: str, where: str) -> str:
    if not value:
        raise ValueError(f"{where} is empty")
    return value


Secret = Annotated[SecretStr, BeforeValidator(_found)]


def _kept(key: Path) -> Path:
    """Refuse a private key that everybody may read; one that is not there is missed elsewhere."""
    try:
        mode = key.stat().st_mode
    except OSError:
        return key
    if mode & stat.S_IRWXO:
        raise ValueError(f"the key is open to everybody on this machine: chmod o= {key}")
    return key


PrivateKey = Annotated[Path, AfterValidator(_kept)]


def _broker(value: SecretStr) -> SecretStr:
    """Take addresses of Redis; Celery would read other words as brokers that are not tried."""
    address = value.get_secret_value()
    for one in address.split(";") if address else ():  # Celery takes several, to fall back on
        parts = _split(one)
        if parts is None or parts.scheme not in _REDIS:
            raise ValueError("wanted: redis://host:6379/0, or nothing for a folder as the queue")
        if not parts.password and not _is_this_machine(parts):
            raise ValueError(_UNPROTECTED)
    return SecretStr(";".join(map(_verified, address.split(";"))))


def _verified(address: str) -> str:
    """Ask for a good certificate: kombu, not told to, would tell the password to anybody."""
    parts = _split(address)
    is_encrypted = parts is not None and parts.scheme == "rediss"
    if not is_encrypted or "ssl_cert_reqs" in parse_qs(parts.query if parts else ""):
        return address
    return f"{address}{'&' if '?' in address else '?'}ssl_cert_reqs=required"


def _split(address: str) -> SplitResult | None:
    """Take an address apart; None where it is none."""
    try:
        return urlsplit(address)
    except ValueError:
        return None


def _is_this_machine(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    return parts.scheme == "redis+socket" or is_loopback(host or "localhost")


def is_loopback(host: str) -> bool:
    """Say whether a name or an address means this machine, and no network."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


Broker = Annotated[Secret, AfterValidator(_broker)]
