"""A thousand random operations through the front door, and what must hold after any of them."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow import Actor, AppKind, GrantflowError, Returned, Tokens, Version
from grantflow.testing import sample_app
from tests.journeys.stage import BOB, CAROL, MARIA, MAX, OPS, SOLO, UMA, Stage, on_stage

OPERATIONS = 1_000
EVERY = 50
ACTORS = {"account-app": (MARIA, MAX), "agent-app": (BOB, CAROL, MARIA), "external-app": (UMA, SOLO)}
EVERYBODY = (MARIA, MAX, BOB, CAROL, UMA, SOLO, OPS, Actor.system())
ACCOUNTS = ("acme", "globex")
EVENTS = ("disconnect", "uninstall", "suspend", "unsuspend", "revoked_upstream", "security_event", "cancel", "refuse")
SPANS = (1, 30, 61, 300, 601, 3600, 86_400, 40 * 86_400, 200 * 86_400)
SEEDS = (1, 2, 3)
WHY = "drawn by lot"
VERSIONS = (
    Version("1.0", ("tickets.read", "tickets.write"), ("people.read",)),
    Version("2.0", ("tickets.read", "tickets.write", "notes.write"), ("people.read",), blocking=True),
)


@dataclass
class Monkey:
    """Draws operations; remembers what people and apps would hold in their hands."""

    stage: Stage
    chance: random.Random
    attempts: list[tuple[str, str, Actor]] = field(default_factory=list)
    chosen: list[tuple[str, str, Actor]] = field(default_factory=list)
    codes: list[tuple[str, Returned]] = field(default_factory=list)
    tokens: list[tuple[str, Tokens]] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    generations: dict[str, int] = field(default_factory=dict)

    async def step(self) -> None:
        """One random operation; whatever it raises is an error of ours."""
        operations: list[Callable[[], Awaitable[object]]] = [
            *([self.open] * 4),
            *([self.select] * 6),
            *([self.agree] * 6),
            *([self.redeem] * 6),
            *([self.renew] * 2),
            *([self.wait] * 2),
            *([self.call] * 2),
            *([self.event] * 4),
            self.reopen,
            self.give_up,
            self.force,
            self.sweep,
            self.parent,
        ]
        chosen = self.chance.choice(operations)
        name = getattr(chosen, "__name__", "")
        try:
            await chosen()
            self.done[name] += 1
        except GrantflowError:
            self.refused[name] += 1

    def installation(self) -> str:
        """One that exists, or a made-up id."""
        known = self.stage.sql("SELECT public_id FROM grantflow_installation ORDER BY pk DESC LIMIT 12")
        return self.chance.choice(known)[0] if known else "nothing"

    async def open(self) -> None:
        """Open a window."""
        app = self.chance.choice([*ACTORS])
        actor = self.chance.choice(ACTORS[app])
        request: dict[str, Any] = {"account": self.chance.choice(ACCOUNTS)} if self.chance.random() < 0.3 else {}
        attempt = await self.stage.open(app, actor, **request)
        self.attempts.append((attempt.id, app, actor))

    async def reopen(self) -> None:
        """Open a window for something that exists."""
        actor = self.chance.choice(EVERYBODY)
        attempt = await self.stage.reopen(self.installation(), actor)
        self.attempts.append((attempt.id, attempt.app, actor))

    def attempt(self) -> tuple[str, str, Actor]:
        """A recent attempt."""
        return self.chance.choice(self.attempts[-8:] or [("nothing", "agent-app", BOB)])

    async def select(self) -> None:
        """Look at the window, choose an account."""
        attempt, app, actor = self.attempt()
        await self.stage.engine.window(attempt, actor=actor)
        form = await self.stage.engine.select_account(attempt, self.chance.choice(ACCOUNTS), actor=actor)
        assert not {*form.approved} & {*form.awaiting}
        self.chosen.append((attempt, app, actor))

    async def agree(self) -> None:
        """Agree, sometimes to less."""
        attempt, app, actor = self.chance.choice(self.chosen[-2:] or self.attempts or [self.attempt()])
        scopes = None if self.chance.random() < 0.7 else ["tickets.read", "tickets.write"]
        self.codes.append((app, await self.stage.engine.agree(attempt, actor=actor, scopes=scopes)))

    async def redeem(self) -> None:
        """Exchange a recent code, sometimes twice."""
        if self.codes:
            app, returned = self.codes[-1] if self.chance.random() < 0.05 else self.codes.pop()
            self.tokens.append((app, await self.stage.redeem(app, returned)))

    async def renew(self) -> None:
        """Renew, sometimes with a spent token."""
        if self.tokens:
            app, tokens = self.chance.choice(self.tokens[-4:])
            self.tokens.append((app, await self.stage.renew(app, tokens)))

    async def give_up(self) -> None:
        """Cancel or refuse."""
        attempt, _, actor = self.attempt()
        engine = self.stage.engine
        await self.chance.choice([engine.cancel, engine.refuse])(attempt, actor=actor)

    async def call(self) -> None:
        """A REST call."""
        if self.tokens:
            await self.stage.call(self.chance.choice(self.tokens[-6:])[1])

    async def event(self) -> None:
        """Any event by anybody."""
        await self.stage.engine.send(
            self.installation(), self.chance.choice(EVENTS), actor=self.chance.choice(EVERYBODY), reason=WHY
        )

    async def force(self) -> None:
        """An operator moves a row by hand."""
        target = self.chance.choice(["unauthorized", "refresh-expired", "active", "uninstalled", "consented"])
        await self.stage.engine.ops.force(self.installation(), to=target, actor=OPS, reason=WHY)

    async def sweep(self) -> None:
        """The scheduler comes by."""
        await self.stage.engine.sweep()

    async def wait(self) -> None:
        """Time passes."""
        self.stage.clock.advance(
            timedelta(seconds=self.chance.choice(SPANS if self.chance.random() < 0.2 else SPANS[:3]))
        )

    async def parent(self) -> None:
        """An admin does something for the whole account, or an operator for the app."""
        apps, app, account = self.stage.engine.apps, self.chance.choice([*ACTORS]), self.chance.choice(ACCOUNTS)
        draw = self.chance.randrange(9)
        if draw == 0:
            await apps.uninstall(app, account, actor=MARIA)
        elif draw <= 2:
            await apps.install(app, account, actor=MARIA)
        elif draw == 3:
            await apps.suspend(app, account, actor=MARIA, reason=WHY)
        elif draw == 4:
            await apps.unsuspend(app, account, actor=MARIA)
        elif draw == 5:
            await apps.set_available(app, account, self.chance.random() < 0.5, actor=MARIA)
        elif draw == 6:
            await apps.upgrade(app, account, self.chance.choice(["1.0", "2.0"]), actor=MARIA)
        elif draw == 7:
            await apps.hold(app, actor=OPS, reason=WHY)
        else:
            await apps.release(app, actor=OPS, reason=WHY)

    # -- what must hold -------------------------------------------------------------------------
    async def check(self) -> None:
        """Everything at once."""
        await self.counters()
        self.trails()
        self.secrets()
        self.waiting()
        await self.views()
        await self.forms()

    async def counters(self) -> None:
        """The maintained counters are what counting would find."""
        recount: dict[str, Counter[str]] = defaultdict(Counter)
        joined = "grantflow_installation i JOIN grantflow_app a ON a.pk = i.app_pk"
        for app, state in self.stage.sql(f"SELECT a.key, i.state FROM {joined}"):
            recount[app][state] += 1
        counts = await self.stage.engine.counts()
        shown = {app: {state: n for state, n in states.items() if n} for app, states in counts.by_app.items()}
        assert {app: states for app, states in shown.items() if states} == {a: {**c} for a, c in recount.items()}
        assert {s: n for s, n in counts.by_state.items() if n} == {**sum(recount.values(), Counter[str]())}
        at = int(self.stage.clock.now().timestamp() * 1_000_000)
        overdue = self.stage.sql("SELECT COUNT(*) FROM grantflow_installation WHERE due_at <= ?", at)
        assert [(counts.overdue,)] == overdue

    def trails(self) -> None:
        """Invariants 3, 7 and 9: the state is the fold of the trail, which has no gap and goes on after no end."""
        trail = defaultdict(list)
        lines = "SELECT installation_pk, version, source, target FROM grantflow_transition ORDER BY 1, 2"
        for pk, *line in self.stage.sql(lines):
            trail[pk].append(line)
        rows = self.stage.sql("SELECT pk, public_id, version, state, generation FROM grantflow_installation")
        assert {pk for pk, *_ in rows} == {*trail}
        for pk, key, version, state, generation in rows:
            steps = trail[pk]
            assert [step[0] for step in steps] == [*range(1, version + 1)]
            assert [step[1] for step in steps] == [None, *(step[2] for step in steps[:-1])]
            assert steps[-1][2] == state
            assert "uninstalled" not in [step[1] for step in steps]
            assert generation >= self.generations.get(key, 0)
            self.generations[key] = generation

    def secrets(self) -> None:
        """Invariant 2: no secret stays where there is no grant."""
        for table in ("credential", "token_set"):
            left = self.stage.sql(
                f"SELECT i.state FROM grantflow_{table} t JOIN grantflow_installation i ON i.pk = t.installation_pk "
                "WHERE i.state IN ('unauthorized', 'account-selected', 'consented', 'uninstalled')"
            )
            assert left == []

    def waiting(self) -> None:
        """Invariants 16 and 17: what waits has an open attempt and a date; a dead grant with one is Z."""
        rows = self.stage.sql(
            "SELECT i.state, i.due_at, (SELECT COUNT(*) FROM grantflow_attempt a "
            "WHERE a.installation_pk = i.pk AND a.outcome IS NULL) FROM grantflow_installation i"
        )
        for state, due_at, still_open in rows:
            if state in {"account-selected", "consented", "reauthorizing"}:
                assert still_open > 0, state
                assert due_at is not None
            if state in {"refresh-expired", "uninstalled"}:
                assert still_open == 0, state
            assert still_open <= 5

    async def views(self) -> None:
        """Invariant 1: what *usable* means, from the raw rows."""
        now, engine = self.stage.clock.now(), self.stage.engine
        rows = self.stage.sql(
            "SELECT i.public_id, i.state, i.suspended_by, i.granted, p.removed_at, p.suspended_by, p.app_version, "
            "a.held_by, a.kind FROM grantflow_installation i JOIN grantflow_app a ON a.pk = i.app_pk "
            "LEFT JOIN grantflow_parent p ON p.app_pk = i.app_pk AND p.account = i.account"
        )
        for key, state, own, granted, removed, above, version, held, _ in rows:
            found = await engine.get(key)
            in_time = found.expires_at is None or now < found.expires_at
            running = next(known for known in VERSIONS if known.name == version)
            blocked = running.blocking and not {*running.required} <= {*granted.split()}
            stops = (own, removed, above, held)
            expected = state == "active" and in_time and not blocked and all(stop is None for stop in stops)
            assert found.usable == expected, found
            assert found.stored_state == state
            assert (found.state != "active") or in_time

    async def forms(self) -> None:
        """Invariant 13: approved and awaiting are disjoint and sum to the request."""
        for attempt, _, actor in self.attempts[-20:]:
            try:
                form = await self.stage.engine.form(attempt, actor=actor)
            except GrantflowError:
                continue
            ((requested,),) = self.stage.sql("SELECT requested FROM grantflow_attempt WHERE public_id=?", attempt)
            assert sorted([*form.approved, *form.awaiting]) == sorted(requested.split())


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_must_hold_after_any_operation(seed: int, tmp_path: Path) -> None:
    async with on_stage(tmp_path) as stage:
        await stage.put(*(sample_app(kind.value, versions=VERSIONS) for kind in AppKind))
        monkey = Monkey(stage, random.Random(seed))
        for number in range(OPERATIONS):
            await monkey.step()
            if number % EVERY == 0:
                await monkey.check()
        await monkey.check()
    tried = {*monkey.done, *monkey.refused}
    assert {"open", "select", "agree", "redeem", "renew", "force", "event", "sweep", "parent"} <= tried
    rare = {name: monkey.done[name] for name in ("select", "agree", "event") if monkey.done[name] < 5}
    assert len(monkey.tokens) >= 15
    assert rare == {}, "the lot never got far enough to prove anything"
