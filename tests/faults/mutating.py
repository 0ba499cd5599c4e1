"""A sound database with one spoiled cell, and everything a host may then ask of the engine."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from grantflow import Engine, Installation
from grantflow.errors import GrantflowError
from grantflow.testing import ManualClock
from tests.faults.verbs import BOB, KEY, MARIA, OPERATOR, PLATFORM, REASON, VERBS, fresh, opened

NO_TEXT = "CAST(x'61eda08062ff' AS TEXT)"
"""A lone surrogate and a stray byte, as TEXT: what no encoder of ours would write."""
VALUES: dict[str, Any] = {
    "null": None,
    "minus one": -1,
    "huge": 2**63 - 1,
    "fraction": 1.5,
    "empty": "",
    "martian": "martian",
    "nul": "a\0b",
    "bytes": b"\xff\x00\xfe",
    "brace": "{",
    "long": "a" * 20_000,
    "date": "2025-01-01 00:00:00",
    "no text": NO_TEXT,
}
SKIPPED = {("grantflow_schema", "version"): "another schema is refused, see tests/store/test_damage.py"}


@dataclass(frozen=True, slots=True)
class Spoiled:
    """One cell."""

    table: str
    column: str
    row: int
    value: str


def soften(file: Path) -> None:
    """Take the constraints that would refuse the damage out of a prepared database; the rows stay sound."""
    with closing(sqlite3.connect(file, isolation_level=None)) as conn:
        for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            conn.execute(f"DROP TRIGGER {name}")
        conn.execute("PRAGMA writable_schema=ON")
        conn.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE type = 'table'")
        conn.execute("PRAGMA writable_schema=RESET")


def cells(file: Path) -> list[tuple[str, str, int]]:
    """(table, column, rows) of everything that holds a row."""
    with closing(sqlite3.connect(file)) as conn:
        named = "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'grantflow_*' ORDER BY 1"
        found = []
        for (table,) in conn.execute(named).fetchall():
            rows = conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            names = [row[1] for row in conn.execute(f"PRAGMA table_info({table})")]
            found += [(table, name, rows) for name in names if rows and (table, name) not in SKIPPED]
        return found


def spoil(template: Path, file: Path, what: Spoiled) -> bool:
    """Write the damage; False where SQLite itself will not have it."""
    fresh(template, file)
    with closing(sqlite3.connect(file, isolation_level=None)) as conn:
        conn.execute("PRAGMA ignore_check_constraints=ON")
        key = [row[1] for row in conn.execute(f"PRAGMA table_info({what.table})") if row[5]]
        named = ", ".join(key)
        chosen = conn.execute(
            f"SELECT {named} FROM {what.table} ORDER BY {named} LIMIT 1 OFFSET ?", (what.row,)
        ).fetchone()
        where = " AND ".join(f"{name} = ?" for name in key)
        value = VALUES[what.value]
        try:
            if value is NO_TEXT:
                conn.execute(f"UPDATE {what.table} SET {what.column} = {NO_TEXT} WHERE {where}", chosen)
            else:
                conn.execute(f"UPDATE {what.table} SET {what.column} = ? WHERE {where}", (value, *chosen))
        except (sqlite3.IntegrityError, sqlite3.OperationalError):
            return False
        return True


def owner(file: Path, what: Spoiled) -> str | None:
    """The installation a spoiled row speaks of, when it speaks of one alone; read from the sound template."""
    column = {"grantflow_installation": "pk"}.get(what.table, "installation_pk")
    with closing(sqlite3.connect(file)) as conn:
        names = [row[1] for row in conn.execute(f"PRAGMA table_info({what.table})")]
        if column not in names:
            return None
        key = ", ".join(row[1] for row in conn.execute(f"PRAGMA table_info({what.table})") if row[5])
        found = conn.execute(
            f"SELECT i.public_id FROM (SELECT * FROM {what.table} ORDER BY {key} LIMIT 1 OFFSET ?) t "
            f"JOIN grantflow_installation i ON i.pk = t.{column}",
            (what.row,),
        ).fetchone()
        return "" if found is None else str(found[0])


Ask = tuple[str, Callable[[], Awaitable[object]]]


async def _asks(engine: Engine, clock: ManualClock, known: dict[str, Any]) -> AsyncIterator[Ask]:
    yield "find", engine.find
    yield "find due", lambda: engine.find("expires:<400d sort:expires")
    yield "count", engine.count
    yield "counts", engine.counts
    yield "horizon", engine.horizon
    yield "next_due", engine.next_due
    yield "apps.list", engine.apps.list
    yield "apps.held", engine.apps.held
    yield "apps.on_account", lambda: engine.apps.on_account(KEY, "account-0")
    yield "ops.actions", engine.ops.actions
    yield "ops.preview_sweep", engine.ops.preview_sweep
    yield "ops.check_database", engine.ops.check_database
    for key in known["ids"]:
        yield f"get {key}", partial(engine.get, key)
        yield f"history {key}", partial(engine.history, key)
        yield f"attempts {key}", partial(engine.attempts, key)
        yield f"guidance {key}", partial(engine.guidance, key, viewer=BOB)
        yield f"explain {key}", partial(engine.explain, key, "cancel", actor=BOB)
        yield f"machine {key}", partial(engine.machine, key)
    for token in known["access"]:
        yield "authenticate", partial(engine.ledger.authenticate, token)
    for attempt in (known["form"], known["beside"], *known["loose"]):
        yield "window", partial(engine.window, attempt, actor=BOB)
    for key in known["ids"]:
        yield f"suspend {key}", partial(engine.suspend, key, actor=OPERATOR, reason=REASON)
        yield f"unsuspend {key}", partial(engine.unsuspend, key, actor=OPERATOR)
    for name in ("renew", "redeem", "select_account", "agree", "cancel_beside", "reauthorize", "preview_force"):
        yield name, partial(VERBS[name].call, engine, known)
    yield "notices", lambda: VERBS["notices"].call(engine, known)
    yield "apps.upgrade", lambda: engine.apps.upgrade(KEY, "account-0", "1.0", actor=MARIA)
    clock.advance(timedelta(days=400))
    yield "sweep", engine.sweep
    yield "sweep again", engine.sweep
    yield "find after", engine.find
    for key in known["ids"]:
        yield f"get after {key}", partial(engine.get, key)
        yield f"uninstall {key}", partial(engine.uninstall, key, actor=PLATFORM)
    yield "apps.uninstall", lambda: engine.apps.uninstall(KEY, "account-5", actor=MARIA)


FOR_ALL = {"find", "find due", "find after", "count", "counts", "sweep", "sweep again", "next_due", "horizon"}
OF_ONE = {"get", "get after", "history", "unsuspend"}


def _unserved(what: str, error: GrantflowError, known: dict[str, Any], damaged: str | None) -> str | None:
    """A typed error that hit more than the damaged row."""
    if damaged is None:
        return None
    name, _, key = what.rpartition(" ")
    if what in FOR_ALL:
        return f"{what} for everybody: {type(error).__name__}"
    held = name == "unsuspend" and key == known["ids"][3]  # the other side suspended it
    if name in OF_ONE and key != damaged and not held:
        return f"{name} of a sound row: {type(error).__name__}"
    return None


async def asked_everything(file: Path, known: dict[str, Any], damaged: str | None) -> list[str]:
    """Every answer that is neither a result nor a typed error, and sound rows that were not served or swept."""
    found: list[str | None] = []
    clock = ManualClock()
    try:
        async with opened(file, clock, synchronous="NORMAL") as engine:
            async for what, call in _asks(engine, clock, known):
                try:
                    answer = await call()
                except GrantflowError as error:
                    found.append(_unserved(what, error, known, damaged))
                except Exception as error:  # noqa: BLE001 - what the test is looking for
                    found.append(f"{what.partition(' ')[0]}: {type(error).__name__}: {error}"[:160])
                else:
                    late = what.startswith("get after") and damaged is not None and damaged not in what
                    if late and isinstance(answer, Installation) and answer.stored_state != "refresh-expired":
                        found.append("a sound row was not swept")
    except GrantflowError:
        pass
    except Exception as error:  # noqa: BLE001 - the same
        found.append(f"open: {type(error).__name__}: {error}"[:160])
    return list(dict.fromkeys(why for why in found if why is not None))
