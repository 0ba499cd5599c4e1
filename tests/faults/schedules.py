"""Seeded interleavings at the Store port: who goes next, whose answer is lost, who dies, where the clock jumps.

Every call of the store waits for its turn twice, before it starts and before its answer is heard. One seed is one
schedule: all chance is drawn here, so that a schedule that fails fails again.
"""

from __future__ import annotations

import asyncio
import inspect
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from grantflow import ClientCredentials, Completed, Engine, Returned, Sent, Settings, SweepReport, Tokens
from grantflow._core import Core
from grantflow._keys import KeyRing
from grantflow._notices import Courier
from grantflow._ports import Store
from grantflow._rows import Change, Load
from grantflow._store.sqlite import SqliteStore
from grantflow.errors import DatabaseError, GrantflowError, InvalidGrant
from grantflow.testing import SECRET, ManualClock, People
from grantflow_machines import CHARTS, Instant
from tests.faults.upstream import StrictServer, Upstream

T = TypeVar("T")
SETTINGS = Settings(synchronous="NORMAL", chunk_budget=timedelta(seconds=60), max_conflicts=12)
LOST, DEAD = "lost", "dead"
MOVES = {"transact", "sweep_chunk"}
STEPS = (timedelta(hours=-2), timedelta(days=1), timedelta(minutes=11), timedelta(seconds=61))


class Crashed(BaseException):
    """The process of this player is gone, whatever it was doing."""


class LostAnswer(DatabaseError):
    """The database may have done it; nobody heard."""


@dataclass(frozen=True, slots=True)
class Dice:
    """What may go wrong in one schedule."""

    lost: float
    twice: float
    crash_at: int | None
    clock_at: dict[int, timedelta]
    stale: bool
    """Writers decide on what they read a turn ago, as an adapter with several writers does."""
    own_stores: bool
    pairs: float
    favourite: float
    """How often the same player goes on: 0 is a fair lot."""

    @classmethod
    def thrown(cls, chance: random.Random) -> Dice:
        """About a third of the schedules has no fault but the order."""
        calm = chance.random() < 0.3
        clocks = 0 if calm or chance.random() < 0.7 else chance.randint(1, 2)
        return cls(
            lost=0.0 if calm or chance.random() < 0.5 else 0.06,
            twice=0.0 if calm else 0.08,
            crash_at=None if calm or chance.random() < 0.6 else chance.randrange(2, 40),
            clock_at={chance.randrange(1, 40): chance.choice(STEPS) for _ in range(clocks)},
            stale=chance.random() < 0.5,
            own_stores=chance.random() < 0.2,
            pairs=0.2 if chance.random() < 0.3 else 0.0,
            favourite=chance.choice((0.0, 0.0, 0.5, 0.85)),
        )


class Turns:
    """The lot: nobody moves until everybody waits, then one goes, or two writes at once."""

    def __init__(self, chance: random.Random, dice: Dice, clock: ManualClock) -> None:
        self.chance, self.dice, self.clock = chance, dice, clock
        self.parked: list[tuple[str, str, asyncio.Future[str]]] = []
        self.running = 0
        self.number = 0
        self.last = ""
        self.healed = False
        self.latest = clock.now()
        self.trace: list[str] = []
        self.acted: dict[str, datetime] = {}
        """When each player last began a transaction."""
        self.quiet = asyncio.Event()

    async def wait(self, player: str, what: str) -> str:
        """Wait for this player's turn; returns its fate, or raises Crashed."""
        if self.healed:
            return ""
        turn: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.parked.append((player, what, turn))
        self.left()
        return await turn

    def left(self) -> None:
        """A player stopped moving: it waits, or it is done."""
        self.running -= 1
        if not self.running:
            self.quiet.set()

    async def drive(self, players: int) -> None:
        """Until all players are done."""
        self.running = players
        while True:
            await self.quiet.wait()
            self.quiet.clear()
            if not self.parked:
                return
            self.number += 1
            self._time()
            chosen = self._chosen()
            self.running += len(chosen)
            for player, what, turn in chosen:
                fate = self._fate(what)
                self.trace.append(f"{player} {what}{' ' * bool(fate)}{fate}")
                if fate == DEAD:
                    turn.set_exception(Crashed())
                else:
                    turn.set_result(fate)

    def _time(self) -> None:
        self.clock.advance(timedelta(milliseconds=self.chance.randrange(1, 2000)))
        jump = self.dice.clock_at.get(self.number)
        if jump is not None:
            self.clock.step(jump)
            self.trace.append(f"time jumps {jump}")
        self.latest = max(self.latest, self.clock.now())

    def _chosen(self) -> list[tuple[str, str, asyncio.Future[str]]]:
        self.parked.sort(key=lambda entry: entry[:2])
        again = [entry for entry in self.parked if entry[0] == self.last]
        if again and self.chance.random() < self.dice.favourite:
            chosen = again[:1]
        else:
            chosen = [self.chance.choice(self.parked)]
        self.last = chosen[0][0]
        if chosen[0][1] in MOVES and self.chance.random() < self.dice.pairs:
            others = [entry for entry in self.parked if entry[1] in MOVES and entry[0] != self.last]
            chosen += others[:1]
        for entry in chosen:
            self.parked.remove(entry)
        return chosen

    def _fate(self, what: str) -> str:
        if self.dice.crash_at is not None and self.number == self.dice.crash_at:
            return DEAD
        return LOST if what.endswith("done") and self.chance.random() < self.dice.lost else ""


class Shuffled:
    """A Store whose every call waits for its turn."""

    def __init__(self, inner: Store, turns: Turns, player: str) -> None:
        self.inner, self.turns, self.player = inner, turns, player

    def __getattr__(self, name: str) -> Any:
        """Every other method of the port, with its turns."""
        method = getattr(self.inner, name)
        if not inspect.iscoroutinefunction(method):
            return method

        async def turned(*args: Any, **named: Any) -> Any:
            return await self._turned(name, lambda: method(*args, **named))

        return turned

    async def _turned(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        await self.turns.wait(self.player, name)
        if name == "transact":
            self.turns.acted[self.player] = self.turns.clock.now()
        try:
            result = await call()
        except GrantflowError:
            await self.turns.wait(self.player, f"{name} failed")
            raise
        if await self.turns.wait(self.player, f"{name} done") == LOST:
            raise LostAnswer
        return result

    async def transact(self, load: Load, work: Callable[[Any], Change]) -> Change:
        """In half of the schedules: read, decide, wait, and only then compare and swap."""
        if not self.turns.dice.stale or self.turns.healed:
            return await self._turned("transact", lambda: self.inner.transact(load, work))
        await self.turns.wait(self.player, "look")
        change = work(await self.inner.load(load))
        if not (change.transitions and change.expected_version is not None and change.parent is None):
            return await self._turned("transact", lambda: self.inner.transact(load, work))
        return await self._turned("transact", lambda: self.inner.transact(Load(), lambda _: change))


@dataclass
class World:
    """One schedule: a database, its players, and what they were told."""

    seed: str
    file: Path
    clock: ManualClock
    known: dict[str, Any]
    people: People
    turns: Turns
    stores: list[SqliteStore] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    acked: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    heard: Counter[str] = field(default_factory=Counter)
    keys: dict[str, int] = field(default_factory=dict)
    successes: Counter[str] = field(default_factory=Counter)
    generations: set[tuple[str, int]] = field(default_factory=set)
    replayed: set[str] = field(default_factory=set)
    sweeps: dict[str, int] = field(default_factory=dict)
    removed: int = 0
    upstream: Upstream | None = None

    async def store(self) -> SqliteStore:
        """One more process that opens the file."""
        now: Instant = int(self.clock.now().timestamp() * 1_000_000)
        made = await SqliteStore.open(f"sqlite:///{self.file}", SETTINGS, now)
        self.stores.append(made)
        return made

    def engine(self, store: Store, player: str = "") -> Engine:
        """An engine over a store that is open already; what it would do unasked is a step of somebody's script."""
        ring = KeyRing() if self.upstream is None else self.upstream.ring
        core = Core(store, self.clock, SETTINGS, ring, dict(CHARTS), directory=self.people, chance=lambda: 0.5)
        engine = Engine(core, Courier(core))
        if self.upstream is not None:
            core.carrier = self.upstream.carrier(player)
            core.after_commit.remove(engine._postman.committed)
        return engine

    def client(self) -> ClientCredentials:
        """The app, as it proves itself."""
        return ClientCredentials(self.known["client"], SECRET)


Step = Callable[["Player"], Awaitable[None]]


class Player:
    """One process, or one person at it: a script of steps, gone through once, whatever happens on the way."""

    def __init__(self, world: World, name: str, script: list[Step]) -> None:
        self.world, self.name, self.script = world, name, script
        self.chance = random.Random(f"{world.seed}/{name}")
        self.hand: dict[str, str] = {}

    async def enter(self) -> None:
        """Start: on the first store, or on one of its own."""
        own = self.world.turns.dice.own_stores or not self.world.stores
        self._sits_at(await self.world.store() if own else self.world.stores[0])

    def _sits_at(self, store: SqliteStore) -> None:
        shuffled: Any = Shuffled(store, self.world.turns, self.name)
        self.engine = self.world.engine(shuffled, self.name)

    async def run(self) -> None:
        """Play the script to its end; a crash drops everything and goes on at the same step with a new engine."""
        try:
            await self.world.turns.wait(self.name, "start")
            for step in self.script:
                while True:
                    try:
                        await step(self)
                    except Crashed:
                        self._sits_at(await self.world.store())
                        continue
                    break
        except Crashed:
            pass
        except Exception as error:  # noqa: BLE001 - whatever a verb raises beside its own errors is a finding
            self.world.broken.append(f"{self.name} got {type(error).__name__}: {error}")
        finally:
            self.world.turns.left()

    async def do(self, what: str, call: Callable[[Engine], Awaitable[T]], *, of: str = "") -> T | None:
        """One call, now and then a second time; `of` is the key, the code or the token it is about."""
        first = await self._once(what, call, of)
        if self.chance.random() < self.world.turns.dice.twice:
            second = await self._once(what, call, of)
            first = second if first is None else first
        return first

    async def _once(self, what: str, call: Callable[[Engine], Awaitable[T]], of: str) -> T | None:
        world = self.world
        had_it = world.successes[of] if of else 0
        if world.upstream is not None:
            world.upstream.given.pop(self.name, None)
        try:
            result = await call(self.engine)
        except (Crashed, LostAnswer) as error:
            world.unknown[what] += 1
            if isinstance(error, Crashed):
                if world.upstream is not None:
                    world.upstream.crashed(self.name)
                raise
            return None
        except GrantflowError as error:
            world.heard[type(error).__name__] += 1
            if isinstance(error, DatabaseError):
                world.broken.append(f"{self.name}, {what}: the database failed by itself: {error}")
            if isinstance(error, InvalidGrant) and had_it and what == "exchange_ok":
                world.replayed.add(of)
            return None
        self._acknowledged(what, result, of)
        return result

    def _acknowledged(self, what: str, result: object, of: str) -> None:
        world = self.world
        match result:
            case Sent(replayed=True):
                if world.keys.setdefault(of, result.version) != result.version:
                    world.broken.append(f"{what}: the same key answered version {result.version} now")
                return
            case Sent() if of:
                if of in world.keys:
                    world.broken.append(f"{what}: the key {of} was carried out twice")
                world.keys[of] = result.version
            case Tokens():
                if (result.installation, result.generation) in world.generations:
                    world.broken.append(f"{what}: generation {result.generation} was given out twice")
                world.generations.add((result.installation, result.generation))
                world.successes[of] += 1
                if world.successes[of] > 1:
                    world.broken.append(f"{what}: two successes for one secret")
            case SweepReport():
                world.sweeps[result.run_id] = result.moved
            case Completed() if result.outcome != "completed" or result.already:
                world.heard[f"{result.outcome}{' already' * result.already}"] += 1
                return
            case Returned(code=code) if code is not None:
                self.hand["code"] = code.value
        world.acked[what] += 1


def schedule_of(seed: str, file: Path, known: dict[str, Any], people: People, start: datetime) -> World:
    """The world of one seed, before anybody moves."""
    chance = random.Random(seed)
    clock = ManualClock(start)
    dice = Dice.thrown(chance)
    return World(seed, file, clock, known, people, Turns(chance, dice, clock))


def without_stale_writers(world: World) -> None:
    """For verbs that write under the same version: a renewal is not a transition."""
    world.turns.dice = replace(world.turns.dice, stale=False)


def with_a_server(world: World, server: StrictServer, odds: dict[str, float]) -> None:
    """Client mode: the world outside, and the faults a scenario is about, in those schedules that have any."""
    chance, turns, dice = random.Random(f"{world.seed}/odds"), world.turns, world.turns.dice
    faulty = chance.random() < 0.75
    odds = {name: odds.get(name, 0.0) * faulty for name in ("late", "unanswered", "crash", "commits")}
    crash_at = chance.randrange(4, 40) if chance.random() < odds["crash"] else dice.crash_at
    # Two writes at one instant are decided by threads, and a schedule must be the same again.
    turns.dice = replace(dice, pairs=0.0, crash_at=crash_at, lost=max(dice.lost, odds["commits"]))
    world.upstream = Upstream(world.seed, server, turns, odds["late"], odds["unanswered"], world.broken)
