"""One full life of an installation, told by its trail; run as a program it writes the golden log of this release."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).with_name("golden")


async def life(file: Path) -> list[dict[str, Any]]:
    """Everything that can happen to an agent's installation in host mode, as its transitions."""
    from grantflow import Actor, ClientCredentials, Engine
    from grantflow.errors import InvalidGrant
    from grantflow.testing import SECRET, ManualClock, authorize, consent, sample_app
    from tests.faults.verbs import BOB, CHALLENGE, KEY, OPERATOR, PLATFORM, REASON, YEAR, people

    clock, account = ManualClock(), "account-0"
    async with Engine.open(f"sqlite:///{file}", clock=clock, directory=people()) as engine:
        client = ClientCredentials((await engine.apps.register(sample_app(key=KEY))).client_id, SECRET)
        await engine.apps.install(KEY, account, actor=PLATFORM)

        async def form(*, again: bool = True) -> str:
            if again:
                attempt = await engine.reauthorize(key, actor=BOB, code_challenge=CHALLENGE)
            else:
                attempt = await engine.authorize(KEY, actor=BOB, code_challenge=CHALLENGE)
            await engine.select_account(attempt.id, account, actor=BOB)
            return attempt.id

        await engine.cancel(await form(again=False), actor=BOB)
        key = (await engine.get(KEY, account=account, subject=BOB)).id
        await engine.refuse(await form(), actor=BOB)
        await engine.agree(await form(), actor=BOB)
        clock.advance(timedelta(minutes=11))
        await engine.sweep()  # the code was never redeemed
        returned, verifier = await consent(engine, KEY, account, actor=BOB)
        assert returned.code is not None
        code = returned.code.value
        await engine.ledger.redeem(code, client=client, code_verifier=verifier)
        await engine.suspend(key, actor=PLATFORM, reason=REASON)
        await engine.unsuspend(key, actor=PLATFORM)
        with suppress(InvalidGrant):  # the grant ends by it
            await engine.ledger.redeem(code, client=client, code_verifier=verifier)
        tokens = await authorize(engine, KEY, account, actor=BOB)
        await engine.ledger.renew(tokens.refresh_token.value, client=client)
        with suppress(InvalidGrant):  # the grant ends by it
            await engine.ledger.renew(tokens.refresh_token.value, client=client)
        await authorize(engine, KEY, account, actor=BOB)
        clock.advance(YEAR)
        await engine.sweep()
        await engine.cancel(await form(), actor=BOB)
        await authorize(engine, KEY, account, actor=BOB)
        await form()
        clock.advance(YEAR)
        await engine.sweep()
        for event in ("revoked_upstream", "security_event"):
            await authorize(engine, KEY, account, actor=BOB)
            await engine.send(key, event, actor=Actor.app(client.client_id))
        await engine.ops.force(key, to="unauthorized", actor=OPERATOR, reason=REASON)
        await authorize(engine, KEY, account, actor=BOB)
        await engine.ops.force(key, to="refresh-expired", actor=OPERATOR, reason=REASON)
        await engine.ops.force(key, to="active", actor=OPERATOR, reason=REASON)
        await engine.disconnect(key, actor=BOB)
        await engine.uninstall(key, actor=PLATFORM)
        return [
            {
                "version": step.version,
                "source": step.source,
                "event": step.event,
                "target": step.target,
                "actor": step.actor,
                "forced": step.forced,
            }
            for step in reversed(await engine.history(key, limit=1000))
        ]


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    with tempfile.TemporaryDirectory() as folder:
        told = {"kind": "agent", "trail": asyncio.run(life(Path(folder) / "g.db"))}
    text = json.dumps(told, indent=1)
    (GOLDEN / f"{sys.argv[1]}.json").write_text(text + "\n", encoding="utf-8")
