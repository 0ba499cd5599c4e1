"""Everything grantflow raises.

::

    GrantflowError
    ├── ConfigurationError
    │   ├── KeysMissing
    │   └── SchemaMismatch
    │       ├── SchemaOutdated
    │       └── SchemaTooNew
    ├── BadInput
    │   ├── BadCallback
    │   ├── FilterSyntaxError
    │   └── InvalidRequest
    ├── NotFound
    ├── TransitionRefused
    │   ├── UnknownEvent
    │   └── EngineOnly
    ├── PermissionDenied
    ├── Conflict
    │   └── PlanOutdated
    ├── CopyRefused
    ├── Quarantined
    ├── DirectoryUnavailable
    ├── EngineClosed
    ├── NotHeldHere
    ├── SweepHeld
    ├── ClockSkewed
    ├── CarrierError
    │   ├── NotSent
    │   └── NoAnswer
    ├── TokenUnavailable
    │   └── AppMisconfigured
    ├── Unauthorized
    │   └── ReauthorizationRequired
    ├── OAuthError
    │   ├── InvalidClient
    │   ├── InvalidGrant
    │   └── InvalidScope
    └── DatabaseError
        ├── DatabaseBusy
        ├── DatabaseReadOnly
        ├── DatabaseFull
        └── DatabaseUnreachable

Cancelling and refusing consent are transitions, never exceptions. No message holds a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from grantflow._model import Explanation, Guidance


class GrantflowError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    hint: str | None = None
    """What to do about it, as one sentence or a command."""
    retryable: ClassVar[bool] = False

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().split("\n", maxsplit=1)[0])
        if hint is not None:
            self.hint = hint


class ConfigurationError(GrantflowError):
    """The settings of the engine or of an app do not fit together."""

    code = "configuration"


class KeysMissing(ConfigurationError):
    """A secret must be sealed or opened, but the engine was given no keys."""

    code = "keys_missing"
    hint = "set GRANTFLOW_KEYS to a key made by KeyRing.new_key(), or pass keys= to Engine.open"


class SchemaMismatch(ConfigurationError):
    """The database was written by another version of the schema."""

    code = "schema_mismatch"
    hint = "use the grantflow release that wrote the file, or upgrade it"


class SchemaOutdated(SchemaMismatch):
    """The database has the schema of an earlier release."""

    code = "schema_outdated"
    hint = "grantflow db upgrade"


class SchemaTooNew(SchemaMismatch):
    """The database has the schema of a later release, which this one cannot work on."""

    code = "schema_too_new"
    hint = "install the release of grantflow that upgraded the database, or a newer one"


class BadInput(GrantflowError):
    """An argument is malformed; nothing was written."""

    code = "bad_input"


class FilterSyntaxError(BadInput):
    """The filter cannot be read."""

    code = "filter_syntax"

    def __init__(self, message: str, *, text: str, position: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.text = text
        self.position = position

    @property
    def caret(self) -> str:
        """The filter and a caret under the character that cannot be read, on two lines."""
        shown = "".join(char if char.isprintable() else " " for char in self.text)
        return f"{shown}\n{' ' * self.position}^"


class BadCallback(BadInput):
    """The callback does not belong to an open attempt of this browser; no row was changed (RFC 9700 §4.7)."""

    code = "bad_callback"
    hint = "start the authorization again from the app"

    def __init__(self, message: str | None = None, *, why: str = "malformed") -> None:
        super().__init__(message)
        self.why = why
        """One of `malformed unknown used expired browser issuer closed`; for logs and counters, not for people."""


class InvalidRequest(BadInput):
    """The authorization request is malformed; do not redirect (RFC 6749 §4.1.2.1)."""

    code = "invalid_request"


class NotFound(GrantflowError):
    """There is no such row, or this actor may not know of it."""

    code = "not_found"


class TransitionRefused(GrantflowError):
    """The machine refuses the event in this state; nothing was written."""

    code = "refused"

    def __init__(self, message: str, *, explanation: Explanation | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.explanation = explanation


class UnknownEvent(TransitionRefused):
    """No chart has an event of this name."""

    code = "unknown_event"


class EngineOnly(TransitionRefused):
    """This event carries what only the engine can know; it is refused from outside."""

    code = "engine_only"


class PermissionDenied(GrantflowError):
    """This actor may not do that."""

    code = "permission_denied"


class Conflict(GrantflowError):
    """Somebody else changed the row first, again and again; nothing was written."""

    code = "conflict"
    retryable = True


class PlanOutdated(Conflict):
    """The row moved after the plan was made; nothing was written."""

    code = "plan_outdated"
    hint = "look at the installation again and make a new plan"
    retryable = False


class CopyRefused(GrantflowError):
    """The database cannot be copied as things are; what was copied so far stays, and is no database yet."""

    code = "copy_refused"


class Quarantined(GrantflowError):
    """The stored row cannot be understood and is set aside; the others go on."""

    code = "quarantined"
    hint = "grantflow show ID tells what is wrong with it, grantflow repair ID brings it back by its trail"


class DirectoryUnavailable(GrantflowError):
    """The host's directory of accounts did not answer in time; nothing was written."""

    code = "directory_unavailable"
    retryable = True


class EngineClosed(GrantflowError):
    """The engine is closed."""

    code = "engine_closed"


class NotHeldHere(GrantflowError):
    """In host mode only hashes of tokens are kept: the engine cannot hand one out again."""

    code = "not_held_here"


class SweepHeld(GrantflowError):
    """The sweep brake is on: too much would expire at once."""

    code = "sweep_held"
    hint = "look at the clock and at preview_sweep(), then release it with a reason"


class ClockSkewed(GrantflowError):
    """This machine and the database server disagree about the time so much that one of them is wrong."""

    code = "clock_skewed"
    hint = "set the clock that is wrong; run a time service on this machine and on the database server"
    retryable = True


class CarrierError(GrantflowError):
    """A request to a foreign authorization server did not come to an end."""

    code = "carrier"
    retryable = True


class NotSent(CarrierError):
    """The connection was never made: the server has seen nothing, and the request may be sent again."""

    code = "not_sent"


class NoAnswer(CarrierError):
    """The request went out and no answer came: nobody knows whether the server carried it out."""

    code = "no_answer"


class TokenUnavailable(GrantflowError):
    """The grant is alive, but no access token can be had at the moment; the installation did not change."""

    code = "token_unavailable"
    retryable = True

    def __init__(self, message: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which to ask again, when that is known."""


class AppMisconfigured(TokenUnavailable):
    """The authorization server refuses the app itself: an incident is open, and no installation was touched."""

    code = "app_misconfigured"
    hint = "look at client id, secret and endpoints of the app; `grantflow doctor` shows the incident"


class Unauthorized(GrantflowError):
    """401: the access token opens nothing (RFC 6750 §3.1)."""

    code = "unauthorized"

    def __init__(self, message: str | None = None, *, guidance: Guidance | None = None) -> None:
        super().__init__(message)
        self.guidance = guidance


class ReauthorizationRequired(Unauthorized):
    """401: the grant is dead until the right person reauthorizes."""

    code = "reauthorization_required"


class OAuthError(GrantflowError):
    """The token endpoint refuses; `code` of a leaf is the OAuth error code (RFC 6749 §5.2)."""

    code = "oauth"


class InvalidClient(OAuthError):
    """The client is unknown or did not prove who it is."""

    code = "invalid_client"


class InvalidGrant(OAuthError):
    """The code or refresh token is wrong, used, expired, revoked or meant for another client."""

    code = "invalid_grant"

    def __init__(self, message: str | None = None, *, guidance: Guidance | None = None) -> None:
        super().__init__(message)
        self.guidance = guidance


class InvalidScope(OAuthError):
    """A scope is unknown, malformed or wider than what is registered."""

    code = "invalid_scope"


class DatabaseError(GrantflowError):
    """The database cannot be reached."""

    code = "database"
    hint = "check the path, its folder and its permissions"


class DatabaseBusy(DatabaseError):
    """Another process holds the database's write lock for too long."""

    code = "database_busy"
    hint = "try again; if it stays, look for a process that hangs inside a transaction"
    retryable = True


class DatabaseReadOnly(DatabaseError):
    """The database cannot be written."""

    code = "database_read_only"


class DatabaseFull(DatabaseError):
    """The disk or the database's size limit is full; nothing was written."""

    code = "database_full"
    hint = "free some space; the engine goes on by itself"
    retryable = True


class DatabaseUnreachable(DatabaseError):
    """The database server does not answer, or the connection broke."""

    code = "database_unreachable"
    hint = "check that the server runs and that host, port and name in the URL are right; the engine connects again"
    retryable = True
