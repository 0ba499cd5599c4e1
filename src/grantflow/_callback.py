"""The way back from a foreign server: a callback is proved, its code exchanged once, its grant stored.

Source: S-12, S-17, S-18, S-24 … S-26, S-37; RFC 6749 §4.1, RFC 9207, RFC 9700 §2.1 and §4.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from grantflow._app import App, scope_set, scope_text
from grantflow._core import Core, facts_for
from grantflow._foreign import cookie_of, first_tokens, give_back, kept_of, proofs, server_of
from grantflow._held import Completed, Granted
from grantflow._ids import hashed, same
from grantflow._incidents import note_incident
from grantflow._journey import parent_for, row_for
from grantflow._model import Account, Installation
from grantflow._oauth import (
    TOKEN_TYPE,
    AnswerClass,
    Callback,
    TokenAnswer,
    check_issuer,
    error_word,
    exchange_request,
    parse_callback,
)
from grantflow._renewal import Renewals, sent
from grantflow._requests import checked_binding
from grantflow._rows import AppRow, AttemptRow, Change, ConsentRow, Load, Snapshot
from grantflow._transition import CLOCK_ACTOR, SUPERSEDED, Draft, Issue
from grantflow._view import view
from grantflow.errors import BadCallback, CarrierError, NotSent, TransitionRefused

_log = logging.getLogger("grantflow")
_MISCONFIGURED = {"unauthorized_client", "unsupported_response_type", "invalid_scope", "invalid_request"}
_WRONG_ACCOUNT = "wrong-account"
_INFERRED = "inferred from the callback"
_PER_MINUTE = 20

BadCallbackHook = Callable[[str], None]


@dataclass(slots=True)
class Doorman:
    """What hears of callbacks that were turned away: a log and the host's hooks, at most twenty a minute."""

    hooks: list[BadCallbackHook] = field(default_factory=list)
    told: deque[float] = field(default_factory=lambda: deque(maxlen=_PER_MINUTE))

    def turned_away(self, why: str, now: float) -> None:
        """Tell why; nothing of the callback itself."""
        if len(self.told) == _PER_MINUTE and now - self.told[0] < 60:
            return
        self.told.append(now)
        _log.warning("a callback was turned away: %s", why)
        for hook in list(self.hooks):
            try:
                hook(why)
            except Exception:  # noqa: BLE001 - a host's hook must not change the answer
                _log.exception("a hook for bad callbacks failed")


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What came of a code: an answer, or a class of failure; and whose grant it is."""

    answer: TokenAnswer | CarrierError
    identity: str | None = None
    failure: str | None = None


async def complete(
    core: Core,
    renewals: Renewals,
    doorman: Doorman,
    query: str | Mapping[str, str | Sequence[str]],
    *,
    cookies: Mapping[str, str] | None,
    binding: bytes | None,
) -> Completed:
    """Take a callback to its end. See Engine.complete."""
    try:
        callback = parse_callback(query)
        bound = cookie_of(cookies, callback.state) if binding is None else checked_binding(binding)
        digest = hashed(callback.state)
        found = await core.store.load(Load(state_hash=digest))
        app_row, attempt = _proved(core, found, callback, bound)
        if attempt.outcome == SUPERSEDED or _beaten(core, found, attempt):
            return await _already(core, digest, callback, bound)
        app = App.from_document(app_row.document)
        listing = await core.listing(attempt.actor)
        if callback.error is not None:
            return await _refused(core, digest, callback, bound)
        account = _account_of(core, attempt, listing)
        proofs(core, app_row, app)  # what the exchange needs is here, or nothing is consumed
        kept_of(core, attempt)
        load = Load(state_hash=digest, account=account)
        change = await core.transact(load, lambda found: _consented(core, found, callback, bound, account, listing))
    except BadCallback as error:
        doorman.turned_away(error.why, core.clock.monotonic())
        raise
    assert isinstance(change.result, str)
    return await renewals.run(
        f"attempt/{attempt.public_id}", lambda: _exchange(core, renewals, app, digest, callback)
    )


def _proved(core: Core, found: Snapshot, callback: Callback, bound: str | None) -> tuple[AppRow, AttemptRow]:
    """The attempt a callback belongs to; raises BadCallback, and then nothing was changed."""
    attempt = found.attempt
    if attempt is None or found.app is None or attempt.state_hash is None:
        raise BadCallback(why="unknown")
    if bound is None or attempt.binding_hash is None or not same(hashed(bound), attempt.binding_hash):
        raise BadCallback(why="browser")
    app = App.from_document(found.app.document)
    # A common server leaves `iss` out of its error answers; without a code there is nothing to mix up.
    unnamed_error = callback.error is not None and callback.iss is None
    right = unnamed_error or check_issuer(server_of(app), callback.iss)
    if attempt.issuer != server_of(app).issuer or not right:
        raise BadCallback(why="issuer")
    if attempt.state_used_at is not None:
        raise BadCallback(why="used")
    if attempt.outcome not in (None, SUPERSEDED):
        raise BadCallback(why="expired" if attempt.outcome == "expired" else "closed")
    if attempt.outcome is None and attempt.expires_at <= core.now():
        raise BadCallback(why="expired")
    return found.app, attempt


def _beaten(core: Core, found: Snapshot, attempt: AttemptRow) -> bool:
    """Whether another tab has made the installation that this attempt, older than it, would have made."""
    row = found.installation
    if row is None or found.app is None or attempt.installation_pk is not None:
        return False
    return row.created_at >= attempt.created_at and core.definition(found.app.kind).states[row.state].functional


def _account_of(core: Core, attempt: AttemptRow, listing: Sequence[Account]) -> str:
    """The account the grant goes to; raises TransitionRefused, and the callback can still be used."""
    account = attempt.account
    if account is None and len(listing) == 1:
        account = listing[0].id
    if account is None:
        msg = "no account is chosen yet"
        raise TransitionRefused(msg, hint="show engine.window(...), call select_account, then complete again")
    if core.directory is not None and not any(known.id == account for known in listing):
        msg = "the account is not among the person's accounts"
        raise TransitionRefused(msg, hint="start again with one of their accounts")
    return account


async def _already(core: Core, digest: bytes, callback: Callback, bound: str | None) -> Completed:
    """Another window won: its installation is the answer, and this code is not sent."""

    def work(found: Snapshot) -> Change:
        app_row, attempt = _proved(core, found, callback, bound)
        row = found.installation
        if row is None or not core.definition(app_row.kind).states[row.state].functional:
            raise BadCallback(why="closed")
        now = core.now()
        attempt.state_used_at, attempt.sealed = now, None
        if attempt.outcome is None:
            attempt.outcome, attempt.closed_at = SUPERSEDED, max(now, attempt.created_at)
        return Change(changed_attempts=[attempt], result=attempt.public_id)

    change = await core.transact(Load(state_hash=digest), work)
    current = _seen(core, await core.store.load(Load(state_hash=digest)))
    return Completed("completed", current, str(change.result), already=True)


async def _refused(core: Core, digest: bytes, callback: Callback, bound: str | None) -> Completed:
    """An error callback that proved itself: the attempt ends, no grant is touched, no token request is made."""
    error = error_word(callback.error or "")
    cancelled = error == "access_denied"

    def work(found: Snapshot) -> Change:
        app_row, attempt = _proved(core, found, callback, bound)
        now = max(core.now(), attempt.created_at)
        event = "cancel" if cancelled else "attempt_failed"
        if found.installation is None or attempt.installation_pk is None:
            rule = core.definition(app_row.kind).events[event]
            attempt.outcome, attempt.closed_at = rule.outcome, now
            change = Change(changed_attempts=[attempt])
        else:
            draft = core.draft(found)
            actor = attempt.actor if cancelled else CLOCK_ACTOR
            draft.apply(event, facts_for(draft, actor, (), attempt=attempt), attempt=attempt, reason=error)
            draft.touch(attempt)
            change = draft.change
        attempt.state_used_at, attempt.sealed = now, None
        if error in _MISCONFIGURED:
            note_incident(core, change, app_row, found.incident, error, "the authorization endpoint refused the app")
        change.result = (attempt.outcome, attempt.public_id)
        return change

    change = await core.transact(Load(state_hash=digest, foreign=True), work)
    assert isinstance(change.result, tuple)
    outcome, name = change.result
    current = _seen(core, await core.store.load(Load(attempt=name)))
    return Completed(outcome, current, name, why=None if cancelled else error)


def _consented(
    core: Core, found: Snapshot, callback: Callback, bound: str | None, account: str, listing: Sequence[Account]
) -> Change:
    """The callback is good: written before the code is sent, so that a crash can never send it twice."""
    app_row, attempt = _proved(core, found, callback, bound)
    app = App.from_document(app_row.document)
    parent = parent_for(core, found, app, account)
    draft = row_for(core, found, app, attempt, account, attempt.actor, listing, parent)
    attempt.state_used_at = draft.now
    draft.touch(attempt)
    facts = facts_for(draft, CLOCK_ACTOR, listing, attempt=attempt)
    facts.callback_valid = True
    draft.apply("callback_ok", facts, attempt=attempt, reason=_INFERRED)
    draft.change.result = attempt.public_id
    return draft.change


async def _exchange(core: Core, renewals: Renewals, app: App, digest: bytes, callback: Callback) -> Completed:
    """Send the code once, ask whose grant it is, store it or say why not."""
    found = await core.store.load(Load(state_hash=digest))
    attempt = found.attempt
    assert attempt is not None
    assert found.app is not None
    if attempt.outcome is not None:  # closed in the meantime: the code is not sent
        return Completed(attempt.outcome, _seen(core, found), attempt.public_id, why="too-late")
    verifier, nonce = kept_of(core, attempt)
    done = await _answered(core, renewals, found.app, app, attempt, callback, verifier)
    answer = done.answer
    if isinstance(answer, TokenAnswer) and answer.answer is AnswerClass.OK and core.identify is not None:
        done = await _identified(core, app, answer, nonce)
    change = await core.transact(Load(state_hash=digest, foreign=True), lambda now: _stored(core, now, app, done))
    assert isinstance(change.result, tuple)
    outcome, why = change.result
    current = _seen(core, await core.store.load(Load(attempt=attempt.public_id)))
    return Completed(outcome, current, attempt.public_id, why=why)


async def _answered(
    core: Core,
    renewals: Renewals,
    row: AppRow,
    app: App,
    attempt: AttemptRow,
    callback: Callback,
    verifier: str | None,
) -> Exchanged:
    assert callback.code is not None
    known, pause = proofs(core, row, app), 0.2
    first = renewals.secret_that_worked.get(row.pk, 0)
    order = sorted(range(len(known)), key=lambda index: index != first)
    answer: TokenAnswer | CarrierError = NotSent()
    while order:
        request = exchange_request(
            server_of(app),
            known[order[0]],
            code=callback.code.value,
            redirect_uri=attempt.redirect_uri,
            verifier=verifier,
        )
        answer = await sent(core, request)
        if isinstance(answer, NotSent):  # the server has seen nothing: again, while the code lives
            if core.now() + int(pause * 1_000_000) >= attempt.expires_at:
                break
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5)
        elif isinstance(answer, TokenAnswer) and answer.error == "invalid_client":
            order.pop(0)  # this secret was refused before the code was looked at; its sister may be the right one
        else:
            renewals.secret_that_worked[row.pk] = order[0]
            break
    return Exchanged(answer)


async def _identified(core: Core, app: App, answer: TokenAnswer, nonce: str | None) -> Exchanged:
    """Whose grant it is; where that cannot be learned, nothing is stored."""
    assert core.identify is not None
    assert answer.access_token is not None
    granted = Granted(answer.access_token, answer.id_token, nonce, tuple(sorted(answer.scopes or ())))
    try:
        async with asyncio.timeout(core.settings.directory_timeout.total_seconds()):
            identity = await core.identify(app, granted)
    except Exception as error:  # noqa: BLE001 - a host's callable; the attempt fails and the tokens are given back
        _log.warning("identify failed for %s: %s", app.key, type(error).__name__)
        return Exchanged(answer, failure="identity-unavailable")
    if not isinstance(identity, str) or not 0 < len(identity) <= 512:
        return Exchanged(answer, failure="identity-unavailable")
    return Exchanged(answer, identity=identity)


def _stored(core: Core, found: Snapshot, app: App, done: Exchanged) -> Change:
    """Store what the exchange brought, as the row is now."""
    attempt, answer = found.attempt, done.answer
    assert attempt is not None
    draft = core.draft(found)
    row = draft.row
    assert row is not None
    attempt.sealed = None
    granted = isinstance(answer, TokenAnswer) and answer.answer is AnswerClass.OK
    if attempt.outcome is not None or draft.definition.states[row.state].final:
        draft.touch(attempt)
        if isinstance(answer, TokenAnswer):
            draft.change.revocations += give_back(core, row, answer, draft.now, done.identity)
        draft.change.result = (attempt.outcome or SUPERSEDED, "too-late")
        return draft.change
    if not granted or not isinstance(answer, TokenAnswer):
        if isinstance(answer, TokenAnswer):  # of a type that is not understood: nobody will ever use them
            draft.change.revocations += give_back(core, row, answer, draft.now, done.identity)
        return _failed(core, draft, found, attempt, _class_of(answer))
    facts = facts_for(draft, CLOCK_ACTOR, (), attempt=attempt)
    facts.identity_matches = row.identity is None or row.identity == done.identity
    if done.failure is not None:
        draft.change.revocations += give_back(core, row, answer, draft.now, done.identity)
        return _failed(core, draft, found, attempt, done.failure)
    tokens = first_tokens(core, app, row, answer, attempt.requested, draft.now)
    try:
        draft.apply("exchange_ok", facts, attempt=attempt, issue=Issue(tokens, [], done.identity))
    except TransitionRefused:
        draft.change.revocations += give_back(core, row, answer, draft.now, done.identity)
        return _failed(core, draft, found, attempt, "refused" if facts.identity_matches else _WRONG_ACCOUNT)
    attempt.family, attempt.agreed = tokens.family, tokens.scopes
    draft.change.consents.append(_consent(draft, attempt))
    draft.change.result = (attempt.outcome, None)
    return draft.change


def _class_of(answer: TokenAnswer | CarrierError) -> str:
    return answer.code if isinstance(answer, CarrierError) else answer.error or answer.answer.value


def _failed(core: Core, draft: Draft, found: Snapshot, attempt: AttemptRow, why: str) -> Change:
    """The attempt is over, no grant is touched; what is wrong with the app itself opens an incident."""
    assert found.app is not None
    outcome = why if why == _WRONG_ACCOUNT else None
    facts = facts_for(draft, CLOCK_ACTOR, (), attempt=attempt)
    draft.apply("attempt_failed", facts, attempt=attempt, reason=why, outcome=outcome)
    if why in {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope", TOKEN_TYPE}:
        note_incident(core, draft.change, found.app, found.incident, why, "the token endpoint refused the app")
    draft.change.result = (attempt.outcome, why)
    return draft.change


def _consent(draft: Draft, attempt: AttemptRow) -> ConsentRow:
    row = draft.row
    assert row is not None
    approved, requested = scope_set(row.granted), scope_set(attempt.requested)
    return ConsentRow(
        app_pk=row.app_pk,
        account=row.account,
        subject_kind=row.subject_kind,
        subject_id=row.subject_id,
        actor_kind=attempt.actor_kind,
        actor_id=attempt.actor_id,
        app_version=attempt.app_version,
        requested=attempt.requested,
        approved=scope_text(approved & requested),
        refused=scope_text(requested - approved),
        given_at=draft.at,
    )


def _seen(core: Core, found: Snapshot) -> Installation | None:
    if found.app is None or found.installation is None:
        return None
    definition = core.definition(found.app.kind)
    return view(found, definition, core.settings, core.now())
