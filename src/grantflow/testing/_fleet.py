"""A fleet of installations that lives for years on the manual clock, looked at after every day."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from grantflow._app import App, AppKind, Lifetime, LifetimePolicy
from grantflow._compile import compile_chart
from grantflow._config import Settings
from grantflow._engine import Engine
from grantflow._held import NoticeName
from grantflow._keys import KeyRing
from grantflow.errors import BadInput, GrantflowError
from grantflow.testing import _acts
from grantflow.testing._acts import Act, Scene
from grantflow.testing._habits import Habits
from grantflow.testing._inspector import Inspector
from grantflow.testing._member import Member, Standing
from grantflow.testing._people import People, sample_app
from grantflow.testing._server import ForeignServer
from grantflow.testing._time import ManualClock
from grantflow.testing._walks import throwaway_engine
from grantflow_machines import CHARTS, Actor, LifecycleChart

Thing = TypeVar("Thing")
_AT_ONCE = 256
_MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Day:
    """What happened in one day, and what was found."""

    number: int
    at: datetime
    by_state: dict[str, int]
    expired: int
    warned: int
    """Warnings and reminders."""
    renewed: int
    reauthorized: int
    acts: dict[str, int]
    """How often each act was done."""
    broken: tuple[str, ...]
    """What contradicts a promise; empty on a good day."""

    def __str__(self) -> str:
        states = " ".join(f"{state} {number}" for state, number in sorted(self.by_state.items()) if number)
        return (
            f"{self.at:%Y-%m-%d}  {states}  |  expired {self.expired}, warned {self.warned}, renewed {self.renewed}, "
            f"reauthorized {self.reauthorized}, broken {len(self.broken)}"
        )


class Fleet:
    """Installations of every kind of app, their people, and what must be true of each.

    >>> async def a_month() -> None:
    ...     async with throwaway_fleet(size=100) as fleet:
    ...         async for day in fleet.live(days=30):
    ...             assert not day.broken, day.broken
    """

    def __init__(self, scene: Scene, clock: ManualClock, inspector: Inspector, seed: int) -> None:
        self.scene = scene
        self.clock = clock
        self.members: list[Member] = []
        self.days = 0
        self._inspector = inspector
        self._random = random.Random(seed)  # noqa: S311 - habits, no secrets
        self._step = timedelta(days=1)

    @property
    def engine(self) -> Engine:
        """The engine under test."""
        return self.scene.engine

    @classmethod
    async def make(
        cls,
        engine: Engine,
        clock: ManualClock,
        people: People,
        *,
        size: int = 300,
        seed: int = 7,
        apps: Sequence[App] | None = None,
        server: ForeignServer | None = None,
        settings: Settings | None = None,
        charts: Mapping[str, type[LifecycleChart]] | None = None,
        spread: timedelta = _MONTH,
        per_account: int = 40,
    ) -> Fleet:
        """Register the apps and let `size` people authorize by the front door, spread over some days.

        Args:
            engine: A fresh engine; `clock`, `people` (as `directory`), `server` (as `http`), `settings` and `charts`
                are what Engine.open was given.
            clock: It moves by `spread` and stands there.
            people: Receives the admins, agents and users.
            size: How many installations, the same number of every app.
            seed: The same seed tells the same story.
            apps: Of any kind and mode; host mode ones with `testing.SECRET`. One of each kind by default, and one at
                `server` where there is one.
            server: Where the apps in client mode have their grants.
            settings: For the spans of warnings and reminders.
            charts: For a host's own lifecycles.
            spread: The first authorizations are spread over so much time.
            per_account: Installations on one account, more or less.

        Raises:
            BadInput: a size is not positive, or an app in client mode has a sliding lifetime, whose end only its
                server knows.
        """
        if size < 1 or per_account < 1 or spread < timedelta(0):
            msg = "size and per_account are at least 1, and spread is not negative"
            raise BadInput(msg)
        known = tuple(apps) if apps is not None else default_apps(server)
        for app in known:
            if app.server is not None and app.lifetime.policy is LifetimePolicy.SLIDING:
                msg = f"{app.key} is in client mode and has a sliding lifetime"
                raise BadInput(msg, hint="give it a fixed one")
        definitions = {kind: compile_chart(chart) for kind, chart in (charts or CHARTS).items()}
        scene = Scene(engine, settings or Settings(), server)
        inspector = Inspector(scene, definitions)
        fleet = cls(scene, clock, inspector, seed)
        engine.subscribe(inspector.hear)
        await fleet._register(known, people, size, per_account)
        await fleet._begin(spread)
        return fleet

    async def _register(self, apps: Sequence[App], people: People, size: int, per_account: int) -> None:
        accounts = [f"account-{number}" for number in range(-(-size // per_account))]
        admins = {account: people.add(Actor.admin(f"admin@{account}"), account) for account in accounts}
        self.scene.admins.update(admins)
        for app in apps:
            await self.engine.apps.register(app)
            for account in accounts:
                await self.engine.apps.install(app.key, account, actor=admins[account])
        for number in range(size):
            turn, app = number // len(apps), apps[number % len(apps)]
            account, seat = accounts[turn % len(accounts)], turn // len(accounts)
            if app.kind is AppKind.ACCOUNT:
                self.members.append(Member(app, account, admins[account], f"seat-{seat}"))
                continue
            make = Actor.agent if app.kind is AppKind.AGENT else Actor.user
            self.members.append(Member(app, account, people.add(make(f"person-{number}"), account)))

    async def _begin(self, spread: timedelta) -> None:
        days = max(1, spread // timedelta(days=1))
        for day in range(days):
            await self._all((_acts.authorize, member) for member in self.members[day::days])
            await self._hear(acting=True)
            await self._pass(spread / days)

    # -- days -----------------------------------------------------------------------------------
    async def live(
        self,
        days: int = 365,
        *,
        step: timedelta = timedelta(days=1),
        habits: Habits | None = None,
        sample: int = 20,
    ) -> AsyncIterator[Day]:
        """Let days pass, one `step` each; gives every one of them, checked.

        In each the clock moves, the engine does its duties (sweep, warnings, renewals, notices, tokens given back,
        retention), people do what their habits say, and `check` looks at everything.
        """
        habits = habits or Habits()
        self._step = step
        for _ in range(days):
            self.days += 1
            self.scene.done.clear()
            told, renewed = await self._pass(step)
            await self._people(habits)
            await self._hear(acting=True)
            await self.engine.forget()
            broken = await self.check(sample=sample)
            counts = await self.engine.counts()
            done = dict(self.scene.done)
            yield Day(
                self.days,
                self.scene.now,
                counts.by_state,
                told["expired"],
                told[NoticeName.INSTALLATION_EXPIRING] + told[NoticeName.INSTALLATION_REMINDED],
                renewed + done.get("renew", 0),
                done.get("reauthorize", 0),
                done,
                tuple(broken),
            )

    async def check(self, *, sample: int | None = None) -> list[str]:
        """Everything that contradicts a promise since the last look, in words; empty when all is well.

        The database is asked for its broken promises and its counters; `sample` installations, or all of them, are
        looked at one by one.
        """
        found, self.scene.findings = self.scene.findings, []
        found.extend(await self.engine.ops.broken_promises())
        found.extend(self._inspector.miscounted(await self.engine.counts()))
        found.extend(self._inspector.overlooked(self._step))
        chosen = self.members if sample is None else self._random.sample(self.members, min(sample, len(self.members)))
        for some in _slices(chosen):
            seen = await asyncio.gather(*(self.engine.get(member.id) for member in some))
            for member, installation in zip(some, seen, strict=True):
                found.extend(self._inspector.differences(member, installation))
        return found

    async def _pass(self, step: timedelta) -> tuple[Counter[str], int]:
        """Time passes, and the engine does what schedulers wake it for."""
        self.clock.advance(step)
        now = self.scene.now
        due = frozenset(member for member in self.members if member.due(now))
        report = await self.engine.sweep()
        self.scene.findings.extend(f"{held.app} is held by the brake: {held.why}" for held in report.held)
        while await self.engine.warn_due():
            pass
        told = await self._hear(due, telling=True)
        told["expired"] = report.moved
        renewed = 0
        while (renewals := await self.engine.renew_due()).renewed or renewals.died:
            renewed += renewals.renewed
        await self._hear()
        await self.engine.deliver_revocations()
        return told, renewed

    async def _hear(
        self, due: frozenset[Member] = frozenset(), *, telling: bool = False, acting: bool = False
    ) -> Counter[str]:
        await self.engine.deliver_notices()
        return self._inspector.settle(due, telling=telling, acting=acting)

    # -- people ---------------------------------------------------------------------------------
    async def _people(self, habits: Habits) -> None:
        chosen = [(act, member) for member in self.members if (act := self._choice(habits, member)) is not None]
        await self._all((act, member) for act, member in chosen if act is not _acts.remove_app)
        for act, member in chosen:
            if act is _acts.remove_app and member.standing is not Standing.GONE:
                await self._one(act, member)
                self._settle_absence(member)

    def _choice(self, habits: Habits, member: Member) -> Act | None:
        roll = self._random.random()
        if roll >= habits.busiest:
            return None
        for act, chance in habits.chances(member):
            roll -= chance
            if roll < 0:
                return act
        return None

    def _settle_absence(self, leader: Member) -> None:
        for member in self.members:
            same = member.app is leader.app and member.account == leader.account
            if same and member.standing is not Standing.GONE:
                member.left(Standing.GONE)

    async def _all(self, acts: Iterable[tuple[Act, Member]]) -> None:
        for some in _slices(list(acts)):
            await asyncio.gather(*(self._one(act, member) for act, member in some))

    async def _one(self, act: Act, member: Member) -> None:
        before, known = member.standing, member.id
        name = str(getattr(act, "__name__", act))
        try:
            await act(self.scene, member)
        except GrantflowError as error:
            self.scene.findings.append(f"{known} ({member.app.key}): {name} was refused: {error}")
            return
        self.scene.done["reauthorize" if act is _acts.authorize and before is Standing.DEAD else name] += 1
        if member.id != known:
            self._inspector.left_behind += bool(known)
            self._inspector.members.pop(known, None)
            self._inspector.members[member.id] = member


def default_apps(server: ForeignServer | None) -> tuple[App, ...]:
    """One app of each kind, with lives of a year, half a year and a sliding quarter; and one at the server."""
    own = (
        sample_app("account"),
        sample_app("agent", lifetime=Lifetime(LifetimePolicy.FIXED, timedelta(days=180))),
        sample_app("external", lifetime=Lifetime(LifetimePolicy.SLIDING, timedelta(days=90))),
    )
    if server is None:
        return own
    return (*own, server.app("foreign-app", lifetime=Lifetime(LifetimePolicy.FIXED, timedelta(days=120))))


@asynccontextmanager
async def throwaway_fleet(
    *, settings: Settings | None = None, charts: Mapping[str, type[LifecycleChart]] | None = None, **choices: Any
) -> AsyncIterator[Fleet]:
    """A fleet on an engine and a file of its own, which go when the block ends; `choices` are Fleet.make's.

    Without `settings` nothing is flushed at each commit: the file need not outlive a loss of power.
    """
    settings = settings or Settings(synchronous="NORMAL")
    clock, people, server = ManualClock(), People(), ForeignServer()
    server.expires_in = _MONTH // timedelta(seconds=1)
    async with throwaway_engine(
        clock=clock,
        directory=people,
        http=server,
        keys=KeyRing.parse(KeyRing.new_key()),
        settings=settings,
        charts=charts,
    ) as engine:
        yield await Fleet.make(engine, clock, people, server=server, settings=settings, charts=charts, **choices)


def _slices(things: Sequence[Thing]) -> Iterable[Sequence[Thing]]:
    for start in range(0, len(things), _AT_ONCE):
        yield things[start : start + _AT_ONCE]
