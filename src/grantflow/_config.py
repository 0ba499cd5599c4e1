"""Settings of an engine, validated once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from grantflow.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Settings:
    """Spans and bounds of an engine; the defaults are those of docs/reference/journeys.md.

    Raises:
        ConfigurationError: a span is not positive, or a share lies outside 0 … 1.
    """

    attempt_lifetime: timedelta = timedelta(minutes=10)
    """How long a person has from the window to the consent."""
    code_lifetime: timedelta = timedelta(seconds=60)
    """How long the app has from the consent to the exchange."""
    directory_timeout: timedelta = timedelta(seconds=10)
    """How long the host's directory may take."""
    http_timeout: timedelta = timedelta(seconds=10)
    """How long one request to a foreign server may take."""
    refresh_lease: timedelta = timedelta(seconds=30)
    """How long one process may be at a renewal before another one takes over; longer than `http_timeout`."""
    refresh_ahead: timedelta = timedelta(minutes=5)
    """How long before its end an access token is renewed, at most …"""
    refresh_ahead_share: float = 0.2
    """… and as a share of its life."""
    backoff_first: timedelta = timedelta(minutes=2)
    """Wait after a first failed renewal; doubles …"""
    backoff_longest: timedelta = timedelta(hours=1)
    """… up to this."""
    incident_count: int = 5
    """An incident of an app: at least so many of its installations failed to renew …"""
    incident_share: float = 0.2
    """… which is at least this share of those that tried …"""
    incident_window: timedelta = timedelta(minutes=15)
    """… within this time."""
    probe_first: timedelta = timedelta(minutes=1)
    """Wait before an incident's first automatic probe; doubles up to `backoff_longest`."""
    job_lease: timedelta = timedelta(seconds=30)
    """How long a bulk job waits for a process that fell silent before another one takes it over; longer than
    `http_timeout`."""
    max_open_attempts: int = 5
    """Open attempts per installation; the oldest is superseded by one more."""
    max_conflicts: int = 8
    """How often a lost race is run again before Conflict is raised."""
    chunk_budget: timedelta = timedelta(milliseconds=8)
    """How long one chunk of a sweep may hold the writer."""
    brake_share: float = 0.05
    """Sweep brake: share of an app's active rows that may expire beyond the forecast."""
    brake_count: int = 100
    """Sweep brake: number of rows that may expire beyond the forecast."""
    brake_step: timedelta = timedelta(hours=1)
    """Sweep brake: a forward step of the wall clock that is not believed."""
    warn_before: tuple[timedelta, ...] = tuple(timedelta(days=days) for days in (30, 14, 7, 1))
    """How long before a live grant's end its people are warned; one warning each, those that were missed together."""
    remind_after: tuple[timedelta, ...] = tuple(timedelta(days=days) for days in (3, 7, 30))
    """How long after a grant's death they are reminded, then silence; the transition's own notice is day 0."""
    notice_tries: int = 12
    """Deliveries of one notice that may fail before it becomes a dead letter: about six hours."""
    keep_dead_tokens: timedelta = timedelta(days=30)
    """How long the sealed tokens of a dead grant are kept, so that a probe can undo a wrong death."""
    keep_delivered: timedelta = timedelta(days=30)
    """How long delivered notices and tokens given back stay to be seen."""
    keep_attempts: timedelta = timedelta(days=90)
    """How long closed attempts stay to be seen; the trail of transitions stays for ever."""
    busy_timeout: timedelta = timedelta(seconds=10)
    """How long a write waits for other processes."""
    synchronous: str = "FULL"
    """SQLite's `synchronous`: FULL survives a power loss, NORMAL may lose the last transactions then."""

    def __post_init__(self) -> None:
        for name in (
            "attempt_lifetime",
            "code_lifetime",
            "directory_timeout",
            "http_timeout",
            "refresh_ahead",
            "backoff_first",
            "backoff_longest",
            "incident_window",
            "probe_first",
            "chunk_budget",
            "keep_dead_tokens",
            "keep_delivered",
            "keep_attempts",
            "busy_timeout",
        ):
            if getattr(self, name) <= timedelta(0):
                msg = f"{name} must be positive"
                raise ConfigurationError(msg)
        if not 0 <= self.brake_share <= 1:
            msg = "brake_share lies between 0 and 1"
            raise ConfigurationError(msg)
        if not 0 < self.refresh_ahead_share < 1 or not 0 < self.incident_share <= 1 or self.incident_count < 1:
            msg = "refresh_ahead_share and incident_share lie between 0 and 1, incident_count is at least 1"
            raise ConfigurationError(msg)
        if min(self.refresh_lease, self.job_lease) <= self.http_timeout:
            msg = "refresh_lease and job_lease must be longer than http_timeout"
            raise ConfigurationError(msg, hint="else two processes renew one grant at once")
        if any(length <= timedelta(0) for length in (*self.warn_before, *self.remind_after)) or self.notice_tries < 1:
            msg = "warn_before and remind_after are positive spans, notice_tries is at least 1"
            raise ConfigurationError(msg)
        if self.max_open_attempts < 1 or self.max_conflicts < 1:
            msg = "max_open_attempts and max_conflicts must be at least 1"
            raise ConfigurationError(msg)
        if self.synchronous not in {"FULL", "NORMAL", "EXTRA"}:
            msg = "synchronous is FULL, EXTRA or NORMAL"
            raise ConfigurationError(msg)
