"""Every decision an administrator may take, one field a line; the tables are the four verbs.

`config/node.toml` holds the same fields with their defaults and says what each is for.
"""

import difflib
import hashlib
import ipaddress
import os
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from dicom_node.eligibility import Accept
from dicom_node.errors import Misconfigured
from dicom_node.shipped import shipped

ENVIRONMENT_VARIABLE = "FOURVIEWS_CONFIG"
AE_TITLE_LENGTH = 16
RESEARCH_USE = "research use"
STATEMENT_LENGTH = 400
MAY_BE_SECRET = {"node.database", "node.broker"}

Geometry = Literal["orientation", "none", "full"]
TransferSyntax = Literal["explicit", "implicit", "deflated"]
ObjectKind = Literal[
    "cad_sr",
    "measurement_report",
    "segmentation",
    "presentation_state",
    "secondary_capture",
    "summary",
]
USUAL_OBJECTS: tuple[ObjectKind, ...] = ("cad_sr", "measurement_report", "segmentation")


def _ae_title(value: str) -> str:
    if not value.strip() or len(value) > AE_TITLE_LENGTH or not value.isascii() or "\\" in value:
        raise ValueError(r"an AE title has 1 to 16 ASCII characters and no backslash")
    return value.strip()


def _secret(value: str) -> str:
    """Take a value from the environment (env:NAME) or a file (file:/path), so none stands here."""
    scheme, _, rest = value.partition(":")
    if scheme == "env":
        if rest not in os.environ:
            raise ValueError(f"the environment variable {rest} is not set")
        return os.environ[rest]
    if scheme == "file" and not rest.startswith("//"):
        try:
            return Path(rest).read_text(encoding="utf-8").strip()
        except OSError as trouble:
            raise ValueError(f"the file {rest} cannot be read: {trouble.strerror}") from trouble
    return value


def _broker(value: str) -> str:
    """Take an address of Redis; Celery would read other words as brokers that are not tried."""
    if value and not value.startswith(("redis://", "rediss://", "redis+socket://")):
        raise ValueError("wanted: redis://host:6379/0, or nothing for a folder as the queue")
    return value


def _network(value: str) -> str:
    """Take an address or a network; a name is none, since a caller is known by its address."""
    try:
        ipaddress.ip_network(value)
    except ValueError:
        raise ValueError("wanted: an address, or a network such as 10.1.0.0/16") from None
    return value


def _bundles(value: object) -> str | tuple[str, ...]:
    """Take a bundle's name, or a list of names; a list of one is that one."""
    names = (value,) if isinstance(value, str) else value
    if not (isinstance(names, list | tuple) and names):
        raise ValueError("wanted: a bundle's name, or a list of names")
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError("wanted: a bundle's name, or a list of names, none of them empty")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"a bundle agrees with others, not with itself; twice: {', '.join(twice)}")
    return tuple(names) if len(names) > 1 else str(names[0])


def _research(value: str) -> str:
    if RESEARCH_USE not in value.lower():
        raise ValueError(f"it has to say {RESEARCH_USE!r}: it stands in every object")
    if len(value) > STATEMENT_LENGTH:
        raise ValueError(f"it has {len(value)} characters, where {STATEMENT_LENGTH} have room")
    return value


AETitle = Annotated[str, AfterValidator(_ae_title)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=1e8)]  # three years; no infinity, which has no date
Network = Annotated[str, AfterValidator(_network)]
Secret = Annotated[str, AfterValidator(_secret)]
Broker = Annotated[Secret, AfterValidator(_broker)]
Bundles = Annotated[str | tuple[str, ...], BeforeValidator(_bundles)]
View = Literal["LCC", "RCC", "LMLO", "RMLO"]
VIEWS: tuple[View, ...] = get_args(View)


class Table(BaseModel):
    """One table of the file: nothing unknown, nothing changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeTable(Table):
    """Where the node keeps things."""

    data: Path = Path("var")
    database: Secret = ""
    broker: Broker = ""
    log_format: Literal["plain", "json"] = "plain"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Caller(Table):
    """Who may send."""

    ae_title: AETitle
    addresses: tuple[Network, ...] = ()
    return_port: Port = 104


class Receiving(Table):
    """How images come in, and when a study is complete."""

    ae_title: AETitle = "FOURVIEWS"
    address: str = "127.0.0.1"
    port: Port = 11112
    max_associations: Annotated[int, Field(ge=1, le=1000)] = 25
    idle_seconds: Seconds = 60.0
    reserve_megabytes: Annotated[int, Field(ge=0)] = 5000
    max_object_megabytes: Annotated[int, Field(ge=1)] = 2048
    any_caller: bool = False
    callers: tuple[Caller, ...] = ()
    required_views: tuple[View, ...] = ("RCC", "LCC", "RMLO", "LMLO")
    grace_seconds: Annotated[float, Field(ge=0)] = 10.0
    quiet_seconds: Seconds = 60.0
    cap_seconds: Seconds = 1800.0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.grace_seconds <= self.quiet_seconds <= self.cap_seconds:
            raise ValueError("wanted: grace_seconds <= quiet_seconds <= cap_seconds")
        return self


class Analyzing(Table):
    """Which bundle reads the studies, or which several, and which studies."""

    bundle: Bundles = "shared_trunk_phantom"
    bundles: Path | None = None
    operating_point: str = ""
    device: str = "cpu"
    threads: Annotated[int, Field(ge=0)] = 0
    accept: Accept = Accept()


class Reporting(Table):
    """Who the results say made them."""

    manufacturer: Annotated[str, Field(min_length=1, max_length=64)] = "Four Views"
    model: Annotated[str, Field(min_length=1, max_length=64)] = "fourviews"
    serial_number: Annotated[str, Field(min_length=1, max_length=64)] = "1"
    research_statement: Annotated[str, AfterValidator(_research)] = (
        "For research use only. Not for diagnosis."
    )
    tell_declined: bool = True
    tell_failed: bool = True


class Destination(Table):
    """Where results go."""

    name: Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9_.-]+$")]
    ae_title: AETitle | None = None
    host: str | None = None
    port: Port | None = None
    return_to_sender: bool = False
    calling_ae_title: AETitle | None = None
    objects: tuple[ObjectKind, ...] = USUAL_OBJECTS
    role: Literal["archive", "workstation"] = "archive"
    max_marks: Annotated[int, Field(ge=0)] = 0
    operating_point: str = ""
    scores: Literal["maximum", "as-given"] = "maximum"
    codes: Literal["SCT", "SRT"] = "SCT"
    short_meanings: bool = False
    two_view: bool = False
    geometry: Geometry = "orientation"
    transfer_syntax: TransferSyntax = "explicit"
    manufacturer: Annotated[str, Field(max_length=64)] = ""
    model: Annotated[str, Field(max_length=64)] = ""
    timeout_seconds: Seconds = 10.0

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        given = [key for key in ("ae_title", "host", "port") if getattr(self, key) is not None]
        if self.return_to_sender and given:
            raise ValueError(f"return_to_sender finds its own way: remove {', '.join(given)}")
        if not self.return_to_sender and len(given) < 3:  # noqa: PLR2004 - the three above
            raise ValueError("a destination needs ae_title, host and port, or return_to_sender")
        return self


class Delivering(Table):
    """Who gets the results, and how patiently."""

    retry_seconds: tuple[Seconds, ...] = (30.0, 120.0, 600.0, 1800.0, 3600.0)
    give_up_hours: Seconds = 72.0
    destinations: tuple[Destination, ...] = ()

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [destination.name for destination in self.destinations]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each destination needs a name of its own; twice: {', '.join(twice)}")
        if not self.retry_seconds:
            raise ValueError("retry_seconds needs at least one waiting time")
        return self


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
