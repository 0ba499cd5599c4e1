"""Playing schedules: one seed, one copy of the database, the players, the healing, the verdict."""

from __future__ import annotations

import asyncio
import copy
import json
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from grantflow._ids import hashed
from grantflow.testing import ManualClock
from tests.faults import oracle
from tests.faults.foreign_scenarios import FOREIGN
from tests.faults.scenarios import SCENARIOS, people
from tests.faults.schedules import Player, World, schedule_of, with_a_server, without_stale_writers
from tests.faults.upstream import StrictServer
from tests.faults.verbs import KEY

INTEGRITY_EVERY = 25
OVER = timedelta(minutes=11)
ALL = SCENARIOS | FOREIGN
EVENTS = ("select_account", "agree", "cancel", "refuse", "exchange_ok", "suspend", "unsuspend", "force")
FOREIGN_EVENTS = ("cancel", "exchange_ok", "disconnect", "force")
"""The others happen by themselves where a callback comes back."""


@dataclass
class Played:
    """What came of some schedules of one scenario."""

    schedules: int = 0
    seconds: float = 0.0
    turns: int = 0
    broken: list[str] = field(default_factory=list)
    acked: Counter[str] = field(default_factory=Counter)
    heard: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


class Table:
    """One scenario on one folder: prepared once, then played with many seeds."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder, self.scenario = name, folder, ALL[name]
        self.template = folder / f"{name}.template"
        self.known: dict[str, Any] = {}
        self.start = ManualClock().now()
        self.server: StrictServer | None = None
        self.charts = oracle.charts()
        self.before: Counter[str] = Counter()

    async def prepare(self) -> None:
        """Make the database every schedule starts from."""
        self.known, self.start, self.server = await self.scenario.prepare(self.template)
        with sqlite3.connect(self.template) as conn:
            self.before = _recorded(conn)
        conn.close()

    async def play(self, seed: int) -> World:
        """One schedule, and its verdict in `broken`."""
        file = self.folder / "played.db"
        for old in self.folder.glob("played.db*"):
            old.unlink()
        shutil.copyfile(self.template, file)
        world = schedule_of(f"{self.name}/{seed}", file, self.known, people(), self.start)
        if not self.scenario.stale:
            without_stale_writers(world)
        if self.server is not None:
            with_a_server(world, copy.deepcopy(self.server), self.scenario.odds)
        players = [Player(world, name, script) for name, script in self.scenario.scripts.items()]
        try:
            for player in players:
                await player.enter()
            tasks = [asyncio.create_task(player.run()) for player in players]
            await world.turns.drive(len(players))
            await asyncio.gather(*tasks)
            await self._heal(world)
            await self._judge(world, integrity=seed % INTEGRITY_EVERY == 0)
            if world.upstream is not None:
                await world.upstream.leave(world.engine(world.stores[-1]))
        finally:
            for store in world.stores:
                await store.close()
        return world

    async def _heal(self, world: World) -> None:
        """The faults stop: two sweeps, and nothing that is due is left; after the attempts' time nobody waits."""
        world.turns.healed = True
        world.clock.step(max(timedelta(0), world.turns.latest - world.clock.now()))
        store = world.stores[-1]
        engine = world.engine(store)
        for what, length in (("due", timedelta(0)), ("waiting", OVER)):
            world.clock.advance(length)
            for _ in range(2):
                await engine.sweep()
            left = await store.due(engine._core.now(), 10)
            if left:
                world.broken.append(f"liveness: {len(left)} rows are still {what} after two sweeps")
        if world.upstream is not None:
            await world.upstream.heal(engine)
        counts = (await engine.counts()).by_state
        still = {state: n for state, n in counts.items() if n and self._waits(state)}
        if still:
            world.broken.append(f"liveness: nobody is at it, and yet {still}")

    def _waits(self, state: str) -> bool:
        info = self.charts["agent"].states.get(state)
        return info is not None and info.waits_for_attempt

    async def _judge(self, world: World, *, integrity: bool) -> None:
        conn = sqlite3.connect(f"file:{world.file}?mode=ro", uri=True)
        try:
            world.broken += oracle.wrong(conn, self.charts, integrity=integrity)
            recorded = _recorded(conn) - self.before
            if world.upstream is not None:
                await world.upstream.judge(world.engine(world.stores[-1]), conn)
            for event in EVENTS if world.upstream is None else FOREIGN_EVENTS:
                least, most = world.acked[event], world.acked[event] + world.unknown[event]
                if not least <= recorded[event] <= most:
                    world.broken.append(
                        f"{event}: {recorded[event]} recorded, {least} acknowledged, {most - least} unheard"
                    )
            for run_id, moved in world.sweeps.items():
                wrote = conn.execute(
                    "SELECT count(DISTINCT installation_pk) FROM grantflow_transition WHERE run_id = ?", (run_id,)
                ).fetchone()[0]
                if wrote < moved:
                    world.broken.append(f"a sweep reported {moved} rows and wrote {wrote}")
            for code in world.replayed:
                if conn.execute(
                    "SELECT 1 FROM grantflow_attempt a JOIN grantflow_token_set t ON t.family = a.family "
                    "JOIN grantflow_installation i ON i.pk = t.installation_pk "
                    "WHERE a.code_hash = ? AND i.state = 'active' AND NOT i.grant_revoked",
                    (hashed(code),),
                ).fetchone():
                    world.broken.append("a code came twice and the grant it made lives on")
            if world.removed and not world.acked["app_install"]:
                left = conn.execute(
                    "SELECT count(*) FROM grantflow_installation i JOIN grantflow_app a ON a.pk = i.app_pk "
                    "WHERE a.key = ? AND i.state <> 'uninstalled'",
                    (KEY,),
                ).fetchone()[0]
                if left:
                    world.broken.append(f"the app was taken off the account, {left} installations are left on it")
        finally:
            conn.close()


def _recorded(conn: sqlite3.Connection) -> Counter[str]:
    counted = Counter(dict(conn.execute("SELECT event, count(*) FROM grantflow_transition GROUP BY event")))
    for event, outcome in (
        ("cancel", "cancelled"),
        ("refuse", "refused"),
    ):  # a window without an account has no trail
        query = "SELECT count(*) FROM grantflow_attempt WHERE outcome = ?"
        counted[event] = conn.execute(query, (outcome,)).fetchone()[0]
    return counted


async def played(name: str, seeds: range, folder: Path, *, first: bool) -> Played:
    """Many schedules of one scenario; with `first` it stops at the first that breaks a promise."""
    table, told = Table(name, folder), Played()
    await table.prepare()
    began = time.perf_counter()
    for seed in seeds:
        world = await table.play(seed)
        told.schedules += 1
        told.turns += world.turns.number
        told.acked += world.acked
        told.heard += world.heard
        told.faults.update(
            line.rsplit(" ", 1)[-1] for line in world.turns.trace if line.endswith((" lost", " dead", " late"))
        )
        told.faults["clock"] += sum(line.startswith("time jumps") for line in world.turns.trace)
        if world.broken:
            told.broken += [f"{name} {seed}: {why}" for why in dict.fromkeys(world.broken)]
            if first:
                break
    told.seconds = time.perf_counter() - began
    return told


def folder_in_memory() -> tempfile.TemporaryDirectory[str]:
    """A folder where writing is cheap."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="grantflow-", dir=memory if memory.is_dir() else None)


def many(name: str, seeds: range, *, first: bool = False) -> Played:
    """`played` for those who have no loop."""
    with folder_in_memory() as folder:
        return asyncio.run(played(name, seeds, Path(folder), first=first))


async def _one(name: str, seed: int, folder: Path) -> World:
    table = Table(name, folder)
    await table.prepare()
    return await table.play(seed)


def one(name: str, seed: int) -> World:
    """One schedule, with its trace."""
    with folder_in_memory() as folder:
        return asyncio.run(_one(name, seed, Path(folder)))


def program(arguments: list[str]) -> int:
    """`interleave.py SCENARIO SEED` replays one; `interleave.py SCENARIO FROM TO` hunts until one breaks."""
    name, seeds = arguments[0], [int(text) for text in arguments[1:]]
    if len(seeds) == 1:
        world = one(name, seeds[0])
        sys.stdout.write("\n".join([*world.turns.trace, *(f"BROKEN {why}" for why in world.broken)]) + "\n")
        return 1 if world.broken else 0
    told = many(name, range(*seeds), first=True)
    answer = {"broken": told.broken, "schedules": told.schedules, "seconds": told.seconds}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 1 if told.broken else 0
