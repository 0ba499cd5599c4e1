"""S2 through the engine: a ciphertext that was touched is a typed error for its row, and the others go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from grantflow import Engine, KeyRing, new_pkce
from grantflow.errors import GrantflowError, KeysMissing, Quarantined
from grantflow.testing import SECRET, ManualClock, sample_app
from tests.keys.conftest import Vault
from tests.keys.vault import (
    BOB,
    NEW,
    OLD,
    OTHER,
    PLATFORM,
    STATE,
    change,
    one,
    opened,
    plain,
    put,
    ring,
    token,
)

Damage = Callable[[bytes, bytes, bytes], object]

DAMAGES: dict[str, Damage] = {
    "of another row": lambda mine, refresh, other: other,
    "of another field": lambda mine, refresh, other: refresh,
    "cut": lambda mine, refresh, other: mine[:-1],
    "cut to its key id": lambda mine, refresh, other: mine[:3],
    "cut to nothing": lambda mine, refresh, other: b"",
    "flipped": lambda mine, refresh, other: mine[:20] + bytes([mine[20] ^ 1]) + mine[21:],
    "under another key id": lambda mine, refresh, other: b"k2" + mine[2:],
    "of another key": lambda mine, refresh, other: ring(f"k1:{OTHER.split(':')[1]}").seal(b"x", "token_set/x/access"),
    "in clear": lambda mine, refresh, other: b"an access token",
    "a text": lambda mine, refresh, other: "k1:an access token",
}


async def works(engine: Engine, ids: list[str]) -> list[str]:
    return [(await engine.access_token(name)).value for name in ids]


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_access_token_stops_its_own_row(vault: Vault, damage: str) -> None:
    bad, other, *_ = vault.ids
    async with opened(vault.file, OLD, NEW, http=vault.server) as engine:
        before = await works(engine, vault.ids)
    values = token(vault.file, bad), token(vault.file, bad, "refresh"), token(vault.file, other)
    put(vault.file, bad, DAMAGES[damage](*values))
    async with opened(vault.file, OLD, NEW, http=vault.server) as engine:
        with pytest.raises(Quarantined) as caught:
            await engine.access_token(bad)
        assert caught.value.hint
        assert await works(engine, vault.ids[1:]) == before[1:]
        check = await engine.ops.verify_keys()
        (found,) = check.places
        assert (found.place, found.why) == (f"token_set/{bad}/access", "it does not open")


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_refresh_token_sets_its_row_aside(vault: Vault, damage: str) -> None:
    bad, other, *_ = vault.ids
    values = token(vault.file, bad, "refresh"), token(vault.file, bad), token(vault.file, other, "refresh")
    put(vault.file, bad, DAMAGES[damage](*values), "refresh")
    clock = ManualClock()
    clock.advance(timedelta(hours=2))
    async with opened(vault.file, OLD, NEW, http=vault.server, clock=clock) as engine:
        report = await engine.renew_due()
        assert (report.renewed, report.failed) == (len(vault.ids) - 1, 1)
        shown = await engine.get(bad)
        assert shown.quarantined == f"the sealed value at token_set/{bad}/refresh does not open"
        with pytest.raises(GrantflowError):
            await engine.access_token(bad)
        assert len(await works(engine, vault.ids[1:])) == len(vault.ids) - 1


async def test_two_rows_that_were_swapped_whole_open_neither(vault: Vault) -> None:
    one_id, other, *rest = vault.ids
    mine, theirs = token(vault.file, one_id), token(vault.file, other)
    put(vault.file, one_id, theirs)
    put(vault.file, other, mine)
    async with opened(vault.file, OLD, http=vault.server) as engine:
        for name in (one_id, other):
            with pytest.raises(Quarantined):
                await engine.access_token(name)
        assert len(await works(engine, rest)) == len(rest)


async def test_the_wrong_key_under_the_right_id_opens_nothing_and_sets_nothing_aside(vault: Vault) -> None:
    wrong = f"k1:{OTHER.split(':')[1]}"
    async with opened(vault.file, wrong, http=vault.server) as engine:
        for name in vault.ids:
            with pytest.raises(Quarantined):
                await engine.access_token(name)
        assert (await engine.ops.verify_keys()).opened == 0
    async with opened(vault.file, OLD, http=vault.server) as engine:
        assert len(await works(engine, vault.ids)) == len(vault.ids)
        assert (await engine.ops.verify_keys()).unreadable == 0


async def test_a_key_that_is_missing_stops_only_what_it_sealed(vault: Vault) -> None:
    first, *rest = vault.ids
    place = f"token_set/{first}/access"
    put(vault.file, first, ring(OTHER).seal(ring(OLD).open(token(vault.file, first), place), place))
    async with opened(vault.file, OLD, http=vault.server) as engine:
        with pytest.raises(KeysMissing, match="the key k3 is not among"):
            await engine.access_token(first)
        assert len(await works(engine, rest)) == len(rest)
        shown = await engine.get(first)
        assert shown.usable
        assert shown.quarantined is None
        assert (await engine.ops.keys())["k3"] == 1
    async with opened(vault.file, OLD, OTHER, http=vault.server) as engine:
        assert len(await works(engine, vault.ids)) == len(vault.ids)


async def test_a_copy_in_another_place_still_opens(vault: Vault, tmp_path: Path) -> None:
    elsewhere = tmp_path / "another folder" / "other name.sqlite"
    elsewhere.parent.mkdir()
    shutil.copy(vault.file, elsewhere)
    async with opened(vault.file, OLD, http=vault.server) as engine:
        before = await works(engine, vault.ids)
    async with opened(elsewhere, OLD, http=vault.server) as engine:
        assert await works(engine, vault.ids) == before
        assert (await engine.ops.verify_keys()).unreadable == 0


async def test_damaged_client_secrets_are_reported_and_break_no_rotation(vault: Vault) -> None:
    change(vault.file, "UPDATE grantflow_app SET secrets = '[[\"!\", 1]]' WHERE key = 'mail'")
    change(vault.file, "UPDATE grantflow_app SET secrets = 'no list' WHERE key = 'local'")
    async with opened(vault.file, NEW, OLD, http=vault.server) as engine:
        assert (await engine.ops.keys())[""] == 2
        assert (await engine.ops.verify_keys()).unreadable == 2
        assert len(await works(engine, vault.ids)) == len(vault.ids)


# -- without keys ---------------------------------------------------------------------------------
async def test_without_keys_everything_can_be_read(vault: Vault) -> None:
    async with opened(vault.file, http=vault.server) as engine:
        page = await engine.find("app:mail is:any")
        assert set(vault.ids) < {item.id for item in page.items}
        assert (await engine.counts()).total == len(vault.ids) + 1
        for name in vault.ids:
            assert (await engine.get(name)).usable
            assert await engine.history(name)
            assert (await engine.guidance(name, viewer=BOB)).sentence
            assert await engine.token_health(name) is not None
            with pytest.raises(KeysMissing):
                await engine.access_token(name)
        assert all(finding.says for finding in await engine.ops.diagnose(thorough=True))
        used = await engine.ops.keys()
        assert used == {"k1": len(plain(vault.file, OLD))}
        check = await engine.ops.verify_keys()
        assert (check.opened, check.unreadable) == (0, used["k1"])
    async with opened(vault.file, OLD, http=vault.server) as engine:
        assert len(await works(engine, vault.ids)) == len(vault.ids), "nothing was set aside meanwhile"


async def test_without_keys_nothing_is_stored_in_clear(vault: Vault, tmp_path: Path) -> None:
    file, marks = tmp_path / "fresh.db", [b"clear-access", b"clear-refresh", STATE.encode(), SECRET.encode()]
    async with opened(file, keys=KeyRing(), http=vault.server) as engine:
        with pytest.raises(KeysMissing):
            await engine.apps.register(vault.server.app("mail"))
        public = sample_app(key="public", mode="client", server=vault.server.server, secret_hashes=())
        local = await engine.apps.register(sample_app(key="local"))
        await engine.apps.register(public)
        await engine.apps.install("public", "account-0", actor=PLATFORM)
        with pytest.raises(KeysMissing):
            await engine.authorize("public", actor=BOB, account="account-0")
        with pytest.raises(KeysMissing):
            await engine.ledger.begin(
                client_id=local.client_id, actor=BOB, state=STATE, code_challenge=new_pkce()[1], scope=None
            )
        with pytest.raises(KeysMissing):
            await engine.adopt(
                "public",
                account="account-0",
                actor=PLATFORM,
                subject=BOB,
                access_token="clear-access-token",
                refresh_token="clear-refresh-token",
            )
        assert await engine.ops.keys() == {}
        assert [one(file, f"SELECT count(*) FROM grantflow_{name}") for name in ("attempt", "token_set")] == [0, 0]
    for part in file.parent.glob(f"{file.name}*"):
        assert not any(mark in part.read_bytes() for mark in marks)
