"""A FastAPI host whose app keeps its grants at a foreign authorization server: connect, callback, call its API.

Run it: uvicorn examples.foreign_host:api   (the header stands for your own session)
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse, RedirectResponse

from grantflow import Account, Actor, App, Carrier, Engine, KeyRing, errors
from grantflow_scheduler import ExpiryScheduler

DATABASE = os.environ.get("GRANTFLOW_DATABASE", "sqlite:///grants.db")
CARRIER: Carrier | None = None  # grantflow's own; a host may pass its HTTP client here


async def accounts_of(actor: Actor) -> list[Account]:
    """Ask your own user database."""
    return [Account("acme", "Acme Inc.", role=actor.kind.value)]


@asynccontextmanager
async def lifespan(api: FastAPI) -> AsyncIterator[None]:
    """Tokens are sealed with the keys of GRANTFLOW_KEYS (`grantflow keys new` makes one)."""
    async with (
        Engine.open(DATABASE, directory=accounts_of, keys=KeyRing.from_env(), http=CARRIER) as engine,
        ExpiryScheduler(engine),
    ):
        await engine.apps.register(App.from_toml(Path(__file__).parent / "apps" / "mail_bridge.toml"))
        await engine.apps.install("mail-bridge", "acme", actor=Actor.system())
        api.state.engine = engine
        yield


api = FastAPI(lifespan=lifespan)


@api.exception_handler(errors.GrantflowError)
async def told(request: Request, error: Exception) -> JSONResponse:
    """A dead grant brings its guidance along; a server that does not answer is 503."""
    assert isinstance(error, errors.GrantflowError)
    guidance = getattr(error, "guidance", None)
    body = {"error": error.code, "message": str(error), "guidance": guidance.as_dict() if guidance else None}
    statuses = {errors.Unauthorized: 401, errors.NotFound: 404, errors.TokenUnavailable: 503}
    return JSONResponse(body, next((code for kind, code in statuses.items() if isinstance(error, kind)), 400))


def person(x_user: Annotated[str, Header()]) -> Actor:
    """Who your session says is there."""
    return Actor.agent(x_user)


Person = Annotated[Actor, Depends(person)]


@api.get("/connect")
async def connect(actor: Person) -> RedirectResponse:
    """Send the person to the foreign server, bound to this browser."""
    attempt = await api.state.engine.authorize("mail-bridge", account="acme", actor=actor)
    return RedirectResponse(attempt.authorize_url, headers={"Set-Cookie": attempt.set_cookie})


@api.get("/callback")
async def callback(request: Request) -> dict[str, Any]:
    """They are back: agreed, cancelled, or somebody who was never sent (400, nothing changes)."""
    done = await api.state.engine.complete(request.url.query, cookies=request.cookies)
    return {"outcome": done.outcome, "state": done.installation and done.installation.state}


@api.get("/inbox")
async def inbox(actor: Person) -> dict[str, Any]:
    """Call the app's API; renewal, leases and retries are the engine's business."""
    token = await api.state.engine.access_token("mail-bridge", account="acme", subject=actor)
    # answer = await client.get("https://api.mail.example/inbox", headers=token.headers); on a 401:
    # await api.state.engine.report(token.installation, status=401, generation=token.generation)
    return {"sends": sorted(token.headers), "generation": token.generation, "until": token.expires_at}
