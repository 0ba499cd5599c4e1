"""Writers that decided on what they read a while ago, as several nodes would; prints what was overwritten.

Run as a program: `race.py FILE`. Every writer reads through the readers' door, all at the same version, then writes.
At most one of each round may win; the others must hear of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

from grantflow import Settings
from grantflow._rows import AppRow, Change, InstallationRow, Load
from grantflow._store import open_store
from grantflow.errors import Conflict

NOW = 1_750_000_000_000_000
ROUNDS, WRITERS = 5, 4


async def main(file: Path) -> list[str]:
    """Rounds of writers with the same stale picture."""
    store = await open_store(f"sqlite:///{file}", Settings(), NOW)
    try:
        app = AppRow(0, "a", "crm", "agent", "client", "{}", 1)
        await store.transact(Load(app="crm"), lambda _: Change(app=app))
        row = InstallationRow(
            0, "i1", app.pk, "acme", "agent", "bob", "default", "active", None, 1, 0, None, None,
            grant_revoked=False, granted="", identity=None, definition="C", definition_version=1, fingerprint="f",
            bucket=0, created_at=NOW, entered_at=NOW, updated_at=NOW,
        )  # fmt: skip
        await store.transact(Load(), lambda _: Change(installation=row, touched=True))
        broken = []
        for number in range(ROUNDS):
            seen = (await store.load(Load(installation="i1"))).installation
            assert seen is not None
            pictures = [replace(seen, version=seen.version + 1, label=f"w{n}") for n in range(WRITERS)]
            for n, picture in enumerate(pictures):
                picture.reason = f"writer {n}"
            changes = [
                Change(installation=p, expected_version=seen.version, touched=True, before="active") for p in pictures
            ]
            done = await asyncio.gather(
                *(store.transact(Load(), lambda _, change=change: change) for change in changes),  # type: ignore[misc]
                return_exceptions=True,
            )
            won = sum(isinstance(one, Change) for one in done)
            lost = sum(isinstance(one, Conflict) for one in done)
            if (won, lost) != (1, WRITERS - 1):
                broken.append(f"round {number}: {won} won, {lost} heard of it: somebody was overwritten")
        return broken
    finally:
        await store.close()


if __name__ == "__main__":
    told = asyncio.run(main(Path(sys.argv[1])))
    sys.stdout.write(json.dumps({"broken": told}))
    sys.exit(1 if told else 0)
