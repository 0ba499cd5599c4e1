"""What client mode keeps for a foreign server: client secrets, verifiers, token sets; all of it sealed.

Source: S-18, S-28, S-29; RFC 6749 §5.1 and §6, RFC 7636, RFC 9207.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from grantflow._app import App, LifetimePolicy, Server, scope_text
from grantflow._clock import span
from grantflow._core import Core
from grantflow._ids import hashed, new_id, new_pkce, new_secret, same
from grantflow._oauth import ClientProof, TokenAnswer, authorization_url
from grantflow._rows import AppRow, AttemptRow, InstallationRow, RevocationRow, TokenRow
from grantflow._secret import Secret
from grantflow._transition import sealed_place
from grantflow.errors import ConfigurationError, KeysMissing, Quarantined
from grantflow_machines import Instant

_MAX_SECRETS = 2


def server_of(app: App) -> Server:
    """The foreign server of an app in client mode; raises ConfigurationError for one in host mode."""
    if app.server is None:
        msg = f"app {app.key!r} is in host mode: its people come through engine.ledger"
        raise ConfigurationError(msg, hint="give it mode = 'client' and a [server]")
    return app.server


# -- client secrets -------------------------------------------------------------------------------
def _secret_place(row: AppRow) -> str:
    return f"app/{row.public_id}/secret"


def add_secret(core: Core, row: AppRow, secret: Secret, now: Instant) -> bool:
    """Seal one more client secret; the older of three goes. False when it is the newest already."""
    try:
        kept = _kept(row)
        newest = _plain(core, row, kept[-1:])
    except ConfigurationError as error:
        if isinstance(error, KeysMissing):
            raise
        kept, newest = [], []  # what cannot be read is replaced
    if newest and same(newest[0], secret.value.encode()):
        return False
    sealed = core.keys.seal(secret.value.encode(), _secret_place(row))
    row.secrets = json.dumps([*kept, (base64.b64encode(sealed).decode(), now)][-_MAX_SECRETS:])
    return True


def _kept(row: AppRow) -> list[tuple[str, Instant]]:
    """(ciphertext, since), oldest first; raises ConfigurationError where they cannot be read."""
    try:
        kept = [(str(sealed), int(since)) for sealed, since in json.loads(row.secrets)]
        for sealed, _ in kept:
            base64.b64decode(sealed, validate=True)
    except (ValueError, TypeError) as error:
        raise _unreadable(row) from error
    return kept


def _plain(core: Core, row: AppRow, kept: list[tuple[str, Instant]]) -> list[bytes]:
    """Those that open; raises ConfigurationError where none of them does: a matter of the app, not of a grant."""
    found = []
    for sealed, _ in kept:
        with contextlib.suppress(Quarantined):
            found.append(core.keys.open(base64.b64decode(sealed), _secret_place(row)))
    if kept and not found:
        raise _unreadable(row)
    return found


def _unreadable(row: AppRow) -> ConfigurationError:
    msg = f"the client secrets of app {row.key!r:.80} cannot be read"
    return ConfigurationError(msg, hint="grantflow apps add-secret gives it a new one")


def proofs(core: Core, row: AppRow, app: App) -> list[ClientProof]:
    """How the client may prove itself, newest secret first; the other one counts while the two overlap."""
    method = server_of(app).auth_method
    if app.public:
        return [ClientProof(app.client_id, None, method)]
    secrets = _plain(core, row, _kept(row))
    if not secrets:
        msg = f"app {app.key!r} has no client secret"
        raise ConfigurationError(msg, hint="engine.apps.add_secret(app, secret, actor=…)")
    return [ClientProof(app.client_id, Secret(plain.decode()), method) for plain in reversed(secrets)]


# -- attempts -------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Departure:
    """What one authorization at a foreign server needs: the URL to go to, and what is kept of it."""

    url: str
    cookie_name: str
    state_hash: bytes
    sealed: bytes
    issuer: str


def depart(core: Core, app: App, attempt_id: str, redirect_uri: str, scopes: frozenset[str]) -> Departure:
    """Make `state`, verifier and nonce of one attempt (RFC 6749 §10.12, RFC 7636, OpenID Connect Core §3.1.2.1)."""
    server = server_of(app)
    state, (verifier, challenge) = new_secret("gfs"), new_pkce()
    nonce = new_secret("gfn") if "openid" in scopes else None
    kept = json.dumps({"verifier": verifier if server.pkce else None, "nonce": nonce})
    url = authorization_url(
        server,
        client_id=app.client_id,
        redirect_uri=redirect_uri,
        scopes=scopes,
        state=state,
        challenge=challenge if server.pkce else None,
        nonce=nonce,
    )
    sealed = core.keys.seal(kept.encode(), f"attempt/{attempt_id}/sealed")
    return Departure(url, cookie_name(state), hashed(state), sealed, server.issuer)


def kept_of(core: Core, attempt: AttemptRow) -> tuple[str | None, str | None]:
    """(verifier, nonce) of an attempt; raises Quarantined where it cannot be opened."""
    if attempt.sealed is None:
        msg = "the attempt's verifier is gone"
        raise Quarantined(msg)
    kept = json.loads(core.keys.open(attempt.sealed, f"attempt/{attempt.public_id}/sealed"))
    return kept["verifier"], kept["nonce"]


def cookie_name(state: str) -> str:
    """The cookie that binds one attempt to its browser; two tabs have two.

    >>> cookie_name("a state")
    'grantflow_1b1c710d2a'
    """
    return f"grantflow_{hashed(state).hex()[:10]}"


# -- token sets -----------------------------------------------------------------------------------
def opened(core: Core, row: InstallationRow, tokens: TokenRow, which: str) -> Secret:
    """A stored token; raises KeysMissing, and Quarantined for damaged or absent bytes."""
    sealed = tokens.access_sealed if which == "access" else tokens.refresh_sealed
    if sealed is None:
        msg = f"no {which} token is held"
        raise Quarantined(msg)
    return Secret(core.keys.open(sealed, sealed_place(row.public_id, which)).decode())


def first_tokens(
    core: Core, app: App, row: InstallationRow, answer: TokenAnswer, requested: str, now: Instant
) -> TokenRow:
    """The token set of a code's answer: everything is new, an absent refresh token is absent (R-16)."""
    tokens = TokenRow(
        installation_pk=row.pk,
        family=new_id(now),
        generation=0,
        scopes=requested if answer.scopes is None else scope_text(answer.scopes),
        issued_at=now,
        access_expires_at=None,
        refresh_expires_at=None,
        authorization_expires_at=None,
        consented_at=now,
    )
    _filled(core, app, row, tokens, answer, now)
    return tokens


def renewed_tokens(
    core: Core, app: App, row: InstallationRow, tokens: TokenRow, answer: TokenAnswer, now: Instant
) -> None:
    """Take a refresh answer over: without a refresh token the old one stays (RFC 6749 §6)."""
    if answer.scopes is not None:
        tokens.scopes = scope_text(answer.scopes)
    _filled(core, app, row, tokens, answer, now)
    tokens.failures, tokens.failing, tokens.in_flight_at, tokens.unauthorized_at = 0, None, None, None
    tokens.lease = tokens.lease_until = None


def keep_refresh(core: Core, row: InstallationRow, tokens: TokenRow, answer: TokenAnswer) -> bool:
    """Keep the refresh token of an answer whose access token must not be used: the one before is spent by it."""
    if answer.refresh_token is None:
        return False
    plain = answer.refresh_token.value.encode()
    tokens.refresh_sealed = core.keys.seal(plain, sealed_place(row.public_id, "refresh"))
    return True


def _filled(core: Core, app: App, row: InstallationRow, tokens: TokenRow, answer: TokenAnswer, now: Instant) -> None:
    assert answer.access_token is not None
    tokens.access_sealed = core.keys.seal(answer.access_token.value.encode(), sealed_place(row.public_id, "access"))
    keep_refresh(core, row, tokens, answer)
    assumed = now + span(app.access_lifetime)
    if tokens.refresh_sealed is None:
        unannounced = app.lifetime.deadline(tokens.issued_at, now, consented=tokens.consented_at)
        tokens.access_expires_at = answer.access_expires_at or unannounced
        tokens.refresh_expires_at = None
    else:
        tokens.access_expires_at = answer.access_expires_at or assumed
        tokens.refresh_expires_at = _refresh_end(app, tokens, answer, now)
    tokens.authorization_expires_at = answer.authorization_expires_at or tokens.authorization_expires_at
    tokens.refresh_at = ahead(core, tokens, now)


def _refresh_end(app: App, tokens: TokenRow, answer: TokenAnswer, now: Instant) -> Instant | None:
    """A server's announcement wins, then the app's policy; a fixed end is not moved by a renewal."""
    if answer.refresh_expires_at is not None:
        return answer.refresh_expires_at
    kept, policy = tokens.refresh_expires_at, app.lifetime.policy
    unmoved = policy is LifetimePolicy.FIXED or (
        policy is not LifetimePolicy.SLIDING and answer.refresh_token is None
    )
    if kept is not None and unmoved:
        return kept
    return app.lifetime.deadline(
        tokens.issued_at, now, access_ends=tokens.access_expires_at, consented=tokens.consented_at
    )


def ahead(core: Core, tokens: TokenRow, now: Instant) -> Instant | None:
    """When to renew: `refresh_ahead` before the end, or a share of the life; None where nothing can be renewed."""
    if tokens.refresh_sealed is None or tokens.access_expires_at is None:
        return None
    life = max(0, tokens.access_expires_at - now)
    early = min(span(core.settings.refresh_ahead), int(life * core.settings.refresh_ahead_share))
    return tokens.access_expires_at - early


# -- giving back ----------------------------------------------------------------------------------
def give_back(
    core: Core, row: InstallationRow, answer: TokenAnswer, now: Instant, identity: str | None
) -> list[RevocationRow]:
    """Tokens that could not be stored, sealed for the outbox; the refresh token speaks for both (RFC 7009 §2.1)."""
    token = answer.refresh_token or answer.access_token
    if token is None:
        return []
    hint = "refresh_token" if answer.refresh_token is not None else "access_token"
    place = f"late/{new_id(now)}/{hint}"
    sealed = core.keys.seal(token.value.encode(), place)
    return [RevocationRow(0, row.app_pk, row.pk, identity, row.subject_id, hint, sealed, place, now, now)]


def cookie_of(cookies: Mapping[str, str] | None, state: str) -> str | None:
    """The browser's binding of an attempt, from its cookies."""
    return None if cookies is None else cookies.get(cookie_name(state))
