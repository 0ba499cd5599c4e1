"""Operators' verbs × every kind of actor: operators alone, on the record either way; the host's policy may forbid."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from grantflow import Actor, ActorKind, Engine, Installation, Refusal
from grantflow.errors import (
    BadInput,
    DatabaseError,
    GrantflowError,
    KeysMissing,
    NotFound,
    PermissionDenied,
    TransitionRefused,
)
from tests.client.stage import BOB, CAROL, MARIA, OPS, SYSTEM, Stage, on_stage
from tests.journeys.stage import checksum

WHY = "a reason that is long enough"
EVERYBODY = {
    "admin": MARIA,
    "foreign admin": Actor.admin("mallory"),
    "agent": BOB,
    "foreign agent": CAROL,
    "user": Actor.user("bob"),
    "app": Actor.app("crm"),
    "operator": OPS,
    "system": SYSTEM,
}


@dataclass
class Here:
    """A live installation with an open attempt beside it."""

    stage: Stage
    id: str
    attempt: str

    @property
    def engine(self) -> Engine:
        return self.stage.engine


Verb = Callable[[Here, Actor], Awaitable[object]]
VERBS: dict[str, Verb] = {
    "force": lambda h, a: h.engine.ops.force(h.id, to="refresh-expired", actor=a, reason=WHY),
    "preview_force": lambda h, a: h.engine.ops.preview_force(h.id, to="refresh-expired", actor=a, reason=WHY),
    "probe": lambda h, a: h.engine.ops.probe(h.id, actor=a, reason=WHY),
    "remind": lambda h, a: h.engine.ops.remind(h.id, actor=a, reason=WHY),
    "repair": lambda h, a: h.engine.ops.repair(h.id, actor=a, reason=WHY),
    "cancel_attempt": lambda h, a: h.engine.ops.cancel_attempt(h.attempt, actor=a, reason=WHY),
    "release_sweep": lambda h, a: h.engine.ops.release_sweep("crm", actor=a, reason=WHY),
    "close_incident": lambda h, a: h.engine.ops.close_incident("crm", actor=a, reason=WHY),
    "pause": lambda h, a: h.engine.ops.pause(actor=a, reason=WHY),
    "resume": lambda h, a: h.engine.ops.resume(actor=a, reason=WHY),
    "run_sweep": lambda h, a: h.engine.ops.run_sweep(actor=a, reason=WHY),
    "retry_notices": lambda h, a: h.engine.ops.retry_notices(actor=a, reason=WHY),
    "reconcile_counts": lambda h, a: h.engine.ops.reconcile_counts(actor=a, reason=WHY),
    "rotate_keys": lambda h, a: h.engine.ops.rotate_keys(actor=a, reason=WHY),
    "preview_bulk": lambda h, a: h.engine.ops.preview_bulk("app:crm", "suspend", actor=a, reason=WHY),
    "pause_job": lambda h, a: h.engine.ops.pause_job("some job", actor=a, reason=WHY),
    "resume_job": lambda h, a: h.engine.ops.resume_job("some job", actor=a, reason=WHY),
    "cancel_job": lambda h, a: h.engine.ops.cancel_job("some job", actor=a, reason=WHY),
    "retry_job": lambda h, a: h.engine.ops.retry_job("some job", actor=a, reason=WHY),
    "hold": lambda h, a: h.engine.apps.hold("crm", actor=a, reason=WHY),
    "release": lambda h, a: h.engine.apps.release("crm", actor=a, reason=WHY),
    "add_secret": lambda h, a: h.engine.apps.add_secret("crm", "another secret", actor=a),
    "adopt": lambda h, a: h.engine.adopt("crm", account="bolt", actor=a, subject="zed", access_token="x" * 20),
    "admit": lambda h, a: h.engine.ops.admit("register", "crm", actor=a),
}
ELSEWHERE = {"hold", "release", "add_secret", "adopt"}
"""Verbs of operators that are not reached by `engine.ops`."""
PLATFORM_TOO = {"add_secret", "adopt"}
JOBS = {"pause_job", "resume_job", "cancel_job", "retry_job"}
NOT_YET = {"remind", "repair", "close_incident", "resume", *JOBS}
"""Refused to an operator too, in this situation: nobody has to act, nothing is broken or wrong, no job is there."""


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    async with on_stage(tmp_path) as stage:
        name = await stage.active()
        yield Here(stage, name, (await stage.engine.authorize("crm", actor=BOB, account="acme")).id)


def content(stage: Stage) -> list[tuple[object, ...]]:
    """Every row but the record of operators."""
    names = [name for (name,) in stage.sql("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
    return [(name, *row) for name in names if "action" not in name for row in stage.sql(f"SELECT * FROM {name}")]


async def recorded(stage: Stage) -> list[tuple[str, str]]:
    """(actor, outcome), oldest first."""
    return [(action.actor, action.outcome) for _, action in reversed(await stage.engine.ops.actions(limit=1000))]


def test_every_verb_of_ops_that_takes_an_actor_is_in_the_table() -> None:
    from inspect import getmembers, signature

    from grantflow._ops import Ops

    acting = {
        name
        for name, value in getmembers(Ops)
        if not name.startswith("_") and callable(value) and "actor" in signature(value).parameters
    }
    assert acting == set(VERBS) - ELSEWHERE


@pytest.mark.parametrize("verb", VERBS)
async def test_only_operators_may(here: Here, verb: str) -> None:
    refused = 0
    for name, actor in EVERYBODY.items():
        if actor.kind is ActorKind.OPERATOR or (verb in PLATFORM_TOO and actor.kind is ActorKind.SYSTEM):
            continue
        before, asked = content(here.stage), len(here.stage.server.asked)
        with pytest.raises(PermissionDenied):
            await VERBS[verb](here, actor)
        assert content(here.stage) == before, name
        assert len(here.stage.server.asked) == asked, name
        refused += 1
    assert refused >= 6
    try:
        await VERBS[verb](here, OPS)
    except PermissionDenied:
        pytest.fail("an operator may")
    except GrantflowError:
        assert verb in NOT_YET
    else:
        assert verb not in NOT_YET


@pytest.mark.parametrize("verb", sorted(PLATFORM_TOO))
async def test_the_platform_may_add_secrets_and_adopt_tokens(here: Here, verb: str) -> None:
    await VERBS[verb](here, SYSTEM)


@pytest.mark.parametrize("verb", VERBS)
async def test_a_refused_verb_is_on_the_record(here: Here, verb: str) -> None:
    for actor in EVERYBODY.values():
        if actor.kind in (ActorKind.OPERATOR, ActorKind.SYSTEM):
            continue
        before = len(await recorded(here.stage))
        with pytest.raises(PermissionDenied):
            await VERBS[verb](here, actor)
        assert (await recorded(here.stage))[before:] == [(str(actor), "refused")]


@pytest.mark.parametrize("verb", sorted(set(VERBS) - NOT_YET - {"admit"}))
async def test_what_an_operator_did_is_on_the_record(here: Here, verb: str) -> None:
    before = len(await recorded(here.stage))
    await VERBS[verb](here, OPS)
    assert (await recorded(here.stage))[before:][-1] == (
        str(OPS),
        "previewed" if verb.startswith("preview") else "applied",
    )


async def test_letting_an_operator_through_writes_nothing(here: Here) -> None:
    before = checksum(here.stage.path)
    await VERBS["admit"](here, OPS)
    assert checksum(here.stage.path) == before


@pytest.mark.parametrize("verb", ["adopt", "cancel_attempt"])
async def test_a_deed_that_could_not_be_put_on_the_record_is_not_done(here: Here, verb: str) -> None:
    """One transaction: here the record cannot be written, and so nothing is."""
    with closing(sqlite3.connect(here.stage.path)) as conn:
        conn.execute(
            "CREATE TRIGGER full BEFORE INSERT ON grantflow_action BEGIN SELECT RAISE(ABORT, 'no space left'); END"
        )
    before = content(here.stage)
    with pytest.raises(DatabaseError):
        await VERBS[verb](here, OPS)
    assert content(here.stage) == before


NOT_POSSIBLE: dict[str, Verb] = {
    "force": lambda h, a: h.engine.ops.force(h.id, to="active", actor=a, reason=WHY),
    "remind": VERBS["remind"],
    "repair": VERBS["repair"],
    "close_incident": VERBS["close_incident"],
    "resume": VERBS["resume"],
    **{verb: VERBS[verb] for verb in sorted(JOBS)},
    "cancel_attempt": lambda h, a: h.engine.ops.cancel_attempt("no such attempt", actor=a, reason=WHY),
    "probe": lambda h, a: h.engine.ops.probe("no such installation", actor=a, reason=WHY),
    "preview_force": lambda h, a: h.engine.ops.preview_force("nobody's", to="active", actor=a, reason=WHY),
    "release_sweep": lambda h, a: h.engine.ops.release_sweep("no such app", actor=a, reason=WHY),
    "hold": lambda h, a: h.engine.apps.hold("no such app", actor=a, reason=WHY),
    "release": lambda h, a: h.engine.apps.release("no such app", actor=a, reason=WHY),
    "add_secret": lambda h, a: h.engine.apps.add_secret("no such app", "another secret", actor=a),
    "adopt": lambda h, a: h.engine.adopt("no such app", account="x", actor=a, subject="zed", access_token="x" * 20),
    "apps.install": lambda h, a: h.engine.apps.install("no such app", "acme", actor=a),
    "apps.uninstall": lambda h, a: h.engine.apps.uninstall("crm", "nowhere", actor=a),
    "apps.suspend": lambda h, a: h.engine.apps.suspend("crm", "nowhere", actor=a, reason=WHY),
    "apps.unsuspend": lambda h, a: h.engine.apps.unsuspend("crm", "acme", actor=a),
    "apps.upgrade": lambda h, a: h.engine.apps.upgrade("crm", "nowhere", "1.0", actor=a),
    "apps.upgrade to what": lambda h, a: h.engine.apps.upgrade("no such app", "acme", "1.0", actor=a),
    "apps.set_available": lambda h, a: h.engine.apps.set_available("crm", "nowhere", True, actor=a),
}


def test_every_operators_verb_can_be_impossible() -> None:
    assert set(VERBS) - set(NOT_POSSIBLE) == {
        *("rotate_keys", "admit", "pause", "retry_notices", "reconcile_counts", "preview_bulk", "run_sweep")
    }


@pytest.mark.parametrize("verb", NOT_POSSIBLE)
async def test_an_attempt_that_was_not_possible_is_on_the_record(here: Here, verb: str) -> None:
    before, rows = len(await recorded(here.stage)), content(here.stage)
    with pytest.raises(GrantflowError) as caught:
        await NOT_POSSIBLE[verb](here, OPS)
    assert (await recorded(here.stage))[before:] == [(str(OPS), "refused")]
    _, newest = (await here.engine.ops.actions(limit=1))[0]
    assert newest.detail.endswith(str(caught.value))
    assert content(here.stage) == rows


async def test_keys_that_are_missing_are_on_the_record(tmp_path: Path) -> None:
    async with Engine.open(f"sqlite:///{tmp_path / 'g.db'}") as engine:
        with pytest.raises(KeysMissing):
            await engine.ops.rotate_keys(actor=OPS, reason=WHY)
        assert [action.outcome for _, action in await engine.ops.actions()] == ["refused"]


@pytest.mark.parametrize("name", ["\ud800", "\x1b[2J", "x" * 100_000, "", "'; --"])
async def test_a_hostile_target_is_on_the_record_too(here: Here, name: str) -> None:
    """Where the name is no text at all, an operator's argument is malformed, and that is no deed."""
    for actor in (Actor.user("mallory"), OPS):
        before = len(await recorded(here.stage))
        with pytest.raises(GrantflowError) as caught:
            await here.engine.ops.remind(name, actor=actor, reason=WHY)
        deeds = [] if isinstance(caught.value, BadInput) else [(str(actor), "refused")]
        assert (await recorded(here.stage))[before:] == deeds
        assert deeds or (name, actor) == ("\ud800", OPS)


@pytest.mark.parametrize("event", ["unsuspend", "disconnect", "exchange_ok", "no_such_event"])
async def test_an_event_that_an_operator_is_refused_is_on_the_record(here: Here, event: str) -> None:
    before, lines = content(here.stage), len(await recorded(here.stage))
    with pytest.raises(TransitionRefused):
        await here.engine.send(here.id, event, actor=OPS, reason=WHY)
    assert content(here.stage) == before
    assert (await recorded(here.stage))[lines:] == [(str(OPS), "refused")]
    with pytest.raises(TransitionRefused):
        await here.engine.send(here.id, event, actor=CAROL)
    assert len(await recorded(here.stage)) == lines + 1, "a person is no operator"


# -- the host's policy ----------------------------------------------------------------------------
PEOPLE: dict[str, tuple[Actor, Verb]] = {
    "suspend": (MARIA, lambda h, a: h.engine.suspend(h.id, actor=a, reason=WHY)),
    "unsuspend": (MARIA, lambda h, a: h.engine.unsuspend(h.id, actor=a)),
    "disconnect": (BOB, lambda h, a: h.engine.disconnect(h.id, actor=a)),
    "uninstall": (MARIA, lambda h, a: h.engine.uninstall(h.id, actor=a)),
    "send": (MARIA, lambda h, a: h.engine.send(h.id, "suspend", actor=a)),
    "apps.install": (MARIA, lambda h, a: h.engine.apps.install("crm", "acme", actor=a)),
    "apps.uninstall": (MARIA, lambda h, a: h.engine.apps.uninstall("crm", "acme", actor=a)),
    "apps.suspend": (MARIA, lambda h, a: h.engine.apps.suspend("crm", "acme", actor=a, reason=WHY)),
    "apps.unsuspend": (MARIA, lambda h, a: h.engine.apps.unsuspend("crm", "acme", actor=a)),
    "apps.upgrade": (MARIA, lambda h, a: h.engine.apps.upgrade("crm", "acme", "1.0", actor=a)),
    "apps.set_available": (MARIA, lambda h, a: h.engine.apps.set_available("crm", "acme", True, actor=a)),
    "authorize": (BOB, lambda h, a: h.engine.authorize("crm", actor=a, account="acme")),
    "reauthorize": (BOB, lambda h, a: h.engine.reauthorize(h.id, actor=a)),
    "cancel": (BOB, lambda h, a: h.engine.cancel(h.attempt, actor=a)),
    "refuse": (BOB, lambda h, a: h.engine.refuse(h.attempt, actor=a)),
    "select_account": (BOB, lambda h, a: h.engine.select_account(h.attempt, "acme", actor=a)),
    "install, by its own subject": (
        CAROL,
        lambda h, a: h.engine.install("crm", account="acme", subject=a, actor=a),
    ),
}


def forbidding(here: Here, monkeypatch: pytest.MonkeyPatch, answer: bool | Refusal) -> list[tuple[Actor, str]]:
    """From now on the policy says no; what it was asked is noted."""
    asked: list[tuple[Actor, str]] = []

    def policy(actor: Actor, verb: str, _: Installation | None) -> bool | Refusal:
        asked.append((actor, verb))
        return answer

    monkeypatch.setattr(here.engine._core, "policy", policy)
    return asked


@pytest.mark.parametrize("answer", [False, Refusal("not on a Sunday")], ids=["False", "Refusal"])
@pytest.mark.parametrize("verb", VERBS)
async def test_a_policy_that_refuses_stops_an_operator(
    here: Here, verb: str, answer: bool | Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = forbidding(here, monkeypatch, answer)
    before = content(here.stage)
    with pytest.raises(PermissionDenied, match="Sunday" if isinstance(answer, Refusal) else "may not"):
        await VERBS[verb](here, OPS)
    assert content(here.stage) == before
    assert {actor for actor, _ in asked} == {OPS}
    assert (await recorded(here.stage))[-1] == (str(OPS), "refused")


@pytest.mark.parametrize("verb", ["install", "uninstall", "unsuspend", "upgrade", "set_available"])
async def test_what_a_policy_refuses_an_operator_of_an_account_is_on_the_record(
    here: Here, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbidding(here, monkeypatch, False)
    before = content(here.stage)
    with pytest.raises(PermissionDenied):
        await PEOPLE[f"apps.{verb}"][1](here, OPS)
    assert content(here.stage) == before
    assert (await recorded(here.stage))[-1] == (str(OPS), "refused")


@pytest.mark.parametrize("verb", PEOPLE)
async def test_a_policy_that_refuses_stops_people(here: Here, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    actor, call = PEOPLE[verb]
    asked = forbidding(here, monkeypatch, Refusal("not on a Sunday"))
    before = checksum(here.stage.path)
    with pytest.raises(PermissionDenied, match="Sunday"):
        await call(here, actor)
    assert checksum(here.stage.path) == before
    assert {actor for actor, _ in asked} == {actor}


async def test_a_policy_cannot_allow_what_the_role_forbids(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    forbidding(here, monkeypatch, True)
    for verb, call in VERBS.items():
        with pytest.raises(PermissionDenied):
            await call(here, Actor.user("mallory"))
        assert verb


async def test_an_operator_cancels_somebodys_attempt_through_ops_alone(here: Here) -> None:
    for verb in (here.engine.cancel, here.engine.refuse):
        with here.stage.refused(NotFound):
            await verb(here.attempt, actor=OPS)
    await here.engine.ops.cancel_attempt(here.attempt, actor=OPS, reason=WHY)
