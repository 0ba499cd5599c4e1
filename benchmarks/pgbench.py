"""PostgreSQL's own benchmark as the limit: one transition as one prepared statement, by 1 and by 16 clients.

It reads nothing first, decides nothing and is written in C; the same statement by asyncpg tells how much of the
distance is the language's.
"""

from __future__ import annotations

import asyncio
import random
import re
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg

from benchmarks.world import NOW
from tests.postgres.server import Server, binaries

SECONDS = 4
_ONE = f"""
WITH moved AS (
  UPDATE grantflow_installation SET version = version + 1, updated_at = {NOW},
    suspended_by = CASE WHEN suspended_by IS NULL THEN 'operator' END,
    suspended_at = CASE WHEN suspended_by IS NULL THEN {NOW} END
  WHERE pk = :id RETURNING pk, version, fingerprint),
step AS (
  INSERT INTO grantflow_transition (installation_pk, version, source, event, target, actor, at, reason, forced,
    fingerprint) SELECT pk, version, 'active', 'suspend', 'active', 'operator bench', {NOW}, 'why', FALSE, fingerprint
    FROM moved RETURNING 1)
INSERT INTO grantflow_outbox (installation_pk, name, version, at, body, tries)
  SELECT pk, 'suspended', version, {NOW}, '{{}}', 0 FROM moved;
"""


def transitions(server: Server, database: str, rows: int, clients: int) -> float:
    """Transitions a second, one statement and one commit each."""
    with TemporaryDirectory(prefix="grantflow-pgbench-") as folder:
        script = Path(folder) / "one.sql"
        script.write_text(f"\\set id random(1, {rows}){_ONE}")
        told = subprocess.run(
            [
                str(binaries() / "pgbench"), "-h", str(server.folder), "-U", "postgres", "-n", "-M", "prepared",
                "-c", str(clients), "-j", "2", "-T", str(SECONDS), "-f", str(script), database,
            ],
            check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ).stdout  # fmt: skip
    found = re.search(r"tps = ([0-9.]+)", told)
    assert found is not None, told
    return float(found[1])


async def by_asyncpg(url: str, rows: int, clients: int) -> float:
    """The same by so many connections of one process."""
    text, chance = _ONE.replace(":id", "$1").rstrip().removesuffix(";"), random.Random(clients)

    async def client() -> int:
        conn, count = await asyncpg.connect(url), 0
        try:
            while time.perf_counter() < until:
                await conn.fetch(text, chance.randint(1, rows))
                count += 1
        finally:
            await conn.close()
        return count

    began = time.perf_counter()
    until = began + SECONDS / 2
    done = sum(await asyncio.gather(*(client() for _ in range(clients))))
    return done / (time.perf_counter() - began)
