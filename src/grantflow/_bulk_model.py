"""Bulk work as callers see it: plans, jobs and their rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from grantflow._clock import maybe_datetime, to_datetime
from grantflow._job_rows import JobItemRow, JobOutcome, JobRow, JobState
from grantflow._model import PlannedMove
from grantflow_machines import Actor, Instant


@dataclass(frozen=True, slots=True)
class BulkRow:
    """One row of a plan: frozen with the version that was seen, left alone when it has moved since."""

    installation: str
    version: int


@dataclass(frozen=True, slots=True)
class BulkRefusal:
    """One match the verb cannot be brought to, and why."""

    installation: str
    why: str


@dataclass(frozen=True, slots=True)
class BulkPlan:
    """What an operator is about to do to many; `ops.start_bulk` makes a job of it, once."""

    id: str
    """The job will have it."""
    verb: str
    to: str | None
    filter: str
    actor: Actor
    reason: str
    count: int
    """Rows the job would have."""
    states: dict[str, int]
    """Where they are now, and how many in each state."""
    targets: dict[str, int]
    """Where they would be."""
    irreversible: int
    """How many of them no operator could take back."""
    refused: dict[str, int]
    """Matches that would be left out, by reason; the rarest ones together."""
    sample: tuple[PlannedMove, ...]
    """The first few rows, with what would follow."""
    canary: int
    stop_after: int
    stop_share: float
    fingerprints: tuple[str, ...]
    without_side_effects: bool = False
    retries: str | None = None
    """The job whose failures it takes up."""
    rows: tuple[BulkRow, ...] = field(default=(), repr=False)
    refusals: tuple[BulkRefusal, ...] = field(default=(), repr=False)

    def confirmed(self, reason: str) -> BulkPlan:
        """The same plan under another reason."""
        return replace(self, reason=reason)


@dataclass(frozen=True, slots=True)
class Job:
    """One bulk job."""

    id: str
    verb: str
    to: str | None
    filter: str
    actor: str
    claimed: bool
    reason: str
    state: JobState
    why: str | None
    """Why it is paused, stopped or cancelled."""
    total: int
    pending: int
    applied: int
    refused: int
    outdated: int
    failed: int
    canary: int
    stop_after: int
    stop_share: float
    without_side_effects: bool
    retries: str | None
    running: bool
    """Some process is at it now."""
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobItem:
    """One row of a job and what became of it."""

    ordinal: int
    installation: str
    version: int
    """The version the plan saw."""
    outcome: JobOutcome
    detail: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class JobsReport:
    """What one call of `run_jobs` did."""

    jobs: tuple[str, ...]
    """Ids of the jobs it was at."""
    applied: int
    refused: int
    outdated: int
    failed: int


def job_view(row: JobRow, now: Instant) -> Job:
    """A job as callers see it."""
    return Job(
        id=row.public_id,
        verb=row.verb,
        to=row.to_state,
        filter=row.filter,
        actor=str(Actor.operator(row.actor)),
        claimed=bool(row.claimed),
        reason=row.reason,
        state=JobState(row.state),
        why=row.why,
        total=row.total,
        pending=row.total - row.settled,
        applied=row.applied,
        refused=row.refused,
        outdated=row.outdated,
        failed=row.failed,
        canary=row.canary,
        stop_after=row.stop_after,
        stop_share=row.stop_share,
        without_side_effects=bool(row.quiet),
        retries=row.retries,
        running=row.lease is not None and (row.lease_until or 0) > now,
        created_at=to_datetime(row.created_at),
        started_at=maybe_datetime(row.started_at),
        ended_at=maybe_datetime(row.ended_at),
    )


def item_view(row: JobItemRow) -> JobItem:
    """A row of a job as callers see it."""
    return JobItem(
        row.ordinal, row.installation, row.version, JobOutcome(row.outcome), row.detail, maybe_datetime(row.at)
    )
