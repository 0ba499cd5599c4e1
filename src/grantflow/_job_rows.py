"""Bulk jobs as plain rows, like those of `_rows`: field order is column order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from grantflow_machines import Instant


class JobState(StrEnum):
    """Where a bulk job stands."""

    PREPARING = "preparing"
    """Its rows are being written; nobody runs it yet."""
    WAITING = "waiting"
    CANARY = "canary"
    """The first few rows are tried; the rest follows only when all of them were applied."""
    RUNNING = "running"
    PAUSED = "paused"
    """By an operator."""
    STOPPED = "stopped"
    """By itself: too much failed. An operator may resume it."""
    DONE = "done"
    CANCELLED = "cancelled"


class JobOutcome(StrEnum):
    """What became of one row of a job."""

    PENDING = "pending"
    APPLIED = "applied"
    REFUSED = "refused"
    """The machine or the host's policy said no."""
    OUTDATED = "outdated"
    """Somebody moved it since the plan was made; it was left alone."""
    FAILED = "failed"


RUNNABLE = (JobState.WAITING, JobState.CANARY, JobState.RUNNING)
RESUMABLE = (JobState.PAUSED, JobState.STOPPED)
ENDED = (JobState.DONE, JobState.CANCELLED)


@dataclass(slots=True)
class JobRow:
    """One bulk job; whoever changes it adds one to `revision`, which is compared and swapped."""

    pk: int
    public_id: str
    verb: str
    to_state: str | None
    quiet: bool
    filter: str
    actor: str
    """Name of the operator."""
    claimed: bool
    reason: str
    fingerprints: str
    """Of the machines the plan was made with, separated by spaces."""
    total: int
    canary: int
    stop_after: int
    stop_share: float
    retries: str | None
    """Public id of the job whose failures it takes up."""
    state: str
    why: str | None
    revision: int
    created_at: Instant
    started_at: Instant | None = None
    ended_at: Instant | None = None
    applied: int = 0
    refused: int = 0
    outdated: int = 0
    failed: int = 0
    forgiven_rows: int = 0
    """Rows, and failures among them, from before it was last resumed: they do not stop it again."""
    forgiven: int = 0
    lease: str | None = None
    """Who runs it, until `lease_until`."""
    lease_until: Instant | None = None

    @property
    def settled(self) -> int:
        """Rows that have an outcome."""
        return self.applied + self.refused + self.outdated + self.failed

    @property
    def failures(self) -> int:
        """Rows that speak against going on."""
        return self.refused + self.failed


@dataclass(slots=True)
class JobItemRow:
    """One row of a job, frozen with the version the plan saw."""

    job_pk: int
    ordinal: int
    installation: str
    version: int
    outcome: str = JobOutcome.PENDING.value
    detail: str = ""
    at: Instant | None = None
