"""The whole file of settings: `config/node.toml` holds the same fields with their defaults."""

import difflib
import hashlib
import os
import tomllib
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from dicom_node.errors import Misconfigured
from dicom_node.settings.analyzing import Analyzing
from dicom_node.settings.delivering import Delivering
from dicom_node.settings.receiving import Receiving
from dicom_node.settings.reporting import Reporting
from dicom_node.settings.values import Seconds, Secret, Table
from dicom_node.shipped import shipped

ENVIRONMENT_VARIABLE = "FOURVIEWS_CONFIG"
MAY_BE_SECRET = {"node.database", "node.broker"}


def _broker(value: str) -> str:
    """Take an address of Redis; Celery would read other words as brokers that are not tried."""
    if value and not value.startswith(("redis://", "rediss://", "redis+socket://")):
        raise ValueError("wanted: redis://host:6379/0, or nothing for a folder as the queue")
    return value


Broker = Annotated[Secret, AfterValidator(_broker)]


class NodeTable(Table):
    """Where the node keeps things."""

    data: Path = Path("var")
    database: Secret = ""
    broker: Broker = ""
    log_format: Literal["plain", "json"] = "plain"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Watching(Table):
    """How the node looks after itself."""

    sweep_seconds: Seconds = 15.0
    lease_seconds: Annotated[Seconds, Field(ge=2)] = 20.0


class Settings(Table):
    """The whole file."""

    node: NodeTable = NodeTable()
    receiving: Receiving = Receiving()
    analyzing: Analyzing = Analyzing()
    reporting: Reporting = Reporting()
    delivering: Delivering = Delivering()
    watching: Watching = Watching()

    @property
    def data(self) -> Path:
        """Return the data folder, absolute."""
        return self.node.data.expanduser().absolute()

    @property
    def database_url(self) -> str:
        """Return where the ledger is."""
        return self.node.database or f"sqlite:///{self.data / 'ledger.sqlite'}"

    @property
    def bundle_folders(self) -> tuple[Path, ...]:
        """Return where the active bundles lie, in the order of their names."""
        home, named = self.analyzing.bundles, self.analyzing.bundle
        names = (named,) if isinstance(named, str) else named
        return tuple((home.expanduser() if home else shipped("bundles")) / name for name in names)

    @property
    def digest(self) -> str:
        """Name these settings by their content, without the secrets of the first table."""
        content = self.model_dump_json(exclude={"node"})
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
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as trouble:
        raise Misconfigured([f"{path}: cannot be read: {trouble.strerror}"]) from trouble
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise Misconfigured([f"{path}: is no valid TOML: {fault}"]) from fault
    try:
        return Settings.model_validate(table)
    except ValidationError as faults:
        raise Misconfigured(_sentences(path, faults)) from faults


def _sentences(path: Path, faults: ValidationError) -> list[str]:
    """Write each fault as `file: key.path: what is wrong`."""
    sentences = []
    for fault in faults.errors(include_url=False):
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            sentences.append(f"{path}: {key}: there is no such key{_meant(fault['loc'])}")
        elif fault["type"] == "missing":
            sentences.append(f"{path}: {key}: is missing")
        else:
            said = fault["msg"].removeprefix("Value error, ")
            said = said[:1].lower() + said[1:]
            simple = isinstance(fault["input"], str | int | float)  # a list may hold a secret
            simple = simple and key not in MAY_BE_SECRET
            shown = f" (it is {fault['input']!r})" if simple else ""
            sentences.append(f"{path}: {key}: {said}{shown}")
    return sentences


def _meant(where: tuple[str | int, ...]) -> str:
    """Guess which key was meant."""
    model: type[BaseModel] = Settings
    for part in where[:-1]:
        if isinstance(part, int):
            continue
        found = _model_in(model.model_fields[part].annotation)
        if found is None:
            return ""
        model = found
    close = difflib.get_close_matches(str(where[-1]), list(model.model_fields), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, BaseModel) else None
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
