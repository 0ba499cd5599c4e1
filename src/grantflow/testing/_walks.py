"""An engine on a throw-away file, and people's ways through the windows."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from grantflow._engine import Engine
from grantflow._held import Completed
from grantflow._ids import new_pkce
from grantflow._model import ClientCredentials, Returned, Tokens
from grantflow.testing._people import SECRET
from grantflow.testing._server import ForeignServer
from grantflow_machines import Actor


@asynccontextmanager
async def throwaway_engine(**settings: Any) -> AsyncIterator[Engine]:
    """An engine on a file in a temporary folder that goes when the block ends; takes what Engine.open takes."""
    with tempfile.TemporaryDirectory(prefix="grantflow-") as folder:
        async with Engine.open(f"sqlite:///{Path(folder) / 'grants.db'}", **settings) as engine:
            yield engine


async def consent(
    engine: Engine,
    app: str,
    account: str,
    *,
    actor: Actor,
    subject: str | None = None,
    label: str = "default",
) -> tuple[Returned, str]:
    """Walk a person from the window to the consent; returns where they go, and the PKCE verifier."""
    verifier, challenge = new_pkce()
    attempt = await engine.authorize(app, actor=actor, subject=subject, label=label, code_challenge=challenge)
    window = await engine.window(attempt.id, actor=actor)
    if window.form is None:
        await engine.select_account(attempt.id, account, actor=actor)
    return await engine.agree(attempt.id, actor=actor), verifier


async def authorize(
    engine: Engine,
    app: str,
    account: str,
    *,
    actor: Actor,
    secret: str | None = SECRET,
    label: str = "default",
) -> Tokens:
    """Walk a person from the window to an active installation; returns the app's tokens."""
    returned, verifier = await consent(engine, app, account, actor=actor, label=label)
    assert returned.code is not None
    client = ClientCredentials((await engine.apps.get(app)).client_id, secret)
    return await engine.ledger.redeem(returned.code.value, client=client, code_verifier=verifier)


async def grant(engine: Engine, server: ForeignServer, app: str, account: str, *, actor: Actor) -> Completed:
    """Walk a person through a foreign server to an active installation."""
    attempt = await engine.authorize(app, actor=actor, account=account)
    assert attempt.cookie is not None
    query = server.back(attempt.authorize_url)
    return await engine.complete(query, cookies={attempt.cookie_name: attempt.cookie.value})
