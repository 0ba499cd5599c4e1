"""Client mode: an access token when the app needs one, and what its API said about it.

Source: S-18, S-28 … S-31; RFC 6750 §3.1.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from grantflow._app import App, scope_set, scope_text
from grantflow._clock import maybe_datetime
from grantflow._core import Core
from grantflow._foreign import opened
from grantflow._held import AccessToken, NoticeName, Reported, TokenHealth
from grantflow._model import Guidance
from grantflow._renewal import Ask, Ended, Ending, Renewals
from grantflow._rows import AppRow, Change, Load, Snapshot, TokenRow
from grantflow._transition import CLOCK_ACTOR
from grantflow._view import guidance, installed_version, view
from grantflow.errors import (
    AppMisconfigured,
    BadInput,
    DatabaseError,
    GrantflowError,
    NotFound,
    NotHeldHere,
    ReauthorizationRequired,
    TokenUnavailable,
    Unauthorized,
)
from grantflow_machines import Actor, Instant

_POLL = 0.02
_LONGEST_POLL = 0.5
_AT_ONCE = 8
_SECOND_REPORT = 30_000_000
"""Microseconds after which a second 401 about a token that cannot be renewed is believed."""


@dataclass(frozen=True, slots=True)
class RenewalReport:
    """What one round of renewals ahead of time did."""

    renewed: int
    failed: int
    died: int
    held: int


async def access_token(core: Core, renewals: Renewals, load: Load) -> AccessToken:
    """A token that works, renewed first where it must be. See Engine.access_token."""
    return await _token(core, renewals, load, None)


async def _token(core: Core, renewals: Renewals, load: Load, refused: int | None) -> AccessToken:
    """A token of another generation than the refused one; `refused` forces a renewal of it."""
    settings, pause = core.settings, _POLL
    patience = core.clock.monotonic() + (settings.refresh_lease + settings.http_timeout).total_seconds()
    ending: Ending | None = None
    while True:
        found = await core.store.load(load)
        tokens = _held(core, found)
        now = core.now()
        fresh = tokens.generation != refused
        works = fresh and (tokens.access_expires_at is None or now < tokens.access_expires_at)
        wanted = not works or (tokens.refresh_at is not None and tokens.refresh_at <= now)
        if works and (not wanted or ending is not None):
            return _ready(core, found, tokens)
        if fresh and ending is not None and ending.how in (Ended.RENEWED, Ended.ALREADY):
            return _ready(core, found, tokens)  # it lasts no time at all: the API decides, and nobody asks again
        if ending is not None and ending.how in (Ended.HELD, Ended.LATER, Ended.NOTHING):
            raise _unavailable(found, ending, now)
        if ending is not None and ending.how is Ended.BUSY:
            if core.clock.monotonic() > patience:
                raise _unavailable(found, ending, now)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_POLL)
        assert found.installation is not None
        ask = Ask(tokens.generation, forced=not fresh)
        ending = await renewals.renew(found.installation.public_id, ask)


def _held(core: Core, found: Snapshot) -> TokenRow:
    """The live token set of an installation, or the error that says why there is none."""
    if found.app is None or found.installation is None:
        msg = "there is no such installation"
        raise NotFound(msg)
    app, definition = App.from_document(found.app.document), core.definition(found.app.kind)
    if app.server is None:
        msg = "in host mode only hashes of tokens are kept"
        raise NotHeldHere(msg, hint="the app received its tokens from engine.ledger.redeem and renew")
    tokens, revoked, running = found.tokens, found.installation.grant_revoked, installed_version(app, found.parent)
    installation = view(found, definition, core.settings, core.now())
    told = guidance(
        app, running, definition, installation, Actor.app(app.client_id), account=None, is_account_admin=False
    )
    if not definition.states[installation.state].functional or revoked or tokens is None:
        raise ReauthorizationRequired(told.sentence, guidance=told)
    if not installation.usable:
        raise Unauthorized(_stopped(told, held=found.app.held_reason), guidance=told)
    return tokens


def _stopped(told: Guidance, *, held: str | None) -> str:
    return told.sentence if held is None else f"{told.sentence} The app is on hold."


def _ready(core: Core, found: Snapshot, tokens: TokenRow) -> AccessToken:
    assert found.installation is not None
    return AccessToken(
        secret=opened(core, found.installation, tokens, "access"),
        expires_at=maybe_datetime(tokens.access_expires_at),
        generation=tokens.generation,
        scopes=tuple(sorted(scope_set(tokens.scopes))),
        installation=found.installation.public_id,
    )


def _unavailable(found: Snapshot, ending: Ending, now: Instant) -> TokenUnavailable:
    assert found.app is not None
    seconds = None if ending.retry_at is None else max(0.0, (ending.retry_at - now) / 1_000_000)
    if ending.how is Ended.HELD:
        msg = f"renewals of {found.app.key} are held: {ending.why}"
        return AppMisconfigured(msg, retry_after=seconds)
    if ending.how is Ended.NOTHING:
        msg = "the access token is over and there is no refresh token"
        return TokenUnavailable(msg)
    msg = f"the authorization server gives no new access token at the moment: {ending.why or 'somebody is at it'}"
    return TokenUnavailable(msg, retry_after=seconds)


# -- what the API said ----------------------------------------------------------------------------
async def report(
    core: Core, renewals: Renewals, load: Load, *, status: int, generation: int, error: str | None, scope: str | None
) -> Reported:
    """An answer of the app's API. See Engine.report."""
    found = await core.store.load(load)
    tokens = _held(core, found)
    if status == 403 and error == "insufficient_scope" and scope:
        return await _narrow(core, load, generation, scope)
    if status != 401:
        return Reported("noted")
    if generation > tokens.generation or generation < 1:
        msg = f"no token of generation {generation} was given"
        raise BadInput(msg, hint="pass token.generation of the token that was refused")
    if generation < tokens.generation:
        with contextlib.suppress(TokenUnavailable):
            return Reported("stale", await access_token(core, renewals, load))
        return Reported("stale")
    if tokens.forced_generation == generation or tokens.refresh_sealed is None:
        return await _rejected(core, load, generation)
    try:
        return Reported("renewed", await _token(core, renewals, load, generation))
    except TokenUnavailable:
        return Reported("pending")


async def _rejected(core: Core, load: Load, generation: int) -> Reported:
    """A 401 about a token that a forced renewal has just given, or about one that cannot be renewed, twice."""

    def work(found: Snapshot) -> Change:
        draft = core.draft(found)
        tokens, change = found.tokens, draft.change
        change.result = Reported("stale")
        if tokens is None or tokens.generation != generation:
            return change
        if tokens.forced_generation != generation:
            first = tokens.unauthorized_at
            if first is None or draft.now - first < _SECOND_REPORT:
                tokens.unauthorized_at = first or draft.now
                change.tokens, change.result = tokens, Reported("pending")
                return change
        if draft.definition.states[draft.state].functional:
            draft.apply("api_rejected", draft.facts(CLOCK_ACTOR))
        change.result = Reported("rejected")
        return change

    change = await core.transact(load, work)
    assert isinstance(change.result, Reported)
    return change.result


async def _narrow(core: Core, load: Load, generation: int, scope: str) -> Reported:
    """403 insufficient_scope opens a scope gap and never touches the grant (RFC 6750 §3.1)."""

    def work(found: Snapshot) -> Change:
        draft = core.draft(found)
        row, tokens = draft.row, found.tokens
        assert row is not None
        missing = scope_set(scope[:4096]) & scope_set(row.granted)
        draft.change.result = Reported("noted")
        if tokens is None or tokens.generation != generation or not missing:
            return draft.change
        row.granted = tokens.scopes = scope_text(scope_set(row.granted) - missing)
        draft.change.touched, draft.change.tokens = True, tokens
        draft.notify(NoticeName.SCOPES_NARROWED.value, "scope_insufficient", scopes=scope_text(missing))
        draft.change.result = Reported("narrowed")
        return draft.change

    change = await core.transact(load, work)
    assert isinstance(change.result, Reported)
    return change.result


# -- ahead of time, and by hand -------------------------------------------------------------------
async def renew_due(core: Core, renewals: Renewals, limit: int) -> RenewalReport:
    """Renew what is due, a few at once; one app that is held does not keep the others waiting."""
    due = await core.store.refresh_due(core.now(), limit)
    gate, held = asyncio.Semaphore(_AT_ONCE), set[int]()

    async def one(installation: str, app_pk: int) -> Ended | None:
        async with gate:
            if app_pk in held:
                return Ended.HELD
            try:
                ending = await renewals.renew(installation, Ask())
            except DatabaseError:
                raise
            except GrantflowError:
                return None
            if ending.how is Ended.HELD:
                held.add(app_pk)
            return ending.how

    ends = await asyncio.gather(*(one(name, app_pk) for name, app_pk in due))
    return RenewalReport(
        renewed=ends.count(Ended.RENEWED),
        failed=ends.count(Ended.LATER) + ends.count(None),
        died=ends.count(Ended.DEAD),
        held=ends.count(Ended.HELD),
    )


def check_foreign(app: AppRow) -> None:
    """Raise NotHeldHere for an app whose grants no foreign server knows."""
    if App.from_document(app.document).server is None:
        msg = "only grants of foreign servers can be probed"
        raise NotHeldHere(msg, hint="in host mode the ledger itself knows: engine.get tells")


async def probe(core: Core, renewals: Renewals, installation: str, actor: Actor) -> Ending:
    """Ask the server whether a grant lives, through a hold, a wait or death. See Ops.probe."""
    found = await core.store.load(Load(installation=installation))
    if found.app is None or found.installation is None:
        msg = "there is no such installation"
        raise NotFound(msg)
    check_foreign(found.app)
    return await renewals.renew(installation, Ask(probe=True, actor=actor))


def health(found: Snapshot) -> TokenHealth | None:
    """How the token set is doing; None where there is none, or in host mode."""
    tokens, row = found.tokens, found.installation
    if tokens is None or row is None or tokens.access_sealed is None:
        return None
    return TokenHealth(
        generation=tokens.generation,
        access_expires_at=maybe_datetime(tokens.access_expires_at),
        refresh_expires_at=maybe_datetime(tokens.refresh_expires_at),
        authorization_expires_at=maybe_datetime(tokens.authorization_expires_at),
        refresh_at=maybe_datetime(tokens.refresh_at),
        renewable=tokens.refresh_sealed is not None,
        failing=tokens.failing,
        failures=tokens.failures,
        unanswered_since=maybe_datetime(tokens.in_flight_at) if tokens.lease is None else None,
        identity=row.identity,
    )
