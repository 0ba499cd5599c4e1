"""One renewal of one grant at a time, across processes: lease, marker, answer. RFC 6749 §6, RFC 9700 §4.14.2.

The lease and the marker are committed before the request goes out; the answer is taken only for the generation that
asked. So two workers never send one refresh token at once, and a crash in between is known as an unknown outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from grantflow._app import App, scope_text
from grantflow._clock import span
from grantflow._core import Core
from grantflow._foreign import give_back, keep_refresh, opened, proofs, renewed_tokens, server_of
from grantflow._held import NoticeName
from grantflow._ids import new_secret
from grantflow._incidents import FAILING, Failures, claim_probe, close_incident, note_incident
from grantflow._oauth import MALFORMED, AnswerClass, TokenAnswer, read_token_answer, refresh_request
from grantflow._ports import HttpRequest
from grantflow._rows import Change, IncidentRow, Load, Snapshot, TokenRow
from grantflow._transition import CLOCK_ACTOR, Draft, deadline_of
from grantflow.errors import CarrierError, NoAnswer, NotSent
from grantflow_machines import Actor, Instant

_AUTOMATIC = "probe"
T = TypeVar("T")


class Ended(StrEnum):
    """How a try to renew ended."""

    RENEWED = "renewed"
    ALREADY = "already"
    """Somebody else has renewed it; read again."""
    BUSY = "busy"
    """Somebody else is at it."""
    DEAD = "dead"
    HELD = "held"
    """An incident or an operator holds the app's renewals."""
    LATER = "later"
    """It failed for now; there is a time to try again."""
    NOTHING = "nothing"
    """There is nothing to renew with."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of one try."""

    how: Ended
    retry_at: Instant | None = None
    why: str | None = None


@dataclass(slots=True)
class Ask:
    """Why a renewal is wanted."""

    generation: int | None = None
    """Only this generation is renewed; None for the current one."""
    forced: bool = False
    """An API answered 401: renew although the access token should still work."""
    probe: bool = False
    """An operator asks: renew through a hold, a backoff or death."""
    actor: Actor = CLOCK_ACTOR


@dataclass(slots=True)
class _Lease:
    name: str
    generation: int
    refresh: str = field(repr=False)
    lost_before: bool
    """An earlier request of this generation was never answered."""
    app_pk: int
    installation_pk: int
    identity: str | None
    """Whose grant asked: the row may be another's when the answer comes."""
    probing: bool
    """It is the one request an open incident lets through."""


@dataclass(slots=True)
class Renewals:
    """In-process single flight, and what was seen of failures; nothing that another process would miss."""

    core: Core
    failures: Failures = field(default_factory=Failures)
    flights: dict[str, asyncio.Task[Any]] = field(default_factory=dict)
    secret_that_worked: dict[int, int] = field(default_factory=dict)

    async def renew(self, installation: str, ask: Ask) -> Ending:
        """Renew once; callers of this process that want the same share one request, and may be cancelled."""
        return await self.run(
            f"{installation}/probe" if ask.probe else installation, lambda: self._renew(installation, ask)
        )

    async def run(self, name: str, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What is under way at a foreign server goes on to its end, whoever stops waiting for it."""
        flight = self.flights.get(name)
        if flight is None or flight.done():
            flight = asyncio.get_running_loop().create_task(start())
            self.flights[name] = flight
            flight.add_done_callback(lambda _: self.flights.pop(name, None))
        done: T = await asyncio.shield(flight)
        return done

    async def close(self) -> None:
        """Let requests that are under way come to their end: a lost answer may be a lost grant."""
        pending = [flight for flight in self.flights.values() if not flight.done()]
        try:
            if pending:
                await asyncio.wait(pending, timeout=self.core.settings.http_timeout.total_seconds() + 1)
        finally:
            for flight in pending:
                flight.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    async def _renew(self, installation: str, ask: Ask) -> Ending:
        load = Load(installation=installation, foreign=True)
        taken = (await self.core.transact(load, lambda found: _take(self.core, found, ask))).result
        if isinstance(taken, Ending):
            return taken
        assert isinstance(taken, _Lease)
        answer = await self._ask_server(installation, taken)
        kind = answer.answer if isinstance(answer, TokenAnswer) else None
        if kind is not AnswerClass.MISCONFIGURED:
            failed = kind is not AnswerClass.OK
            self.failures.note(taken.app_pk, taken.installation_pk, self.core.now(), failed=failed)
        change = await self.core.transact(load, lambda found: self._settle(found, ask, taken, answer))
        assert isinstance(change.result, Ending)
        return change.result

    async def _ask_server(self, installation: str, lease: _Lease) -> TokenAnswer | CarrierError:
        found = await self.core.store.load(Load(installation=installation))
        assert found.app is not None
        app = App.from_document(found.app.document)
        known = proofs(self.core, found.app, app)
        order = list(range(len(known)))
        preferred = self.secret_that_worked.get(found.app.pk, 0)
        order.sort(key=lambda index: index != preferred)
        answer: TokenAnswer | CarrierError = NotSent()
        for index in order:
            request = refresh_request(server_of(app), known[index], refresh_token=lease.refresh)
            answer = await sent(self.core, request)
            if isinstance(answer, CarrierError) or answer.error != "invalid_client":
                self.secret_that_worked[found.app.pk] = index
                break
        return answer

    # -- the answer -----------------------------------------------------------------------------
    def _settle(self, found: Snapshot, ask: Ask, lease: _Lease, answer: TokenAnswer | CarrierError) -> Change:
        """What an answer means for the row as it is now."""
        draft = self.core.draft(found, settle=False)
        row, tokens, now = draft.row, found.tokens, draft.now
        assert row is not None
        assert found.app is not None
        ours = tokens is not None and tokens.generation == lease.generation and tokens.refresh_sealed is not None
        if not ours or tokens is None:
            return _too_late(self.core, draft, answer, lease)
        app = App.from_document(found.app.document)
        if isinstance(answer, TokenAnswer) and answer.answer is AnswerClass.OK:
            if found.incident is not None and lease.probing:
                close_incident(draft.change, found.app, found.incident, now, _AUTOMATIC)
                self.failures.forget(found.app.pk)
            return _renewed(self.core, draft, app, tokens, answer, ask)
        kept = isinstance(answer, TokenAnswer) and keep_refresh(self.core, row, tokens, answer)
        if tokens.lease != lease.name:
            draft.change.tokens = tokens if kept else None
            draft.change.result = Ending(Ended.BUSY, tokens.lease_until)  # another one asked after us: it decides
            return draft.change
        tokens.lease = tokens.lease_until = None
        draft.change.tokens = tokens
        proved = isinstance(answer, TokenAnswer) and answer.answer in (AnswerClass.DEAD, AnswerClass.INTERACTION)
        if proved and lease.probing and found.incident is not None and found.incident.cause != FAILING:
            close_incident(draft.change, found.app, found.incident, now, _AUTOMATIC)  # the app itself is known again
        if kept or (not lease.lost_before and not _unclear(answer)):
            tokens.in_flight_at = None  # answered: nothing is unknown, unless an older request is
        if isinstance(answer, TokenAnswer) and answer.answer is AnswerClass.MISCONFIGURED:
            note_incident(self.core, draft.change, found.app, found.incident, answer.error or "", _shown(answer))
            draft.change.result = Ending(Ended.HELD, why=answer.error)
            return draft.change
        why = self.failures.outbreak(found.app.pk, now, self.core.settings)
        if why is not None:
            note_incident(self.core, draft.change, found.app, found.incident, FAILING, why)
        if isinstance(answer, TokenAnswer) and answer.answer in (AnswerClass.DEAD, AnswerClass.INTERACTION):
            return _died(draft, tokens, answer, lost_before=lease.lost_before)
        return _failed(self.core, draft, tokens, answer, lease)


def _unclear(answer: TokenAnswer | CarrierError) -> bool:
    """Whether the server may have rotated the token all the same: a 500 after the work was done has been seen."""
    if isinstance(answer, CarrierError):
        return isinstance(answer, NoAnswer)
    said = answer.error not in {None, MALFORMED}
    return answer.answer is AnswerClass.TRANSIENT and not said and answer.status not in (429, 503)


def _shown(answer: TokenAnswer) -> str:
    return f"the token endpoint answered {answer.status} {answer.error or ''}".strip()


async def sent(core: Core, request: HttpRequest) -> TokenAnswer | CarrierError:
    """Send one request to a token endpoint; what a carrier raises is an outcome, not an accident."""
    try:
        response = await core.carry(request)
    except CarrierError as error:
        return error
    return read_token_answer(response, core.now())


def _take(core: Core, found: Snapshot, ask: Ask) -> Change:
    """Take the lease and set the marker, or say why not."""
    draft = core.draft(found, settle=False)  # what is due is the sweep's, and its brake's
    row, tokens, change, now = draft.row, draft.snapshot.tokens, draft.change, draft.now
    assert row is not None
    assert found.app is not None
    over = row.deadline_at is not None and row.deadline_at <= now
    functional = draft.definition.states[row.state].functional and not row.grant_revoked and not over
    if not functional and not ask.probe:
        change.result = Ending(Ended.DEAD)
    elif tokens is None or tokens.refresh_sealed is None:
        change.result = Ending(Ended.NOTHING)
    elif ask.generation is not None and tokens.generation != ask.generation:
        change.result = Ending(Ended.ALREADY)
    elif _leased(core, tokens, now):
        change.result = Ending(Ended.BUSY, tokens.lease_until)
    elif _must_wait(tokens, ask, now):
        change.result = Ending(Ended.LATER, tokens.refresh_at, tokens.failing)
    elif found.app.held_by is not None and not ask.probe:
        change.result = Ending(Ended.HELD, why="an operator holds the app")
    else:
        change.result = _leave(core, draft, tokens, found.incident, ask)
    return change


def _must_wait(tokens: TokenRow, ask: Ask, now: Instant) -> bool:
    """Before its time only an operator asks, or an API's 401 where no failed renewal is being waited for."""
    early = tokens.refresh_at is not None and now < tokens.refresh_at
    only_unanswered = tokens.failures == 1 and tokens.failing == NoAnswer.code
    return early and not ask.probe and not (ask.forced and (tokens.failing is None or only_unanswered))


def _leave(core: Core, draft: Draft, tokens: TokenRow, incident: IncidentRow | None, ask: Ask) -> object:
    now, row = draft.now, draft.row
    assert row is not None
    if incident is not None and not claim_probe(core, draft.change, incident, now, ask=ask.probe):
        return Ending(Ended.HELD, incident.probe_at, incident.cause)
    assert draft.snapshot.app is not None
    proofs(core, draft.snapshot.app, App.from_document(draft.snapshot.app.document))  # or nothing is marked as sent
    refresh = opened(core, row, tokens, "refresh").value
    lease = _Lease(
        name=new_secret("gfl"),
        generation=tokens.generation,
        refresh=refresh,
        lost_before=tokens.in_flight_at is not None,
        app_pk=row.app_pk,
        installation_pk=row.pk,
        identity=row.identity,
        probing=incident is not None,
    )
    tokens.lease, tokens.lease_until = lease.name, now + span(core.settings.refresh_lease)
    tokens.in_flight_at = now
    draft.change.tokens = tokens
    return lease


def _leased(core: Core, tokens: TokenRow, now: Instant) -> bool:
    """Whether somebody is at it; a lease from a clock that ran ahead is none."""
    until = tokens.lease_until
    return until is not None and now < until <= now + span(core.settings.refresh_lease)


def _renewed(core: Core, draft: Draft, app: App, tokens: TokenRow, answer: TokenAnswer, ask: Ask) -> Change:
    row, change = draft.row, draft.change
    assert row is not None
    was_failing, before = tokens.failing, row.granted
    renewed_tokens(core, app, row, tokens, answer, draft.now)
    row.generation += 1
    tokens.generation = row.generation
    tokens.forced_generation = row.generation if ask.forced else None
    ending = deadline_of(tokens)
    if ask.probe and ending is not None and ending <= draft.now:
        # The server still renews what our clock took for dead: its word wins, and the span starts anew.
        tokens.issued_at, tokens.refresh_expires_at = draft.now, None
        renewed_tokens(core, app, row, tokens, answer, draft.now)
    row.granted, row.deadline_at = tokens.scopes, deadline_of(tokens)
    change.touched, change.tokens = True, tokens
    if ask.probe and not draft.definition.states[row.state].functional:
        draft.apply("recovered", draft.facts(ask.actor))
    if not draft.definition.states[row.state].functional:
        tokens.refresh_at = None  # kept for a probe; nobody renews the dead ahead of time
    draft.rearm()
    if was_failing is not None:
        draft.notify(NoticeName.REFRESH_RECOVERED.value, "refresh_ok", cause=was_failing)
    narrowed = frozenset(before.split()) - frozenset(row.granted.split())
    if narrowed:
        draft.notify(NoticeName.SCOPES_NARROWED.value, "refresh_ok", scopes=scope_text(narrowed))
    change.result = Ending(Ended.RENEWED)
    return change


def _died(draft: Draft, tokens: TokenRow, answer: TokenAnswer, *, lost_before: bool) -> Change:
    """The server will not renew this generation any more; time is named only where our own clock says so."""
    row, change = draft.row, draft.change
    assert row is not None
    tokens.in_flight_at = tokens.refresh_at = None
    if row.due_at is not None and row.due_at <= draft.now:
        draft.settle()
    if draft.definition.states[row.state].functional:
        reason = None
        if answer.answer is AnswerClass.INTERACTION:
            reason = "interaction-required"
        elif lost_before:
            reason = "rotation-lost"
        draft.apply("refresh_dead", draft.facts(CLOCK_ACTOR), reason=reason)
    change.tokens = tokens
    change.result = Ending(Ended.DEAD, why=answer.error)
    return change


def _failed(core: Core, draft: Draft, tokens: TokenRow, answer: TokenAnswer | CarrierError, lease: _Lease) -> Change:
    """It failed for now: the state stays, one notice per cause, a time to try again."""
    now, settings = draft.now, core.settings
    tokens.failures += 1
    unknown = isinstance(answer, NoAnswer)
    cause = answer.code if isinstance(answer, CarrierError) else answer.error or f"http-{answer.status}"
    wait = min(span(settings.backoff_first) << min(tokens.failures - 1, 20), span(settings.backoff_longest))
    wait = int(wait * (0.9 + 0.2 * core.chance()))
    if isinstance(answer, TokenAnswer) and answer.retry_after is not None:
        wait = max(wait, int(answer.retry_after * 1_000_000))
    access_works = tokens.access_expires_at is not None and tokens.access_expires_at > now
    first_unknown = unknown and not lease.lost_before
    if first_unknown:  # use what works while it works, then ask once more at once
        tokens.refresh_at = tokens.access_expires_at if access_works else now
    else:
        tokens.refresh_at = now + wait
    if not draft.definition.states[draft.state].functional:
        tokens.refresh_at = None
    elif tokens.failing != cause:
        tokens.failing = cause
        draft.notify(NoticeName.REFRESH_FAILED.value, "refresh_transient", cause=cause)
    draft.change.result = Ending(Ended.LATER, tokens.refresh_at, cause)
    return draft.change


def _too_late(core: Core, draft: Draft, answer: TokenAnswer | CarrierError, lease: _Lease) -> Change:
    """The row moved on while the request was under way: nothing of the answer is stored, nothing is lost."""
    row = draft.row
    assert row is not None
    if isinstance(answer, TokenAnswer):
        draft.change.revocations = give_back(core, row, answer, draft.now, lease.identity)
    draft.change.result = Ending(Ended.ALREADY)
    return draft.change
