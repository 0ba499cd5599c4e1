"""One damaged row of an app costs that app's own rows: lists, counts, sweeps and renewals of the others go on."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from grantflow import Actor, Engine, KeyRing
from grantflow.errors import GrantflowError, NoAnswer
from grantflow.testing import ForeignServer, ManualClock, People, sample_app
from tests.faults.mutating import VALUES, Spoiled, cells, soften, spoil

BOB, OPERATOR, PLATFORM = Actor.agent("bob"), Actor.operator("olga"), Actor.system()
KEY = KeyRing.new_key()
REASON = "a reason that is long enough"
COLUMNS = (
    "public_id", "key", "kind", "client_id", "document", "revision", "held_by", "held_reason", "held_at", "secrets",
)  # fmt: skip


@dataclass(frozen=True)
class Fleet:
    """Three apps: the first one's row will be damaged, the others are sound, one of them in host mode."""

    file: Path
    sound: tuple[str, ...]
    broken: str


@pytest.fixture(autouse=True)
def without_log() -> Iterator[None]:
    """What the engine logs of damaged rows is not looked at here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@asynccontextmanager
async def opened(file: Path, server: ForeignServer, clock: ManualClock) -> AsyncIterator[Engine]:
    keys, people = KeyRing.parse(KEY), People({BOB: ["acme"]})
    async with Engine.open(f"sqlite:///{file}", keys=keys, http=server, clock=clock, directory=people) as engine:
        yield engine


@pytest.fixture
async def fleet(tmp_path: Path) -> Fleet:
    file, server = tmp_path / "sound.db", ForeignServer()
    made = []
    async with opened(file, server, ManualClock()) as engine:
        for key in ("broken", "sound"):
            await engine.apps.register(server.app(key))
            await engine.apps.install(key, "acme", actor=PLATFORM)
            for who in ("bob", "ann"):
                token = f"refresh-of-{key}-{who}"
                server.alive[token] = "tickets.read"
                adopted = await engine.adopt(
                    key, account="acme", subject=who, actor=PLATFORM, access_token="x" * 20, refresh_token=token,
                    expires_in=timedelta(hours=1),
                )  # fmt: skip
                made.append(adopted.id)
        server.faults += [NoAnswer(), NoAnswer()]
        for gone in (made[1], made[3]):
            await engine.disconnect(gone, actor=Actor.agent("ann"))
        await engine.apps.register(sample_app(key="host"))
        await engine.apps.install("host", "acme", actor=PLATFORM)
    soften(file)
    assert {column for table, column, _ in cells(file) if table == "grantflow_app"} == {"pk", *COLUMNS}
    return Fleet(file, (made[2], made[3]), made[0])


async def looked_around(fleet: Fleet, file: Path) -> None:
    """What is asked for everybody answers, and the sound app's rows are renewed, given back and swept."""
    server, clock = ForeignServer(), ManualClock()
    server.alive |= {f"refresh-of-{key}-bob": "tickets.read" for key in ("broken", "sound")}
    async with opened(file, server, clock) as engine:
        listed = {item.id for item in (await engine.find()).items}
        assert {*fleet.sound, fleet.broken} <= listed, "its rows are shown as well"
        assert {item.id for item in (await engine.find("app:sound")).items} == {*fleet.sound}
        assert (await engine.count()).count == len(listed)
        assert (await engine.counts()).by_app["sound"] == {"active": 1, "unauthorized": 1}
        assert {"host", "sound"} <= {app.key for app in await engine.apps.list()}
        await engine.apps.held()
        await engine.horizon()
        await engine.ops.incidents()
        await engine.ops.actions()
        await engine.ops.diagnose(thorough=True)
        await engine.ops.verify_keys()
        await engine.ops.preview_sweep()
        attempt = await engine.authorize("sound", actor=BOB, account="acme")
        await engine.cancel(attempt.id, actor=BOB)
        clock.advance(timedelta(hours=2))
        await engine.renew_due()
        assert (await engine.get(fleet.sound[0])).generation == 2
        await engine.deliver_revocations()
        assert "refresh-of-sound-ann" in {form.get("token") for form in server.asked}
        for call in (
            engine.get(fleet.broken),
            engine.access_token(fleet.broken),
            engine.suspend(fleet.broken, actor=OPERATOR, reason=REASON),
            engine.apps.get("broken"),
            engine.apps.hold("broken", actor=OPERATOR, reason=REASON),
            engine.apps.add_secret("broken", "another", actor=OPERATOR),
            engine.apps.register(server.app("broken")),
        ):
            with suppress(GrantflowError):
                await call
        clock.advance(timedelta(days=400))
        listed = {item.id for item in (await engine.find()).items}
        assert {*fleet.sound, fleet.broken} <= listed, "due rows too"
        await engine.sweep()
        assert (await engine.get(fleet.sound[0])).stored_state == "refresh-expired"
        assert (await engine.sweep()).moved == 0


@pytest.mark.parametrize("column", COLUMNS)
async def test_the_others_are_served_renewed_and_swept(fleet: Fleet, tmp_path: Path, column: str) -> None:
    for value in VALUES:
        file = tmp_path / f"{value.replace(' ', '-')}.db"
        if spoil(fleet.file, file, Spoiled("grantflow_app", column, 0, value)):
            await looked_around(fleet, file)


async def test_the_doctor_names_the_app_and_lists_show_its_rows_as_set_aside(fleet: Fleet, tmp_path: Path) -> None:
    for column, value in (("document", "brace"), ("kind", "martian"), ("key", "null"), ("revision", "null")):
        file = tmp_path / f"{column}.db"
        assert spoil(fleet.file, file, Spoiled("grantflow_app", column, 0, value))
        async with opened(file, ForeignServer(), ManualClock()) as engine:
            (wrong,) = [found for found in await engine.ops.diagnose() if found.check == "apps"]
            assert wrong.health == "wrong"
            assert wrong.says.startswith("None: " if column == "key" else "broken: ")
            shown = {item.id: item for item in (await engine.find()).items}
            if column in {"document", "kind"}:
                assert shown[fleet.broken].quarantined
                assert not shown[fleet.broken].usable
                assert shown[fleet.broken].state == "active", "nothing was written"
            assert shown[fleet.sound[0]].usable
            assert replace(shown[fleet.sound[0]]) == await engine.get(fleet.sound[0])
