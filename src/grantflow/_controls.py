"""Switches of the operation that every process obeys: rows of one small table, one name each."""

from __future__ import annotations

from dataclasses import dataclass

from grantflow._rows import ControlRow

PAUSED = "paused"
BRAKE = "brake"
"""Who set a control that no person set."""
LEAD = "lead"
"""The lease of the process whose polling is enough: `at` is when it lapses, `by` the process, `detail` the term."""
_HELD = "held:"
_RELEASED = "released:"


@dataclass(frozen=True, slots=True)
class Leader:
    """The process whose polling is enough."""

    process: str
    term: int
    """How often the lead has changed hands."""


def held(app: str) -> str:
    """The sweep's brake holds the app."""
    return _HELD + app


def released(app: str) -> str:
    """An operator lets the next sweep expire the app's rows though the brake holds them."""
    return _RELEASED + app


def apps_in(controls: list[ControlRow], name: str) -> dict[str, ControlRow]:
    """App key → row, of the controls of one kind: `held` or `released`."""
    return {row.name.removeprefix(f"{name}:"): row for row in controls if row.name.startswith(f"{name}:")}
