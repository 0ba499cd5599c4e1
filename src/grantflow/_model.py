"""What callers receive: frozen values, aware datetimes, no secret in any repr."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from grantflow._secret import Secret
from grantflow_machines import Actor, Instant


@dataclass(frozen=True, slots=True)
class Account:
    """One account of a person, as the host's directory tells it; `role` is `admin`, `agent` or `user`."""

    id: str
    name: str
    role: str


Directory = Callable[[Actor], Awaitable[Sequence[Account]]]
Veto = Callable[[str, str, str, Actor], Awaitable[str | None]]
"""(verb, app, account, actor) → a message for the person, or None to let it happen."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a policy answers instead of True."""

    why: str


Policy = Callable[[Actor, str, "Installation | None"], "bool | Refusal | Awaitable[bool | Refusal]"]


@dataclass(frozen=True, slots=True)
class Suspension:
    """Who stopped it, when and why; only the same side lifts it."""

    by: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class AppAccount:
    """One app on one account: the parent of the installations there."""

    app: str
    account: str
    version: str
    available: bool
    """Whether all agents of the account may use an account-level app (S-02)."""
    installed: bool
    suspension: Suspension | None = None


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation as it is now; `state` is the effective one, `stored_state` what the row says."""

    id: str
    app: str
    kind: str
    account: str
    subject_kind: str
    subject: str
    label: str
    state: str
    stored_state: str
    overdue: bool
    """The deadline has passed and no sweep has written it yet."""
    usable: bool
    """Whether the app may work for this subject now (invariant 1 of the lifecycle)."""
    reason: str | None
    version: int
    generation: int
    granted: tuple[str, ...]
    scopes_missing: tuple[str, ...]
    expires_at: datetime | None
    due_at: datetime | None
    created_at: datetime
    entered_at: datetime
    updated_at: datetime
    forced: bool
    suspension: Suspension | None
    parent_suspended: bool
    available: bool
    app_held: bool
    open_attempts: int
    quarantined: str | None = None
    next_notice_at: datetime | None = None
    """When its people are warned or reminded next."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way through the authorization window, as its opener holds it."""

    id: str
    app: str
    kind: str
    actor: Actor
    installation: str | None
    account: str | None
    expires_at: datetime
    authorize_url: str = field(repr=False)
    """Where the person goes; in client mode it carries `state`, so it is not printed."""
    outcome: str | None = None
    step: str = "window"
    """How far it came: `window`, `account`, `consented`."""
    cookie: Secret | None = field(default=None, repr=False)
    """Binds the browser that starts to the one that comes back; None where the host passed its own `binding=`."""
    cookie_name: str = "grantflow_attempt"
    cookie_secure: bool = True
    """False where the callback is plain http on loopback."""

    @property
    def set_cookie(self) -> str:
        """The whole Set-Cookie header of the redirect to `authorize_url`: HttpOnly, SameSite=Lax, ten minutes."""
        value = "" if self.cookie is None else self.cookie.value
        secure = "; Secure" if self.cookie_secure else ""
        return f"{self.cookie_name}={value}; Max-Age=600; Path=/; HttpOnly; SameSite=Lax{secure}"


@dataclass(frozen=True, slots=True)
class WindowAccount:
    """One line of the account list; a disabled one says why."""

    id: str
    name: str
    selectable: bool
    why_not: str | None = None


@dataclass(frozen=True, slots=True)
class ConsentForm:
    """The scopes of the request in two groups. Source: S-13 … S-16, S-22, S-23."""

    attempt: str
    app_name: str
    app_description: str
    account: str
    approved: tuple[str, ...]
    awaiting: tuple[str, ...]
    required: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """The authorization window. Source: S-07 … S-11, S-22."""

    attempt: str
    app_name: str
    app_description: str
    accounts: tuple[WindowAccount, ...]
    preselected: str | None
    form: ConsentForm | None
    """Set when the account was chosen automatically or before."""
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """Where the person goes after the form; the URL carries the code, so it is not printed. Source: S-17, S-25."""

    attempt: str
    outcome: str
    redirect_to: str = field(repr=False)
    installation: str | None
    code: Secret | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Who presents a code or a refresh token; a public client has no secret."""

    client_id: str
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A token answer. Source: S-18, S-28, S-29, S-37; RFC 6749 §5.1."""

    installation: str
    access_token: Secret = field(repr=False)
    refresh_token: Secret = field(repr=False)
    scopes: tuple[str, ...]
    expires_at: datetime
    refresh_expires_at: datetime | None
    generation: int

    @property
    def headers(self) -> dict[str, str]:
        """What a REST call sends (RFC 6750 §2.1)."""
        return {"Authorization": f"Bearer {self.access_token.value}"}


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Whom an access token speaks for."""

    installation: str
    app: str
    account: str
    subject_kind: str
    subject: str
    scopes: tuple[str, ...]
    expires_at: datetime


class Prompt(StrEnum):
    """The button the app's front end shows."""

    AUTHORIZE = "AUTHORIZE"
    REAUTHORIZE = "REAUTHORIZE"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Guidance:
    """What to tell one viewer about one installation. Source: S-04, S-33, S-34."""

    prompt: Prompt
    may_act: bool
    who: str
    where: str
    sentence: str
    state: str
    reason: str | None
    url: str | None
    scopes_awaiting: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """The machine-readable body of a 401."""
        return {
            "prompt": self.prompt.value,
            "may_act": self.may_act,
            "who": self.who,
            "where": self.where,
            "message": self.sentence,
            "state": self.state,
            "reason": self.reason,
            "url": self.url,
            "scopes_awaiting": list(self.scopes_awaiting),
        }


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One guard that says no."""

    guard: str
    why: str
    is_role: bool
    available_at: Instant | None = None
    """When it will say yes by itself; microseconds since the epoch, UTC."""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an event would happen now, or why not, guard by guard, and from when."""

    event: str
    allowed: bool
    target: str | None
    why: str
    obstacles: tuple[Obstacle, ...] = ()
    available_at: datetime | None = None
    nearest: str | None = None


@dataclass(frozen=True, slots=True)
class TransitionRecord:
    """One line of an installation's history."""

    version: int
    source: str | None
    event: str
    target: str
    actor: str
    at: datetime
    reason: str | None
    forced: bool
    run_id: str | None
    idempotency_key: str | None


@dataclass(frozen=True)
class Sent:
    """What `send` did; `replayed` when the idempotency key had done it before."""

    version: int
    target: str
    see: Callable[[], Installation] = field(repr=False, compare=False)
    replayed: bool = False

    @cached_property
    def installation(self) -> Installation:
        """The installation as the event left it; built when it is asked for."""
        return self.see()


@dataclass(frozen=True, slots=True)
class Counts:
    """Installations per stored state, from maintained counters."""

    by_state: dict[str, int]
    by_app: dict[str, dict[str, int]]
    overdue: int
    """Rows whose due time has passed; counted up to 10,001."""

    @property
    def total(self) -> int:
        """All rows, tombstones included."""
        return sum(self.by_state.values())


@dataclass(frozen=True, slots=True)
class Page:
    """One page of installations, in the filter's order."""

    items: tuple[Installation, ...]
    next_after: str | None
    """Pass as `after=` for the next page; None at the end."""
    places: tuple[str, ...] = ()
    """The cursor of each item, for windows that begin or end in the middle of a page."""


@dataclass(frozen=True, slots=True)
class Matches:
    """How many rows match: exact up to the bound, else *at least*."""

    count: int
    exact: bool


@dataclass(frozen=True, slots=True)
class PlannedMove:
    """One row of a plan and what would happen to it."""

    installation: str
    version: int
    source: str
    target: str
    effects: tuple[str, ...]
    irreversible: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What an operator is about to do; `apply` is the only way to run one."""

    verb: str
    actor: Actor
    reason: str
    fingerprint: str
    moves: tuple[PlannedMove, ...]
    refused: tuple[str, ...] = ()
    without_side_effects: bool = False

    def confirmed(self, reason: str) -> Plan:
        """The same plan under another reason."""
        return replace(self, reason=reason)


@dataclass(frozen=True, slots=True)
class Held:
    """An app whose expiries the brake holds."""

    app: str
    due: int
    active: int
    why: str


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What one sweep did."""

    run_id: str
    seen: int
    moved: int
    attempts_closed: int
    skipped: int
    quarantined: int
    held: tuple[Held, ...]
    seconds: float
    next_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened, told after the commit, at least once.

    `name` is a past tense: what the charts declare (`installation.expired` …) and a name of `NoticeName`.
    """

    installation: str
    """Empty for a notice about an app."""
    name: str
    version: int
    at: datetime
    body: dict[str, object]
    app: str = ""


@dataclass(frozen=True, slots=True)
class OperatorAction:
    """What an operator did, tried or previewed."""

    at: datetime
    actor: str
    claimed: bool
    verb: str
    target: str
    reason: str | None
    version_seen: int | None
    outcome: str
    detail: str
