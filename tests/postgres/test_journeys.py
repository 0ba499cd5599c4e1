"""The journeys, step by step as they stand in tests/journeys, on PostgreSQL."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from types import FunctionType
from typing import Any

import pytest

QUICK = ("agent_level", "expiry")
CHAPTERS = (*QUICK, "account_level", "consent_form", "credentials", "external", "reauthorize", "window")
ON_A_FILE = {
    "test_s18_the_app_gets_credentials_and_calls_the_api",
    "test_s20_a_state_is_never_stored_in_the_clear",
}
"""These read the bytes of a SQLite file."""


def journeys() -> dict[str, Callable[..., Any]]:
    """Every journey by name; all but the main ones are for long runs."""
    found = {}
    for chapter in CHAPTERS:
        for name, journey in vars(import_module(f"tests.journeys.test_{chapter}")).items():
            if name.startswith("test_") and name not in ON_A_FILE:
                found[name] = journey if chapter in QUICK else pytest.mark.slow(_copy(journey))
    return found


def _copy(journey: Callable[..., Any]) -> Callable[..., Any]:
    """A function of its own, so that a mark here leaves the journey on SQLite alone."""
    made = FunctionType(
        journey.__code__, journey.__globals__, journey.__name__, journey.__defaults__, journey.__closure__
    )
    return functools.update_wrapper(made, journey)


globals().update(journeys())


def test_there_are_journeys() -> None:
    assert len(journeys()) > 30
