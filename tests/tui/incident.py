"""A night: the foreign server of one app says `invalid_grant` for grants that live, and a script makes it worse.

The engine opens an incident after the first few and holds the rest; somebody's script closes the incident again and
again, and eight more die each time. Their tokens are still held, and the server, mended, would renew them.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from grantflow import Actor, Engine, KeyRing
from grantflow.testing import ForeignServer, ManualClock

DIED_AT = datetime(2025, 1, 2, 2, 10, tzinfo=UTC)
SCRIPT = Actor.operator("night-script")
SCOPES = "people.read tickets.read tickets.write"
SPARED = 16
"""More than may be on their way when an incident opens."""
KEY = KeyRing.new_key()
PROGRAM = """
import json, sys
from datetime import UTC, datetime
from grantflow import Engine, KeyRing
from grantflow.testing import ForeignServer, ManualClock
from grantflow_tui import run

path, key, write = sys.argv[1:4]
server = ForeignServer()
server.alive.update(json.load(open(path + ".tokens")))

def opened():
    clock = ManualClock(datetime(2025, 1, 2, 3, 0, tzinfo=UTC))
    return Engine.open("sqlite:///" + path, keys=KeyRing.parse(key), http=server, clock=clock)

sys.exit(run("sqlite:///" + path, write=write == "write", operator="maria", claimed=True, engine_factory=opened))
"""


async def night(path: Path, at_least: int, *, others: int = 5) -> int:
    """A database at three in the morning: dead grants of `crm`, a few held ones beside them, and those of `mail`.

    Returns how many died.
    """
    server, clock = ForeignServer(), ManualClock(DIED_AT - timedelta(hours=3, minutes=10))
    keys = KeyRing.parse(KEY)
    async with Engine.open(f"sqlite:///{path}", keys=keys, http=server, clock=clock) as engine:
        for app, count, hours in (("crm", at_least + SPARED, 3), ("mail", others, 30)):
            await engine.apps.register(server.app(app))
            await engine.apps.install(app, "acme", actor=Actor.system())
            for number in range(count):
                refresh = f"refresh-of-{app}-{number:04}"
                server.alive[refresh] = SCOPES
                await engine.adopt(
                    app,
                    account="acme",
                    actor=Actor.system(),
                    subject=f"agent-{number:04}",
                    access_token=f"access-of-{app}-{number:04}",
                    refresh_token=refresh,
                    expires_in=timedelta(hours=hours),
                )
        alive = dict(server.alive)
        server.alive.clear()
        clock.advance(DIED_AT - clock.now())
        died = 0
        while died < at_least:
            if died:
                await engine.ops.close_incident("crm", actor=SCRIPT, reason="alarm is noisy")
            await engine.renew_due()
            died = (await engine.counts()).by_app["crm"]["refresh-expired"]
        assert [one.cause for one in await engine.ops.incidents()] == ["renewals-failing"]
    keep(path, alive)
    return died


def keep(path: Path, alive: dict[str, str]) -> None:
    """What the mended server knows, for the process that the console runs in."""
    Path(f"{path}.tokens").write_text(json.dumps(alive), encoding="utf-8")
