"""`explain` says before what `send` does after, and neither a refusal nor an explanation writes."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from grantflow import Actor, ActorKind, Explanation, Sent, definitions
from grantflow.errors import EngineOnly, TransitionRefused, UnknownEvent
from tests.journeys.stage import BOB, CAROL, MALLORY, MARIA, MAX, OPS, SOLO, UMA, Stage, on_stage

CASES = 1_000
PEOPLE = (MARIA, MAX, BOB, CAROL, UMA, SOLO, MALLORY, Actor.agent("maria"))
ACTORS = (*PEOPLE, OPS, Actor.system(), Actor.app("agent-app"))
STATES = ("unauthorized", "account-selected", "consented", "active", "dead", "reauthorizing", "uninstalled")
MADE_UP = ("", "explode", "AUTHORIZE", "cancel ", "uninstal", "x" * 300)
THROUGH_THE_WINDOW = {"authorize", "reauthorize", "select_account", "agree"}


async def cast(stage: Stage, chance: random.Random) -> list[str]:
    """One installation per state and kind, ids in a fixed order."""
    number = chance.randrange(10_000)
    for app, actor, account in (
        ("account-app", MARIA, "acme"),
        ("agent-app", BOB, "acme"),
        ("external-app", UMA, "globex"),
    ):
        for state in STATES:
            label = f"{state}-{number}"
            if state in {"unauthorized", "account-selected"}:
                form = await stage.form(app, actor, account, label=label)
                if state == "unauthorized":
                    await stage.engine.cancel(form.attempt, actor=actor)
            elif state == "consented":
                await stage.agreed(app, actor, account, label=label)
            else:
                tokens = await stage.active(app, actor, account, label=label)
                if state in {"dead", "reauthorizing"}:
                    await stage.engine.send(tokens.installation, "revoked_upstream", actor=Actor.system())
                if state == "reauthorizing":
                    await stage.reopen(tokens.installation, actor)
                if state == "uninstalled":
                    await stage.engine.uninstall(tokens.installation, actor=actor)
    return [key for (key,) in stage.sql("SELECT public_id FROM grantflow_installation ORDER BY pk DESC LIMIT 21")]


async def test_explain_agrees_with_send(tmp_path: Path) -> None:
    chance, seen = random.Random(7), Counter[str]()
    events = list(definitions()["agent"].events)
    async with on_stage(tmp_path) as stage:
        await stage.put()
        installations: list[str] = []
        for case in range(CASES):
            if case % 100 == 0:
                installations = await cast(stage, chance)
            if chance.random() < 0.05:
                stage.clock.advance(timedelta(seconds=chance.choice([1, 61, 300])))
            key = chance.choice(installations)
            event = chance.choice(events if chance.random() < 0.95 else MADE_UP)
            payload = await drawn_payload(stage, key, chance)
            seen[await agree(stage, key, event, chance.choice(ACTORS), payload)] += 1
    assert min(seen[how] for how in ("done", "refused", "window", "engine", "unknown")) >= 5, seen


async def drawn_payload(stage: Stage, key: str, chance: random.Random) -> dict[str, object]:
    """What a caller might send along."""
    payload: dict[str, object] = {}
    if chance.random() < 0.3:
        known = await stage.engine.attempts(key)
        payload["attempt"] = chance.choice([attempt.id for attempt in known] or ["nothing"])
    if chance.random() < 0.3:
        payload["account"] = chance.choice(["acme", "globex", "hooli"])
    if chance.random() < 0.2:
        payload["scopes"] = chance.choice([[], ["tickets.read", "tickets.write"], ("nonsense",)])
    return payload


async def agree(stage: Stage, key: str, event: str, actor: Actor, payload: dict[str, object]) -> str:
    """Explain, send, compare."""
    engine = stage.engine
    quiet = stage.commits()
    told = await engine.explain(key, event, actor=actor, payload=payload)
    before = await engine.get(key)
    assert stage.commits() == quiet, "an explanation wrote something"
    try:
        sent = await engine.send(key, event, actor=actor, payload=payload, reason="drawn by lot")
    except TransitionRefused as error:
        on_record = actor.kind is ActorKind.OPERATOR
        assert (stage.commits() != quiet) is on_record, "a refusal wrote something, or left no line of an operator's"
        return why_refused(told, error, event)
    return done(told, sent, before.version)


def why_refused(told: Explanation, error: TransitionRefused, event: str) -> str:
    """The refusal is the one that was explained."""
    if isinstance(error, EngineOnly):
        assert (told.allowed, told.obstacles) == (False, ())
        assert "only the engine" in told.why
        return "engine"
    if isinstance(error, UnknownEvent):
        assert (told.allowed, told.nearest is not None) == (False, True)
        return "unknown"
    if told.allowed:
        assert event in THROUGH_THE_WINDOW
        assert "through the window" in str(error)
        return "window"
    assert error.explanation == told
    assert told.why in str(error)
    return "refused"


def done(told: Explanation, sent: Sent, version: int) -> str:
    """What happened is what was explained."""
    assert told.allowed
    assert told.obstacles == ()
    assert sent.target == told.target
    assert sent.version == sent.installation.version
    assert sent.version > version
    return "done"


async def test_an_explanation_says_from_when(tmp_path: Path) -> None:
    async with on_stage(tmp_path) as stage:
        tokens = await stage.active("agent-app", BOB)
        told = await stage.engine.explain(tokens.installation, "expire", actor=Actor.system())
        assert (told.allowed, told.available_at) == (False, tokens.refresh_expires_at)
        assert [obstacle.guard for obstacle in told.obstacles] == ["deadline_passed"]
        stage.clock.advance(timedelta(days=365))
        late = await stage.engine.explain(tokens.installation, "expire", actor=Actor.system())
        assert not late.allowed
        assert "refresh-expired" in late.why, "what is due has happened already"


async def test_the_obstacle_named_is_on_the_arrow_that_was_meant(tmp_path: Path) -> None:
    async with on_stage(tmp_path) as stage:
        tokens = await stage.active("agent-app", BOB)
        values: dict[str, Any] = {"actor": CAROL, "payload": {"account": "acme"}}
        told = await stage.engine.explain(tokens.installation, "disconnect", **values)
        assert [(obstacle.guard, obstacle.is_role) for obstacle in told.obstacles] == [("by_owner", True)]
        assert told.why == "only the agent themself may do this"
