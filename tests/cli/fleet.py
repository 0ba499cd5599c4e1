"""A small fleet for the command line: one of each thing a command can meet."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from grantflow import Actor, Engine
from grantflow.testing import ManualClock, People, authorize, sample_app

BOB, EVE, MARIA = Actor.agent("bob"), Actor.agent("eve"), Actor.admin("maria")
HOSTILE = "ac\x1b[31mme\N{RIGHT-TO-LEFT OVERRIDE}\x9b2J"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Answer:
    """What one run of the command left behind."""

    code: int
    out: str
    err: str


Command = Callable[..., Answer]


@dataclass(frozen=True)
class Fleet:
    """A database file and the ids in it."""

    path: Path
    active: str
    fresh: str
    expired: str
    hostile: str

    def content(self, *, audit: bool = True) -> dict[str, list[tuple[object, ...]]]:
        """Every row of every table."""
        with sqlite3.connect(f"file:{self.path}?mode=ro", uri=True) as conn:
            names = [name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            found = {name: sorted(conn.execute(f"SELECT * FROM {name}"), key=repr) for name in names}
        conn.close()
        assert any("action" in name for name in found)
        return {name: rows for name, rows in found.items() if audit or "action" not in name}


async def settled(path: Path) -> Fleet:
    """Make the fleet; the grant of `expired` ended years ago and no sweep has looked since."""
    people = People({BOB: ["acme"], EVE: [HOSTILE], MARIA: ["acme", HOSTILE]})
    url = f"sqlite:///{path}"
    async with Engine.open(url, directory=people, clock=ManualClock(LONG_AGO)) as engine:
        for app in (sample_app(), sample_app("account"), sample_app("agent", "old-app", name="Old\x1b[2J")):
            await engine.apps.register(app)
            await engine.apps.install(app.key, "acme", actor=MARIA)
        expired = (await authorize(engine, "old-app", "acme", actor=BOB)).installation
    async with Engine.open(url, directory=people) as engine:
        await engine.apps.install("agent-app", HOSTILE, actor=MARIA)
        active = (await authorize(engine, "agent-app", "acme", actor=BOB)).installation
        hostile = (await authorize(engine, "agent-app", HOSTILE, actor=EVE)).installation
        fresh = (await engine.install("account-app", account="acme", actor=MARIA)).id
    return Fleet(path, active, fresh, expired, hostile)
