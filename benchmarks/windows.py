"""F9: what a token request waits for while people stand in front of open windows."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from benchmarks.world import Line, p99
from grantflow import Actor, ClientCredentials, Engine
from grantflow.testing import SECRET, People, authorize, sample_app

WINDOWS = 50
REQUESTS = 200


async def f9(folder: Path) -> list[Line]:
    """p99 of a renewal at the token endpoint's verb, beside 50 windows that are looked at, and on an idle loop."""
    agents = [Actor.agent(f"agent-{n}") for n in range(WINDOWS)]
    maria = Actor.admin("maria")
    people = People({agent: ["acme", "globex"] for agent in agents} | {maria: ["acme"]})
    async with Engine.open(f"sqlite:///{folder}/f9.db", directory=people) as engine:
        await engine.apps.register(sample_app())
        await engine.apps.install("agent-app", "acme", actor=maria)
        tokens = await authorize(engine, "agent-app", "acme", actor=agents[0])
        refresh = tokens.refresh_token.value
        idle, refresh = await _renewals(engine, refresh)
        attempts = [await engine.authorize("agent-app", actor=agent, code_challenge="x" * 43) for agent in agents]

        async def look(attempt: str, actor: Actor) -> None:
            while True:
                await engine.window(attempt, actor=actor)
                await asyncio.sleep(1)

        looking = [asyncio.create_task(look(a.id, who)) for a, who in zip(attempts, agents, strict=True)]
        busy, _ = await _renewals(engine, refresh)
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)
    ours, raw = p99(busy), p99(idle)
    return [Line(f"F9 token request, p99, {WINDOWS} windows open", ours, raw, "ms", ours / raw, "≤ 5.00")]


async def _renewals(engine: Engine, refresh: str) -> tuple[list[float], str]:
    client, took = ClientCredentials("agent-app", SECRET), []
    for _ in range(REQUESTS):
        started = time.perf_counter()
        refresh = (await engine.ledger.renew(refresh, client=client)).refresh_token.value
        took.append(time.perf_counter() - started)
        await asyncio.sleep(0.01)
    return took, refresh
