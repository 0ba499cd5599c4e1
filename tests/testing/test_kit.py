"""The names of the kit: described, and those that hosts already use."""

from __future__ import annotations

import inspect

import pytest

from grantflow import testing
from grantflow.testing import Habits, Member
from grantflow.testing._acts import renew

ESTABLISHED = {
    *("ForeignServer", "ManualClock", "People", "SECRET"),
    *("authorize", "consent", "grant", "sample_app", "throwaway_engine"),
}


def test_the_established_names_are_still_there() -> None:
    assert set(testing.__all__) >= ESTABLISHED


@pytest.mark.parametrize("name", sorted(testing.__all__))
def test_a_public_name_is_described(name: str) -> None:
    thing = getattr(testing, name)
    if inspect.isclass(thing) or inspect.isroutine(thing):
        assert (thing.__doc__ or "").strip()


def test_the_busiest_member_is_never_passed_over() -> None:
    class Own(Habits):
        def chances(self, member: Member) -> list[tuple[testing.Act, float]]:
            return [(renew, 0.9)]

    assert Habits().busiest < 0.2
    assert Habits(reinstall=0.7).busiest == pytest.approx(0.7)
    assert Own().busiest == 1
