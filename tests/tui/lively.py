"""A small fleet in which something of everything happens, at times that never change."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from grantflow import Actor, Engine, Version
from grantflow.errors import PermissionDenied
from grantflow.testing import ManualClock, People, authorize, sample_app

if TYPE_CHECKING:
    import pytest

BOB, OLGA, PLATFORM = Actor.agent("bob"), Actor.operator("olga"), Actor.system()
ACCOUNTS = [f"acct{number:02}" for number in range(12)]
KEYS = ("agent-app", "crm-sync", "hr-bridge")
REASON = "OPS-312 a key leaked"
HELD = "the vendor asked us to wait"
_HEX = re.compile(r"(?<=[0-9a-f]{8}-[0-9a-f]{4}-7)[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}|(?<=…)[0-9a-f]{1,4}\b")
_CUT = re.compile(r"(?<=[0-9a-f]{8}-[0-9a-f]{4}-7)[0-9a-f-]+(?=…)")


def masked(text: str) -> str:
    """The text without what chance put into it, as long as before."""
    for pattern in (_HEX, _CUT):
        text = pattern.sub(lambda found: re.sub(r"[0-9a-f]", "x", found[0]), text)
    return text


async def new_version(engine: Engine) -> None:
    """One more required scope, on some of the accounts."""
    old = await engine.apps.get("crm-sync")
    versions = (*old.versions, Version("9.0", (*old.latest.required, "notes.write"), old.latest.optional))
    await engine.apps.register(sample_app("agent", key="crm-sync", versions=versions))
    for account in ACCOUNTS[1:8:3]:
        await engine.apps.upgrade("crm-sync", account, "9.0", actor=PLATFORM)


def incident(path: Path, app: str, cause: str) -> None:
    """An open incident, as a lost client secret opens it."""
    with closing(sqlite3.connect(path)) as conn, conn:
        (pk,) = conn.execute("SELECT pk FROM grantflow_app WHERE key = ?", (app,)).fetchone()
        values = ("01942a1a-0000-7000-8000-000000000001", pk, cause, "", 1_768_500_000_000_000, 0, 0)
        conn.execute(
            "INSERT INTO grantflow_incident (public_id, app_pk, cause, detail, opened_at, probe_at, probes) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            values,
        )


@asynccontextmanager
async def lively(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
    """Twelve accounts, three apps; a year later some are dead, one by force, one is at it, one app is held."""
    monkeypatch.setattr("socket.gethostname", lambda: "node-a")
    monkeypatch.setattr("os.getpid", lambda: 4711)
    clock = ManualClock()
    async with Engine.open(f"sqlite:///{path}", directory=People({BOB: ACCOUNTS}), clock=clock) as engine:
        for key in KEYS:
            await engine.apps.register(sample_app("agent", key=key))
        for number, account in enumerate(ACCOUNTS):
            key = KEYS[number % 3]
            await engine.apps.install(key, account, actor=PLATFORM)
            await authorize(engine, key, account, actor=BOB)
            clock.advance(timedelta(days=1 + number % 3, hours=3))
        clock.advance(timedelta(days=350))
        await engine.sweep()
        alive = (await engine.find("state:active")).items
        await engine.ops.force(alive[0].id, to="refresh-expired", actor=OLGA, reason=REASON)
        dead = (await engine.find("state:refresh-expired")).items
        await engine.reauthorize(dead[0].id, actor=BOB, code_challenge="x" * 43)
        await engine.apps.hold("hr-bridge", actor=OLGA, reason=HELD)
        await new_version(engine)
        try:
            await engine.apps.release("hr-bridge", actor=BOB, reason="please")
        except PermissionDenied:
            incident(path, "hr-bridge", "client-secret-refused")
        await engine.beat("scheduler", "5 duties")
        clock.advance(timedelta(seconds=7))
        yield engine
