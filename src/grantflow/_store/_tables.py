"""The schema, as SQLModel tables of a registry of their own, so that a host's tables never mix with ours.

Integer keys stay inside; instants are BIGINT microseconds UTC; public ids are UUIDv7 text.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from grantflow._store import _names


class Base(SQLModel, registry=registry(metadata=MetaData())):
    """Root of every table."""

    metadata: ClassVar[MetaData]


def _instant(*, optional: bool = False) -> Any:
    return Field(sa_type=BigInteger, nullable=optional)


def _bytes() -> Any:
    return Field(default=None, sa_type=LargeBinary, nullable=True)


def _key() -> Any:
    return Field(default=None, primary_key=True)


class Schema(Base, table=True):
    """One row: which version wrote the file, and the oldest code that may work on it."""

    __tablename__ = _names.SCHEMA
    version: int = Field(primary_key=True)
    made_at: int = _instant()
    compatible_from: int


class App(Base, table=True):
    """Registered apps."""

    __tablename__ = _names.APP
    pk: int | None = _key()
    public_id: str = Field(unique=True)
    key: str = Field(unique=True)
    kind: str
    client_id: str = Field(unique=True)
    document: str
    revision: int
    held_by: str | None
    held_reason: str | None
    held_at: int | None = _instant(optional=True)
    secrets: str


class Parent(Base, table=True):
    """One app on one account."""

    __tablename__ = _names.PARENT
    __table_args__ = (UniqueConstraint("app_pk", "account"),)
    pk: int | None = _key()
    app_pk: int
    account: str
    app_version: str
    available: bool
    revision: int
    installed_at: int = _instant()
    removed_at: int | None = _instant(optional=True)
    suspended_by: str | None
    suspended_at: int | None = _instant(optional=True)
    suspended_why: str | None


class Installation(Base, table=True):
    """The row a machine lives in."""

    __tablename__ = _names.INSTALLATION
    __table_args__ = (
        Index(
            "grantflow_installation_natural",
            "app_pk",
            "account",
            "subject_kind",
            "subject_id",
            "label",
            unique=True,
            sqlite_where=text("state <> 'uninstalled'"),
        ),
        Index(
            "grantflow_installation_due",
            "due_at",
            "pk",
            "app_pk",
            "deadline_at",
            "state",
            sqlite_where=text("due_at IS NOT NULL"),
        ),
        Index("grantflow_installation_undue", "deadline_at", "pk", sqlite_where=text(_names.UNDUE)),
        Index("grantflow_installation_deadline", "deadline_at", "pk", sqlite_where=text("deadline_at IS NOT NULL")),
        Index("grantflow_installation_notice", "notice_due_at", sqlite_where=text("notice_due_at IS NOT NULL")),
        Index("grantflow_installation_state", "state", "pk"),
        Index("grantflow_installation_app", "app_pk", "state", "pk"),
        Index("grantflow_installation_account", "account", "pk"),
        Index("grantflow_installation_subject", "subject_id", "pk"),
        Index("grantflow_installation_entered", "entered_at", "pk"),
        Index("grantflow_installation_reason", "reason", "pk", sqlite_where=text("reason IS NOT NULL")),
        Index("grantflow_installation_ended", "ended_at", sqlite_where=text("ended_at IS NOT NULL")),
        Index("grantflow_installation_forced", "pk", sqlite_where=text("forced = 1")),
        Index("grantflow_installation_suspended", "pk", sqlite_where=text("suspended_by IS NOT NULL")),
        Index("grantflow_installation_quarantined", "pk", sqlite_where=text("quarantined = 1")),
        Index("grantflow_installation_identity", "app_pk", "identity", sqlite_where=text("identity IS NOT NULL")),
        CheckConstraint("version > 0"),
    )
    pk: int | None = _key()
    public_id: str = Field(unique=True)
    app_pk: int
    account: str
    subject_kind: str
    subject_id: str
    label: str
    state: str
    reason: str | None
    version: int
    generation: int
    due_at: int | None = _instant(optional=True)
    deadline_at: int | None = _instant(optional=True)
    grant_revoked: bool
    granted: str
    identity: str | None
    definition: str
    definition_version: int
    fingerprint: str
    bucket: int
    created_at: int = _instant()
    entered_at: int = _instant()
    updated_at: int = _instant()
    forced: bool
    suspended_by: str | None
    suspended_at: int | None = _instant(optional=True)
    suspended_why: str | None
    quarantined: bool
    ended_at: int | None = _instant(optional=True)
    notice_due_at: int | None = _instant(optional=True)


class Attempt(Base, table=True):
    """Ways through the authorization window."""

    __tablename__ = _names.ATTEMPT
    __table_args__ = (
        Index("grantflow_attempt_installation", "installation_pk", "outcome"),
        Index(
            "grantflow_attempt_loose",
            "expires_at",
            sqlite_where=text("installation_pk IS NULL AND outcome IS NULL"),
        ),
        Index("grantflow_attempt_closed", "closed_at", sqlite_where=text("closed_at IS NOT NULL")),
        Index("grantflow_attempt_code", "code_hash", unique=True, sqlite_where=text("code_hash IS NOT NULL")),
        Index("grantflow_attempt_state", "state_hash", unique=True, sqlite_where=text("state_hash IS NOT NULL")),
    )
    pk: int | None = _key()
    public_id: str = Field(unique=True)
    app_pk: int
    installation_pk: int | None
    kind: str
    step: int
    actor_kind: str
    actor_id: str
    subject_kind: str
    subject_id: str
    label: str
    account: str | None
    entry_point: str
    app_version: str
    requested: str
    agreed: str
    client_id: str
    redirect_uri: str
    app_state: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))
    code_hash: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))
    code_challenge: str | None
    binding_hash: bytes | None = Field(sa_column=Column(LargeBinary, nullable=True))
    family: str | None
    created_at: int = _instant()
    expires_at: int = _instant()
    outcome: str | None
    closed_at: int | None = _instant(optional=True)
    state_hash: bytes | None = _bytes()
    state_used_at: int | None = _instant(optional=True)
    sealed: bytes | None = _bytes()
    issuer: str | None


class Consent(Base, table=True):
    """Who agreed to what; never overwritten."""

    __tablename__ = _names.CONSENT
    __table_args__ = (
        Index(
            "grantflow_consent_subject",
            "app_pk",
            "account",
            "subject_kind",
            "subject_id",
            "actor_kind",
            "actor_id",
        ),
    )
    pk: int | None = _key()
    app_pk: int
    account: str
    subject_kind: str
    subject_id: str
    actor_kind: str
    actor_id: str
    app_version: str
    requested: str
    approved: str
    refused: str
    given_at: int = _instant()
    voided_at: int | None = _instant(optional=True)


class TokenSet(Base, table=True):
    """One live or dead token set per installation."""

    __tablename__ = _names.TOKEN_SET
    __table_args__ = (
        Index("grantflow_token_set_refresh", "refresh_at", sqlite_where=text("refresh_at IS NOT NULL")),
        Index("grantflow_token_set_failing", "installation_pk", sqlite_where=text("failing IS NOT NULL")),
    )
    installation_pk: int = Field(primary_key=True)
    family: str
    generation: int
    scopes: str
    issued_at: int = _instant()
    access_expires_at: int | None = _instant(optional=True)
    refresh_expires_at: int | None = _instant(optional=True)
    authorization_expires_at: int | None = _instant(optional=True)
    access_sealed: bytes | None = _bytes()
    refresh_sealed: bytes | None = _bytes()
    consented_at: int | None = _instant(optional=True)
    refresh_at: int | None = _instant(optional=True)
    lease: str | None
    lease_until: int | None = _instant(optional=True)
    in_flight_at: int | None = _instant(optional=True)
    failures: int
    failing: str | None
    forced_generation: int | None
    unauthorized_at: int | None = _instant(optional=True)


class Credential(Base, table=True):
    """Issued tokens by hash."""

    __tablename__ = _names.CREDENTIAL
    __table_args__ = (
        Index("grantflow_credential_installation", "installation_pk"),
        {"sqlite_with_rowid": False},
    )
    hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    installation_pk: int
    kind: str
    family: str
    generation: int
    client_id: str
    expires_at: int | None = _instant(optional=True)
    spent_at: int | None = _instant(optional=True)


class Transition(Base, table=True):
    """The trail: triggers refuse UPDATE and DELETE."""

    __tablename__ = _names.TRANSITION
    __table_args__ = (
        UniqueConstraint("installation_pk", "version"),
        Index(
            "grantflow_transition_key",
            "installation_pk",
            "idempotency_key",
            unique=True,
            sqlite_where=text("idempotency_key IS NOT NULL"),
        ),
        Index("grantflow_transition_run", "run_id", "installation_pk", sqlite_where=text("run_id IS NOT NULL")),
    )
    pk: int | None = _key()
    installation_pk: int
    version: int
    source: str | None
    event: str
    target: str
    actor: str
    at: int = _instant()
    reason: str | None
    forced: bool
    run_id: str | None
    idempotency_key: str | None
    fingerprint: str


class Outbox(Base, table=True):
    """Notices to deliver after the commit."""

    __tablename__ = _names.OUTBOX
    __table_args__ = (
        Index("grantflow_outbox_pending", "pk", sqlite_where=text("delivered_at IS NULL AND dead_at IS NULL")),
        Index("grantflow_outbox_retry", "next_at", sqlite_where=text("next_at IS NOT NULL")),
        Index("grantflow_outbox_dead", "pk", sqlite_where=text("dead_at IS NOT NULL")),
        Index("grantflow_outbox_done", "delivered_at", sqlite_where=text("delivered_at IS NOT NULL")),
    )
    pk: int | None = _key()
    installation_pk: int | None
    name: str
    version: int
    at: int = _instant()
    body: str
    delivered_at: int | None = _instant(optional=True)
    app_pk: int | None
    tries: int
    next_at: int | None = _instant(optional=True)
    dead_at: int | None = _instant(optional=True)


class Revocation(Base, table=True):
    """Tokens to give back to foreign servers."""

    __tablename__ = _names.REVOCATION
    __table_args__ = (Index("grantflow_revocation_due", "next_at", sqlite_where=text("next_at IS NOT NULL")),)
    pk: int | None = _key()
    app_pk: int
    installation_pk: int
    identity: str | None
    subject_id: str
    hint: str
    sealed: bytes | None = _bytes()
    place: str
    created_at: int = _instant()
    next_at: int | None = _instant(optional=True)
    tries: int
    outcome: str | None
    done_at: int | None = _instant(optional=True)


class Incident(Base, table=True):
    """What is wrong with an app; one open at a time."""

    __tablename__ = _names.INCIDENT
    __table_args__ = (
        Index("grantflow_incident_open", "app_pk", unique=True, sqlite_where=text("closed_at IS NULL")),
    )
    pk: int | None = _key()
    public_id: str = Field(unique=True)
    app_pk: int
    cause: str
    detail: str
    opened_at: int = _instant()
    probe_at: int = _instant()
    probes: int
    closed_at: int | None = _instant(optional=True)
    closed_by: str | None


class OperatorAction(Base, table=True):
    """What operators did, tried and previewed: triggers refuse UPDATE and DELETE."""

    __tablename__ = _names.ACTION
    pk: int | None = _key()
    at: int = _instant()
    actor: str
    claimed: bool
    verb: str
    target: str
    reason: str | None
    version_seen: int | None
    outcome: str
    detail: str


class Job(Base, table=True):
    """Bulk work; open jobs are few, so that finding them needs no more than their states."""

    __tablename__ = _names.JOB
    __table_args__ = (Index("grantflow_job_state", "state", "pk"),)
    pk: int | None = _key()
    public_id: str = Field(unique=True)
    verb: str
    to_state: str | None
    quiet: bool
    filter: str
    actor: str
    claimed: bool
    reason: str
    fingerprints: str
    total: int
    canary: int
    stop_after: int
    stop_share: float
    retries: str | None
    state: str
    why: str | None
    revision: int
    created_at: int = _instant()
    started_at: int | None = _instant(optional=True)
    ended_at: int | None = _instant(optional=True)
    applied: int
    refused: int
    outdated: int
    failed: int
    forgiven_rows: int
    forgiven: int
    lease: str | None
    lease_until: int | None = _instant(optional=True)


class JobItem(Base, table=True):
    """Rows of bulk work, each with the version its plan saw."""

    __tablename__ = _names.JOB_ITEM
    __table_args__ = (
        Index("grantflow_job_item_outcome", "job_pk", "outcome", "ordinal"),
        {"sqlite_with_rowid": False},
    )
    job_pk: int = Field(primary_key=True)
    ordinal: int = Field(primary_key=True)
    installation: str
    version: int
    outcome: str
    detail: str
    at: int | None = _instant(optional=True)


class Control(Base, table=True):
    """Switches of the operation."""

    __tablename__ = _names.CONTROL
    name: str = Field(primary_key=True)
    at: int = _instant()
    by: str
    reason: str
    detail: str


class Beat(Base, table=True):
    """Processes at work."""

    __tablename__ = _names.BEAT
    process: str = Field(primary_key=True)
    kind: str
    host: str
    pid: int
    started_at: int = _instant()
    at: int = _instant()
    note: str


class Quarantine(Base, table=True):
    """Rows set aside."""

    __tablename__ = _names.QUARANTINE
    installation_pk: int = Field(primary_key=True)
    reason: str
    since: int = _instant()
    original: str


class Count(Base, table=True):
    """Maintained counters, in slots so that many writers do not meet on one row."""

    __tablename__ = _names.COUNT
    app_pk: int = Field(primary_key=True)
    state: str = Field(primary_key=True)
    slot: int = Field(primary_key=True)
    n: int


APPEND_ONLY = (Transition, OperatorAction)


def table_of(model: type[Base]) -> Table:
    """The core table behind an SQLModel class."""
    found: Table = model.__table__  # type: ignore[attr-defined]  # set by the metaclass
    return found
