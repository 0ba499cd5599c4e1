"""Operators' verbs for many installations: a frozen plan, a job of it, and a hand on the job."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from grantflow._audit import Operating
from grantflow._bulk_model import BulkPlan, Job, JobItem, item_view, job_view
from grantflow._clock import span
from grantflow._filter import MAX_LENGTH, MAX_VALUES, parse, quoted
from grantflow._job_rows import ENDED, RESUMABLE, RUNNABLE, JobItemRow, JobOutcome, JobRow, JobState
from grantflow._planning import Brakes, matching, named, planned, too_many
from grantflow._requests import checked_name
from grantflow._rows import Change, Load, Snapshot
from grantflow._verbs import Order, checked
from grantflow.errors import BadInput, Conflict, NotFound, PlanOutdated, TransitionRefused
from grantflow_machines import Actor

MAX_ROWS = 100_000
_CHUNK = 500
_PAGE = 1_000
_AGAIN = (JobOutcome.FAILED, JobOutcome.REFUSED, JobOutcome.OUTDATED)


class Bulk(Operating):
    """The half of `engine.ops` that works on many installations at once."""

    async def preview_bulk(
        self,
        filter: str | list[str] | tuple[str, ...],  # noqa: A002 - the field's word
        verb: str,
        *,
        actor: Actor,
        reason: str,
        to: str | None = None,
        limit: int = 10_000,
        canary: int = 10,
        stop_after: int = 5,
        stop_share: float = 0.01,
        without_side_effects: bool = False,
    ) -> BulkPlan:
        """What a verb would do to everything that matches; read in pages, nothing is locked or written but the audit.

        Args:
            filter: Which installations, as in `engine.find`, with at least one term; or the ids of those chosen.
            verb: `force`, `remind`, `probe`, `repair`, or an event from outside, such as `suspend`.
            actor: An operator.
            reason: At least 8 characters, kept for ever.
            to: With `force`, the target state.
            limit: Refuse when more match; 1 to 100,000.
            canary: So many rows are tried first; unless all of them are applied, the job stops.
            stop_after: After the canary the job stops at so many rows that were refused or failed …
            stop_share: … which are at least this share of those it has done.
            without_side_effects: With `force`, no notices go out and no token is given back.

        Raises:
            BadInput: verb, state or a number makes no sense, the filter is empty, or more than `limit` match.
            FilterSyntaxError: the filter cannot be read.
            PermissionDenied: the actor is no operator, or the policy says no to `bulk-` and the verb; on the record.
        """
        order = checked(self._core, Order(verb, actor, reason, to, without_side_effects))
        brakes = Brakes(canary, stop_after, stop_share)
        if type(limit) is not int or not 1 <= limit <= MAX_ROWS:
            msg = f"limit lies between 1 and {MAX_ROWS:,}"
            raise BadInput(msg, hint="narrow the filter, for example by app: or account:")
        if isinstance(filter, list | tuple):
            query, chosen = None, list(dict.fromkeys(checked_name(one, "installation") for one in filter))
            text, matches = _naming(chosen, limit), named(self._core, chosen)
        else:
            query = parse(filter, self._core.now(), states=self._core.states)
            if not query.terms:
                msg = "a filter is needed"
                raise BadInput(msg, hint="to mean all that are not uninstalled, write kind:account,agent,external")
            text, matches = query.text, matching(self._core, query, limit)
        await self._allowed(actor, f"bulk-{verb}", text, reason)
        if query is not None and await self._core.store.count(query, self._core.now(), limit + 1) > limit:
            raise too_many(limit)
        plan = await planned(self._core, order, matches, brakes, text=text)
        await self._record(actor, f"bulk-{verb}", text, reason, None, "previewed", _told(plan))
        return plan

    async def start_bulk(self, plan: BulkPlan) -> Job:
        """Make a job of a plan, for `engine.run_jobs` to run; it is runnable once all its rows are written.

        Raises:
            PlanOutdated: this plan was started before.
            TransitionRefused: the plan has no rows.
            PermissionDenied: as in the preview.
        """
        verb, now = f"bulk-{plan.verb}", self._core.now()
        job = JobRow(
            pk=0,
            public_id=plan.id,
            verb=plan.verb,
            to_state=plan.to,
            quiet=plan.without_side_effects,
            filter=plan.filter,
            actor=plan.actor.id,
            claimed=plan.actor.claimed,
            reason=plan.reason,
            fingerprints=" ".join(plan.fingerprints),
            total=len(plan.rows),
            canary=min(plan.canary, len(plan.rows)),
            stop_after=plan.stop_after,
            stop_share=plan.stop_share,
            retries=plan.retries,
            state=JobState.PREPARING.value,
            why=None,
            revision=1,
            created_at=now,
            lease_until=now + span(self._core.settings.job_lease),
        )
        detail = f"job {plan.id}: {_told(plan)}"
        action = self._row(plan.actor, verb, plan.filter, plan.reason, None, "started", detail)

        def begin(found: Snapshot) -> Change:
            if found.job is not None:
                msg = "this plan was started before"
                raise PlanOutdated(msg, hint=f"look at the job: grantflow jobs show {plan.id}")
            return Change(job=replace(job), action=action)  # a fresh row: a writer that runs this again starts anew

        async with self._operating(plan.actor, verb, plan.filter, plan.reason):
            if not plan.rows:
                msg = "there is nothing to do: no row of the plan would change"
                raise TransitionRefused(msg)
            await self._core.transact(Load(job=plan.id), begin)
        for start in range(0, len(plan.rows), _CHUNK):
            await self._core.transact(Load(job=plan.id), self._filling(plan, start))
        return await self.job(plan.id)

    def _filling(self, plan: BulkPlan, start: int) -> Callable[[Snapshot], Change]:
        part = plan.rows[start : start + _CHUNK]

        def work(found: Snapshot) -> Change:
            job = found.job
            if job is None or job.state != JobState.PREPARING:
                msg = "somebody cancelled the job before all its rows were written"
                raise Conflict(msg)
            items = [JobItemRow(job.pk, start + n, row.installation, row.version) for n, row in enumerate(part)]
            job.revision += 1
            job.lease_until = self._core.now() + span(self._core.settings.job_lease)
            if start + len(part) == len(plan.rows):
                job.state, job.lease_until = JobState.WAITING.value, None
            return Change(job=job, new_items=items)

        return work

    # -- looking ----------------------------------------------------------------------------------
    async def jobs(self, *, limit: int = 100, before: str | None = None) -> tuple[Job, ...]:
        """Bulk jobs, newest first; with the last one's id as `before=` the older ones; at most 1,000."""
        now, last = self._core.now(), None if before is None else checked_name(before, "before")
        return tuple(job_view(row, now) for row in await self._core.store.jobs(_bounded(limit), last))

    async def job(self, job: str) -> Job:
        """One bulk job; raises NotFound."""
        return job_view(await self._job_row(job), self._core.now())

    async def job_items(
        self, job: str, *, outcome: JobOutcome | str | None = None, after: int = -1, limit: int = _PAGE
    ) -> tuple[JobItem, ...]:
        """Rows of a job in the order they are done, after an ordinal; with one outcome alone, or all.

        Raises NotFound; BadInput for an unknown outcome, or a limit beyond 1 … 1,000.
        """
        if outcome is not None and outcome not in list(JobOutcome):
            msg = f"no outcome is called {str(outcome)!r:.80}"
            raise BadInput(msg, hint="outcomes: " + ", ".join(JobOutcome))
        if type(after) is not int:
            msg = "after is the ordinal of a row"
            raise BadInput(msg)
        row = await self._job_row(job)
        chosen = None if outcome is None else JobOutcome(outcome).value
        found = await self._core.store.job_items(row.pk, chosen, after, _bounded(limit))
        return tuple(item_view(item) for item in found)

    async def _job_row(self, job: str) -> JobRow:
        found = (await self._core.store.load(Load(job=checked_name(job, "job")))).job
        if found is None:
            raise _unknown()
        return found

    # -- a hand on it -----------------------------------------------------------------------------
    async def pause_job(self, job: str, *, actor: Actor, reason: str) -> Job:
        """Stop a job after the row at hand; `resume_job` goes on where it stood, in any process.

        Raises NotFound; TransitionRefused when it is not under way; PermissionDenied.
        """
        return await self._steer(job, "pause-job", actor, reason, _pause)

    async def resume_job(self, job: str, *, actor: Actor, reason: str) -> Job:
        """Let a paused or stopped job go on; failures it had until now do not stop it again.

        Raises NotFound; TransitionRefused when it neither rests nor waits for anybody; PermissionDenied.
        """
        return await self._steer(job, "resume-job", actor, reason, _resume)

    async def cancel_job(self, job: str, *, actor: Actor, reason: str) -> Job:
        """End a job for good; what it has done stays done.

        Raises NotFound; TransitionRefused when it is over already; PermissionDenied.
        """
        return await self._steer(job, "cancel-job", actor, reason, _cancel)

    async def retry_job(self, job: str, *, actor: Actor, reason: str) -> Job:
        """A new job of the rows that were refused, failed or had moved, planned anew as they are now.

        Raises NotFound; TransitionRefused while it is under way, or when no such row would change now;
        PermissionDenied.
        """
        async with self._operating(actor, "retry-job", checked_name(job, "job"), reason):
            plan = await self._failed_again(await self._job_row(job), actor, reason)
            started = await self.start_bulk(plan)
        await self._record(actor, "retry-job", job, reason, None, "applied", f"job {plan.id}: {_told(plan)}")
        return started

    async def _failed_again(self, old: JobRow, actor: Actor, reason: str) -> BulkPlan:
        if old.state not in (*ENDED, *RESUMABLE):
            msg = f"the job is {old.state}: it may get to its failures itself"
            raise TransitionRefused(msg, hint="wait for its end, or pause it")
        order = Order(old.verb, actor, reason, old.to_state, bool(old.quiet))
        matches = named(self._core, [name async for name in self._failures(old)])
        brakes = Brakes(old.canary, old.stop_after, old.stop_share)
        return await planned(self._core, order, matches, brakes, text=old.filter, retries=old.public_id)

    async def _failures(self, job: JobRow) -> AsyncIterator[str]:
        for outcome in _AGAIN:
            after = -1
            while page := await self._core.store.job_items(job.pk, outcome.value, after, _PAGE):
                after = page[-1].ordinal
                for item in page:
                    yield item.installation

    async def _steer(
        self, job: str, verb: str, actor: Actor, reason: str, turn: Callable[[JobRow, str], None]
    ) -> Job:
        def work(found: Snapshot) -> Change:
            row = found.job
            if row is None:
                raise _unknown()
            turn(row, reason)
            row.revision += 1
            row.lease = row.lease_until = None
            row.ended_at = self._core.now() if row.state in ENDED else None
            return Change(
                job=row, action=self._row(actor, verb, job, reason, None, "applied", f"now {row.state}"), result=row
            )

        async with self._operating(actor, verb, checked_name(job, "job"), reason):
            change = await self._core.transact(Load(job=job), work)
        assert change.job is not None
        return job_view(change.job, self._core.now())


def _pause(job: JobRow, reason: str) -> None:
    if job.state not in RUNNABLE:
        msg = f"the job is {job.state}"
        raise TransitionRefused(msg)
    job.state, job.why = JobState.PAUSED.value, reason


def _resume(job: JobRow, reason: str) -> None:
    del reason  # it is on the record; a job that runs needs no why
    if job.state not in RESUMABLE:
        msg = f"the job is {job.state}"
        raise TransitionRefused(msg)
    job.forgiven, job.forgiven_rows, job.why = job.failures, job.settled, None
    job.state = JobState.CANARY.value if job.settled < job.canary else JobState.RUNNING.value


def _cancel(job: JobRow, reason: str) -> None:
    if job.state in ENDED:
        msg = f"the job is {job.state}"
        raise TransitionRefused(msg)
    job.state, job.why = JobState.CANCELLED.value, reason


def _unknown() -> NotFound:
    msg = "there is no such job"
    return NotFound(msg, hint="grantflow jobs lists them")


def _bounded(limit: int) -> int:
    if type(limit) is not int or not 1 <= limit <= _PAGE:
        msg = f"limit lies between 1 and {_PAGE:,}"
        raise BadInput(msg)
    return limit


def _naming(chosen: list[str], limit: int) -> str:
    """Chosen installations as a filter, or in words where that would be too long; raises BadInput."""
    if not chosen:
        msg = "nothing is chosen"
        raise BadInput(msg)
    if len(chosen) > limit:
        raise too_many(limit)
    text = "id:" + ",".join(quoted(one) for one in chosen)
    return text if len(chosen) <= MAX_VALUES and len(text) <= MAX_LENGTH else f"{len(chosen):,} chosen by id"


def _told(plan: BulkPlan) -> str:
    to = f" to {plan.to}" if plan.to else ""
    return f"{plan.verb}{to} on {plan.count:,} row{'s' * (plan.count != 1)}, {len(plan.refusals):,} left out"
