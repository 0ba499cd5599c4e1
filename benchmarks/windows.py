"""F9: what a token request waits for while people stand in front of open windows."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx2
from starlette.requests import Request

from benchmarks.world import Line, p99
from grantflow import Actor, Engine, hosting, new_pkce
from grantflow.testing import SECRET, People, authorize, sample_app

WINDOWS = 50
REQUESTS = 200
ORIGIN = "https://platform.example"


async def f9(folder: Path) -> list[Line]:
    """p99 of a refresh at the token endpoint, beside 50 windows that are loaded every second, and on an idle loop."""
    agents = [Actor.agent(f"agent-{n}") for n in range(WINDOWS)]
    maria = Actor.admin("maria")
    people = People({agent: ["acme", "globex"] for agent in agents} | {maria: ["acme"]})

    async def who_is(request: Request) -> Actor:
        return Actor.agent(request.cookies["session"])

    async with Engine.open(f"sqlite:///{folder}/f9.db", directory=people) as engine:
        await engine.apps.register(sample_app())
        await engine.apps.install("agent-app", "acme", actor=maria)
        refresh = (await authorize(engine, "agent-app", "acme", actor=agents[0])).refresh_token.value
        pages = hosting.create_app(engine, who_is=who_is, base_url=ORIGIN)
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(pages), base_url=ORIGIN) as http:
            idle, refresh = await _renewals(http, refresh)
            looking = [asyncio.create_task(_look(http, agent)) for agent in agents]
            await asyncio.sleep(1)  # every window is open
            busy, _ = await _renewals(http, refresh)
            for task in looking:
                task.cancel()
            await asyncio.gather(*looking, return_exceptions=True)
    ours, raw = p99(busy), p99(idle)
    return [Line(f"F9 token request, p99, {WINDOWS} windows open", ours, raw, "ms", ours / raw, "≤ 5.00")]


async def _look(http: httpx2.AsyncClient, agent: Actor) -> None:
    """Somebody opens a window and loads it again every second."""
    headers = {"Cookie": f"session={agent.id}"}
    asked = {"client_id": "agent-app", "response_type": "code", "code_challenge_method": "S256"}
    asked["code_challenge"] = new_pkce()[1]
    opened = await http.get("/oauth/v2/authorize", params=asked, headers=headers)
    while True:
        shown = await http.get(opened.headers["location"], headers=headers)
        assert shown.status_code == 200, shown.text
        await asyncio.sleep(1)


async def _renewals(http: httpx2.AsyncClient, refresh: str) -> tuple[list[float], str]:
    took = []
    for _ in range(REQUESTS):
        form = {"grant_type": "refresh_token", "refresh_token": refresh}
        started = time.perf_counter()
        answer = await http.post("/oauth/v2/token", data=form, auth=("agent-app", SECRET))
        took.append(time.perf_counter() - started)
        refresh = answer.json()["refresh_token"]
        await asyncio.sleep(0.01)
    return took, refresh
