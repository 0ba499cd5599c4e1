"""The authorization request: what must hold before any row is touched (RFC 6749 §4.1.1, RFC 7636, RFC 9700)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from grantflow._app import App, Version, scope_set
from grantflow._rows import storable
from grantflow.errors import BadInput, InvalidRequest, InvalidScope

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
MAX_STATE = 4096
MAX_NAME = 200
MAX_TEXT = 4_000
_PLAIN = "plain text without NUL and lone surrogates"


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that was found in order."""

    redirect_uri: str
    scopes: frozenset[str]
    state: str | None
    code_challenge: str | None


def checked_request(
    app: App,
    version: Version,
    *,
    redirect_uri: str | None,
    scope: str | None,
    state: str | None,
    code_challenge: str | None,
    code_challenge_method: str = "S256",
    response_type: str = "code",
) -> AuthorizationRequest:
    """Check one request against the app.

    Raises:
        InvalidRequest: redirect URI, response type, state or challenge is not in order; do not redirect.
        InvalidScope: a scope is not a registered one.
    """
    if app.server is not None and (state is not None or code_challenge is not None):
        msg = "in client mode state and PKCE are the engine's own"
        raise InvalidRequest(msg)
    for what, text in (("scope", scope), ("state", state), ("code_challenge", code_challenge)):
        if text is not None and not isinstance(text, str):
            msg = f"{what} must be a text"
            raise InvalidRequest(msg)
    if response_type != "code":
        msg = "response_type must be 'code' (RFC 9700 §2.1.2)"
        raise InvalidRequest(msg)
    uri = app.redirect_uris[0] if redirect_uri is None else redirect_uri
    if uri not in app.redirect_uris:
        msg = "the redirect URI is not registered for this app, character by character (RFC 9700 §4.1.3)"
        raise InvalidRequest(msg)
    if state is not None and len(state) > MAX_STATE:
        msg = f"state has more than {MAX_STATE} characters"
        raise InvalidRequest(msg)
    if code_challenge is None:
        if app.require_pkce and app.server is None:
            msg = "this app needs PKCE: send a code_challenge (RFC 7636)"
            raise InvalidRequest(msg, hint="grantflow.new_pkce() makes a verifier and its challenge")
    elif code_challenge_method != "S256" or not _CHALLENGE.fullmatch(code_challenge):
        msg = "code_challenge must be an S256 challenge of 43 characters (RFC 7636 §4.2)"
        raise InvalidRequest(msg)
    registered = frozenset[str]().union(*(known.scopes for known in app.versions))
    asked = scope_set(scope) if scope is not None else frozenset(version.scopes)
    unknown = asked - registered
    if unknown or not asked:
        named = ", ".join(sorted(unknown))[:MAX_NAME]
        msg = f"{app.key} does not ask for: {named}" if unknown else "no scope is requested"
        raise InvalidScope(msg)
    return AuthorizationRequest(uri, asked, state, code_challenge)


def checked_binding(binding: object) -> str:
    """What binds a browser, from the host's own session: at least 16 bytes.

    Raises:
        BadInput: it is not.
    """
    if not isinstance(binding, bytes) or len(binding) < 16:
        msg = "binding must be at least 16 bytes from the session of this browser"
        raise BadInput(msg)
    return binding.hex()


def checked_name(value: object, what: str) -> str:
    """A name that comes from outside: 1 to 200 characters, no NUL, no lone surrogate.

    Raises:
        BadInput: it is not.
    """
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_NAME or "\0" in value:
        msg = f"{what} must be a text of 1 to {MAX_NAME} characters"
        raise BadInput(msg, hint=_PLAIN)
    return checked_text(value, what)


def checked_text(value: object, what: str, longest: int = MAX_NAME) -> str:
    """A text that comes from outside and may be empty: no NUL, no lone surrogate, not too long.

    Raises:
        BadInput: it is not.
    """
    if not isinstance(value, str) or len(value) > longest or "\0" in value:
        msg = f"{what} must be a text of at most {longest:,} characters"
        raise BadInput(msg, hint=_PLAIN)
    if not storable(value):
        msg = f"{what} is not valid text"
        raise BadInput(msg, hint=_PLAIN)
    return value


def checked_texts(app: App) -> None:
    """The texts of an app about to be written; one that is only read back may be older than these rules.

    Raises:
        BadInput: one of them is no text, blank or too long.
    """
    checked_name(app.name, "name")
    for version in app.versions:
        checked_name(version.name, "the name of a version")
    texts = [("description", app.description), ("client_id", app.client_id), ("authorize_url", app.authorize_url)]
    texts += [("a redirect URI", uri) for uri in app.redirect_uris]
    if app.server is not None:
        named = ("issuer", "authorization_endpoint", "token_endpoint", "revocation_endpoint", "resource")
        texts += [(name, getattr(app.server, name)) for name in named]
        texts += [("an extra parameter", text) for pair in app.server.extra for text in pair]
    for what, text in texts:
        checked_text(text, what, MAX_TEXT)


def with_query(uri: str, **values: str | None) -> str:
    """A redirect URI with parameters added; its own query is kept (RFC 6749 §3.1.2)."""
    parts = urlsplit(uri)
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        *((k, v) for k, v in values.items() if v is not None),
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))
