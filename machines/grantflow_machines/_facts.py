"""What a guard may look at: frozen values, no I/O, no clock.

Instants are integers: microseconds since the epoch, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

Instant = int
"""Microseconds since 1970-01-01T00:00:00Z."""

NO_SCOPES: frozenset[str] = frozenset()


class ActorKind(StrEnum):
    """Who somebody is to the platform."""

    ADMIN = "admin"
    AGENT = "agent"
    USER = "user"
    APP = "app"
    OPERATOR = "operator"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts, as the host vouches for them; never built from a form.

    >>> Actor.admin("maria")
    Actor(kind=<ActorKind.ADMIN: 'admin'>, id='maria', claimed=False)
    """

    kind: ActorKind
    id: str
    claimed: bool = field(default=False, compare=False)
    """True when the name was passed by argument and nobody vouched for it."""

    @classmethod
    def admin(cls, actor_id: str) -> Actor:
        """An administrator of one or more accounts."""
        return cls(ActorKind.ADMIN, actor_id)

    @classmethod
    def agent(cls, actor_id: str) -> Actor:
        """An agent who works in one or more accounts."""
        return cls(ActorKind.AGENT, actor_id)

    @classmethod
    def user(cls, actor_id: str) -> Actor:
        """A user of an external app."""
        return cls(ActorKind.USER, actor_id)

    @classmethod
    def app(cls, client_id: str) -> Actor:
        """The app's own logic, known by the client id that the host authenticated."""
        return cls(ActorKind.APP, client_id)

    @classmethod
    def operator(cls, actor_id: str, *, claimed: bool = False) -> Actor:
        """An operator of the platform."""
        return cls(ActorKind.OPERATOR, actor_id, claimed)

    @classmethod
    def system(cls, actor_id: str = "grantflow") -> Actor:
        """The engine itself: time, parents, deliveries."""
        return cls(ActorKind.SYSTEM, actor_id)

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.id}"


class Step(IntEnum):
    """How far an open attempt has come; a later step is greater."""

    WINDOW = 1
    ACCOUNT = 2
    CONSENTED = 3


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """The attempt an event speaks about."""

    actor: Actor
    step: Step
    expires_at: Instant
    own_account_only: bool = False
    """True for reauthorization and scope upgrade: only the installation's account can be chosen."""


@dataclass(slots=True, kw_only=True)
class Facts:
    """Everything the guards of one decision look at, read before the decision is made."""

    actor: Actor
    now: Instant
    subject_kind: str = ""
    subject_id: str = ""
    account: str = ""
    client_id: str | None = None
    """The installed app's client id: an app is known by it."""
    is_account_admin: bool = False
    """The host's directory says: this actor administers the installation's account now."""
    account_listed: bool = False
    """The host's directory says: the account is among this actor's now, in the role the app asks for."""
    chosen_account: str | None = None
    attempt: AttemptFacts | None = None
    others: Step | None = None
    """Furthest step among the other open attempts of the installation; None when there are none."""
    deadline: Instant | None = None
    required: frozenset[str] = NO_SCOPES
    approved: frozenset[str] = NO_SCOPES
    agreed: frozenset[str] = NO_SCOPES
    identity_matches: bool = True
    callback_valid: bool = False
    secrets_held: bool = False
    """The token set of the last grant is still stored."""
    tokens_live: bool = False
    """The stored token set is neither revoked nor past its deadline."""
    veto: str | None = None
    suspended_by: ActorKind | None = None
    force_target: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class No:
    """A guard's refusal: falsy, and says why.

    >>> bool(No("too late"))
    False
    """

    why: str
    available_at: Instant | None = None
    missing: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return False


Answer = bool | No
