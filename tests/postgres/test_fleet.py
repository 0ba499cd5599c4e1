"""Four daemons and two hosts on one server while one of them is killed each five seconds: P5 and P14."""

from __future__ import annotations

import pytest

from tests.scheduler.killing import Fleet, survives
from tests.scheduler.stage import opened


@pytest.mark.parametrize(
    ("roles", "seconds", "every"),
    [
        (("daemon",) * 2 + ("host",), 10.0, 2.5),
        pytest.param(("daemon",) * 4 + ("host",), 60.0, 5.0, marks=pytest.mark.slow),
        pytest.param(("daemon",) * 4 + ("host",) * 2, 180.0, 5.0, marks=pytest.mark.slow),
    ],
    ids=["10 s", "a minute", "3 minutes"],
)
async def test_daemons_and_hosts_while_one_is_killed_again_and_again(
    url: str, roles: tuple[str, ...], seconds: float, every: float
) -> None:
    async with opened(url):
        pass
    fleet = Fleet(url, roles)
    await survives(fleet, seconds, every)
    assert fleet.kills == int(seconds / every)
