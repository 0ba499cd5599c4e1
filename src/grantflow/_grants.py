"""The ledger of an authorization server: codes become tokens, tokens are renewed, checked and revoked.

Only hashes are kept. Source: S-18, S-27 … S-31, S-37; RFC 6749 §4.1.3 and §6, RFC 6750, RFC 7009, RFC 9700 §4.14.2.
"""

from __future__ import annotations

import hashlib

from grantflow._app import App, scope_set
from grantflow._clock import maybe_datetime, span, to_datetime
from grantflow._core import Core, facts_for
from grantflow._ids import hashed, new_id, new_secret, s256, same
from grantflow._model import Authenticated, ClientCredentials, Guidance, Installation, Tokens
from grantflow._rows import AttemptRow, Change, CredentialRow, Load, Snapshot, TokenRow
from grantflow._secret import Secret
from grantflow._transition import Draft, Issue, deadline_of
from grantflow._view import guidance, installed_version, view
from grantflow.errors import (
    InvalidClient,
    InvalidGrant,
    InvalidScope,
    ReauthorizationRequired,
    TransitionRefused,
    Unauthorized,
)
from grantflow_machines import Actor, Instant

_ACCESS, _REFRESH = "access", "refresh"
_MAX_TOKEN = 512


def checked_client(app: App, client: ClientCredentials) -> None:
    """Raise InvalidClient where a client does not prove who it is."""
    if client.client_id != app.client_id:
        raise InvalidClient
    if app.public:
        return
    if not isinstance(client.secret, str):
        raise InvalidClient
    digest = hashlib.sha256(client.secret.encode("utf-8", "surrogatepass")).hexdigest()
    matches = [same(digest.encode(), known.encode()) for known in app.secret_hashes]
    if not any(matches):
        raise InvalidClient


def _new_tokens(app: App, scopes: str, family: str, first: Instant, now: Instant) -> tuple[TokenRow, Secret, Secret]:
    refresh_ends = app.lifetime.deadline(first, now)
    access_ends = now + span(app.access_lifetime)
    if refresh_ends is not None:
        access_ends = min(access_ends, refresh_ends)
    row = TokenRow(0, family, 0, scopes, first, access_ends, refresh_ends, None)
    return row, Secret(new_secret("gfa")), Secret(new_secret("gfr"))


def _credentials(app: App, row: TokenRow, access: Secret, refresh: Secret) -> list[CredentialRow]:
    common = (row.installation_pk, row.family, row.generation, app.client_id)
    pk, family, generation, client = common
    return [
        CredentialRow(hashed(access.value), pk, _ACCESS, family, generation, client, row.access_expires_at),
        CredentialRow(hashed(refresh.value), pk, _REFRESH, family, generation, client, row.refresh_expires_at),
    ]


def _answer(installation: str, row: TokenRow, access: Secret, refresh: Secret) -> Tokens:
    return Tokens(
        installation=installation,
        access_token=access,
        refresh_token=refresh,
        scopes=tuple(sorted(scope_set(row.scopes))),
        expires_at=to_datetime(row.access_expires_at or 0),
        refresh_expires_at=maybe_datetime(row.refresh_expires_at),
        generation=row.generation,
    )


async def redeem(
    core: Core, code: str, client: ClientCredentials, redirect_uri: str | None, code_verifier: str | None
) -> Tokens:
    """Exchange a code for tokens, once. See Ledger.redeem."""
    replayed = False

    def work(found: Snapshot) -> Change:
        nonlocal replayed
        app, attempt = _proved(found, client, redirect_uri, code_verifier)
        draft = core.draft(found)
        if attempt.outcome is not None:
            replayed = attempt.outcome == "completed"
            return _replayed(draft, attempt, client) if replayed else Change()
        if attempt.expires_at <= draft.now:
            raise InvalidGrant
        tokens, access, refresh = _new_tokens(app, attempt.agreed, new_id(draft.now), draft.now, draft.now)
        attempt.family = tokens.family
        issue = Issue(tokens, _credentials(app, tokens, access, refresh))
        draft.apply(
            "exchange_ok",
            facts_for(draft, Actor.app(app.client_id), (), attempt=attempt),
            attempt=attempt,
            issue=issue,
        )
        assert draft.row is not None
        draft.change.result = _answer(draft.row.public_id, tokens, access, refresh)
        return draft.change

    try:
        change = await core.transact(Load(code_hash=hashed(str(code)[:_MAX_TOKEN])), work)
    except TransitionRefused as error:
        raise InvalidGrant from error
    if not isinstance(change.result, Tokens):
        raise InvalidGrant
    return change.result


def _proved(
    found: Snapshot, client: ClientCredentials, redirect_uri: str | None, code_verifier: str | None
) -> tuple[App, AttemptRow]:
    """Everything a thief of the code would not have; a failure burns nothing (RFC 9700 §4.5)."""
    attempt = found.attempt
    if attempt is None or found.app is None or found.installation is None:
        raise InvalidGrant
    app = App.from_document(found.app.document)
    checked_client(app, client)
    if redirect_uri is not None and redirect_uri != attempt.redirect_uri:
        raise InvalidGrant
    if redirect_uri is None and len(app.redirect_uris) > 1:
        raise InvalidGrant
    if attempt.code_challenge is not None:
        if not isinstance(code_verifier, str):
            raise InvalidGrant
        if not same(s256(code_verifier).encode(), attempt.code_challenge.encode()):
            raise InvalidGrant
    elif code_verifier is not None:
        raise InvalidGrant
    return app, attempt


def _replayed(draft: Draft, attempt: AttemptRow, client: ClientCredentials) -> Change:
    """A code came twice: the grant it made ends, a later one does not (RFC 6749 §4.1.2)."""
    tokens = draft.snapshot.tokens
    if tokens is None or tokens.family != attempt.family:
        return Change()
    return _ended(draft, "code_replayed", client)


def _ended(draft: Draft, event: str, client: ClientCredentials) -> Change:
    try:
        draft.apply(event, facts_for(draft, Actor.app(client.client_id), ()))
    except TransitionRefused:
        return Change()
    return draft.change


async def renew(core: Core, refresh_token: str, client: ClientCredentials, scope: str | None = None) -> Tokens:
    """A new pair for a refresh token; the old one is spent. See Ledger.renew."""
    asleep = False

    def work(found: Snapshot) -> Change:
        nonlocal asleep
        credential = found.credential
        if credential is None or credential.kind != _REFRESH or found.app is None or found.tokens is None:
            raise InvalidGrant
        app = App.from_document(found.app.document)
        checked_client(app, client)
        if credential.client_id != client.client_id:
            raise InvalidGrant
        draft = core.draft(found)
        row, old = draft.row, found.tokens
        assert row is not None
        if credential.spent_at is not None:
            return _ended(draft, "refresh_reused", client) if credential.family == old.family else Change()
        if row.deadline_at is not None and row.deadline_at <= draft.now:
            asleep = True
            return Change()
        if not draft.definition.states[row.state].functional or row.grant_revoked:
            asleep = True
            return Change()
        if row.suspended_by is not None or found.app.held_by is not None or not _parent_runs(found):
            raise InvalidGrant
        if scope is not None and not scope_set(scope) <= scope_set(old.scopes):
            msg = "a refresh cannot ask for more than was granted"
            raise InvalidScope(msg)
        tokens, access, refresh = _new_tokens(app, old.scopes, old.family, old.issued_at, draft.now)
        row.generation += 1
        tokens.generation, tokens.installation_pk = row.generation, row.pk
        row.deadline_at = deadline_of(tokens)
        draft.rearm()
        change = draft.change
        change.touched, change.tokens = True, tokens
        change.spent_credential = credential.hash
        change.new_credentials = _credentials(app, tokens, access, refresh)
        change.drop_access_before = draft.now
        change.result = _answer(row.public_id, tokens, access, refresh)
        return change

    digest = hashed(str(refresh_token)[:_MAX_TOKEN])
    change = await core.transact(Load(credential=digest), work)
    if isinstance(change.result, Tokens):
        return change.result
    if asleep:
        found = await core.store.load(Load(credential=digest))
        raise InvalidGrant(guidance=_guided(core, found))
    raise InvalidGrant


def _parent_runs(found: Snapshot) -> bool:
    return found.parent is not None and found.parent.removed_at is None and found.parent.suspended_by is None


def _guided(core: Core, found: Snapshot) -> Guidance | None:
    if found.app is None or found.installation is None:
        return None
    return _told(core, found, view(found, core.definition(found.app.kind), core.settings, core.now()))


def _told(core: Core, found: Snapshot, installation: Installation) -> Guidance:
    """The guidance an app gets with a 401: it may not act, people may."""
    assert found.app is not None
    app, definition = App.from_document(found.app.document), core.definition(found.app.kind)
    running, viewer = installed_version(app, found.parent), Actor.app(app.client_id)
    return guidance(app, running, definition, installation, viewer, account=None, is_account_admin=False)


async def authenticate(core: Core, access_token: str) -> Authenticated:
    """Whom an access token speaks for, or 401 with guidance. See Ledger.authenticate."""
    now = core.now()
    found = await core.store.load(Load(credential=hashed(str(access_token)[:_MAX_TOKEN])))
    credential = found.credential
    if credential is None or credential.kind != _ACCESS or found.app is None or found.installation is None:
        raise Unauthorized
    states = core.definition(found.app.kind).states
    revoked = found.installation.grant_revoked
    installation = view(found, core.definition(found.app.kind), core.settings, now)
    told = _told(core, found, installation)
    if not states[installation.state].functional or revoked:
        raise ReauthorizationRequired(told.sentence, guidance=told)
    if credential.expires_at is not None and credential.expires_at <= now:
        msg = "the access token has expired; renew it"
        raise Unauthorized(msg)
    if not installation.usable:
        raise Unauthorized(told.sentence, guidance=told)
    return Authenticated(
        installation=installation.id,
        app=installation.app,
        account=installation.account,
        subject_kind=installation.subject_kind,
        subject=installation.subject,
        scopes=installation.granted,
        expires_at=to_datetime(credential.expires_at or now),
    )


async def revoke(core: Core, token: str, client: ClientCredentials) -> None:
    """The app gives a token back; unknown ones are answered the same way. See Ledger.revoke."""

    def work(found: Snapshot) -> Change:
        if found.credential is None or found.app is None or found.tokens is None:
            return Change()
        app = App.from_document(found.app.document)
        checked_client(app, client)
        if found.credential.family != found.tokens.family:
            return Change()
        draft = core.draft(found)
        if found.credential.kind == _ACCESS:
            return Change(drop_credential=found.credential.hash)
        return _ended(draft, "revoked_upstream", client)

    await core.transact(Load(credential=hashed(str(token)[:_MAX_TOKEN])), work)
