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
    busy_timeout: timedelta = timedelta(seconds=10)
    """How long a write waits for other processes."""
    synchronous: str = "FULL"
    """SQLite's `synchronous`: FULL survives a power loss, NORMAL may lose the last transactions then."""

    def __post_init__(self) -> None:
        for name in (
            "attempt_lifetime",
            "code_lifetime",
            "directory_timeout",
            "chunk_budget",
            "busy_timeout",
        ):
            if getattr(self, name) <= timedelta(0):
                msg = f"{name} must be positive"
                raise ConfigurationError(msg)
        if not 0 <= self.brake_share <= 1:
            msg = "brake_share lies between 0 and 1"
            raise ConfigurationError(msg)
        if self.max_open_attempts < 1 or self.max_conflicts < 1:
            msg = "max_open_attempts and max_conflicts must be at least 1"
            raise ConfigurationError(msg)
        if self.synchronous not in {"FULL", "NORMAL", "EXTRA"}:
            msg = "synchronous is FULL, EXTRA or NORMAL"
            raise ConfigurationError(msg)
