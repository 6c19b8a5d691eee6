"""The key that signs checkpoints: Ed25519, given by the administrator or made once."""

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from dicom_node.errors import Misconfigured
from dicom_node.owner import give_to_owner
from dicom_node.settings.file import Settings

KEY_FILE = "audit-key.pem"
SCHEME = "ed25519:"
PRIVATE_MODE = 0o600


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What verifies a signature; may be known to anybody."""

    key: Ed25519PublicKey

    @property
    def words(self) -> str:
        """Write the key in one line."""
        return SCHEME + base64.b64encode(self._raw).decode()

    @property
    def fingerprint(self) -> str:
        """Name the key."""
        return hashlib.sha256(self._raw).hexdigest()[:16]

    @property
    def _raw(self) -> bytes:
        return self.key.public_bytes(Encoding.Raw, PublicFormat.Raw)

    def fits(self, signature: str, content: str) -> bool:
        """Say whether the owner of this key signed that."""
        try:
            self.key.verify(base64.b64decode(signature, validate=True), content.encode())
        except (InvalidSignature, ValueError):
            return False
        return True

    @classmethod
    def read(cls, words: str) -> Self:
        """Read a key as `words` writes it, or from a file that holds nothing else."""
        path = Path(words)
        text = words if words.startswith(SCHEME) else path.read_text(encoding="utf-8").strip()
        raw = base64.b64decode(text.removeprefix(SCHEME), validate=True)
        return cls(Ed25519PublicKey.from_public_bytes(raw))


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs."""

    key: Ed25519PrivateKey

    @property
    def public(self) -> PublicKey:
        """Return what verifies the signatures."""
        return PublicKey(self.key.public_key())

    def sign(self, content: str) -> str:
        """Sign a text."""
        return base64.b64encode(self.key.sign(content.encode())).decode()


def key_path(settings: Settings) -> Path:
    """Say where a key lies that the node has made for itself."""
    return settings.data / KEY_FILE


def signer(settings: Settings) -> Signer:
    """Take the key of the settings, else the one that the node made, else make it now."""
    given = settings.audit.key.get_secret_value()
    if given:
        return Signer(_private(given.encode(), "audit.key"))
    path = key_path(settings)
    if not path.exists():
        _make(path)
    return Signer(_private(_content(path), str(path)))


def own_public_key(settings: Settings) -> PublicKey | None:
    """Return the public half of the node's key, where there is one."""
    if settings.audit.key.get_secret_value() or key_path(settings).exists():
        return signer(settings).public
    return None


def public_keys(given: Sequence[str], settings: Settings) -> list[PublicKey]:
    """Read the keys that somebody holds the node to; without any, take the node's own."""
    if not given:
        own = own_public_key(settings)
        return [own] if own is not None else []
    keys = []
    for words in given:
        try:
            keys.append(PublicKey.read(words))
        except (OSError, ValueError) as fault:
            sentence = "is neither a public key (ed25519:...) nor a file that holds one"
            raise Misconfigured([f"--public-key: {words} {sentence}"]) from fault
    return keys


def _content(path: Path) -> bytes:
    mode = path.stat().st_mode & 0o077
    if mode:
        raise Misconfigured([f"{path}: others may read the key; run `chmod 600 {path}`"])
    return path.read_bytes()


def _private(content: bytes, where: str) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise Misconfigured([f"{where}: holds no Ed25519 private key in PEM"]) from None
    return key


def _make(path: Path) -> None:
    """Write a new key, whole or not at all; of two processes at once one's key is taken."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        give_to_owner(handle, of=path.parent)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
