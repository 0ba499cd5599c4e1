"""What callers of client mode receive: tokens that never print themselves, endings, health, incidents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NoReturn

from grantflow._app import App
from grantflow._model import Installation
from grantflow._secret import Secret

Identify = Callable[[App, "Granted"], Awaitable[str]]
"""(app, what was granted) → the stable id of whose grant it is, at the foreign server."""


class NoticeName(StrEnum):
    """Notices that no transition brings; a cause is told once, until it changes."""

    REFRESH_FAILED = "refresh.failed"
    REFRESH_RECOVERED = "refresh.recovered"
    SCOPES_NARROWED = "scopes.narrowed"
    INCIDENT_OPENED = "incident.opened"
    INCIDENT_CLOSED = "incident.closed"
    INSTALLATION_EXPIRING = "installation.expiring"
    INSTALLATION_REMINDED = "installation.reminded"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token of a foreign server, ready to be sent; it is never printed.

    Source: S-18, S-28; RFC 6750 §2.1.
    """

    secret: Secret = field(repr=False)
    expires_at: datetime | None
    """None where the server announced nothing."""
    generation: int
    """Pass it to `report` when the API answers 401."""
    scopes: tuple[str, ...]
    installation: str

    @property
    def value(self) -> str:
        """The token itself."""
        return self.secret.value

    @property
    def headers(self) -> dict[str, str]:
        """What a REST call sends."""
        return {"Authorization": f"Bearer {self.secret.value}"}

    def __str__(self) -> NoReturn:
        str(self.secret)
        raise AssertionError

    def __format__(self, spec: str) -> NoReturn:
        str(self)
        raise AssertionError(spec)


@dataclass(frozen=True, slots=True)
class Granted:
    """What a foreign server has just given, as the host's `identify` receives it."""

    access_token: Secret = field(repr=False)
    id_token: Secret | None = field(repr=False)
    nonce: str | None = field(repr=False)
    """The nonce that went out; an ID token must carry the same (OpenID Connect Core §3.1.3.7)."""
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Completed:
    """How a callback ended. Source: S-12, S-17, S-18, S-24 … S-26, S-37."""

    outcome: str
    """`completed`, `cancelled`, `failed`, `wrong-account`; `expired` or `superseded` where an answer came late."""
    installation: Installation | None
    attempt: str
    already: bool = False
    """Another window of the same installation had succeeded before; this callback changed nothing."""
    why: str | None = None
    """For an attempt that failed: a class of answer, never a text of the server."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What the engine made of an API's answer: `stale`, `renewed`, `rejected`, `pending`, `narrowed` or `noted`."""

    outcome: str
    token: AccessToken | None = None
    """The token to go on with, where there is one."""


@dataclass(frozen=True, slots=True)
class TokenHealth:
    """How the token set of an installation in client mode is doing; no secret in it."""

    generation: int
    access_expires_at: datetime | None
    refresh_expires_at: datetime | None
    authorization_expires_at: datetime | None
    refresh_at: datetime | None
    renewable: bool
    failing: str | None
    failures: int
    unanswered_since: datetime | None
    identity: str | None
    """None: nobody verified whose grant it is."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something is wrong with an app, not with its installations."""

    id: str
    app: str
    cause: str
    detail: str
    opened_at: datetime
    probe_at: datetime
    probes: int
    closed_at: datetime | None
    closed_by: str | None
