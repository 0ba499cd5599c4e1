"""Every public verb, from the same prepared rows, leaves on PostgreSQL what it leaves on SQLite."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from grantflow.errors import GrantflowError
from grantflow.testing import ManualClock
from tests.faults.oracle import PROJECTION, looked_at
from tests.faults.verbs import VERBS, Prepared, fresh, opened, prepare
from tests.postgres.copying import copy
from tests.postgres.outside import Outside

QUICK = (
    "send",
    "force",
    "sweep",
    "select_account",
    "agree",
    "redeem",
    "renew",
    "uninstall",
    "complete",
    "app_uninstall",
)
COMPARED = [name for name, verb in VERBS.items() if not verb.creates and not verb.damage]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Prepared]:
    """The world all verbs start from, as a SQLite file."""
    file = tmp_path_factory.mktemp("verbs") / "template.db"
    return file, asyncio.run(prepare(file))


async def called(database: Path | str, name: str, known: Prepared) -> str:
    """Call a verb at its time; returns the name of the error it raised, or nothing."""
    verb, clock = VERBS[name], ManualClock()
    clock.advance(verb.later)
    async with opened(database, clock) as engine:
        try:
            await verb.call(engine, known)
        except GrantflowError as error:
            return type(error).__name__
    return ""


def projection(outside: Outside) -> dict[str, list[list[Any]]]:
    """Everything that may not be half there, with SQLite's numbers for truth and sums."""
    tables = {
        name: [[_plain(value) for value in row] for row in outside.rows(text)] for name, text in PROJECTION.items()
    }
    return by_installation(tables)


def by_installation(tables: dict[str, list[list[Any]]]) -> dict[str, list[list[Any]]]:
    """Notices of different installations may be written at once, hence in any order."""
    tables["outbox"].sort(key=lambda row: row[0] or 0)
    return tables


def _plain(value: object) -> object:
    return int(value) if isinstance(value, (bool, Decimal)) else value


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in COMPARED]
)
async def test_a_verb_leaves_the_same_rows(
    prepared: tuple[Path, Prepared], url: str, tmp_path: Path, name: str
) -> None:
    template, known = prepared
    fresh(template, tmp_path / "g.db")
    outside = Outside(url)
    try:
        copy(tmp_path / "g.db", outside)
        assert await called(url, name, known) == await called(tmp_path / "g.db", name, known)
        expected, wrong = looked_at(tmp_path / "g.db")
        assert not wrong
        assert projection(outside) == by_installation(json.loads(expected))
    finally:
        outside.close()


def test_the_quick_ones_are_verbs() -> None:
    assert set(QUICK) <= set(COMPARED)
