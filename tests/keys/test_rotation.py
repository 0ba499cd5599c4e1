"""S3: keys change under running processes, in small batches, and no value is ever lost."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import LargeBinary

from grantflow import KeyRing, Rotation
from grantflow._ports import SEALED_FIELDS, Reseal, SealedIn, SealedRow
from grantflow._rows import AppRow, Change, Load
from grantflow._store import _tables
from grantflow._store._statements import SEALED_TABLES, columns
from grantflow._store.sqlite import SqliteStore
from grantflow.errors import BadInput, KeysMissing, PermissionDenied
from grantflow.testing import ManualClock
from tests.architecture.source_tree import PACKAGES, ROOT
from tests.keys.conftest import Vault
from tests.keys.vault import (
    BOB,
    NEW,
    OLD,
    OPERATOR,
    OTHER,
    REASON,
    change,
    one,
    opened,
    plain,
    put,
    ring,
    sealed,
    token,
)

HOURS = timedelta(hours=2)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grantflow._rotation._BATCH", 2)


async def rotated(file: Path, *keys: str, **settings: Any) -> Rotation:
    async with opened(file, *keys, **settings) as engine:
        done: Rotation = await engine.ops.rotate_keys(actor=OPERATOR, reason=REASON)
    return done


def test_every_column_of_ciphertext_is_walked() -> None:
    hashes = {"hash", "code_hash", "binding_hash", "state_hash"}
    found = {
        (table.name, column.name)
        for table in _tables.Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary) and column.name not in hashes
    }
    walked = {(SEALED_TABLES[where], name) for where, names in SEALED_FIELDS.items() for name in names}
    assert walked == found | {(_tables.table_of(_tables.App).name, "secrets")}
    assert "secrets" in columns(AppRow)


# -- one rotation ---------------------------------------------------------------------------------
async def test_everything_comes_under_the_first_key(vault: Vault) -> None:
    before = plain(vault.file, OLD)
    kinds = {place.split("/")[0] + place.split("/")[2] for place, _ in before}
    assert kinds == {"appsecret", "attemptapp_state", "attemptsealed", "token_setaccess", "token_setrefresh"}
    assert one(vault.file, "SELECT count(*) FROM grantflow_revocation WHERE sealed IS NOT NULL") == 1
    told: list[tuple[int, int]] = []
    async with opened(vault.file, NEW, OLD, http=vault.server) as engine:
        tokens = [(await engine.access_token(name)).value for name in vault.ids]
        versions = [(await engine.get(name)).version for name in vault.ids]
        done = await engine.ops.rotate_keys(
            actor=OPERATOR, reason=REASON, progress=lambda seen, total: told.append((seen, total))
        )
        assert done == Rotation(len(before), 0, 0, {"k2": len(before)})
        assert [(await engine.get(name)).version for name in vault.ids] == versions, "no installation moved"
        assert await engine.ops.rotate_keys(actor=OPERATOR, reason=REASON) == Rotation(
            0, len(before), 0, {"k2": len(before)}
        )
        audit = [action for _, action in await engine.ops.actions()][:4]
        assert [(action.verb, action.outcome) for action in audit] == [
            ("rotate-keys", "applied"),
            ("rotate-keys", "started"),
        ] * 2
        assert audit[2].detail == f"to k2: {len(before)} resealed, 0 already, 0 unreadable"
    assert (len(before), len(before)) in told
    assert max(told) == (len(before), len(before)), "never more than all"
    assert plain(vault.file, NEW) == before
    async with opened(vault.file, NEW, http=vault.server) as engine:
        assert [(await engine.access_token(name)).value for name in vault.ids] == tokens
        assert (await engine.ops.verify_keys()).opened == len(before)


async def test_only_an_operator_with_a_reason_and_a_key_rotates(vault: Vault) -> None:
    before = sorted(sealed(vault.file))
    async with opened(vault.file, NEW, OLD) as engine:
        with pytest.raises(PermissionDenied):
            await engine.ops.rotate_keys(actor=BOB, reason=REASON)
        with pytest.raises(BadInput):
            await engine.ops.rotate_keys(actor=OPERATOR, reason="short")
        assert [action.outcome for _, action in await engine.ops.actions(limit=1)] == ["refused"]
    async with opened(vault.file) as engine:
        with pytest.raises(KeysMissing):
            await engine.ops.rotate_keys(actor=OPERATOR, reason=REASON)
    assert sorted(sealed(vault.file)) == before


# -- kill -9 --------------------------------------------------------------------------------------
def test_kill_9_in_every_batch_loses_nothing(vault: Vault) -> None:
    path = os.pathsep.join([str(ROOT), *(str((ROOT / folder).parent) for folder in PACKAGES.values())])
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killer.py")), str(vault.file), "2"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    kills = [json.loads(line) for line in done.stdout.splitlines()]
    batches = max(kill["number"] for kill in kills)
    assert batches >= 8
    assert len(kills) == 4 * batches
    for kill in kills:
        assert (kill["killed"], kill["openable"], kill["whole"]) == (True, True, True), kill
        again = kill["again"]
        assert again["unreadable"] == 0, kill
        assert again["resealed"] + again["already"] == kill["values"], kill
        assert again["by_key"] == {"k2": kill["values"]}, kill
    assert len({kill["again"]["already"] for kill in kills}) > batches // 2, "it went on where it had been stopped"


# -- while others work ----------------------------------------------------------------------------
@pytest.mark.parametrize("theirs", [(NEW, OLD), (OLD, NEW)], ids=["new ring", "old ring"])
async def test_grants_are_renewed_while_keys_rotate(vault: Vault, small: None, theirs: tuple[str, str]) -> None:
    clock = ManualClock()
    async with (
        opened(vault.file, NEW, OLD, clock=clock, http=vault.server) as ours,
        opened(vault.file, *theirs, clock=clock, http=vault.server) as other,
    ):
        rotation = asyncio.create_task(ours.ops.rotate_keys(actor=OPERATOR, reason=REASON))
        renewed = rounds = 0
        while not rotation.done() or rounds < 3:
            clock.advance(HOURS)
            report = await other.renew_due()
            assert (report.failed, report.died, report.held) == (0, 0, 0)
            renewed += report.renewed
            rounds += 1
        done = await rotation
        assert renewed == rounds * len(vault.ids)
        assert done.unreadable == 0
        assert (await ours.ops.verify_keys()).unreadable == 0
    again = await rotated(vault.file, NEW, OLD, clock=clock, http=vault.server)
    assert again.by_key == {"k2": len(plain(vault.file, NEW))}
    clock.advance(HOURS)
    async with opened(vault.file, NEW, clock=clock, http=vault.server) as engine:
        assert (await engine.renew_due()).renewed == len(vault.ids), "the stored refresh tokens are the live ones"


async def test_a_renewal_between_reading_and_swapping_wins(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one by a process that still seals under the old key: its value is looked at again."""
    clock, batch = ManualClock(), SqliteStore.sealed_batch
    clock.advance(HOURS)
    async with (
        opened(vault.file, NEW, OLD, clock=clock, http=vault.server) as ours,
        opened(vault.file, OLD, NEW, clock=clock, http=vault.server) as other,
    ):

        async def slow(self: SqliteStore, table: SealedIn, after: int, limit: int) -> list[SealedRow]:
            rows = await batch(self, table, after, limit)
            if table is SealedIn.TOKENS and rows and self is ours._core.store:
                renewals.append((await other.renew_due()).renewed)
            return rows

        renewals: list[int] = []
        monkeypatch.setattr(SqliteStore, "sealed_batch", slow)
        before = [await ours.token_health(name) for name in vault.ids]
        done = await ours.ops.rotate_keys(actor=OPERATOR, reason=REASON)
        after = [await ours.token_health(name) for name in vault.ids]
        assert sum(renewals) == len(vault.ids)
        assert [health.generation - 1 for health in after if health] == [old.generation for old in before if old]
        values = len(plain(vault.file, NEW))
        assert done == Rotation(values, 0, 0, {"k2": values})
        assert {server_knows(vault, name) for name in vault.ids} == {True}


def server_knows(vault: Vault, name: str) -> bool:
    refresh = KeyRing.parse(NEW).open(token(vault.file, name, "refresh"), f"token_set/{name}/refresh")
    return refresh.decode() in vault.server.alive


async def test_a_swap_never_overwrites_what_another_wrote(vault: Vault) -> None:
    name = vault.ids[0]
    pk = one(vault.file, "SELECT pk FROM grantflow_installation WHERE public_id = ?", name)
    async with opened(vault.file, NEW, OLD) as engine:
        store = engine._core.store
        old = token(vault.file, name)
        stale = Reseal(SealedIn.TOKENS, "access_sealed", pk, b"k1:something older", b"k2:new")
        aside = Reseal(SealedIn.TOKENS, "access_sealed", pk, b"k1:something older", None, "it does not open")
        assert await store.reseal([stale, aside], 0) == [stale, aside]
        assert token(vault.file, name) == old
        assert (await engine.get(name)).quarantined is None


async def test_a_token_being_given_back_keeps_its_new_seal(vault: Vault) -> None:
    """Whoever delivers it read the row before the rotation, and writes the row afterwards."""
    async with opened(vault.file, NEW, OLD) as engine:
        store = engine._core.store
        (row,) = await store.due_revocations(1 << 60, 10)
        await engine.ops.rotate_keys(actor=OPERATOR, reason=REASON)
        row.tries += 1
        row.next_at = 1 << 61
        await store.transact(Load(), lambda _: Change(revocations=[row]))
        assert KeyRing.key_id(one(vault.file, "SELECT sealed FROM grantflow_revocation")) == "k2"
        row.sealed = None
        await store.transact(Load(), lambda _: Change(revocations=[row]))
        assert one(vault.file, "SELECT sealed FROM grantflow_revocation") is None


async def test_a_new_key_reaches_a_running_process(vault: Vault) -> None:
    keys = [OLD]
    live = KeyRing.from_callable(lambda: "\n".join(keys))
    async with opened(vault.file, keys=live, http=vault.server) as running:
        before = [(await running.access_token(name)).value for name in vault.ids]
        keys.insert(0, NEW)
        assert (await rotated(vault.file, NEW, OLD)).unreadable == 0
        assert [(await running.access_token(name)).value for name in vault.ids] == before
        assert list(live.ids) == ["k2", "k1"]
        keys.remove(OLD)
        assert (await running.ops.rotate_keys(actor=OPERATOR, reason=REASON)).resealed == 0
        assert list(live.ids) == ["k2"], "a rotation asks the source first"


# -- what does not open ---------------------------------------------------------------------------
async def test_what_does_not_open_is_set_aside_and_counted(vault: Vault) -> None:
    bad, cut, *rest = vault.ids
    put(vault.file, bad, token(vault.file, rest[0]))
    put(vault.file, cut, b"", "refresh")
    change(vault.file, "UPDATE grantflow_attempt SET app_state = x'6b313a00' WHERE app_state IS NOT NULL")
    values = len(list(sealed(vault.file)))
    async with opened(vault.file, NEW, OLD, http=vault.server) as engine:
        done = await engine.ops.rotate_keys(actor=OPERATOR, reason=REASON)
        assert done == Rotation(values - 5, 0, 5, {"": 1, "k1": 4, "k2": values - 5})
        shown = [(await engine.get(name)).quarantined for name in vault.ids]
        assert shown[:2] == [f"the sealed value in {name}_sealed does not open" for name in ("access", "refresh")]
        assert set(shown[2:]) == {None}
        for name in rest:
            assert (await engine.access_token(name)).value
        places = [found.place for found in (await engine.ops.verify_keys()).places]
        assert sorted(places[-2:]) == sorted([f"token_set/{bad}/access", f"token_set/{cut}/refresh"])
        assert len(places) == 5
    assert await rotated(vault.file, NEW, OLD) == Rotation(0, values - 5, 5, done.by_key)


async def test_a_key_that_is_missing_sets_nothing_aside(vault: Vault) -> None:
    before = sorted(sealed(vault.file))
    done = await rotated(vault.file, NEW)
    assert done == Rotation(0, 0, len(before), {"k1": len(before)})
    assert sorted(sealed(vault.file)) == before
    assert one(vault.file, "SELECT count(*) FROM grantflow_quarantine") == 0


async def test_a_wrong_key_under_the_right_id_sets_nothing_aside(vault: Vault, small: None) -> None:
    """A slip of whoever pasted it must not take a whole fleet off the clock."""
    before = sorted(sealed(vault.file))
    done = await rotated(vault.file, NEW, f"k1:{OTHER.split(':')[1]}")
    assert done == Rotation(0, 0, len(before), {"k1": len(before)})
    assert sorted(sealed(vault.file)) == before
    assert one(vault.file, "SELECT count(*) FROM grantflow_quarantine") == 0


async def test_a_token_set_without_its_installation_breaks_nothing(vault: Vault) -> None:
    change(vault.file, "UPDATE grantflow_token_set SET installation_pk = 9999 WHERE installation_pk = 1")
    done = await rotated(vault.file, NEW, OLD)
    assert done.unreadable == 2
    assert done.by_key["k1"] == 2


async def test_secrets_of_an_app_are_sealed_one_by_one(vault: Vault) -> None:
    text = json.loads(one(vault.file, "SELECT secrets FROM grantflow_app WHERE key = 'mail'"))
    kept = json.dumps([["azE6AA==", 5], text[1]])
    change(vault.file, "UPDATE grantflow_app SET secrets = ? WHERE key = 'mail'", kept)
    done = await rotated(vault.file, NEW, OLD)
    assert done.unreadable == 1
    after = json.loads(one(vault.file, "SELECT secrets FROM grantflow_app WHERE key = 'mail'"))
    assert after[0] == ["azE6AA==", 5]
    assert after[1][1] == text[1][1]
    assert after[1][0].startswith("azI6"), "the second one is under k2"


async def test_an_interrupted_caller_leaves_everything_openable(vault: Vault, small: None) -> None:
    before = plain(vault.file, OLD)

    def stop(seen: int, total: int) -> None:
        if seen > total // 2:
            raise KeyboardInterrupt

    async with opened(vault.file, NEW, OLD) as engine:
        with suppress(KeyboardInterrupt):
            await engine.ops.rotate_keys(actor=OPERATOR, reason=REASON, progress=stop)
    assert plain(vault.file, OLD, NEW) == before
    done = await rotated(vault.file, NEW, OLD)
    assert 0 < done.already < len(before)
    assert plain(vault.file, NEW) == before


async def test_two_rotations_at_once_are_one(vault: Vault, small: None) -> None:
    before = plain(vault.file, OLD)
    done: Sequence[Rotation] = await asyncio.gather(*(rotated(vault.file, NEW, OLD) for _ in range(3)))
    assert plain(vault.file, NEW) == before
    assert sum(each.resealed for each in done) == len(before), "each value was sealed by one of them"


def test_rings_of_the_tests_differ() -> None:
    assert len({ring(key).ids[0] for key in (OLD, NEW, OTHER)}) == 3
