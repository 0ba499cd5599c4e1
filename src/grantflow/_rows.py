"""What the store and the decision core hand each other: plain rows, instants as integers.

Field order is column order; a test holds these against the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from grantflow._job_rows import JobItemRow, JobRow
from grantflow.errors import BadInput
from grantflow_machines import Actor, ActorKind, Instant, Step


@dataclass(slots=True)
class AppRow:
    """One registered app; `document` is the JSON text of the public `App`."""

    pk: int
    public_id: str
    key: str
    kind: str
    client_id: str
    document: str
    revision: int
    held_by: str | None = None
    held_reason: str | None = None
    held_at: Instant | None = None
    secrets: str = "[]"
    """Client secrets for a foreign server, newest last: JSON list of [sealed, base64; since]."""


@dataclass(slots=True)
class ParentRow:
    """One app on one account."""

    pk: int
    app_pk: int
    account: str
    app_version: str
    available: bool
    revision: int
    installed_at: Instant
    removed_at: Instant | None = None
    suspended_by: str | None = None
    suspended_at: Instant | None = None
    suspended_why: str | None = None


@dataclass(slots=True)
class InstallationRow:
    """One installation: the row the machine lives in."""

    pk: int
    public_id: str
    app_pk: int
    account: str
    subject_kind: str
    subject_id: str
    label: str
    state: str
    reason: str | None
    version: int
    generation: int
    due_at: Instant | None
    deadline_at: Instant | None
    grant_revoked: bool
    granted: str
    identity: str | None
    definition: str
    definition_version: int
    fingerprint: str
    bucket: int
    created_at: Instant
    entered_at: Instant
    updated_at: Instant
    forced: bool = False
    suspended_by: str | None = None
    suspended_at: Instant | None = None
    suspended_why: str | None = None
    quarantined: bool = False
    ended_at: Instant | None = None
    """When the grant died; None while there is none or it lives."""
    notice_due_at: Instant | None = None
    """When somebody is to be warned or reminded."""


@dataclass(slots=True)
class AttemptRow:
    """One attempt; it may live before its installation does."""

    pk: int
    public_id: str
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
    app_state: bytes | None
    code_hash: bytes | None
    code_challenge: str | None
    binding_hash: bytes | None
    family: str | None
    created_at: Instant
    expires_at: Instant
    outcome: str | None = None
    closed_at: Instant | None = None
    state_hash: bytes | None = None
    """Client mode: hash of the `state` that went out."""
    state_used_at: Instant | None = None
    sealed: bytes | None = None
    """Client mode: PKCE verifier and nonce, as sealed JSON."""
    issuer: str | None = None

    @property
    def actor(self) -> Actor:
        """Who opened it."""
        return Actor(ActorKind(self.actor_kind), self.actor_id)

    @property
    def at(self) -> Step:
        """How far it has come."""
        return Step(self.step)


@dataclass(slots=True)
class ConsentRow:
    """One consent, never overwritten; only its end is written later."""

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
    given_at: Instant
    voided_at: Instant | None = None


@dataclass(slots=True)
class TokenRow:
    """The token set of an installation."""

    installation_pk: int
    family: str
    generation: int
    scopes: str
    issued_at: Instant
    access_expires_at: Instant | None
    refresh_expires_at: Instant | None
    authorization_expires_at: Instant | None
    access_sealed: bytes | None = None
    """Client mode: the tokens themselves, as ciphertext."""
    refresh_sealed: bytes | None = None
    consented_at: Instant | None = None
    refresh_at: Instant | None = None
    """When to renew, or to try again."""
    lease: str | None = None
    """Who is renewing, until `lease_until`."""
    lease_until: Instant | None = None
    in_flight_at: Instant | None = None
    """A renewal of this generation went out and was not answered."""
    failures: int = 0
    failing: str | None = None
    """Why the last renewals failed; one notice is sent each time it changes."""
    forced_generation: int | None = None
    """The generation that a 401 of the API brought about."""
    unauthorized_at: Instant | None = None


@dataclass(slots=True)
class CredentialRow:
    """One issued token, by its hash."""

    hash: bytes
    installation_pk: int
    kind: str
    family: str
    generation: int
    client_id: str
    expires_at: Instant | None
    spent_at: Instant | None = None


@dataclass(slots=True)
class TransitionRow:
    """One recorded transition."""

    installation_pk: int
    version: int
    source: str | None
    event: str
    target: str
    actor: str
    at: Instant
    reason: str | None
    forced: bool
    run_id: str | None
    idempotency_key: str | None
    fingerprint: str


@dataclass(slots=True)
class OutboxRow:
    """One notice to deliver after the commit; `body` is JSON without secrets."""

    installation_pk: int | None
    """None for a notice about an app."""
    name: str
    version: int
    at: Instant
    body: str
    delivered_at: Instant | None = None
    app_pk: int | None = None
    tries: int = 0
    """Deliveries that failed."""
    next_at: Instant | None = None
    """When to try again; None before the first failure and after the end."""
    dead_at: Instant | None = None
    """When it was given up; it stays to be seen and sent again."""


SHARED = "shared"
"""Outcome of a revocation while, and if in the end because, a live installation may hold the same grant."""


@dataclass(slots=True)
class RevocationRow:
    """One token to give back to a foreign server, as ciphertext; wiped when it is done (RFC 7009)."""

    pk: int
    app_pk: int
    installation_pk: int
    identity: str | None
    subject_id: str
    hint: str
    sealed: bytes | None
    place: str
    """What the ciphertext is bound to."""
    created_at: Instant
    next_at: Instant | None
    """When to try; None when it is over."""
    tries: int = 0
    outcome: str | None = None
    done_at: Instant | None = None


@dataclass(slots=True)
class IncidentRow:
    """Something is wrong with an app, not with its installations; at most one is open per app."""

    pk: int
    public_id: str
    app_pk: int
    cause: str
    detail: str
    opened_at: Instant
    probe_at: Instant
    probes: int = 0
    closed_at: Instant | None = None
    closed_by: str | None = None


@dataclass(slots=True)
class ActionRow:
    """What an operator did, tried or previewed."""

    at: Instant
    actor: str
    claimed: bool
    verb: str
    target: str
    reason: str | None
    version_seen: int | None
    outcome: str
    detail: str


@dataclass(slots=True)
class ControlRow:
    """One switch of the operation, shared by all processes: a pause, an app that the sweep's brake holds."""

    name: str
    at: Instant
    by: str
    reason: str
    detail: str = ""


@dataclass(slots=True)
class BeatRow:
    """A process that is at work, and when it last said so."""

    process: str
    kind: str
    host: str
    pid: int
    started_at: Instant
    at: Instant
    note: str


@dataclass(slots=True)
class QuarantineRow:
    """A row that cannot be understood, set aside."""

    installation_pk: int
    reason: str
    since: Instant
    original: str


def storable(name: object) -> bool:
    """Whether it is a text that can be written as UTF-8."""
    try:
        return isinstance(name, str) and name.encode() is not None
    except UnicodeEncodeError:
        return False


@dataclass(frozen=True, slots=True)
class Load:
    """What one transaction wants to read first; exactly one way in is given."""

    installation: str | None = None
    natural: tuple[str, str, str | None, str] | None = None
    """App key, account, subject id (None: the account itself), label."""
    attempt: str | None = None
    code_hash: bytes | None = None
    credential: bytes | None = None
    app: str | None = None
    """App key, or client id behind `client:`."""
    account: str | None = None
    """With `attempt` or `app`: the account whose parent and installation are read too."""
    consents_of: Actor | None = None
    idempotency_key: str | None = None
    state_hash: bytes | None = None
    """The attempt of a callback."""
    foreign: bool = False
    """Read the app's open incident too."""
    job: str | None = None
    """Read this bulk job too, and with `ordinal` that row of it."""
    ordinal: int | None = None

    def __post_init__(self) -> None:
        """Raise BadInput for a name that no database can look for."""
        named = (self.installation, *(self.natural or ()), self.attempt, self.app, self.account)
        named += (self.idempotency_key, self.job)
        for name in named:
            if name is not None and not storable(name):
                msg = "a name is not valid text"
                raise BadInput(msg)


@dataclass(slots=True)
class Snapshot:
    """What was read, all at one instant."""

    app: AppRow | None = None
    parent: ParentRow | None = None
    installation: InstallationRow | None = None
    attempts: list[AttemptRow] = field(default_factory=list)
    """Open attempts of the installation, oldest first."""
    attempt: AttemptRow | None = None
    """The attempt asked for, open or closed."""
    tokens: TokenRow | None = None
    credential: CredentialRow | None = None
    approved: frozenset[str] = frozenset()
    incident: IncidentRow | None = None
    """The app's open incident, where `Load.foreign` asked for it."""
    job: JobRow | None = None
    item: JobItemRow | None = None
    replayed_version: int | None = None
    """Version that the same idempotency key has already written."""
    quarantined: str | None = None


@dataclass(slots=True)
class Change:
    """What one transaction writes; an empty one writes nothing."""

    installation: InstallationRow | None = None
    expected_version: int | None = None
    """None inserts the installation; a number is compared and swapped."""
    whole: bool = False
    """More than the move itself changed: columns beside state, reason, versions and clocks are written too."""
    touched: bool = False
    """The row is written though nothing was recorded: a renewal moved its deadline."""
    before: str | None = None
    """State before, for the counters; None for a new row."""
    transitions: list[TransitionRow] = field(default_factory=list)
    new_attempts: list[AttemptRow] = field(default_factory=list)
    changed_attempts: list[AttemptRow] = field(default_factory=list)
    consents: list[ConsentRow] = field(default_factory=list)
    void_consents: bool = False
    tokens: TokenRow | None = None
    wipe_tokens: bool = False
    leaves_quarantine: bool = False
    stop_renewal: bool = False
    """The grant died: nothing is renewed ahead of time any more."""
    new_credentials: list[CredentialRow] = field(default_factory=list)
    spent_credential: bytes | None = None
    drop_credential: bytes | None = None
    drop_access_before: Instant | None = None
    """Access tokens that ended before this instant are forgotten."""
    notices: list[OutboxRow] = field(default_factory=list)
    revocations: list[RevocationRow] = field(default_factory=list)
    incident: IncidentRow | None = None
    """A new one, or one that changed."""
    job: JobRow | None = None
    """The same; a changed one is compared and swapped by its revision."""
    new_items: list[JobItemRow] = field(default_factory=list)
    """Rows of `job`, written with it."""
    item: JobItemRow | None = None
    """The outcome of a row that had none."""
    app: AppRow | None = None
    parent: ParentRow | None = None
    action: ActionRow | None = None
    set_controls: list[ControlRow] = field(default_factory=list)
    drop_controls: list[str] = field(default_factory=list)
    result: object = None


_SUBJECT_KINDS = {"account": "account", "agent": "agent"}


def subject_of(kind: str, account: str, subject_id: str | None) -> tuple[str, str]:
    """(subject kind, subject id) of an installation: an account-level one belongs to the account itself."""
    subject_kind = _SUBJECT_KINDS.get(kind, "user")
    return subject_kind, account if subject_kind == "account" or subject_id is None else subject_id


_WHOLE = ("version", "generation", "created_at", "entered_at", "updated_at")
_MAYBE = ("due_at", "deadline_at", "suspended_at", "ended_at", "notice_due_at")
_TEXTS = ("state", "granted", "account", "subject_kind", "subject_id", "label")
_LAST = 253_402_300_800_000_000
"""Microseconds from the epoch to the year 10000."""


def _whole(value: object) -> bool:
    """A count or an instant before the year 10000."""
    return type(value) is int and -_LAST < value < _LAST


def damage(row: InstallationRow, attempts: Sequence[AttemptRow] = ()) -> str | None:
    """What makes a stored row unreadable, or None; looked for only after something failed or the row is set aside."""
    numbers = [name for name in _WHOLE if not _whole(getattr(row, name))]
    numbers += [name for name in _MAYBE if getattr(row, name) is not None and not _whole(getattr(row, name))]
    bad = numbers + [name for name in _TEXTS if not storable(getattr(row, name))]
    if row.suspended_by is not None and row.suspended_by not in set(ActorKind):
        bad.append("suspended_by")
    if not all(_whole(attempt.expires_at) and type(attempt.step) is int for attempt in attempts):
        bad.append("an open attempt")
    return f"the row cannot be read: {', '.join(bad)}" if bad else None


def app_damage(row: AppRow) -> str | None:
    """What makes a stored app unreadable, or None; its document is read elsewhere."""
    texts = ("public_id", "key", "kind", "client_id", "document", "secrets")
    bad = [name for name in texts if not storable(getattr(row, name))]
    bad += [name for name in ("held_by", "held_reason") if not storable(getattr(row, name) or "")]
    bad += [] if _whole(row.revision) else ["revision"]
    return f"the row of the app cannot be read: {', '.join(bad)}" if bad else None


def mended(row: InstallationRow) -> InstallationRow:
    """A row that can be shown: what cannot be read is left out."""
    for name in _WHOLE:
        if not _whole(getattr(row, name)):
            setattr(row, name, 0)
    for name in _MAYBE:
        if not _whole(getattr(row, name)):
            setattr(row, name, None)
    for name in _TEXTS:
        setattr(row, name, str(getattr(row, name)).encode(errors="replace").decode())
    return row
