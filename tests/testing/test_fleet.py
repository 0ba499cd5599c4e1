"""A fleet lives for a year, and whatever is wrong with it is found."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from grantflow import Actor, Engine, Lifetime, LifetimePolicy
from grantflow._core import Core
from grantflow._store.sqlite import SqliteStore
from grantflow._transition import Draft
from grantflow.errors import BadInput
from grantflow.testing import (
    Act,
    Fleet,
    ForeignServer,
    Habits,
    ManualClock,
    Member,
    People,
    Scene,
    Standing,
    sample_app,
    throwaway_fleet,
)
from grantflow_machines import CHARTS, ActorKind, Answer, Facts, InstallationLifecycle, LifecycleChart, role

DAY = timedelta(days=1)
BUSY = Habits(
    renew=0.05,
    cancel=0.01,
    abandon=0.03,
    upgrade=0.01,
    disconnect=0.004,
    uninstall=0.004,
    suspend=0.004,
    withdraw=0.01,
    remove_app=0.0005,
)
SHORT = Lifetime(LifetimePolicy.FIXED, timedelta(days=40))


async def lived(fleet: Fleet, days: int, habits: Habits | None = None) -> list[str]:
    return [why async for day in fleet.live(days, habits=habits) for why in day.broken]


async def test_three_hundred_installations_live_a_year_and_no_promise_is_broken() -> None:
    done: Counter[str] = Counter()
    async with throwaway_fleet(size=300) as fleet:
        async for day in fleet.live(days=365, sample=5):
            assert day.broken == (), f"{day}\n{day.broken}"
            done.update(day.acts)
            done["expired"] += day.expired
            done["warned"] += day.warned
        assert await fleet.check() == [], "each of them, one by one"
        assert day.number == 365
        assert str(day).startswith("2026-01-31  active ")
    assert done["expired"] > 50
    assert done["warned"] > 500
    assert done["reauthorize"] > 50


async def test_a_busy_fleet_breaks_no_promise_and_does_everything() -> None:
    done: Counter[str] = Counter()
    async with throwaway_fleet(size=120) as fleet:
        async for day in fleet.live(days=150, habits=BUSY):
            assert day.broken == (), f"{day}\n{day.broken}"
            done.update(day.acts)
    acts = {getattr(act, "__name__", "") for table in BUSY._table.values() for act, _ in table}
    assert set(done) == acts | {"reauthorize"}


@pytest.mark.slow
async def test_ten_thousand_installations_live_a_year() -> None:
    async with throwaway_fleet(size=10_000) as fleet:
        assert await lived(fleet, 365) == []
        assert await fleet.check() == []


async def test_the_same_seed_tells_the_same_story() -> None:
    stories = []
    for seed in (1, 1, 2):
        async with throwaway_fleet(size=40, seed=seed, spread=DAY) as fleet:
            stories.append([str(day) async for day in fleet.live(60, habits=BUSY)])
    assert stories[0] == stories[1]
    assert stories[0] != stories[2]


# -- planted defects ------------------------------------------------------------------------------
async def test_a_sweep_that_expires_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async with throwaway_fleet(size=8, spread=DAY, apps=[sample_app("agent", lifetime=SHORT)]) as fleet:
        sweep, clock = fleet.engine.sweep, fleet.clock

        async def hasty() -> object:
            clock.step(timedelta(hours=36))
            try:
                return await sweep()
            finally:
                clock.step(-timedelta(hours=36))

        monkeypatch.setattr(fleet.engine, "sweep", hasty)
        found = await lived(fleet, 40, Habits(heed=0, reauthorize=0))
    assert sum("expired early" in why for why in found) == 8


async def test_a_sweep_that_skips_a_row_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    due = SqliteStore.due

    async def forgetful(self: SqliteStore, *given: object) -> object:
        return (await due(self, *given))[1:]  # type: ignore[arg-type]

    async with throwaway_fleet(size=8, spread=DAY, apps=[sample_app("agent", lifetime=SHORT)]) as fleet:
        monkeypatch.setattr(SqliteStore, "due", forgetful)
        found = await lived(fleet, 45, Habits(heed=0, reauthorize=0))
    assert any("did not expire on its day" in why for why in found)


async def test_a_warning_that_is_lost_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(self: Draft, *, told: bool = False) -> None:
        assert self.row is not None
        self.row.due_at, self.row.notice_due_at = self.due(), self.next_notice()

    monkeypatch.setattr(Draft, "rearm", careless)
    apps = [sample_app("agent", lifetime=SHORT)]
    async with throwaway_fleet(size=60, spread=DAY, apps=apps) as fleet:
        found = await lived(fleet, 40, Habits(abandon=0.5))
    assert any("was not told on its day" in why for why in found)


async def test_a_warning_that_comes_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    notify = Draft.notify

    def twice(self: Draft, name: str, event: str, **more: object) -> None:
        notify(self, name, event, **more)
        if event == "warn":
            notify(self, name, event, **more)

    monkeypatch.setattr(Draft, "notify", twice)
    async with throwaway_fleet(size=4, spread=DAY, apps=[sample_app("agent", lifetime=SHORT)]) as fleet:
        found = await lived(fleet, 20, Habits(heed=0))
    assert any("was told the same more than once" in why for why in found)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("UPDATE grantflow_installation SET state = 'refresh-expired' WHERE pk = 1", "its grant is dead, not live"),
        ("UPDATE grantflow_installation SET state = 'refresh-expired' WHERE pk = 1", "the one its trail ends in"),
        ("UPDATE grantflow_installation SET deadline_at = deadline_at + 1 WHERE pk = 1", "its end is"),
        ("UPDATE grantflow_parent SET removed_at = 1", "usable is False, not True"),
        ("UPDATE grantflow_count SET n = n + 1 WHERE state = 'active'", "are counted as live"),
    ],
)
async def test_damage_of_the_file_is_found(damage: str, says: str, tmp_path: Path) -> None:
    clock, people = ManualClock(), People()
    file = tmp_path / "grants.db"
    async with Engine.open(f"sqlite:///{file}", clock=clock, directory=people) as engine:
        fleet = await Fleet.make(engine, clock, people, size=6, spread=DAY)
        assert await fleet.check() == []
        with sqlite3.connect(file) as foreign:
            foreign.execute(damage)
        foreign.close()
        assert any(says in why for why in await fleet.check())


async def test_a_refusal_of_the_front_door_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async with throwaway_fleet(size=8, spread=DAY) as fleet:
        monkeypatch.setattr(Core, "listing", _nobody)
        found = await lived(fleet, 1, Habits(upgrade=0.9))
    assert any("upgrade was refused: only an admin" in why for why in found)


async def _nobody(self: Core, actor: object) -> Sequence[object]:
    return ()


# -- hosts' own -----------------------------------------------------------------------------------
class SharedInstallation(InstallationLifecycle):
    """A host's own kind: the shipped chart, another answer to *who may*."""

    title = "app that a colleague may authorize"

    @role("a colleague")
    def by_owner(facts: Facts) -> Answer:
        return facts.actor.kind in {ActorKind.AGENT, ActorKind.ADMIN}


async def test_a_chart_of_a_host_lives_through_it() -> None:
    charts: dict[str, type[LifecycleChart]] = {**CHARTS, "agent": SharedInstallation}
    async with throwaway_fleet(size=30, charts=charts, apps=[sample_app("agent", lifetime=SHORT)]) as fleet:
        assert await lived(fleet, 120) == []


class Reporting(Habits):
    """Agents report half of the live grants as stolen, in their first days."""

    def chances(self, member: Member) -> list[tuple[Act, float]]:
        return [(stolen, 0.5)] if member.standing is Standing.LIVE else []


async def stolen(scene: Scene, member: Member) -> None:
    await scene.engine.send(member.id, "security_event", actor=Actor.system())
    member.died(scene.now, scene.settings)


async def test_habits_and_acts_of_a_host_take_the_place_of_ours() -> None:
    async with throwaway_fleet(size=20, spread=DAY) as fleet:
        days = [day async for day in fleet.live(10, habits=Reporting())]
    assert [why for day in days for why in day.broken] == []
    assert {name for day in days for name in day.acts} == {"stolen"}
    assert days[-1].by_state["refresh-expired"] > 15


# -- what is refused ------------------------------------------------------------------------------
async def test_a_fleet_that_cannot_be_judged_is_refused() -> None:
    sliding = Lifetime(LifetimePolicy.SLIDING, timedelta(days=40))
    for choices in ({"size": 0}, {"spread": -DAY}, {"apps": [ForeignServer().app(lifetime=sliding)]}):
        with pytest.raises(BadInput):
            async with throwaway_fleet(**choices):
                pass
    async with throwaway_fleet(size=2, spread=DAY, apps=[ForeignServer().app()]) as fleet:
        fleet.scene.server = None
        found = await lived(fleet, 3, Habits(upgrade=0.9))
    assert any("the fleet has no foreign server" in why for why in found)
