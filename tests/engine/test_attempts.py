"""Attempts beside each other, over, late, of other people; and what stands above an installation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from itertools import combinations, combinations_with_replacement
from pathlib import Path

import pytest

from grantflow import Account, Actor, GrantflowError, Returned, Settings, Version
from grantflow.errors import (
    DirectoryUnavailable,
    InvalidGrant,
    NotFound,
    PermissionDenied,
    TransitionRefused,
    Unauthorized,
)
from grantflow.testing import sample_app
from tests.journeys.stage import BOB, CAROL, MALLORY, MARIA, MAX, MINUTE, OPS, YEAR, Stage, on_stage

APP = "account-app"
SCRIPTS = (("select", "agree", "redeem"), ("select", "agree", "cancel"), ("select", "refuse"), ("cancel",))
ENDS = {"redeem": "completed", "cancel": "cancelled", "refuse": "refused"}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage of its own for each test."""
    async with on_stage(tmp_path) as made:
        yield made


# -- two at once ------------------------------------------------------------------------------------
def interleavings(left: Sequence[str], right: Sequence[str]) -> list[list[tuple[int, str]]]:
    """Every order of two scripts that keeps each one's own order."""
    found = []
    for places in combinations(range(len(left) + len(right)), len(left)):
        steps = {0: iter(left), 1: iter(right)}
        order = [0 if at in places else 1 for at in range(len(left) + len(right))]
        found.append([(who, next(steps[who])) for who in order])
    return found


class Model:
    """What two attempts do to one installation, said in a few lines."""

    def __init__(self, grant: str) -> None:
        self.grant = grant
        self.tied = [False, False] if grant == "none" else [True, True]
        self.step = [1, 1]
        self.outcome: list[str | None] = [None, None]

    def play(self, who: int, verb: str) -> bool:
        """Whether the step is taken."""
        if self.outcome[who] is not None:
            return False
        if verb in ENDS:
            self.outcome[who] = ENDS[verb]
        else:
            self.tied[who], self.step[who] = True, {"select": 2, "agree": 3}[verb]
        if verb == "redeem":
            self.grant = "live"
            if self.tied[1 - who] and self.outcome[1 - who] is None:
                self.outcome[1 - who] = "superseded"
        return True

    @property
    def state(self) -> str:
        """Where the installation stands."""
        steps = [self.step[who] for who in (0, 1) if self.tied[who] and self.outcome[who] is None]
        if self.grant == "live":
            return "active"
        if self.grant == "dead":
            return "reauthorizing" if steps else "refresh-expired"
        return {1: "unauthorized", 2: "account-selected", 3: "consented"}[max(steps, default=1)]


async def do(stage: Stage, verb: str, attempt: str, actor: Actor, held: dict[str, Returned]) -> None:
    """One step of a script."""
    engine = stage.engine
    if verb == "select":
        await engine.select_account(attempt, "acme", actor=actor)
    elif verb == "agree":
        held[attempt] = await engine.agree(attempt, actor=actor)
    elif verb == "redeem":
        await stage.redeem(APP, held[attempt])
    else:
        await (engine.cancel if verb == "cancel" else engine.refuse)(attempt, actor=actor)


@pytest.mark.parametrize("grant", ["none", "dead", "live"])
async def test_any_interleaving_ends_as_each_alone_would(stage: Stage, grant: str) -> None:
    """Invariant 18: the first that completes supersedes the other, and that is all they do to each other."""
    engine, actors, run = stage.engine, (MARIA, MAX), 0
    for scripts in combinations_with_replacement(SCRIPTS, 2):
        for order in interleavings(*scripts):
            label, run = f"run-{run}", run + 1
            if grant != "none":
                tokens = await stage.active(APP, MARIA, label=label)
                if grant == "dead":
                    await engine.send(tokens.installation, "revoked_upstream", actor=Actor.system())
            attempts = [(await stage.open(APP, who, account="acme", label=label)).id for who in actors]
            model, held = Model(grant), dict[str, Returned]()
            for who, verb in order:
                if model.play(who, verb):
                    await do(stage, verb, attempts[who], actors[who], held)
                elif verb != "redeem" or attempts[who] in held:
                    with pytest.raises((TransitionRefused, InvalidGrant)):
                        await do(stage, verb, attempts[who], actors[who], held)
                if any(model.tied):
                    found = await engine.get(APP, account="acme", label=label)
                    assert found.state == model.state, (scripts, order, who, verb)
            outcomes = dict(stage.sql("SELECT public_id, outcome FROM grantflow_attempt"))
            assert [outcomes[attempt] for attempt in attempts] == model.outcome, order


async def test_steps_sent_at_the_same_moment_are_taken_one_by_one(stage: Stage) -> None:
    first, second = await stage.agreed(APP, MARIA), await stage.agreed(APP, MAX)
    done = await asyncio.gather(
        stage.redeem(APP, first), stage.redeem(APP, second), stage.redeem(APP, first), return_exceptions=True
    )
    assert sum(not isinstance(answer, BaseException) for answer in done) == 1
    assert all(isinstance(answer, InvalidGrant) for answer in done if isinstance(answer, BaseException))


# -- one of many ------------------------------------------------------------------------------------
async def test_five_attempts_are_open_and_the_oldest_makes_room(stage: Stage) -> None:
    forms = [await stage.form(APP, MARIA) for _ in range(7)]
    found = await stage.engine.get(APP, account="acme")
    assert found.open_attempts == 5
    known = {attempt.id: attempt.outcome for attempt in await stage.engine.attempts(found.id)}
    assert [known[form.attempt] for form in forms] == ["superseded"] * 2 + [None] * 5
    await stage.over(forms[0].attempt, MARIA)
    await stage.engine.agree(forms[2].attempt, actor=MARIA)


async def test_cancel_and_refuse_and_silence_keep_a_live_grant(stage: Stage) -> None:
    tokens = await stage.active(APP, MARIA)
    await stage.engine.cancel((await stage.form(APP, MARIA)).attempt, actor=MARIA)
    await stage.engine.refuse((await stage.form(APP, MAX)).attempt, actor=MAX)
    await stage.engine.cancel((await stage.agreed(APP, MAX)).attempt, actor=MAX)
    await stage.form(APP, MARIA)
    assert (await stage.engine.get(tokens.installation)).state == "active"
    stage.clock.advance(10 * MINUTE)
    await stage.engine.sweep()
    found = await stage.engine.get(tokens.installation)
    assert (found.state, found.usable, found.open_attempts) == ("active", True, 0)
    assert (await stage.call(tokens)).account == "acme"


async def test_a_sweep_closes_what_nobody_finished(stage: Stage) -> None:
    engine = stage.engine
    loose = await stage.open(APP, MARIA)
    form = await stage.form(APP, MARIA)
    stage.clock.advance(10 * MINUTE - timedelta(microseconds=1))
    assert (await engine.sweep()).attempts_closed == 0
    stage.clock.advance(timedelta(microseconds=1))
    await stage.over(loose.id, MARIA)
    assert (await engine.get(APP, account="acme")).state == "unauthorized", "read before any sweep"
    report = await engine.sweep()
    assert (report.moved, report.attempts_closed) == (1, 2)
    outcomes = dict(stage.sql("SELECT public_id, outcome FROM grantflow_attempt"))
    assert outcomes == {loose.id: "expired", form.attempt: "expired"}
    await stage.over(form.attempt, MARIA)
    with stage.refused(TransitionRefused):
        await engine.cancel(form.attempt, actor=MARIA)
    assert await engine.next_due() is None


async def test_a_second_scope_upgrade_beside_a_live_grant(stage: Stage) -> None:
    engine = stage.engine
    old = await stage.active("agent-app", BOB)
    await stage.put(
        sample_app(
            "agent",
            versions=(
                Version("1.0", ("tickets.read", "tickets.write"), ("people.read",)),
                Version("2.0", ("tickets.read", "tickets.write", "notes.write"), blocking=True),
            ),
        )
    )
    await engine.apps.upgrade("agent-app", "acme", "2.0", actor=MARIA)
    gap = await engine.get(old.installation)
    assert (gap.state, gap.usable, gap.scopes_missing) == ("active", False, ("notes.write",))
    assert (await engine.guidance(old.installation, viewer=BOB)).prompt == "AUTHORIZE"
    attempt = await stage.open("agent-app", BOB, account="acme")
    assert attempt.kind == "scope-upgrade"
    form = await engine.select_account(attempt.id, "acme", actor=BOB)
    assert form.awaiting == ("notes.write",)
    assert (await engine.get(old.installation)).state == "active", "the old grant stays"
    with stage.refused(TransitionRefused, match="own account"):
        await engine.select_account(attempt.id, "globex", actor=BOB)
    new = await stage.redeem("agent-app", await engine.agree(form.attempt, actor=BOB))
    assert (await engine.get(new.installation)).usable
    with stage.refused(Unauthorized):
        await stage.call(old)


async def test_an_attempt_belongs_to_one_person(stage: Stage) -> None:
    engine = stage.engine
    form = await stage.form("agent-app", BOB)
    for stranger in (CAROL, MARIA, MALLORY, OPS, Actor.app("agent-app"), Actor.admin("bob"), Actor.user("bob")):
        for verb in (engine.window, engine.form, engine.agree, engine.refuse, engine.cancel):
            with stage.refused(NotFound):
                await verb(form.attempt, actor=stranger)
        with stage.refused(NotFound):
            await engine.select_account(form.attempt, "acme", actor=stranger)


# -- the directory ----------------------------------------------------------------------------------
async def test_the_directory_is_asked_again_at_every_step(stage: Stage) -> None:
    engine = stage.engine
    attempt = await stage.open(APP, MARIA)
    await engine.window(attempt.id, actor=MARIA)
    stage.people.accounts[MARIA].remove("acme")
    with stage.refused(TransitionRefused, match="not among"):
        await engine.select_account(attempt.id, "acme", actor=MARIA)
    stage.people.accounts[MARIA].append("acme")
    await engine.select_account(attempt.id, "acme", actor=MARIA)
    stage.people.accounts[MARIA].remove("acme")
    with stage.refused(TransitionRefused, match="not among"):
        await engine.agree(attempt.id, actor=MARIA)
    stage.people.accounts[MARIA].append("acme")
    await engine.agree(attempt.id, actor=MARIA)


async def test_a_directory_that_fails_or_sleeps_stops_everything_that_needs_it(tmp_path: Path) -> None:
    asleep: list[str] = []
    never = asyncio.Event()

    async def directory(actor: Actor) -> list[Account]:
        if "failing" in asleep:
            raise ConnectionError("ldap://secret-host")
        if "sleeping" in asleep:
            await never.wait()
        return [Account(name, name.title(), actor.kind.value) for name in ("acme", "globex")]

    settings = Settings(directory_timeout=timedelta(milliseconds=20), synchronous="NORMAL")
    async with on_stage(tmp_path, directory=directory, settings=settings) as stage:
        engine, form = stage.engine, await stage.form(APP, MARIA)
        other = await stage.open(APP, MAX)
        for how in ("failing", "sleeping"):
            asleep[:] = [how]
            with stage.refused(DirectoryUnavailable):
                await engine.window(other.id, actor=MAX)
            with stage.refused(DirectoryUnavailable):
                await engine.select_account(other.id, "acme", actor=MAX)
            with stage.refused(DirectoryUnavailable):
                await engine.agree(form.attempt, actor=MARIA)
            with stage.refused(DirectoryUnavailable):
                await engine.apps.set_available(APP, "acme", True, actor=MARIA)
            with stage.refused(DirectoryUnavailable):
                await stage.open(APP, MAX, account="acme")
        asleep[:] = ["failing"]
        with pytest.raises(DirectoryUnavailable) as told:
            await engine.window(other.id, actor=MAX)
        assert "secret-host" not in str(told.value)
        assert told.value.retryable
        asleep.clear()
        await engine.agree(form.attempt, actor=MARIA)


# -- above an installation --------------------------------------------------------------------------
async def test_a_veto_stops_an_admins_install_update_and_uninstall(stage: Stage) -> None:
    apps = stage.engine.apps
    stage.vetoes.update(install="not in May", update="not on Fridays", uninstall="orders are open")
    with stage.refused(TransitionRefused, match="not in May"):
        await apps.install(APP, "acme", actor=MARIA)
    with stage.refused(TransitionRefused, match="not in May"):
        await stage.engine.install(APP, account="acme", actor=MARIA)
    with stage.refused(TransitionRefused, match="not on Fridays"):
        await apps.upgrade("agent-app", "acme", "1.0", actor=MARIA)
    with stage.refused(TransitionRefused, match="orders are open"):
        await apps.uninstall("agent-app", "acme", actor=MARIA)
    assert not (await apps.uninstall("agent-app", "acme", actor=Actor.system())).installed, "the platform may"


async def test_suspending_the_parent_stops_every_child_at_once(stage: Stage) -> None:
    apps = stage.engine.apps
    tokens = [await stage.active("agent-app", who) for who in (BOB, CAROL)]
    before = [await stage.engine.get(one.installation) for one in tokens]
    for stranger in (BOB, MALLORY):
        with stage.refused(PermissionDenied):
            await apps.suspend("agent-app", "acme", actor=stranger, reason="because")
    await apps.suspend("agent-app", "acme", actor=MARIA, reason="audit")
    for one, old in zip(tokens, before, strict=True):
        now = await stage.engine.get(one.installation)
        assert (now.state, now.usable, now.parent_suspended, now.version) == ("active", False, True, old.version)
        with stage.refused(Unauthorized):
            await stage.call(one)
        with stage.refused(InvalidGrant):
            await stage.renew("agent-app", one)
    with stage.on_record(PermissionDenied, match="admin side"):
        await apps.unsuspend("agent-app", "acme", actor=OPS)
    with stage.on_record(TransitionRefused, match="already"):
        await apps.suspend("agent-app", "acme", actor=OPS, reason="again")
    await apps.unsuspend("agent-app", "acme", actor=MARIA)
    with stage.refused(TransitionRefused, match="not suspended"):
        await apps.unsuspend("agent-app", "acme", actor=MARIA)
    assert (await stage.call(tokens[0])).subject == "bob"


async def test_uninstalling_the_parent_ends_every_child(stage: Stage) -> None:
    engine = stage.engine
    tokens = [await stage.active("agent-app", who) for who in (BOB, CAROL)]
    elsewhere = await stage.active("agent-app", BOB, "globex")
    open_form, waiting = await stage.form("agent-app", CAROL), await stage.open("agent-app", BOB)
    await engine.apps.uninstall("agent-app", "acme", actor=MARIA)
    for one in tokens:
        gone = await engine.get(one.installation)
        assert (gone.state, gone.usable) == ("uninstalled", False)
        with stage.refused(Unauthorized):
            await stage.call(one)
    await stage.over(open_form.attempt, CAROL)
    assert stage.sql("SELECT COUNT(DISTINCT installation_pk) FROM grantflow_credential") == [(1,)]
    assert (await stage.call(elsewhere)).account == "globex"
    with stage.refused(TransitionRefused, match="not installed"):
        await engine.select_account(waiting.id, "acme", actor=BOB)


async def test_a_held_app_stands_still_everywhere(stage: Stage) -> None:
    apps = stage.engine.apps
    tokens = await stage.active("agent-app", BOB)
    for stranger in (MARIA, BOB, Actor.system()):
        with stage.on_record(PermissionDenied):
            await apps.hold("agent-app", actor=stranger, reason="incident")
    await apps.hold("agent-app", actor=OPS, reason="incident 12")
    assert await apps.held() == {"agent-app": "incident 12"}
    found = await stage.engine.get(tokens.installation)
    assert (found.state, found.usable, found.app_held) == ("active", False, True)
    with stage.refused(Unauthorized):
        await stage.call(tokens)
    with stage.refused(InvalidGrant):
        await stage.renew("agent-app", tokens)
    await apps.release("agent-app", actor=OPS, reason="incident 12 is over")
    assert (await stage.call(tokens)).subject == "bob"
    stage.clock.advance(YEAR)
    with pytest.raises(GrantflowError):
        await stage.call(tokens)
