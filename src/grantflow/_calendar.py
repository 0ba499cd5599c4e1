"""Operators and time: what is due, what the brake holds, what waits, who is at work, what is to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from grantflow import _controls, _forecast, _sweep, _upkeep
from grantflow._audit import Operating
from grantflow._clock import maybe_datetime, to_datetime
from grantflow._core import Core
from grantflow._forecast import Forecast
from grantflow._model import Held, Notice, SweepReport
from grantflow._notices import notice_of
from grantflow._rows import BeatRow, Change, ControlRow, Load
from grantflow._sweep import Brake
from grantflow.errors import TransitionRefused
from grantflow_machines import Actor, Instant

_BOUND = 10_001


@dataclass(frozen=True, slots=True)
class SweepPreview:
    """What a sweep would do now."""

    due: dict[str, int]
    """Deadlines that have passed, per app."""
    overdue: int
    held: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class Outbox:
    """What waits after its commit: notices for subscribers, tokens to give back."""

    notices: int
    oldest_notice: datetime | None
    revocations: int
    oldest_revocation: datetime | None
    dead: int
    """Notices that were given up."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Schedulers do nothing until an operator resumes them; whoever asks for a token is still served."""

    by: str
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A process at work, and when it last said so."""

    process: str
    kind: str
    host: str
    pid: int
    started_at: datetime
    at: datetime
    age: timedelta
    """By this clock."""
    note: str
    silent: bool
    """It said nothing for more than a minute: it hangs, or it was killed."""
    leads: bool = False
    """On PostgreSQL: the scheduler whose polling is enough; the others look only whether it is late."""


def _heartbeat(row: BeatRow, now: Instant, leader: str | None) -> Heartbeat:
    age = timedelta(microseconds=max(0, now - row.at))
    started, at = to_datetime(row.started_at), to_datetime(row.at)
    silent = age > _upkeep.SILENT_AFTER
    leads = row.process == leader
    return Heartbeat(row.process, row.kind, row.host, row.pid, started, at, age, row.note, silent, leads)


class Calendar(Operating):
    """The half of `engine.ops` that is about time."""

    _core: Core
    _brake: Brake

    # -- the sweep and its brake ----------------------------------------------------------------
    async def preview_sweep(self) -> SweepPreview:
        """What a sweep would do now, and what its brake would hold."""
        now = self._core.now()
        due = {key: count for _, key, count in await self._core.store.due_by_app(now)}
        held = await _sweep.held_apps(self._core, self._brake, now)
        return SweepPreview(due, await self._core.store.overdue(now, _BOUND), held)

    async def run_sweep(self, *, actor: Actor, reason: str) -> SweepReport:
        """Sweep now, as a scheduler would: `preview_sweep` says before what it will do. Raises as `preview_force`."""
        await self._allowed(actor, "run-sweep", "scheduler", reason)
        report = await _sweep.sweep(self._core, self._brake)
        detail = f"{report.moved} moved of {report.seen}, run {report.run_id}"
        await self._record(actor, "run-sweep", "scheduler", reason, None, "applied", detail)
        return report

    async def release_sweep(self, app: str, *, actor: Actor, reason: str) -> None:
        """Let the next sweep, in whichever process, expire an app's rows though the brake holds them."""
        async with self._operating(actor, "release-sweep", app, reason):
            await self._core.app(app)
            control = ControlRow(_controls.released(app), self._core.now(), str(actor), reason)
            action = self._row(actor, "release-sweep", app, reason, None, "applied", "")
            await self._core.transact(Load(), lambda _: Change(set_controls=[control], action=action))

    # -- pausing --------------------------------------------------------------------------------
    async def pause(self, *, actor: Actor, reason: str) -> None:
        """Stop every scheduler on this database: a row that outlives processes. Expiry still holds for readers."""
        await self._allowed(actor, "pause", "scheduler", reason)
        control = ControlRow(_controls.PAUSED, self._core.now(), str(actor), reason)
        action = self._row(actor, "pause", "scheduler", reason, None, "applied", "")
        await self._core.transact(Load(), lambda _: Change(set_controls=[control], action=action))

    async def resume(self, *, actor: Actor, reason: str) -> None:
        """Let schedulers work again; what became due meanwhile is caught up.

        Raises TransitionRefused where nothing is paused.
        """
        async with self._operating(actor, "resume", "scheduler", reason):
            if await self.paused() is None:
                msg = "nothing is paused"
                raise TransitionRefused(msg)
            action = self._row(actor, "resume", "scheduler", reason, None, "applied", "")
            await self._core.transact(Load(), lambda _: Change(drop_controls=[_controls.PAUSED], action=action))

    async def paused(self) -> Pause | None:
        """Who paused the schedulers, why and since when; None while they work."""
        for row in await self._core.store.controls():
            if row.name == _controls.PAUSED:
                return Pause(row.by, row.reason, to_datetime(row.at))
        return None

    async def heartbeats(self) -> tuple[Heartbeat, ...]:
        """Processes that said they are at work, the latest first; one that was killed stays, with its age."""
        now, leader = self._core.now(), await self._core.store.leader()
        process = None if leader is None else leader.process
        return tuple(_heartbeat(row, now, process) for row in await self._core.store.beats())

    # -- what waits -----------------------------------------------------------------------------
    async def outbox(self) -> Outbox:
        """What waits to be told or given back, and since when."""
        notice, notices, revocation, revocations, dead = await self._core.store.outbox()
        return Outbox(notices, maybe_datetime(notice), revocations, maybe_datetime(revocation), dead)

    async def waiting_notices(self, *, limit: int = 100) -> Sequence[Notice]:
        """Notices that no subscriber has taken yet, oldest first; those that failed and wait for another try too."""
        return [notice_of(pending) for pending in await self._core.store.waiting_notices(limit)]

    async def dead_notices(self, *, limit: int = 100) -> Sequence[Notice]:
        """Notices that no subscriber took in all their tries, newest first."""
        return [notice_of(pending) for pending in await self._core.store.dead_notices(limit)]

    async def retry_notices(self, *, actor: Actor, reason: str) -> int:
        """Deliver the dead letters again, from their first try; returns how many wait now."""
        await self._allowed(actor, "retry-notices", "outbox", reason)
        revived = await self._core.store.revive_notices()
        await self._record(actor, "retry-notices", "outbox", reason, None, "applied", f"{revived} notices")
        return revived

    # -- what is to come, and what must agree ---------------------------------------------------
    async def forecast(
        self,
        *,
        by: str = "month",
        spans: int = 12,
        lifetime: timedelta | None = None,
        warn: timedelta | None = None,
        app: str | None = None,
    ) -> Forecast:
        """How many grants will end, by calendar day, week or month (UTC); reads in slices and writes nothing.

        Args:
            by: `day`, `week` (from Monday) or `month`.
            spans: How many of them, the one at hand included; 1 to 400.
            lifetime: What if every grant lived so long from its issue?
            warn: Count warnings so long before each end, too.
            app: This app's grants alone.

        Raises BadInput for another word, number or span; NotFound for an unknown app.
        """
        return await _forecast.forecast(self._core, by=by, spans=spans, lifetime=lifetime, warn=warn, app=app)

    async def reconcile_counts(self, *, actor: Actor, reason: str) -> int:
        """Recount every installation and correct the counters; returns how many were wrong."""
        await self._allowed(actor, "reconcile-counts", "counters", reason)
        wrong = await self._core.store.correct_counts()
        await self._record(actor, "reconcile-counts", "counters", reason, None, "applied", f"{wrong} were wrong")
        return wrong

    async def broken_promises(self, *, limit: int = 20) -> list[str]:
        """Rows that contradict an invariant of their chart, and wrong counters, in words; reads everything."""
        return await _upkeep.broken_promises(self._core, limit)
