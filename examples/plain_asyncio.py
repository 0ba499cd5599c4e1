"""A host without a framework: one engine, one scheduler, one person who authorizes, a year that passes.

Run it: python examples/plain_asyncio.py
"""

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

from grantflow import Account, Actor, App, ClientCredentials, Engine, errors, new_pkce
from grantflow.testing import ManualClock
from grantflow_scheduler import ExpiryScheduler

APPS = Path(__file__).parent / "apps"


async def accounts_of(actor: Actor) -> list[Account]:
    """Ask your own user database; this one knows a single admin."""
    return [Account("acme", "Acme Inc.", role="admin")] if actor == Actor.admin("ann") else []


async def main(folder: str) -> None:
    """Authorize, use, expire, find out what to tell people."""
    clock, ann = ManualClock(), Actor.admin("ann")  # leave clock= out to live in real time
    async with (
        Engine.open(f"sqlite:///{folder}/grants.db", directory=accounts_of, clock=clock) as engine,
        ExpiryScheduler(engine) as scheduler,
    ):
        app = await engine.apps.register(App.from_toml(APPS / "desk_sync.toml"))
        engine.subscribe(lambda notice: print("notice:", notice.name))

        verifier, challenge = new_pkce()
        attempt = await engine.authorize(app.key, actor=ann, code_challenge=challenge)
        window = await engine.window(attempt.id, actor=ann)
        print("window:", window.app_name, [account.name for account in window.accounts])
        form = await engine.select_account(attempt.id, "acme", actor=ann)
        print("form: approved", form.approved, "awaiting", form.awaiting)
        returned = await engine.agree(attempt.id, actor=ann)

        client = ClientCredentials(app.client_id, "demo secret of desk-sync")
        assert returned.code is not None
        tokens = await engine.ledger.redeem(returned.code.value, client=client, code_verifier=verifier)
        print("active until", tokens.refresh_expires_at)

        clock.advance(timedelta(days=365))
        await scheduler.sweep_now()
        try:
            await engine.ledger.authenticate(tokens.access_token.value)
        except errors.ReauthorizationRequired as error:
            print("401:", error)
        await engine.drain_notices()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(main(place))
