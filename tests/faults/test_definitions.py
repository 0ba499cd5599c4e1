"""A new definition under live rows: they go on, or they are set aside; old trails stay readable by the new charts."""

from __future__ import annotations

import inspect
import json
import sys
import types
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from sqlite3 import connect
from typing import Any, cast

import pytest

from grantflow import Engine, Settings
from grantflow._compile import compile_chart
from grantflow.errors import GrantflowError, Quarantined, UnknownEvent
from grantflow.testing import ManualClock
from grantflow_machines import CHARTS, LifecycleChart, _lifecycle
from tests.faults.life import GOLDEN, life
from tests.faults.oracle import PROJECTION, looked_at, trail_of
from tests.faults.verbs import BOB, OPERATOR, PLATFORM, REASON, YEAR, people
from tests.machines.host_charts import ApprovedInstallation

LOGS = sorted(GOLDEN.glob("*.json"))
NEEDED = {
    *("select_account", "agree", "cancel", "refuse", "attempt_expired", "exchange_ok", "expire", "reauthorize"),
    *("revoked_upstream", "security_event", "code_replayed", "refresh_reused", "suspend", "unsuspend"),
    *("disconnect", "uninstall", "force", "authorize", "installed"),
}


def with_one_more_arrow() -> type[LifecycleChart]:
    """The shipped chart of agents as a later release may write it: a note can be left on a live grant."""
    text = inspect.getsource(_lifecycle)
    place = "    timers: ClassVar[tuple"
    assert text.count(place) == 1
    note = '    noted: Event = event(active.to.itself(), says="A person left a note.", role="by_suspender")\n\n'
    module = types.ModuleType("grantflow_machines._lifecycle_of_tomorrow")
    module.__dict__["__name__"] = "grantflow_machines._lifecycle_of_tomorrow"
    sys.modules[module.__name__] = module
    exec(compile(text.replace(place, note + place), module.__name__, "exec"), module.__dict__)
    whole: type[LifecycleChart] = module.__dict__["InstallationLifecycle"]
    kind = CHARTS["agent"]
    body = {name: vars(kind)[name] for name in ("title", "entry_points", "by_owner", "__doc__", "__module__")}
    return cast(
        "type[LifecycleChart]", types.new_class(kind.__name__, (whole,), exec_body=lambda ns: ns.update(body))
    )


def engine_on(file: Path, clock: ManualClock, charts: Mapping[str, type[LifecycleChart]] | None = None) -> Any:
    settings = Settings(synchronous="NORMAL")
    known = None if charts is None else {**CHARTS, **charts}
    return Engine.open(f"sqlite:///{file}", clock=clock, directory=people(), settings=settings, charts=known)


def trails(file: Path) -> list[Any]:
    with closing(connect(file)) as conn:
        return conn.execute(PROJECTION["transition"]).fetchall()


async def test_one_more_arrow_changes_the_fingerprint_and_stops_nobody(folder: Path, known: dict[str, Any]) -> None:
    file, clock = folder / "template.db", ManualClock()
    tomorrow = with_one_more_arrow()
    charts = {"agent": tomorrow}
    assert compile_chart(tomorrow).fingerprint != compile_chart(CHARTS["agent"]).fingerprint
    key = known["ids"][0]
    async with engine_on(file, clock) as old:
        plan = await old.ops.preview_force(key, to="unauthorized", actor=OPERATOR, reason=REASON)
        with pytest.raises(UnknownEvent):
            await old.send(key, "noted", actor=PLATFORM)
    before = trails(file)
    async with engine_on(file, clock, charts) as new:
        with pytest.raises(GrantflowError, match="machine changed"):
            await new.ops.apply(plan)
        assert (await new.send(key, "noted", actor=PLATFORM)).target == "active"
        assert (await new.agree(known["form"], actor=BOB)).outcome == "agreed"
        clock.advance(YEAR + timedelta(days=1))
        report = await new.sweep()
        assert report.quarantined == 0
        assert (await new.get(key)).stored_state == "refresh-expired"
    assert trails(file)[:1] == before[:1]
    assert {*before} <= {*trails(file)}, "a transition was lost"
    wrong = [why for why in looked_at(file)[1] if "noted" not in why]
    assert wrong == []
    async with engine_on(file, clock) as old:  # back to the release before: the trail holds an event it never knew
        assert (await old.get(key)).stored_state == "refresh-expired"
        assert "noted" in {step.event for step in await old.history(key)}
        assert (await old.reauthorize(key, actor=BOB, code_challenge="x" * 43)).kind == "reauthorize"


async def test_rows_in_a_state_that_is_gone_are_set_aside_and_the_others_go_on(
    folder: Path, known: dict[str, Any]
) -> None:
    file, clock = folder / "template.db", ManualClock()
    async with engine_on(file, clock) as old:
        await old.send(known["ids"][4], "revoked_upstream", actor=PLATFORM)
        await old.reauthorize(known["ids"][4], actor=BOB, code_challenge="x" * 43)
        states = {row.id: row.stored_state for row in (await old.find()).items}
    gone = {key for key, state in states.items() if state in {"account-selected", "reauthorizing"}}
    assert len(gone) == 2
    before = trails(file)
    async with engine_on(file, clock, {"agent": ApprovedInstallation}) as new:
        for key, state in states.items():
            found = await new.get(key)
            assert bool(found.quarantined) == (key in gone)
            assert found.stored_state == state
        for key in gone:
            with pytest.raises(Quarantined):
                await new.ops.force(key, to="uninstalled", actor=OPERATOR, reason=REASON)
        clock.advance(YEAR * 2)
        await new.sweep()
        again = await new.sweep()
        assert (again.moved, again.quarantined) == (0, 0)
        sound = [key for key, state in states.items() if state == "active" and key not in gone]
        assert len(sound) >= 3
        for key in sound:
            assert (await new.get(key)).stored_state == "refresh-expired"
    assert {*before} <= {*trails(file)}, "a transition was lost"
    with closing(connect(file)) as conn:
        assert conn.execute("SELECT count(*) FROM grantflow_quarantine").fetchone() == (len(gone),)
        assert conn.execute("SELECT count(*) FROM grantflow_installation").fetchone() == (len(states),)


@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.stem)
def test_a_golden_log_is_replayed_by_the_charts_of_today(log: Path) -> None:
    told = json.loads(log.read_text(encoding="utf-8"))
    definition = compile_chart(CHARTS[told["kind"]])
    names = ("version", "source", "event", "target")
    trail, at = [], 1
    for step in told["trail"]:
        at += 366 * 86_400_000_000 if step["event"] == "expire" else 1
        trail.append((*(step[name] for name in names), at, step["forced"]))
    assert trail_of(definition, trail, trail[-1][3], len(trail)) == []
    assert {step["event"] for step in told["trail"]} >= NEEDED


async def test_a_full_life_of_today_is_that_of_the_newest_golden_log(tmp_path: Path) -> None:
    newest = json.loads(LOGS[-1].read_text(encoding="utf-8"))["trail"]
    assert await life(tmp_path / "g.db") == newest, "a release changed what happens: write a log of its own"


def test_a_trail_that_the_charts_do_not_know_is_noticed() -> None:
    definition = compile_chart(CHARTS["agent"])
    start = (1, None, definition.creation, definition.initial, 1, False)
    assert trail_of(definition, [start], definition.initial, 1) == []
    jump = (2, definition.initial, "exchange_ok", "active", 2, False)
    assert trail_of(definition, [start, jump], "active", 2) != []
