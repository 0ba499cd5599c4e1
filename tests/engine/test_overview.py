"""What an operator looks at first, and questions about a filter: bounded, completable, and to be given up."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow import Actor, Engine, Version, help_rows
from grantflow._filter import AUDIT, FIELDS, parse
from grantflow._store import _overview
from grantflow.errors import BadInput, FilterSyntaxError
from grantflow.testing import ManualClock, People, authorize, sample_app

BOB, OLGA, PLATFORM = Actor.agent("bob"), Actor.operator("olga"), Actor.system()
ACCOUNTS = ["acme", "bolt", "cern"]
REASON = "a drill of the overview"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """Three working installations of one app, a second app that nobody uses."""
    directory = People({BOB: ACCOUNTS})
    async with Engine.open(f"sqlite:///{tmp_path / 'g.db'}", directory=directory, clock=ManualClock()) as made:
        app = await made.apps.register(sample_app("agent"))
        await made.apps.register(sample_app("external", key="second-app"))
        for account in ACCOUNTS:
            await made.apps.install(app.key, account, actor=PLATFORM)
            await authorize(made, app.key, account, actor=BOB)
        yield made


def clock_of(engine: Engine) -> ManualClock:
    clock = engine._core.clock
    assert isinstance(clock, ManualClock)
    return clock


async def accounts(engine: Engine, text: str, **more: Any) -> list[str]:
    return [item.account for item in (await engine.find(text, **more)).items]


# -- what changed lately ------------------------------------------------------------------------------
async def test_the_largest_change_comes_first_and_its_filter_shows_it(engine: Engine) -> None:
    clock_of(engine).advance(timedelta(days=366))
    report = await engine.sweep()
    recent = await engine.ops.recent_changes()
    first = next(change for change in recent.changes if change.state == "refresh-expired")
    assert (first.app, first.reason, first.run, first.count) == ("agent-app", "time", report.run_id, 3)
    assert f"run={report.run_id}" in first.filter
    assert (await engine.count(first.filter)).count == 3
    assert [(run.run, run.written) for run in recent.runs] == [(report.run_id, 3)]
    assert [change.count for change in recent.changes] == sorted((c.count for c in recent.changes), reverse=True)


async def test_a_change_without_a_run_is_shown_by_its_time(engine: Engine) -> None:
    clock_of(engine).advance(timedelta(days=1))
    last = (await engine.find("account:cern")).items[0]
    await engine.ops.force(last.id, to="refresh-expired", actor=OLGA, reason=REASON)
    changes = (await engine.ops.recent_changes()).changes
    found = next(change for change in changes if change.state == "refresh-expired")
    assert (found.count, found.run, found.since) == (1, None, engine.now())
    assert await accounts(engine, found.filter) == ["cern"]


async def test_the_look_back_bounds_what_is_read(engine: Engine) -> None:
    for look_back, most in ((1, 1), (3, 3)):
        changes = (await engine.ops.recent_changes(look_back=look_back)).changes
        assert 0 < sum(change.count for change in changes) <= most
    assert (await engine.ops.recent_changes(within=timedelta(0))).changes[0].since == engine.now()
    for look_back, limit in ((0, 1), (100_001, 1), (1, 0), (1, 1_001)):
        with pytest.raises(BadInput):
            await engine.ops.recent_changes(look_back=look_back, limit=limit)


@pytest.mark.parametrize(("text", "values"), [(_overview.RECENT, (100, 10, 0)), (_overview.RUNS, (100, 10))])
async def test_recent_changes_never_read_the_whole_trail(engine: Engine, text: str, values: tuple[int, ...]) -> None:
    store: Any = engine._core.store
    plan = [row[3] for row in await store._rows(f"EXPLAIN QUERY PLAN {text}", *values)]
    assert any("SEARCH grantflow_transition USING INTEGER PRIMARY KEY (rowid>?)" in line for line in plan), plan
    assert not [line for line in plan if "SCAN grantflow_transition" in line or "SCAN i" in line]


async def test_an_empty_database_has_no_recent_changes(tmp_path: Path) -> None:
    async with Engine.open(f"sqlite:///{tmp_path / 'e.db'}") as engine:
        recent = await engine.ops.recent_changes()
        assert (recent.changes, recent.runs) == ((), ())
        assert await engine.ops.app_overview() == ()


# -- apps ---------------------------------------------------------------------------------------------
async def test_every_app_with_its_numbers(engine: Engine) -> None:
    await engine.apps.hold("second-app", actor=OLGA, reason=REASON)
    one = (await engine.find("account:acme")).items[0]
    await engine.ops.force(one.id, to="refresh-expired", actor=OLGA, reason=REASON)
    used, unused = await engine.ops.app_overview()
    assert (used.app, used.kind, used.mode, used.installed, used.working) == ("agent-app", "agent", "host", 3, 2)
    assert (used.expiring, used.held, used.incident) == (0, None, None)
    assert (unused.app, unused.installed, unused.held) == ("second-app", 0, REASON)
    clock_of(engine).advance(timedelta(days=350))
    assert (await engine.ops.app_overview())[0].expiring == 2


async def test_scopes_of_a_new_version_are_awaited_once_the_account_runs_it(engine: Engine) -> None:
    old = await engine.apps.get("agent-app")
    version = Version("9.0", (*old.latest.required, "notes.write"), old.latest.optional)
    await engine.apps.register(sample_app("agent", versions=(*old.versions, version)))
    assert (await engine.count("scope:?*")).count == 0
    await engine.apps.upgrade("agent-app", "bolt", "9.0", actor=PLATFORM)
    assert await accounts(engine, "scope:?notes.write") == await accounts(engine, "scope:?*") == ["bolt"]
    (found,) = (await engine.find("scope:?*")).items
    assert found.scopes_missing == ("notes.write",)


# -- the audit in the same language -------------------------------------------------------------------
async def test_the_audit_is_filtered_by_the_same_language(engine: Engine) -> None:
    items = (await engine.find()).items
    await engine.ops.force(items[0].id, to="refresh-expired", actor=OLGA, reason=REASON)
    await engine.apps.hold("second-app", actor=OLGA, reason="another reason")
    clock_of(engine).advance(timedelta(days=2))
    with pytest.raises(Exception, match="only an operator"):
        await engine.apps.release("second-app", actor=BOB, reason=REASON)

    async def found(text: str) -> list[tuple[str, str]]:
        return [
            (action.verb, action.outcome) for _, action in await engine.ops.actions(filter=f"{text} -verb:install")
        ]

    every = [("release", "refused"), ("hold", "applied"), ("force", "applied"), ("force", "previewed")]
    assert await found("") == every
    for text, expected in {
        "outcome:refused": every[:1],
        "outcome:applied,previewed verb:force": every[2:],
        "verb:hold": every[1:2],
        "-verb:force": every[:2],
        "actor:operator:*": every[1:],
        "actor:agent:bob": every[:1],
        "target:second-app": every[:2],
        "second": every[:2],
        "at:<1d": every[:1],
        "at:>1d reason:another*": every[1:2],
        'reason:"a drill of the overview"': [every[0], *every[2:]],
    }.items():
        assert await found(text) == expected, text
    (key, _), *_ = await engine.ops.actions(filter="verb:force")
    assert [action.outcome for _, action in await engine.ops.actions(filter="verb:force", before=key)] == [
        "previewed"
    ]


@pytest.mark.parametrize(("text", "says"), [("state:active", "no field 'state'"), ("sort:at", "no field 'sort'")])
async def test_fields_of_the_other_table_are_unknown(engine: Engine, text: str, says: str) -> None:
    with pytest.raises(FilterSyntaxError, match=says):
        await engine.ops.actions(filter=text)


def test_the_help_of_the_audit_is_its_table() -> None:
    rows = help_rows("audit")
    assert [row.name for row in rows] == ["word", *AUDIT.fields]
    for row in rows:
        (term,) = parse(row.example, 0, AUDIT).terms
        assert term.field == row.name


# -- questions about a filter -------------------------------------------------------------------------
async def test_a_filter_without_matches_says_which_term_removed_them(engine: Engine) -> None:
    told = await engine.narrowing("state:active account:nobody sort:entered")
    assert [(term, matches.count) for term, matches in told] == [("state:active", 0), ("account:nobody", 3)]
    assert await engine.narrowing("") == ()


async def test_a_scan_is_announced_before_it_is_run(engine: Engine) -> None:
    assert engine.scans("state:active account:acme*") == ()
    assert engine.scans("label:x* scope:crm") == ("label", "scope")
    assert engine.scans("is:marked") == ()


async def test_marks_are_ids_that_the_console_brings(engine: Engine) -> None:
    ids = [item.id for item in (await engine.find()).items]
    assert await accounts(engine, "is:marked", marked=ids[:2]) == ["acme", "bolt"]
    assert await accounts(engine, "-is:marked", marked=ids[:2]) == ["cern"]
    assert await accounts(engine, "is:marked", marked=()) == []
    assert await accounts(engine, "-is:marked", marked=()) == ACCOUNTS
    assert (await engine.count("is:marked", marked=[*ids, *ids, "gone"])).count == 3
    with pytest.raises(FilterSyntaxError):
        await engine.find("is:marked")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("sta", ("state:",)),
        ("acme -ki", ("acme -kind:",)),
        ("state:re", ("state:refresh-expired", "state:reauthorizing")),
        ("state:active,unin", ("state:active,uninstalled",)),
        ("app:agent-app is:st", ("app:agent-app is:stuck",)),
        ("has:", ("has:failure",)),
        ("sort:-e", ("sort:-expires", "sort:-entered")),
        ("app:", ("app:agent-app", "app:second-app")),
        ("account:b", ("account:bolt",)),
        ("account:", tuple(f"account:{name}" for name in ACCOUNTS)),
        ("subject:b", ("subject:bob",)),
        ("scope:?tickets.r", ("scope:?tickets.read",)),
        ("entered:", ()),
        ("account:bolt", ()),
        ("nothing:x", ()),
        ('label:"two wo', ()),
        ("", ()),
    ],
)
async def test_a_term_is_completed(engine: Engine, typed: str, expected: tuple[str, ...]) -> None:
    assert await engine.suggestions(typed) == expected


async def test_whatever_is_suggested_can_be_read(engine: Engine) -> None:
    for field in FIELDS:
        for text in await engine.suggestions(f"{field}:"):
            parse(text, 0, marked=())


async def test_values_come_from_an_index_step_by_step(engine: Engine) -> None:
    store: Any = engine._core.store
    asked: list[str] = []
    for reader in store._readers:
        await reader.set_trace_callback(asked.append)
    for field in ("account", "subject", "reason", "run", "app"):
        await engine.suggestions(f"{field}:x")
    for reader in store._readers:
        await reader.set_trace_callback(None)
    assert len(asked) == 5
    for text in asked:
        plan = [row[3] for row in await store._rows(f"EXPLAIN QUERY PLAN {text}")]
        assert not [line for line in plan if line.startswith("SCAN grantflow")], plan


async def test_a_search_nobody_waits_for_is_interrupted_and_no_other(engine: Engine) -> None:
    store: Any = engine._core.store
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    tasks = [asyncio.create_task(store._rows(endless)) for _ in range(3)]
    await asyncio.sleep(0.1)
    started = time.perf_counter()
    for task in tasks[:2]:
        task.cancel()
    await asyncio.gather(*tasks[:2], return_exceptions=True)
    assert (await engine.count()).count == 3
    tasks[2].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[2]
    assert await accounts(engine, "") == ACCOUNTS
    assert time.perf_counter() - started < 5


async def test_a_question_goes_to_the_reader_with_the_least_to_do(engine: Engine) -> None:
    store: Any = engine._core.store

    def slowly(conn: sqlite3.Connection) -> None:
        time.sleep(0.5)

    busy = asyncio.create_task(store._read(slowly))
    await asyncio.sleep(0)
    started = time.perf_counter()
    for _ in range(4):
        await engine.count()
    assert time.perf_counter() - started < 0.4
    await busy
