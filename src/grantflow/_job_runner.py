"""Runs bulk jobs under a lease, row by row.

A row and its outcome are one transaction, which looks at the job first: a job that was paused, stopped or taken over
meanwhile is left alone. So kill -9 loses nothing and doubles nothing, and no row more is done than the rules allow.
Only a probe asks its server before that transaction; after a crash it may ask once more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from grantflow._bulk_model import JobsReport
from grantflow._clock import span
from grantflow._core import Core
from grantflow._ids import new_secret
from grantflow._job_rows import RUNNABLE, JobItemRow, JobOutcome, JobRow, JobState
from grantflow._planning import UNREADABLE, trail_for, version_of
from grantflow._renewal import Ended, Renewals
from grantflow._rows import Change, Load, Snapshot, TransitionRow
from grantflow._sweep import Progress
from grantflow._tokens import probe
from grantflow._verbs import PROBE, REPAIR, Order, carry_out
from grantflow._view import view
from grantflow.errors import DatabaseError, GrantflowError, NotHeldHere, PermissionDenied, TransitionRefused
from grantflow_machines import Actor, Instant

_AT_ONCE = 64
"""Rows that may share one commit."""
_PROBES_AT_ONCE = 8
_MAX_DETAIL = 300
_ANSWERED = (Ended.RENEWED, Ended.ALREADY, Ended.DEAD)
"""Endings of a probe that found out what it asked."""


_OF_A_ROW = (GrantflowError, ValueError, TypeError, LookupError, OverflowError)
"""What may go wrong with one row; everything else ends the call."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What became of one row."""

    outcome: JobOutcome
    detail: str


_Doing = Callable[[Snapshot, JobRow, JobItemRow], tuple[_Verdict, Change]]


async def run_jobs(
    core: Core,
    renewals: Renewals,
    *,
    only: str | None = None,
    budget: timedelta | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> JobsReport:
    """Run what waits, oldest first. See Engine.run_jobs."""
    runner, seen = _Runner(core, renewals, budget, progress, stop), set[str]()
    while not runner.over():
        names = [name for name in await core.store.jobs_to_take(core.now()) if only in {None, name}]
        fresh = next((name for name in names if name not in seen), None)
        if fresh is None:
            break
        seen.add(fresh)  # once a call: a job that was paused and resumed meanwhile waits for the next one
        job = await runner.take(fresh)
        if job is not None:
            await runner.run(job)
    return runner.report()


class _Runner:
    """One call's way through the jobs."""

    def __init__(
        self,
        core: Core,
        renewals: Renewals,
        budget: timedelta | None,
        progress: Progress | None,
        stop: Callable[[], bool] | None,
    ) -> None:
        self._core = core
        self._renewals = renewals
        self._progress = progress
        self._stop = stop
        self._me = new_secret("run")
        self._until = None if budget is None else core.clock.monotonic() + budget.total_seconds()
        self._jobs: dict[str, None] = {}
        self._counted: Counter[str] = Counter()

    def over(self) -> bool:
        """Whether the time that was given is used up, or somebody wants an end."""
        if self._stop is not None and self._stop():
            return True
        return self._until is not None and self._core.clock.monotonic() >= self._until

    def report(self) -> JobsReport:
        """What was done."""
        outcomes = (JobOutcome.APPLIED, JobOutcome.REFUSED, JobOutcome.OUTDATED, JobOutcome.FAILED)
        applied, refused, outdated, failed = (self._counted[outcome] for outcome in outcomes)
        return JobsReport(tuple(self._jobs), applied, refused, outdated, failed)

    # -- the lease --------------------------------------------------------------------------------
    def _ends(self) -> Instant:
        return self._core.now() + span(self._core.settings.job_lease)

    async def take(self, name: str) -> JobRow | None:
        """Take a job's lease; None where another process was faster, or nothing of it can run."""

        def work(found: Snapshot) -> Change:
            job, now = found.job, self._core.now()
            if job is None or (job.lease_until is not None and job.lease_until > now):
                return Change()
            if job.state == JobState.PREPARING:
                job.state, job.why = JobState.CANCELLED.value, "whoever made it never wrote all its rows"
                job.ended_at, job.lease_until = now, None
            elif job.state in RUNNABLE:
                if job.state == JobState.WAITING:
                    job.state = JobState.CANARY.value if job.canary else JobState.RUNNING.value
                job.started_at = now if job.started_at is None else job.started_at
                job.lease, job.lease_until = self._me, self._ends()
            else:
                return Change()
            job.revision += 1
            return Change(job=job)

        job = (await self._core.transact(Load(job=name), work)).job
        return job if job is not None and job.lease == self._me else None

    async def _give_back(self, job: JobRow) -> None:
        def work(found: Snapshot) -> Change:
            if found.job is None or found.job.lease != self._me:
                return Change()
            found.job.lease = found.job.lease_until = None
            found.job.revision += 1
            return Change(job=found.job)

        await self._core.transact(Load(job=job.public_id), work)

    # -- rows -------------------------------------------------------------------------------------
    async def run(self, job: JobRow) -> None:
        """Do the rows of a job that was taken, until its end, its stop or the end of the time."""
        self._jobs[job.public_id] = None
        try:
            while not self.over() and await self._batch(job):
                pass
        except BaseException:
            with contextlib.suppress(GrantflowError):
                await self._give_back(job)
            raise
        await self._give_back(job)

    async def _batch(self, job: JobRow) -> bool:
        """A few rows, and whether there may be more."""
        current = (await self._core.store.load(Load(job=job.public_id))).job
        if current is None or current.lease != self._me or current.state not in RUNNABLE:
            return False
        size = _PROBES_AT_ONCE if job.verb == PROBE else _AT_ONCE
        if current.state == JobState.CANARY:
            size = min(size, current.canary - current.settled)
        items = await self._core.store.job_items(job.pk, JobOutcome.PENDING.value, -1, size)
        order = Order(job.verb, self._actor(job), job.reason, job.to_state, bool(job.quiet), job.public_id)
        ready = await asyncio.gather(*(self._before(order, item) for item in items))
        rows = [self._one(job, item, order, known) for item, known in zip(items, ready, strict=True)]
        done = await asyncio.gather(*rows, return_exceptions=True)  # written in their order
        self._counted.update(outcome for outcome in done if isinstance(outcome, JobOutcome))
        for error in done:
            if isinstance(error, BaseException):
                raise error
        if self._progress is not None:
            told = sum(isinstance(outcome, JobOutcome) for outcome in done)
            self._progress(current.settled + told, job.total)
        return bool(items)

    @staticmethod
    def _actor(job: JobRow) -> Actor:
        return Actor.operator(job.actor, claimed=bool(job.claimed))

    async def _before(self, order: Order, item: JobItemRow) -> list[TransitionRow] | _Verdict:
        """What must be known before the transaction: the trail, or a verdict; the policy is asked about every row."""
        core = self._core
        if core.policy is None and order.verb not in {PROBE, REPAIR}:
            return []
        try:
            found = await core.store.load(Load(installation=item.installation))
            away = _moved(found, item)
            if away is not None:
                return away
            trail = await trail_for(core, order, found)
            if core.policy is not None and found.app is not None:
                definition = core.definition(found.app.kind)
                seen = view(found, definition, core.settings, core.now())
                await core.ask_policy(order.actor, order.verb, seen)
        except _OF_A_ROW as error:
            return await self._verdict_of(item, error)
        return trail

    async def _one(
        self, job: JobRow, item: JobItemRow, order: Order, known: list[TransitionRow] | _Verdict
    ) -> JobOutcome | None:
        """One row; None where the job is no longer ours to run."""
        try:
            if isinstance(known, _Verdict):
                verdict = known
            elif order.verb == PROBE:
                verdict = await self._asked(item, order.actor)
            else:
                return await self._recorded(job, item, self._doing(order, known), installation=item.installation)
        except _OF_A_ROW as error:
            verdict = await self._verdict_of(item, error)
        return await self._recorded(job, item, lambda *_: (verdict, Change()), installation=None)

    async def _verdict_of(self, item: JobItemRow, error: Exception) -> _Verdict:
        """What an error says of a row; raised again where it is the database that has failed, not this row."""
        if isinstance(error, DatabaseError):
            if await self._readable(item):
                raise error
            return _Verdict(JobOutcome.FAILED, UNREADABLE)
        if not isinstance(error, GrantflowError):
            return _Verdict(JobOutcome.FAILED, UNREADABLE)
        refused = isinstance(error, (PermissionDenied, TransitionRefused, NotHeldHere))
        return _Verdict(JobOutcome.REFUSED if refused else JobOutcome.FAILED, str(error))

    async def _readable(self, item: JobItemRow) -> bool:
        try:
            await self._core.store.load(Load(installation=item.installation))
        except DatabaseError as error:
            return type(error) is not DatabaseError  # busy, full, read-only: nothing is wrong with this row
        return True

    async def _asked(self, item: JobItemRow, actor: Actor) -> _Verdict:
        ending = await probe(self._core, self._renewals, item.installation, actor)
        answered = JobOutcome.APPLIED if ending.how in _ANSWERED else JobOutcome.FAILED
        return _Verdict(answered, ending.how.value if ending.why is None else f"{ending.how.value}: {ending.why}")

    def _doing(self, order: Order, trail: list[TransitionRow]) -> _Doing:
        """The verb on one row, inside its transaction; what the machine refuses is an outcome, not an error."""

        def do(found: Snapshot, job: JobRow, item: JobItemRow) -> tuple[_Verdict, Change]:
            away = _moved(found, item)
            if away is not None:
                return away, Change()
            assert found.app is not None
            if self._core.definition(found.app.kind).fingerprint not in job.fingerprints.split():
                return _Verdict(JobOutcome.OUTDATED, "the machine changed since the plan was made"), Change()
            try:
                done = carry_out(self._core, found, order, trail)
            except TransitionRefused as error:
                return _Verdict(JobOutcome.REFUSED, str(error)), Change()
            return _Verdict(JobOutcome.APPLIED, f"{done.source} → {done.target}"), done.change

        return do

    async def _recorded(
        self, job: JobRow, item: JobItemRow, work: _Doing, *, installation: str | None
    ) -> JobOutcome | None:
        """A row's work and its outcome in one transaction, unless the job is no longer ours."""

        def whole(found: Snapshot) -> Change:
            current, mine = found.job, found.item
            ours = current is not None and current.lease == self._me and current.state in RUNNABLE
            if not ours or current is None or mine is None or mine.outcome != JobOutcome.PENDING:
                return Change()
            verdict, change = work(found, current, mine)
            self._count(current, mine, verdict)
            change.job, change.item, change.result = current, mine, verdict.outcome
            return change

        load = Load(installation=installation, job=job.public_id, ordinal=item.ordinal)
        result = (await self._core.transact(load, whole)).result
        return result if isinstance(result, JobOutcome) else None

    def _count(self, job: JobRow, item: JobItemRow, verdict: _Verdict) -> None:
        """Write an outcome down, and stop the job where its rules say so."""
        now = self._core.now()
        detail = verdict.detail[:_MAX_DETAIL].encode(errors="replace").decode()  # a spoiled cell may speak in it
        item.outcome, item.detail, item.at = verdict.outcome.value, detail, now
        setattr(job, verdict.outcome.value, getattr(job, verdict.outcome.value) + 1)
        job.revision += 1
        length = span(self._core.settings.job_lease)
        if job.lease_until is None or job.lease_until - now < length // 2:
            job.lease_until = now + length
        if job.settled >= job.total:
            job.state, job.ended_at = JobState.DONE.value, now
        elif job.state == JobState.CANARY and job.settled >= job.canary:
            bad = job.settled - job.applied
            job.state = JobState.STOPPED.value if bad else JobState.RUNNING.value
            job.why = f"{bad:,} of the first {_rows(job.settled)} were not applied" if bad else None
        elif job.state == JobState.RUNNING and _too_much(job):
            failures, rows = job.failures - job.forgiven, job.settled - job.forgiven_rows
            job.state, job.why = JobState.STOPPED.value, f"{failures:,} of {_rows(rows)} were refused or failed"
        if job.state not in RUNNABLE:
            job.lease = job.lease_until = None


def _moved(found: Snapshot, item: JobItemRow) -> _Verdict | None:
    """The version fence: a verdict where the row is not what the plan saw."""
    row = found.installation
    if row is None:
        return _Verdict(JobOutcome.FAILED, "there is no such installation")
    if version_of(row) != item.version:
        return _Verdict(
            JobOutcome.OUTDATED, f"it moved from version {item.version} to {row.version}, now {row.state}"
        )
    return None


def _too_much(job: JobRow) -> bool:
    failures, rows = job.failures - job.forgiven, job.settled - job.forgiven_rows
    return failures >= job.stop_after and failures >= job.stop_share * rows


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"
