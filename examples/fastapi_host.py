"""A FastAPI host: the window and the consent as JSON, the token endpoint, a guarded REST call.

Run it: uvicorn examples.fastapi_host:api   (your pages call these routes; the header stands for your own session)
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Form, Header, HTTPException, Request
from fastapi.responses import JSONResponse

from grantflow import Account, Actor, App, ClientCredentials, Engine, KeyRing, errors
from grantflow_scheduler import ExpiryScheduler

DATABASE = os.environ.get("GRANTFLOW_DATABASE", "sqlite:///grants.db")


async def accounts_of(actor: Actor) -> list[Account]:
    """Ask your own user database."""
    return [Account("acme", "Acme Inc.", role=actor.kind.value)]


@asynccontextmanager
async def lifespan(api: FastAPI) -> AsyncIterator[None]:
    """One engine and one scheduler for the life of the process."""
    async with (
        Engine.open(DATABASE, directory=accounts_of, keys=KeyRing.from_env()) as engine,
        ExpiryScheduler(engine),
    ):
        await engine.apps.register(App.from_toml(Path(__file__).parent / "apps" / "report_hub.toml"))
        api.state.engine = engine
        yield


api = FastAPI(lifespan=lifespan)


@api.exception_handler(errors.GrantflowError)
async def told(request: Request, error: Exception) -> JSONResponse:
    """Typed errors become answers; a dead grant brings its guidance along."""
    assert isinstance(error, errors.GrantflowError)
    guidance = getattr(error, "guidance", None)
    body = {"error": error.code, "message": str(error), "guidance": guidance.as_dict() if guidance else None}
    status = 401 if isinstance(error, errors.Unauthorized | errors.InvalidClient) else 400
    return JSONResponse(body, 404 if isinstance(error, errors.NotFound) else status)


def person(x_user: Annotated[str, Header()]) -> Actor:
    """Who your session says is there."""
    return Actor.user(x_user)


Person = Annotated[Actor, Depends(person)]


@api.post("/attempts")
async def begin(client_id: str, redirect_uri: str, code_challenge: str, actor: Person) -> dict[str, Any]:
    """The app's authorize request opens a window."""
    attempt = await api.state.engine.ledger.begin(
        client_id=client_id, redirect_uri=redirect_uri, code_challenge=code_challenge, actor=actor
    )
    window = await api.state.engine.window(attempt.id, actor=actor)
    return {"attempt": attempt.id, "accounts": [account.id for account in window.accounts], "form": window.form}


@api.post("/attempts/{attempt}/agree")
async def agree(attempt: str, actor: Person) -> dict[str, str]:
    """Agree; the browser goes to redirect_to."""
    return {"redirect_to": (await api.state.engine.agree(attempt, actor=actor)).redirect_to}


@api.post("/oauth/v2/token")
async def token(
    code: Annotated[str, Form()], client_id: Annotated[str, Form()], code_verifier: Annotated[str, Form()],
    redirect_uri: Annotated[str, Form()],
) -> dict[str, str]:  # fmt: skip
    """The app exchanges the code."""
    done = await api.state.engine.ledger.redeem(
        code, client=ClientCredentials(client_id), code_verifier=code_verifier, redirect_uri=redirect_uri
    )
    return {"access_token": done.access_token.value, "refresh_token": done.refresh_token.value}


@api.get("/api/reports")
async def reports(authorization: Annotated[str, Header()]) -> dict[str, Any]:
    """A REST call under an access token."""
    if not authorization.startswith("Bearer "):
        raise HTTPException(401)
    found = await api.state.engine.ledger.authenticate(authorization.removeprefix("Bearer "))
    return {"account": found.account, "scopes": found.scopes}
