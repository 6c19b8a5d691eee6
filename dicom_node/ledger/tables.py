"""The tables of the ledger.

Rows hold UIDs, codes and times, never a name or a birth date: the audit trail can be shown to
anyone who may see that a study exists.
"""

from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    Enum,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import JSON

from dicom_node.ledger.columns import Key, Moment
from dicom_node.life import Commit, Receipt, Ruling, State

UID_LENGTH = 64
NAME_LENGTH = 64


class Base(DeclarativeBase):
    """What all tables share: names of constraints that migrations can rely on."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        datetime: Moment,
        dict[str, Any]: JSON,
        list[dict[str, Any]]: JSON,
        str: Text,
    }


class Association(Base):
    """One connection of a sender: who, when, and why not."""

    __tablename__ = "associations"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    listener: Mapped[str] = mapped_column(String(NAME_LENGTH), index=True)
    caller: Mapped[str] = mapped_column(String(16))
    called: Mapped[str] = mapped_column(String(16))
    address: Mapped[str] = mapped_column(String(NAME_LENGTH))
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None] = mapped_column(index=True)


class Case(Base):
    """One round of one study."""

    __tablename__ = "cases"
    __table_args__ = (UniqueConstraint("study_uid", "round"), Index(None, "state", "due_at"))

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    study_uid: Mapped[str] = mapped_column(String(UID_LENGTH))
    round: Mapped[int]
    state: Mapped[State] = mapped_column(Enum(State, native_enum=False, length=16))
    reason: Mapped[str] = mapped_column(default="")
    opened_at: Mapped[datetime]
    moved_at: Mapped[datetime]
    last_image_at: Mapped[datetime]
    due_at: Mapped[datetime]  # nobody takes it before
    rung_at: Mapped[datetime | None]  # when the sweep last rang for it in this state
    attempts: Mapped[int] = mapped_column(default=0)
    holder: Mapped[str | None] = mapped_column(String(NAME_LENGTH))  # who holds the lease
    lease: Mapped[str | None] = mapped_column(String(32))  # which lease: one a turn
    lease_until: Mapped[datetime | None]
    telling: Mapped[State | None] = mapped_column(  # the end that somebody has still to be told of
        Enum(State, native_enum=False, length=16)
    )
    priority: Mapped[int] = mapped_column(default=0)  # see `life.Priority`
    ruling: Mapped[Ruling | None] = mapped_column(Enum(Ruling, native_enum=False, length=16))
    notice_written: Mapped[bool] = mapped_column(default=False)  # and it is only to be delivered
    purged_at: Mapped[datetime | None]  # when the files of its objects were removed
    images_purged_at: Mapped[datetime | None]  # when those of its images were


class Named(Protocol):
    """A case, as far as the audit trail names it."""

    @property
    def id(self) -> int:
        """Return its number."""

    @property
    def study_uid(self) -> str:
        """Return its study."""


class Instance(Base):
    """One image that was received and is kept."""

    __tablename__ = "instances"
    __table_args__ = (UniqueConstraint("sop_uid", "generation"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), index=True)
    association_id: Mapped[int | None] = mapped_column(ForeignKey("associations.id"), index=True)
    study_uid: Mapped[str] = mapped_column(String(UID_LENGTH), index=True)
    series_uid: Mapped[str] = mapped_column(String(UID_LENGTH))
    sop_uid: Mapped[str] = mapped_column(String(UID_LENGTH))
    generation: Mapped[int] = mapped_column(default=0)  # so often it had come and was purged before
    sop_class_uid: Mapped[str] = mapped_column(String(UID_LENGTH))
    transfer_syntax_uid: Mapped[str] = mapped_column(String(UID_LENGTH))
    view: Mapped[str] = mapped_column(String(16), default="")  # LCC, RMLO; empty: not one of these
    caller: Mapped[str] = mapped_column(String(16))
    address: Mapped[str] = mapped_column(String(NAME_LENGTH))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str] = mapped_column(String(80))  # of its data set; see `spool`
    path: Mapped[str]  # in the spool
    received_at: Mapped[datetime]
    purged_at: Mapped[datetime | None]  # since when it is needed no more
    removal_due_at: Mapped[datetime | None] = mapped_column(index=True)  # its file has still to go


class Verdict(Base):
    """What a round thought of one image: accepted, or why not."""

    __tablename__ = "verdicts"
    __table_args__ = (UniqueConstraint("case_id", "instance_id"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"))
    instance_id: Mapped[int] = mapped_column(ForeignKey("instances.id"))
    code: Mapped[str] = mapped_column(String(8))  # empty: accepted
    sentence: Mapped[str] = mapped_column(default="")


class ModelRun(Base):
    """One reading of one case by one bundle, with all that is needed to repeat it.

    Where several bundles agree, what they agreed on is a reading too, and the one that is reported.
    """

    __tablename__ = "model_runs"
    __table_args__ = (
        UniqueConstraint("case_id", "place"),
        Index("ix_model_runs_digest_imaged_by_id", "digest", "imaged_by", "id"),
        Index("ix_model_runs_imaged_by_id", "imaged_by", "id"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"))
    place: Mapped[int] = mapped_column(default=0)  # 0 is reported; 1 and on agreed to it, in order
    system: Mapped[str] = mapped_column(String(NAME_LENGTH))
    bundle: Mapped[str] = mapped_column(String(NAME_LENGTH))
    version: Mapped[str] = mapped_column(String(NAME_LENGTH))
    digest: Mapped[str] = mapped_column(String(64))
    # All that scores rest on, as `Card.scale` names it; empty: of a node that did not keep it yet.
    scale: Mapped[str] = mapped_column(String(64), default="", server_default="")
    operating_point: Mapped[str] = mapped_column(String(NAME_LENGTH))
    code_version: Mapped[str] = mapped_column(String(NAME_LENGTH))
    settings_digest: Mapped[str] = mapped_column(String(64))
    device: Mapped[str] = mapped_column(String(NAME_LENGTH))
    seconds: Mapped[float]
    raw_score: Mapped[float | None]  # the network's logit; null where several agreed
    card_score: Mapped[float | None]  # what would be told without this site's correction
    cancer_score: Mapped[float | None]  # what is told; null: the system does not judge
    uncertainty: Mapped[float | None]  # in logits; null where one alone judges
    findings_count: Mapped[int]
    findings_path: Mapped[str]  # in the spool
    findings_sha256: Mapped[str] = mapped_column(String(64))
    elsewhere: Mapped[dict[str, Any]] = mapped_column(default=dict)  # at other operating points
    imaged_by: Mapped[str] = mapped_column(String(NAME_LENGTH), default="")  # see `imaged`
    made_at: Mapped[datetime]


class ShadowRun(Base):
    """What a bundle said of a case that nobody is told of: it reads along to be compared."""

    __tablename__ = "shadow_runs"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), index=True)
    bundle: Mapped[str] = mapped_column(String(NAME_LENGTH))
    version: Mapped[str] = mapped_column(String(NAME_LENGTH))
    digest: Mapped[str] = mapped_column(String(64), index=True)
    operating_point: Mapped[str] = mapped_column(String(NAME_LENGTH))
    seconds: Mapped[float]
    cancer_score: Mapped[float | None]
    findings: Mapped[list[dict[str, Any]]]  # view, kind, box and score of each
    failure: Mapped[str] = mapped_column(default="")
    made_at: Mapped[datetime]
    due_at: Mapped[datetime | None] = mapped_column(index=True)  # not read yet: another may then
    attempts: Mapped[int] = mapped_column(default=1)


class Activation(Base):
    """Somebody's decision which bundles read from now on; the newest one counts."""

    __tablename__ = "activations"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    at: Mapped[datetime]
    activated_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    bundles: Mapped[list[dict[str, Any]]]  # see `activations.Bundle`
    before_id: Mapped[int | None] = mapped_column(Key)  # where a rollback goes to


class Finding(Base):
    """One finding of the reported reading, for questions in SQL; its mask lies in the spool."""

    __tablename__ = "findings"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), index=True)
    sop_uid: Mapped[str] = mapped_column(String(UID_LENGTH))
    view: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(16))
    box_left: Mapped[float]
    box_top: Mapped[float]
    box_right: Mapped[float]
    box_bottom: Mapped[float]
    score: Mapped[float]
    cancer_score: Mapped[float | None]
    systems: Mapped[str]
    uncertainty: Mapped[float | None]  # in logits; null where one alone saw it


class Lesion(Base):
    """What the reports call a finding; a lesion that is seen again keeps both over rounds."""

    __tablename__ = "lesions"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    finding_id: Mapped[int] = mapped_column(ForeignKey("findings.id"), unique=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    tracking_uid: Mapped[str] = mapped_column(String(UID_LENGTH), index=True)

    finding: Mapped[Finding] = relationship()


class Product(Base):
    """One DICOM object that was built, proved and written; it is never altered."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), index=True)
    kind: Mapped[str] = mapped_column(String(32))
    profile: Mapped[str] = mapped_column(default="")  # what is made otherwise for a destination
    transfer_syntax_uid: Mapped[str] = mapped_column(String(UID_LENGTH))
    sop_class_uid: Mapped[str] = mapped_column(String(UID_LENGTH))
    sop_uid: Mapped[str] = mapped_column(String(UID_LENGTH), unique=True)
    series_uid: Mapped[str] = mapped_column(String(UID_LENGTH))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    path: Mapped[str]  # in the spool
    made_at: Mapped[datetime]
    purged_at: Mapped[datetime | None]  # since when there is no file any more


class Recall(Base):
    """A result that was taken back: by whom, when and why; the case's objects are void since."""

    __tablename__ = "recalls"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), unique=True)
    code: Mapped[str] = mapped_column(String(16))  # of the note's title
    reason: Mapped[str] = mapped_column(String(NAME_LENGTH))
    recalled_by: Mapped[str] = mapped_column(String(NAME_LENGTH))  # who typed the command
    recalled_at: Mapped[datetime]


class Delivery(Base):
    """One object that one destination is owed."""

    __tablename__ = "deliveries"
    __table_args__ = (UniqueConstraint("product_id", "destination"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), index=True)
    destination: Mapped[str] = mapped_column(String(NAME_LENGTH))
    target: Mapped[str] = mapped_column(default="")  # AE@host:port, where the sender is the target
    receipt: Mapped[Receipt] = mapped_column(
        Enum(Receipt, native_enum=False, length=16), index=True
    )
    status: Mapped[int | None]  # the last DIMSE status
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime]
    owed_since: Mapped[datetime]
    last_error: Mapped[str] = mapped_column(default="")
    delivered_at: Mapped[datetime | None]
    commitment: Mapped[Commit | None] = mapped_column(  # none: nobody asks for it
        Enum(Commit, native_enum=False, length=16), index=True
    )
    commit_due_at: Mapped[datetime | None] = mapped_column(index=True)
    commit_attempts: Mapped[int] = mapped_column(default=0)
    resent: Mapped[int] = mapped_column(default=0)  # so often it was taken and not there later

    product: Mapped[Product] = relationship()


class Commitment(Base):
    """One request to a destination to keep what it took: storage commitment."""

    __tablename__ = "commitments"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    transaction_uid: Mapped[str] = mapped_column(String(UID_LENGTH), unique=True)
    destination: Mapped[str] = mapped_column(String(NAME_LENGTH))
    target: Mapped[str] = mapped_column(default="")
    asked_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]


class Road(Base):
    """Whether a destination can be reached: one row each, so that all cases learn from one."""

    __tablename__ = "roads"

    destination: Mapped[str] = mapped_column(String(160), primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)  # in a row
    due_at: Mapped[datetime]  # not tried before
    last_error: Mapped[str] = mapped_column(default="")
    answered_at: Mapped[datetime | None]  # when its peer answered last


class Beginning(Base):
    """When the monotonic clock of a machine stood at zero, since it was started; see `clock`."""

    __tablename__ = "beginnings"

    boot: Mapped[str] = mapped_column(String(64), primary_key=True)
    zero_at: Mapped[datetime]


class Event(Base):
    """One line of the audit trail; never changed, and deleted by an audited purge alone."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(NAME_LENGTH))
    what: Mapped[str] = mapped_column(String(32), index=True)
    study_uid: Mapped[str | None] = mapped_column(String(UID_LENGTH), index=True)
    case_id: Mapped[int | None] = mapped_column(Key, index=True)
    from_state: Mapped[str | None] = mapped_column(String(16))
    to_state: Mapped[str | None] = mapped_column(String(16))
    sentence: Mapped[str] = mapped_column(default="")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    hash: Mapped[str] = mapped_column(String(64), server_default="")  # see chain.py


class Checkpoint(Base):
    """How far the audit trail had come at a moment, signed; never changed, never deleted."""

    __tablename__ = "checkpoints"

    id: Mapped[int] = mapped_column(Key, primary_key=True)  # counts from 1, without gaps
    at: Mapped[datetime]
    event_id: Mapped[int] = mapped_column(Key)  # the last event that is covered
    events: Mapped[int] = mapped_column(BigInteger)  # how many there have been so far
    head: Mapped[str] = mapped_column(String(64))  # its hash
    purged_id: Mapped[int] = mapped_column(Key)  # the last event that was purged, 0 for none
    purged_head: Mapped[str] = mapped_column(String(64))  # its hash, with which the chain goes on
    previous: Mapped[str] = mapped_column(String(64))  # the digest of the checkpoint before
    key: Mapped[str] = mapped_column(String(16))  # which key signed, by its fingerprint
    signature: Mapped[str] = mapped_column(String(128))


class Collector(Base):
    """How far whoever collects audit messages has been told."""

    __tablename__ = "collectors"

    name: Mapped[str] = mapped_column(String(160), primary_key=True)
    event_id: Mapped[int] = mapped_column(Key)  # the last event it has
    checkpoint_id: Mapped[int] = mapped_column(Key)  # and the last checkpoint
    told_at: Mapped[datetime | None]
    last_error: Mapped[str] = mapped_column(default="")
