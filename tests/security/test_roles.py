"""Who may bring which event: every event of every chart × every kind of actor × every state, default deny."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow import Actor, ActorKind, Engine, definitions
from grantflow._decide import decide
from grantflow._rows import Change, Load
from grantflow.errors import EngineOnly, GrantflowError, TransitionRefused, UnknownEvent
from grantflow.testing import sample_app
from tests.journeys.stage import Stage, on_stage

OWNERS = {"account": Actor.admin("maria"), "agent": Actor.agent("bob"), "external": Actor.user("uma")}
ACTORS = {
    "an admin of the account": Actor.admin("maria"),
    "another admin of the account": Actor.admin("max"),
    "an admin of another account": Actor.admin("mallory"),
    "an admin of no account": Actor.admin("nobody"),
    "the agent": Actor.agent("bob"),
    "another agent of the account": Actor.agent("carol"),
    "an agent of another account": Actor.agent("mallory"),
    "the user": Actor.user("uma"),
    "a user of another account": Actor.user("mallory"),
    "an admin with the agent's name": Actor.admin("bob"),
    "a user with the agent's name": Actor.user("bob"),
    "an agent with the user's name": Actor.agent("uma"),
    "an agent with the account's name": Actor.agent("acme"),
    "the app": Actor.app("THE APP"),
    "another app": Actor.app("chat"),
    "an operator": Actor.operator("otto"),
    "an operator with the agent's name": Actor.operator("bob"),
    "the platform": Actor.system(),
}
STATES = (
    "unauthorized", "account-selected", "consented", "active", "refresh-expired", "reauthorizing", "uninstalled",
)  # fmt: skip

Role = Callable[[Actor, str], bool]


def owner(actor: Actor, kind: str) -> bool:
    """LIFECYCLE §4."""
    if kind == "account":
        return actor in (Actor.admin("maria"), Actor.admin("max"))
    if kind == "agent":
        return actor in (Actor.agent("bob"), Actor.admin("bob"))  # "an admin too, as themself"
    return actor == Actor.user("uma")


def opener(actor: Actor, kind: str) -> bool:
    return actor == OWNERS[kind]


def remover(actor: Actor, kind: str) -> bool:
    return actor in (Actor.admin("maria"), Actor.admin("max")) or actor.kind is ActorKind.SYSTEM or (
        kind != "account" and owner(actor, kind)
    )  # fmt: skip


def suspender(actor: Actor, kind: str) -> bool:
    admins = actor in (Actor.admin("maria"), Actor.admin("max"))
    return admins or actor.kind in (ActorKind.SYSTEM, ActorKind.OPERATOR)


def reporter(actor: Actor, kind: str) -> bool:
    return actor == Actor.app(f"{kind}-app") or actor.kind in (ActorKind.SYSTEM, ActorKind.OPERATOR)


ROLES: dict[str, Role] = {
    "authorize": owner,
    "reauthorize": owner,
    "select_account": opener,
    "agree": opener,
    "cancel": opener,  # an operator has engine.ops.cancel_attempt, with a reason
    "refuse": opener,
    "attempt_expired": lambda actor, _: actor.kind is ActorKind.SYSTEM,
    "expire": lambda actor, _: actor.kind is ActorKind.SYSTEM,
    "revoked_upstream": reporter,
    "security_event": reporter,
    "disconnect": owner,
    "uninstall": remover,
    "suspend": suspender,
    "unsuspend": suspender,
}
"""LIFECYCLE §3, told a second time."""
ENGINE_ONLY = {
    "attempt_failed", "callback_ok", "exchange_ok", "refresh_dead", "api_rejected", "code_replayed", "refresh_reused",
    "recovered", "parent_removed", "force",
}  # fmt: skip
INSIDE: dict[str, Role] = {
    "recovered": lambda actor, _: actor.kind is ActorKind.OPERATOR,
    "force": lambda actor, _: actor.kind is ActorKind.OPERATOR,
    "parent_removed": lambda actor, _: actor.kind is ActorKind.SYSTEM,
} | {
    name: lambda actor, _: actor.kind in (ActorKind.APP, ActorKind.SYSTEM)
    for name in ENGINE_ONLY - {"recovered", "force", "parent_removed"}
}
"""Who the chart lets bring what only the engine may ask for."""
THROUGH_THE_WINDOW = {"authorize", "reauthorize", "select_account", "agree"}


class Accepted(Exception):
    """The event would have been written; nothing was."""

    def __init__(self, change: Change) -> None:
        super().__init__("accepted")
        self.change = change


@dataclass
class Row:
    """One installation of one kind, in one state, with an open attempt of its owner where there can be one."""

    stage: Stage
    id: str
    kind: str
    state: str


async def put_into(stage: Stage, kind: str, state: str) -> Row:
    """Bring an installation into a state through the front door."""
    app, who = f"{kind}-app", OWNERS[kind]
    if state in ("active", "refresh-expired", "reauthorizing", "uninstalled"):
        name = (await stage.active(app, who)).installation
    else:
        returned = await stage.form(app, who)
        name = (await stage.engine.get(app, account="acme", subject=None if kind == "account" else who)).id
        if state == "consented":
            await stage.engine.agree(returned.attempt, actor=who)
        if state == "unauthorized":
            await stage.engine.cancel(returned.attempt, actor=who)
    if state in ("refresh-expired", "reauthorizing"):
        stage.clock.advance(timedelta(days=365))
        await stage.engine.sweep()
    if state == "uninstalled":
        await stage.engine.uninstall(name, actor=Actor.system())
    elif state == "reauthorizing":
        await stage.reopen(name, who)
    elif state in ("unauthorized", "active"):
        await stage.form(app, who) if state == "active" else await stage.open(app, who, account="acme")
    found = await stage.engine.get(name)
    assert found.stored_state == state
    return Row(stage, name, kind, state)


@pytest.fixture(params=[(kind, state) for kind in OWNERS for state in STATES], ids=lambda p: f"{p[0]}-{p[1]}")
async def row(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Row]:
    """A row whose engine decides and never writes."""
    async with on_stage(tmp_path) as stage:
        made = await put_into(stage, *request.param)
        store = stage.engine._core.store

        async def dry(load: Load, work: Callable[[Any], Change]) -> Change:
            change = work(await store.load(load))
            if change.action is not None and change.action.outcome == "refused":
                return change  # the line of the record about an operator who was refused
            raise Accepted(change)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store, "transact", dry)
            yield made


def actor_of(name: str, kind: str) -> Actor:
    """THE APP is the row's own."""
    return Actor.app(f"{kind}-app") if ACTORS[name].id == "THE APP" else ACTORS[name]


async def verdict(row: Row, event: str, actor: Actor) -> Change | GrantflowError:
    """What `send` makes of it."""
    try:
        await row.stage.engine.send(row.id, event, actor=actor, reason="for the matrix")
    except Accepted as done:
        return done.change
    except GrantflowError as error:
        return error
    raise AssertionError


def test_the_tables_of_this_test_name_every_event_of_every_chart() -> None:
    for kind, definition in definitions().items():
        assert kind in OWNERS
        assert set(definition.events) == set(ROLES) | ENGINE_ONLY
        assert set(definition.states) == set(STATES)
        assert set(definition.events) - set(definition.outside_events()) == ENGINE_ONLY
    assert {actor.kind for actor in ACTORS.values()} == set(ActorKind)


async def test_send_accepts_only_whom_the_charts_role_names(row: Row) -> None:
    definition = definitions()[row.kind]
    accepted = 0
    with row.stage.unchanged(audit=False):
        for event in [*definition.events, "no_such_event"]:
            for name in ACTORS:
                actor = actor_of(name, row.kind)
                answer = await verdict(row, event, actor)
                here = (row.kind, row.state, event, name, answer)
                if isinstance(answer, Change):
                    accepted += 1
                    assert event in ROLES, here
                    assert event not in THROUGH_THE_WINDOW, here
                    assert ROLES[event](actor, row.kind), here
                    assert (answer.transitions[-1].event, answer.transitions[-1].actor) == (event, str(actor)), here
                elif event in ENGINE_ONLY:
                    assert isinstance(answer, EngineOnly), here
                elif event == "no_such_event":
                    assert isinstance(answer, UnknownEvent), here
                else:
                    assert isinstance(answer, TransitionRefused), here
                    told = answer.explanation
                    if told is not None and (row.state, event) in definition.cells:
                        by_role = any(obstacle.is_role for obstacle in told.obstacles)
                        assert by_role is not ROLES[event](actor, row.kind), here
    assert (accepted == 0) is (row.state == "uninstalled")


@pytest.mark.slow
async def test_explain_says_the_same_as_send(row: Row) -> None:
    for event in definitions()[row.kind].events:
        for name in ACTORS:
            actor = actor_of(name, row.kind)
            told = await row.stage.engine.explain(row.id, event, actor=actor)
            if told.allowed and event not in THROUGH_THE_WINDOW and event != "suspend":
                assert isinstance(await verdict(row, event, actor), Change), (event, name)
            elif not told.allowed:
                assert not isinstance(await verdict(row, event, actor), Change), (event, name)


async def test_the_chart_itself_lets_only_the_engine_and_operators_bring_the_rest(row: Row) -> None:
    """What `send` refuses outright is guarded a second time, where the engine's own verbs bring it."""
    engine = row.stage.engine
    definition = definitions()[row.kind]
    found = await engine._core.store.load(Load(installation=row.id))
    draft = engine._core.draft(found)
    for event in ENGINE_ONLY:
        for name in ACTORS:
            actor = actor_of(name, row.kind)
            facts = draft.facts(actor, next(iter(draft.open_attempts()), None))
            answer = decide(definition, row.state, event, facts)
            roles = {obstacle.is_role for obstacle in getattr(answer, "obstacles", ())}
            if not INSIDE[event](actor, row.kind):
                assert hasattr(answer, "why"), (event, name)
                assert (True in roles) is ((row.state, event) in definition.cells), (event, name)
            else:
                assert True not in roles, (event, name)


@pytest.mark.parametrize("event", ["revoked_upstream", "security_event"])
async def test_another_app_reports_nothing_about_this_one(tmp_path: Path, event: str) -> None:
    async with on_stage(tmp_path) as stage:
        row = await put_into(stage, "agent", "active")
        for stranger in ("external-app", "", "agent", "AGENT-APP"):
            with stage.refused(TransitionRefused, match="its own client id"):
                await stage.engine.send(row.id, event, actor=Actor.app(stranger))
        assert (await stage.engine.send(row.id, event, actor=Actor.app("agent-app"))).target == "reauthorizing"


async def test_an_app_is_known_by_its_client_id_and_not_by_its_key(tmp_path: Path) -> None:
    async with on_stage(tmp_path) as stage:
        row = await put_into(stage, "agent", "active")
        await stage.engine.apps.register(sample_app(client_id="another-id"))
        with stage.refused(TransitionRefused):
            await stage.engine.send(row.id, "revoked_upstream", actor=Actor.app("agent-app"))
        await stage.engine.send(row.id, "revoked_upstream", actor=Actor.app("another-id"))


VERBS: dict[str, Callable[[Engine, Row, Actor, str], Any]] = {
    "authorize": lambda e, r, a, _: e.authorize(
        f"{r.kind}-app", actor=a, account="acme", subject=OWNERS[r.kind], code_challenge="c" * 43
    ),
    "reauthorize": lambda e, r, a, _: e.reauthorize(r.id, actor=a, code_challenge="c" * 43),
    "window": lambda e, r, a, t: e.window(t, actor=a),
    "select_account": lambda e, r, a, t: e.select_account(t, "acme", actor=a),
    "form": lambda e, r, a, t: e.form(t, actor=a),
    "agree": lambda e, r, a, t: e.agree(t, actor=a),
    "cancel": lambda e, r, a, t: e.cancel(t, actor=a),
    "refuse": lambda e, r, a, t: e.refuse(t, actor=a),
    "suspend": lambda e, r, a, _: e.suspend(r.id, actor=a, reason="for the matrix"),
    "unsuspend": lambda e, r, a, _: e.unsuspend(r.id, actor=a),
    "disconnect": lambda e, r, a, _: e.disconnect(r.id, actor=a),
    "uninstall": lambda e, r, a, _: e.uninstall(r.id, actor=a),
}
OPENERS = {"window", "select_account", "form", "agree", "cancel", "refuse"}


@pytest.mark.parametrize("kind", OWNERS)
async def test_each_verb_is_refused_to_everybody_its_role_does_not_name(tmp_path: Path, kind: str) -> None:
    """The proper verbs, on the real store: who is refused changes no row."""
    async with on_stage(tmp_path) as stage:
        row = await put_into(stage, kind, "active")
        (waiting,) = [a for a in await stage.engine.attempts(row.id) if a.outcome is None]
        refused = 0
        for verb, call in VERBS.items():
            role = ROLES.get(verb, opener)
            for name in ACTORS:
                actor = actor_of(name, kind)
                if role(actor, kind):
                    continue
                refused += 1
                before = stage.checksum(audit=False)
                with pytest.raises(GrantflowError) as caught:
                    await call(stage.engine, row, actor, waiting.id)
                assert caught.value.code in {"refused", "permission_denied", "not_found"}, (verb, name)
                hidden = verb not in OPENERS or caught.value.code == "not_found"
                assert hidden, (verb, name, "a stranger learns that it exists")
                assert stage.checksum(audit=False) == before, (verb, name)
        assert refused > 140
