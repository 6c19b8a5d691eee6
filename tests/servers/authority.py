"""A certificate authority of the tests: keys and certificates as OpenSSL makes them."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Authority:
    """Somebody who vouches for others."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.certificate = folder / f"{name}.pem"
        self.key = folder / f"{name}.key"
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "30", "-subj", f"/CN={name}"),
            *("-keyout", str(self.key), "-out", str(self.certificate)),
        )

    def vouch_for(
        self,
        name: str,
        *,
        days: int = 30,
        password: str = "",
        place: str = "IP:127.0.0.1,DNS:localhost",
    ) -> tuple[Path, Path]:
        """Make a certificate and its key."""
        key, asked = self.folder / f"{name}.key", self.folder / f"{name}.csr"
        certificate = self.folder / f"{name}.pem"
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *(["-passout", f"pass:{password}"] if password else ["-nodes"]),
            *("-subj", f"/CN={name}", "-addext", f"subjectAltName={place}"),
            *("-keyout", str(key), "-out", str(asked)),
        )
        _openssl(
            *("x509", "-req", "-in", str(asked), "-copy_extensions", "copy"),
            *("-days", str(days), "-CA", str(self.certificate), "-CAkey", str(self.key)),
            *("-CAcreateserial", "-out", str(certificate)),
        )
        return certificate, key


@dataclass(frozen=True, slots=True)
class Papers:
    """What everybody shows, and who vouches for it."""

    folder: Path

    def of(self, name: str) -> tuple[Path, Path]:
        """Return somebody's certificate and key."""
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def table(self, authority: str = "ours", own: str = "node") -> dict[str, str]:
        """Stand in the settings: whom the node believes, and how it shows itself."""
        certificate, key = self.of(own)
        shown = {"certificate": str(certificate), "key": str(key)} if own else {}
        return {"authorities": str(self.of(authority)[0]), **shown}
