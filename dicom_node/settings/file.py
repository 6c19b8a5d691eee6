"""The whole file of settings: `config/node.toml` holds the same fields with their defaults."""

import hashlib
import os
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import SecretStr, ValidationError

from dicom_node.errors import Misconfigured
from dicom_node.settings.analyzing import Analyzing
from dicom_node.settings.audit import Audit
from dicom_node.settings.bucket import Bucket, SpoolPlace
from dicom_node.settings.delivering import Delivering
from dicom_node.settings.receiving import Receiving
from dicom_node.settings.reporting import Reporting
from dicom_node.settings.secrets import Broker, Secret
from dicom_node.settings.values import Table
from dicom_node.settings.watching import Watching
from dicom_node.settings.words import sentences
from dicom_node.shipped import shipped

ENVIRONMENT_VARIABLE = "FOURVIEWS_CONFIG"


class NodeTable(Table):
    """Where the node keeps things."""

    data: Path = Path("var")
    database: Secret = SecretStr("")
    broker: Broker = SecretStr("")
    spool: SpoolPlace = ""
    log_format: Literal["plain", "json"] = "plain"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(Table):
    """The whole file."""

    node: NodeTable = NodeTable()
    receiving: Receiving = Receiving()
    analyzing: Analyzing = Analyzing()
    reporting: Reporting = Reporting()
    delivering: Delivering = Delivering()
    watching: Watching = Watching()
    audit: Audit = Audit()
    bucket: Bucket = Bucket()

    @property
    def data(self) -> Path:
        """Return the data folder, absolute."""
        return self.node.data.expanduser().absolute()

    @property
    def database_url(self) -> str:
        """Return where the ledger is."""
        named = self.node.database.get_secret_value()
        return named or f"sqlite:///{self.data / 'ledger.sqlite'}"

    @property
    def broker_url(self) -> str:
        """Return where the doorbell is; empty for a folder."""
        return self.node.broker.get_secret_value()

    @property
    def bundle_folders(self) -> tuple[Path, ...]:
        """Return where the active bundles lie, in the order of their names."""
        home, named = self.analyzing.bundles, self.analyzing.bundle
        names = (named,) if isinstance(named, str) else named
        return tuple((home.expanduser() if home else shipped("bundles")) / name for name in names)

    @property
    def digest(self) -> str:
        """Name these settings by their content, without the secrets of the first table."""
        content = self.model_dump_json(exclude={"node", "audit", "bucket"})
        return hashlib.sha256(content.encode()).hexdigest()


def settings_path(given: Path | None = None) -> Path:
    """Find the file: as given, by the environment, in ./config, or the one that is shipped."""
    named = given or (Path(os.environ[ENVIRONMENT_VARIABLE]) if _named() else None)
    if named is not None:
        return named
    here = Path("config/node.toml")
    return here if here.exists() else shipped("config") / "node.toml"


def _named() -> bool:
    return bool(os.environ.get(ENVIRONMENT_VARIABLE))


def load_settings(given: Path | None = None) -> Settings:
    """Read the settings, or say every fault of the file at once."""
    path = settings_path(given)
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except OSError as trouble:
        raise Misconfigured([f"{path}: cannot be read: {trouble.strerror}"]) from trouble
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise Misconfigured([f"{path}: is no valid TOML: {fault}"]) from fault
    try:
        return Settings.model_validate(table)
    except ValidationError as faults:
        raise Misconfigured(sentences(path, text, Settings, faults)) from None
