"""PostgreSQL's own benchmark as the limit: one transition as one prepared statement, by 1 and by 16 clients."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.world import NOW
from tests.postgres.server import Server, binaries

SECONDS = 4
_ONE = f"""
\\set id random(1, ROWS)
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
        script.write_text(_ONE.replace("ROWS", str(rows)))
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
