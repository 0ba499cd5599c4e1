"""What every store promises, as tests over a `store` fixture; an adapter's module runs them by inheriting."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter

import pytest

from grantflow._filter import SHIPPED
from grantflow._ports import Store
from grantflow._rows import (
    ActionRow,
    Change,
    ConsentRow,
    CredentialRow,
    InstallationRow,
    Load,
    Snapshot,
    TokenRow,
)
from grantflow.errors import Conflict, DatabaseError, Quarantined, TransitionRefused
from grantflow_machines import Actor
from tests.store.builders import (
    DAY,
    NOW,
    SECOND,
    attempt,
    fresh,
    move,
    moving,
    new_app,
    new_installation,
    recorded,
)


async def row_of(store: Store, name: str) -> InstallationRow:
    found = (await store.load(Load(installation=name))).installation
    assert found is not None
    return found


class Boom(Exception):
    """What a work function may raise."""


class StoreContract:
    """One transaction, all or nothing, typed conflicts."""

    async def test_what_is_written_comes_back_the_same(self, store: Store) -> None:
        app = await new_app(store)
        row = await new_installation(store, app, "i1", due=NOW + DAY)
        loose = attempt(app, "a1", ends=NOW + SECOND, installation_pk=row.pk)
        await store.transact(Load(), lambda _: Change(new_attempts=[loose]))
        found = await store.load(Load(installation="i1"))
        assert (found.app, found.installation, found.attempts, found.parent) == (app, row, [loose], None)

    async def test_keys_of_new_rows_are_filled_in(self, store: Store) -> None:
        app = await new_app(store)
        row = fresh(app, "i1")
        opened = attempt(app, "a1", ends=NOW)
        change = Change(installation=row, transitions=[recorded(row, None, "created")], new_attempts=[opened])
        await store.transact(Load(), lambda _: change)
        assert app.pk
        assert row.pk
        assert opened.pk
        assert opened.installation_pk == change.transitions[0].installation_pk == row.pk

    async def test_a_transaction_sees_the_one_before(self, store: Store) -> None:
        app = await new_app(store)
        await new_installation(store, app, "i1")
        seen: list[str] = []

        def work(found: Snapshot) -> Change:
            assert found.installation is not None
            seen.append(found.installation.state)
            return move(found, f"s{len(seen)}")

        await asyncio.gather(*(store.transact(Load(installation="i1"), work) for _ in range(3)))
        assert seen == ["active", "s1", "s2"]

    async def test_nothing_is_written_when_work_raises(self, store: Store) -> None:
        app = await new_app(store)
        before = await new_installation(store, app, "i1")

        def work(found: Snapshot) -> Change:
            move(found, "elsewhere")
            raise Boom

        with pytest.raises(Boom):
            await store.transact(Load(installation="i1"), work)
        assert await row_of(store, "i1") == before
        assert len(await store.history(before.pk, 9, None)) == 1

    async def test_a_stale_version_is_a_typed_conflict_and_writes_nothing_at_all(self, store: Store) -> None:
        app = await new_app(store)
        await new_installation(store, app, "i1")
        await store.transact(Load(installation="i1"), moving("second"))

        def stale(found: Snapshot) -> Change:
            change = move(found, "third", notice=True)
            change.expected_version = 1
            change.action = ActionRow(NOW, "op", False, "x", "y", None, None, "applied", "")
            change.app = found.app
            assert change.app is not None
            change.app.revision = 99
            return change

        with pytest.raises(Conflict) as raised:
            await store.transact(Load(installation="i1"), stale)
        assert raised.value.retryable
        row = await row_of(store, "i1")
        assert (row.state, row.version) == ("second", 2)
        assert [step.version for step in await store.history(row.pk, 9, None)] == [2, 1]
        assert await store.actions(9, None) == []
        assert await store.pending_notices(NOW, 9) == []
        assert (await store.apps())[0].revision == 1
        assert await store.counts() == [("crm", "second", 1)]

    async def test_a_natural_key_has_one_live_row(self, store: Store) -> None:
        app = await new_app(store)
        first = await new_installation(store, app, "i1")
        twin = fresh(app, "i2")
        twin.subject_id = first.subject_id
        change = Change(installation=twin, transitions=[recorded(twin, None, "created")])
        with pytest.raises(DatabaseError):
            await store.transact(Load(), lambda _: change)
        assert await store.counts() == [("crm", "active", 1)]
        natural = Load(natural=("crm", "acme", first.subject_id, "default"))
        assert (await store.load(natural)).installation == first
        await store.transact(Load(installation="i1"), moving("uninstalled"))
        assert (await store.load(natural)).installation is None
        await store.transact(Load(), lambda _: change)
        assert (await row_of(store, "i2")).subject_id == first.subject_id

    async def test_an_idempotency_key_is_told_and_never_written_twice(self, store: Store) -> None:
        app = await new_app(store)
        row = await new_installation(store, app, "i1")
        load = Load(installation="i1", idempotency_key="k")
        assert (await store.load(load)).replayed_version is None
        await store.transact(load, moving("second", key="k"))
        assert (await store.load(load)).replayed_version == 2
        with pytest.raises(DatabaseError):
            await store.transact(load, moving("third", key="k"))
        assert (await row_of(store, "i1")).version == 2
        await new_installation(store, app, "i2")
        await store.transact(Load(installation="i2", idempotency_key="k"), moving("second", key="k"))
        assert len(await store.history(row.pk, 9, None)) == 2

    async def test_concurrent_transactions_come_one_after_the_other(self, store: Store) -> None:
        app = await new_app(store)
        row = await new_installation(store, app, "i1")
        load = Load(installation="i1")
        done = await asyncio.gather(*(store.transact(load, moving(f"s{n % 3}")) for n in range(60)))
        versions = [change.installation.version for change in done if change.installation is not None]
        assert versions == list(range(2, 62))
        trail = (await store.history(row.pk, 99, None))[::-1]
        assert [step.version for step in trail] == list(range(1, 62))
        assert [step.source for step in trail[1:]] == [step.target for step in trail[:-1]]

    async def test_one_failure_in_a_crowd_costs_nobody_else(self, store: Store) -> None:
        app = await new_app(store)
        for n in range(9):
            await new_installation(store, app, f"i{n}")

        def conflicting(found: Snapshot) -> Change:
            change = move(found, "lost", notice=True)
            change.app, change.expected_version = found.app, 77
            return change

        def raising(found: Snapshot) -> Change:
            raise Boom

        works = [moving("second", notice=True), conflicting, raising]
        done = await asyncio.gather(
            *(store.transact(Load(installation=f"i{n}"), works[n % 3]) for n in range(9)), return_exceptions=True
        )
        assert [type(one) for one in done] == [Change, Conflict, Boom] * 3
        assert await store.counts() == [("crm", "active", 6), ("crm", "second", 3)]
        assert sorted(one.installation for one in await store.pending_notices(NOW, 9)) == ["i0", "i3", "i6"]

    async def test_counters_are_exact_whatever_happens(self, store: Store) -> None:
        chance = random.Random(7)
        apps = [await new_app(store, "crm"), await new_app(store, "erp")]
        for n in range(30):
            await new_installation(store, apps[n % 2], f"i{n}", state=chance.choice("abc"))

        def conflicting(found: Snapshot) -> Change:
            change = move(found, "z")
            change.app, change.expected_version = found.app, 0
            return change

        for _ in range(10):
            works = [chance.choice([moving(chance.choice("abc")), conflicting]) for _ in range(40)]
            loads = [Load(installation=f"i{chance.randrange(30)}") for _ in works]
            await asyncio.gather(*map(store.transact, loads, works), return_exceptions=True)
        rows = [await store.load(Load(installation=f"i{n}")) for n in range(30)]
        told: Counter[tuple[str, str]] = Counter()
        for found in rows:
            assert found.app is not None
            assert found.installation is not None
            told[found.app.key, found.installation.state] += 1
        assert await store.counts() == sorted((*key, n) for key, n in told.items())


class SweepContract:
    """Many rows in one commit, each decided on its own."""

    async def test_a_chunk_moves_what_is_due_and_skips_the_rest(self, store: Store) -> None:
        app = await new_app(store)
        rows = [await new_installation(store, app, f"i{n}", due=NOW + n * SECOND) for n in range(4)]
        pks = [row.pk for row in rows]
        done = await store.sweep_chunk([*pks, 4711], NOW + SECOND, moving("over", notice=True), 10)
        assert [change.installation.pk for change in done.changes if change.installation] == pks[:2]
        assert (done.skipped, done.quarantined, list(done.left)) == (3, 0, [])
        assert await store.counts() == [("crm", "active", 2), ("crm", "over", 2)]
        assert len(await store.pending_notices(NOW, 9)) == 2
        assert list(await store.due(NOW + DAY, 9)) == [pks[2], pks[3]]

    async def test_the_budget_ends_a_chunk_but_one_row_is_always_taken(self, store: Store) -> None:
        app = await new_app(store)
        pks = [(await new_installation(store, app, f"i{n}", due=NOW)).pk for n in range(3)]
        somebody_waits, move_on = threading.Event(), moving("over")

        def work(found: Snapshot) -> Change:
            assert somebody_waits.wait(10)
            return move_on(found)

        chunk = asyncio.create_task(store.sweep_chunk(pks, NOW, work, -1))
        await asyncio.sleep(0)
        other = asyncio.create_task(store.close_lapsed_attempts(NOW, "expired"))
        await asyncio.sleep(0)
        somebody_waits.set()
        done, _ = await asyncio.gather(chunk, other)
        assert len(done.changes) == 1
        assert list(done.left) == pks[1:]

    async def test_a_chunk_goes_on_while_nobody_waits(self, store: Store) -> None:
        app = await new_app(store)
        pks = [(await new_installation(store, app, f"i{n}", due=NOW)).pk for n in range(3)]
        done = await store.sweep_chunk(pks, NOW, moving("over"), -1)
        assert (len(done.changes), list(done.left)) == (3, [])

    async def test_a_row_that_cannot_be_understood_is_set_aside_and_the_others_go_on(self, store: Store) -> None:
        app = await new_app(store)
        names = ["unknown", "refused", "odd", "good"]
        pks = [(await new_installation(store, app, name, due=NOW)).pk for name in names]

        def work(found: Snapshot) -> Change:
            assert found.installation is not None
            name = found.installation.public_id
            if name == "unknown":
                why = "nobody knows this state"
                raise Quarantined(why)
            if name == "refused":
                why = "not now"
                raise TransitionRefused(why)
            if name == "odd":
                why = "'martian' is not a valid kind"
                raise ValueError(why)
            return move(found, "over")

        done = await store.sweep_chunk(pks, NOW, work, 10)
        assert (len(done.changes), done.skipped, done.quarantined) == (1, 1, 2)
        unknown, odd = [await store.load(Load(installation=name)) for name in ("unknown", "odd")]
        assert unknown.quarantined == "nobody knows this state"
        assert odd.quarantined is not None
        assert unknown.installation is not None
        assert unknown.installation.quarantined
        again = await store.sweep_chunk(pks, NOW, work, 10)
        assert (len(again.changes), again.skipped, again.quarantined) == (0, 4, 0)

    async def test_a_row_that_cannot_be_written_does_not_stop_the_others(self, store: Store) -> None:
        app = await new_app(store)
        pks = [(await new_installation(store, app, f"i{n}", due=NOW)).pk for n in range(3)]

        def work(found: Snapshot) -> Change:
            change = move(found, "over")
            if found.installation is not None and found.installation.public_id == "i1":
                change.transitions[0].version = 1  # as if the row had been set back by hand
            return change

        done = await store.sweep_chunk(pks, NOW, work, 10)
        assert (len(done.changes), done.quarantined) == (2, 1)
        assert (await store.load(Load(installation="i1"))).quarantined is not None
        assert await store.counts() == [("crm", "active", 1), ("crm", "over", 2)]

    async def test_attempts_without_installation_are_closed_when_their_time_is_over(self, store: Store) -> None:
        app = await new_app(store)
        row = await new_installation(store, app, "i1")
        opened = [
            attempt(app, "early", ends=NOW - 1),
            attempt(app, "sharp", ends=NOW),
            attempt(app, "later", ends=NOW + 1),
            attempt(app, "bound", ends=NOW - 1, installation_pk=row.pk),
        ]
        await store.transact(Load(), lambda _: Change(new_attempts=opened))
        assert await store.next_due(None) == NOW - 1
        assert await store.close_lapsed_attempts(NOW, "expired") == 2
        assert await store.close_lapsed_attempts(NOW, "expired") == 0
        found = [(await store.load(Load(attempt=one.public_id))).attempt for one in opened]
        assert [one.outcome for one in found if one is not None] == ["expired", "expired", None, None]

    async def test_quarantine_keeps_the_first_reason(self, store: Store) -> None:
        app = await new_app(store)
        row = await new_installation(store, app, "i1", due=NOW)
        await store.quarantine(row.pk, "first", NOW)
        await store.quarantine(row.pk, "second", NOW)
        assert (await store.load(Load(installation="i1"))).quarantined == "first"


class ReadingContract:
    """Lists, bounds and orders."""

    async def test_history_is_newest_first_below_a_version(self, store: Store) -> None:
        row = await new_installation(store, await new_app(store), "i1")
        for n in range(5):
            await store.transact(Load(installation="i1"), moving(f"s{n}"))
        assert [step.version for step in await store.history(row.pk, 2, None)] == [6, 5]
        assert [step.version for step in await store.history(row.pk, 9, 3)] == [2, 1]

    async def test_due_rows_come_by_key_and_the_earliest_where_there_are_more(self, store: Store) -> None:
        crm, erp = await new_app(store, "crm"), await new_app(store, "erp")
        late = await new_installation(store, crm, "late", due=NOW)
        early = await new_installation(store, erp, "early", due=NOW - SECOND)
        await new_installation(store, crm, "future", due=NOW + SECOND)
        await new_installation(store, crm, "never")
        assert late.pk < early.pk
        assert list(await store.due(NOW, 9)) == [late.pk, early.pk]
        assert list(await store.due(NOW, 1)) == [early.pk]
        assert list(await store.due(NOW, 9, {erp.pk})) == [late.pk]
        assert (await store.overdue(NOW, 9), await store.overdue(NOW, 1)) == (2, 1)
        assert sorted(await store.due_by_app(NOW)) == [(crm.pk, "crm", 1), (erp.pk, "erp", 1)]
        assert await store.next_due(None) == NOW - SECOND
        assert await store.next_due(NOW) == NOW + SECOND

    async def test_nothing_waits_in_an_empty_store(self, store: Store) -> None:
        assert await store.next_due(None) is None
        assert (list(await store.due(NOW, 9)), await store.counts(), await store.apps()) == ([], [], [])
        assert await store.load(Load(installation="nobody")) == Snapshot()

    async def test_the_horizon_counts_between_edges(self, store: Store) -> None:
        app = await new_app(store)
        for n, due in enumerate([0, 0, DAY, 2 * DAY, 3 * DAY]):
            await new_installation(store, app, f"i{n}", due=NOW + due)
        assert await store.horizon([NOW + n * DAY for n in range(4)], SHIPPED.live) == [2, 1, 1]

    async def test_notices_wait_oldest_first_until_settled(self, store: Store) -> None:
        app = await new_app(store)
        for name in ("i1", "i2"):
            await new_installation(store, app, name)
            await store.transact(Load(installation=name), moving("over", event=f"{name}-moved", notice=True))
        pending = await store.pending_notices(NOW, 9)
        assert [(one.installation, one.row.name) for one in pending] == [("i1", "i1-moved"), ("i2", "i2-moved")]
        await store.settle_notices([pending[0].pk], [], NOW)
        assert [one.installation for one in await store.pending_notices(NOW, 9)] == ["i2"]

    async def test_actions_come_newest_first_below_a_key(self, store: Store) -> None:
        rows = [ActionRow(NOW, "op", True, verb, "t", "because", 3, "applied", "") for verb in "abc"]
        for row in rows:
            await store.transact(Load(), lambda _, row=row: Change(action=row))  # type: ignore[misc]
        found = await store.actions(2, None)
        assert [row.verb for _, row in found] == ["c", "b"]
        assert [row.verb for _, row in await store.actions(9, found[-1][0])] == ["a"]

    async def test_attempts_come_newest_first(self, store: Store) -> None:
        app = await new_app(store)
        row = await new_installation(store, app, "i1")
        opened = [attempt(app, f"a{n}", ends=NOW, installation_pk=row.pk) for n in range(3)]
        await store.transact(Load(), lambda _: Change(new_attempts=opened))
        assert [one.public_id for one in await store.attempts(row.pk, 2)] == ["a2", "a1"]
        found = await store.load(Load(code_hash=b"a1"))
        assert found.attempt == opened[1]

    async def test_consents_are_the_actors_own_until_voided(self, store: Store) -> None:
        app = await new_app(store)
        row = await new_installation(store, app, "i1")
        consent = ConsentRow(
            app.pk, row.account, "agent", row.subject_id, "agent", "bob", "1.0", "a b", "a", "b", NOW
        )
        await store.transact(
            Load(installation="i1"), lambda found: Change(installation=found.installation, consents=[consent])
        )
        asked = [Load(installation="i1", consents_of=Actor.agent(name)) for name in ("bob", "eve")]
        assert [(await store.load(load)).approved for load in asked] == [frozenset("a"), frozenset()]
        await store.transact(
            Load(installation="i1"), lambda found: Change(installation=found.installation, void_consents=True)
        )
        assert (await store.load(asked[0])).approved == frozenset()

    async def test_a_credential_is_spent_once(self, store: Store) -> None:
        app = await new_app(store)
        row = await new_installation(store, app, "i1")
        tokens = TokenRow(row.pk, "fam", 1, "a", NOW, NOW + DAY, None, None)
        credential = CredentialRow(b"h", row.pk, "refresh", "fam", 1, app.client_id, None)
        await store.transact(
            Load(installation="i1"),
            lambda found: Change(installation=found.installation, tokens=tokens, new_credentials=[credential]),
        )
        found = await store.load(Load(credential=b"h"))
        assert (found.tokens, found.credential) == (tokens, credential)

        def spend(found: Snapshot) -> Change:
            return Change(installation=found.installation, spent_credential=b"h")

        done = await asyncio.gather(
            *(store.transact(Load(credential=b"h"), spend) for _ in range(3)), return_exceptions=True
        )
        assert sorted(type(one).__name__ for one in done) == ["Change", "Conflict", "Conflict"]

    async def test_closing_twice_is_closing_once_and_later_calls_are_refused(self, store: Store) -> None:
        await store.close()
        await store.close()
        with pytest.raises(DatabaseError):
            await store.transact(Load(), lambda _: Change())
        with pytest.raises(DatabaseError):
            await store.counts()
