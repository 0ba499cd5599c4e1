"""Daemons and hosts on one database while one of them is killed again and again: P5 and P14 on either database."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.scheduler.stage import Program, expired, lateness, opened, percentile, rows, twice, until

INTERVAL = 2.0
LONGEST_LIFE = 4.0
LEFT = "SELECT count(*) FROM grantflow_installation WHERE due_at IS NOT NULL"


@dataclass
class Fleet:
    """Processes on one database; whoever was killed is started again."""

    database: Path | str
    roles: tuple[str, ...]
    """`daemon` or `host`, one each process."""
    programs: list[Program] = field(default_factory=list)
    kills: int = 0

    def _program(self, role: str) -> Program:
        return Program(role, self.database, INTERVAL if role == "daemon" else LONGEST_LIFE)

    def start(self) -> None:
        """All of them at once."""
        self.programs = [self._program(role) for role in self.roles]
        for one in self.programs:
            one.ready()

    def look(self) -> None:
        """What happens between two kills."""
        time.sleep(0.05)

    def all_at_work(self) -> None:
        """Nobody ended but those that were killed."""
        assert [one.process.poll() for one in self.programs] == [None] * len(self.roles)

    def kill_one(self, chance: random.Random) -> None:
        """With no warning, as the kernel does; and up again."""
        self.kills += 1
        self.kill(chance.randrange(len(self.roles)))

    def kill(self, number: int) -> None:
        """This one."""
        self.programs[number].kill()
        self.programs[number].gone()
        self.programs[number] = self._program(self.roles[number]).ready()

    def stop_hosts(self) -> None:
        """Nobody makes work any more."""
        for one, role in zip(self.programs, self.roles, strict=True):
            if role == "host":
                one.kill()

    def stop(self) -> None:
        """Daemons end when they are asked to."""
        for one, role in zip(self.programs, self.roles, strict=True):
            if role == "daemon":
                assert one.stop() < 5

    def gone(self) -> None:
        """Nothing is left of it."""
        for one in self.programs:
            one.gone()


def wreak(fleet: Fleet, seconds: float, every: float) -> None:
    """Kill one each so many seconds."""
    chance, began = random.Random(4711), time.monotonic()
    for number in range(1, int(seconds / every) + 1):
        while time.monotonic() < began + number * every:
            fleet.look()
        fleet.all_at_work()
        fleet.kill_one(chance)


async def survives(fleet: Fleet, seconds: float, every: float, harm: Callable[..., None] = wreak) -> str:
    """Every grant ends once, never early, and soon; what was measured, in a line."""
    try:
        await asyncio.to_thread(fleet.start)
        await asyncio.to_thread(harm, fleet, seconds, every)
        fleet.stop_hosts()
        settled = await until(lambda: rows(fleet.database, LEFT) == [(0,)], 30)
        fleet.stop()
    finally:
        fleet.gone()
    late = lateness(fleet.database)
    told = (
        f"{fleet.kills} kills, {expired(fleet.database)} expiries, late p50 {percentile(late, 0.5):.3f} s, "
        f"p99 {percentile(late, 0.99):.3f} s, max {max(late):.3f} s, early {sum(one < 0 for one in late)}, "
        f"twice {twice(fleet.database)}, all through {settled:.1f} s after the last; load {os.getloadavg()[0]:.1f}"
    )
    print(told)
    assert len(late) > seconds
    assert min(late) >= 0, "never early"
    assert twice(fleet.database) == 0, "each grant ends once"
    assert percentile(late, 0.99) < 2 * INTERVAL
    assert settled < LONGEST_LIFE + 2 * INTERVAL, "after the faults every due row moves within two intervals"
    async with opened(fleet.database) as engine:
        assert await engine.ops.broken_promises() == []
    return told
