"""The raw limit: the statements of one transition, prepared, on a plain sqlite3 connection, one commit each."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from benchmarks.world import NOW
from grantflow._rows import OutboxRow
from grantflow._store import _statements as sql

MOVE = (
    "UPDATE grantflow_installation SET suspended_by=?, suspended_at=?, suspended_why=?, version=?, updated_at=?, "
    "due_at=?, fingerprint=? WHERE pk=? AND version=?"
)


def opened(file: Path, synchronous: str) -> sqlite3.Connection:
    """As the engine's writer is set up."""
    conn = sqlite3.connect(file, isolation_level=None, cached_statements=256, timeout=30)
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute(f"PRAGMA synchronous={synchronous}")
    return conn


def toggles(file: Path, ids: list[str], synchronous: str, *, notices: bool) -> tuple[float, float]:
    """Read, compare and swap, trail, outbox, commit, twice per id: (seconds, CPU seconds)."""
    conn = opened(file, synchronous)
    began, cpu = time.perf_counter(), time.process_time()
    for one in ids:
        for event in ("suspend", "unsuspend"):
            conn.execute("BEGIN IMMEDIATE")
            row = conn.execute(sql.SNAPSHOT_BY_ID, (None, one)).fetchone()
            pk, version = row[0], row[9]
            values = ("operator", NOW, "why", version + 1, NOW, None, "f", pk, version)
            assert conn.execute(MOVE, values).rowcount == 1
            step = (pk, version + 1, "active", event, "active", "operator:bench", NOW, "why", 0, None, None, "f")
            conn.execute(sql.INSERT_TRANSITION.sql, step)
            if notices:
                notice = OutboxRow(pk, event, version + 1, NOW, "{}")
                conn.execute(sql.INSERT_OUTBOX.sql, sql.INSERT_OUTBOX.values(notice))
            conn.execute("COMMIT")
    spent = time.perf_counter() - began, time.process_time() - cpu
    conn.close()
    return spent


SWEEP = (
    "UPDATE grantflow_installation SET state='refresh-expired', reason='time', version=version+1, due_at=NULL, "
    "entered_at=?1, updated_at=?1, ended_at=?1, notice_due_at=?1+259200000000 "
    "WHERE due_at IS NOT NULL AND due_at <= ?1"
)


def sweep(file: Path, now: int) -> tuple[float, int]:
    """One set-based statement with the effect of a sweep: rows, trail, notices, counters, one commit."""
    conn = opened(file, "FULL")
    began = time.perf_counter()
    conn.execute("BEGIN IMMEDIATE")
    conn.execute(
        "INSERT INTO grantflow_transition (installation_pk, version, source, event, target, actor, at, reason, "
        "forced, run_id, idempotency_key, fingerprint) "
        "SELECT pk, version+1, state, 'deadline', 'refresh-expired', 'system', "
        "?1, 'time', 0, 'run', NULL, fingerprint FROM grantflow_installation "
        "WHERE due_at IS NOT NULL AND due_at <= ?1",
        (now,),
    )
    conn.execute(
        "INSERT INTO grantflow_outbox (installation_pk, name, version, at, tries, body) "
        "SELECT pk, 'expired', version+1, ?1, 0, json_object('event', 'deadline', 'account', account, 'subject', "
        "subject_kind || ':' || subject_id, 'state', state, 'reason', 'time') FROM grantflow_installation "
        "WHERE due_at IS NOT NULL AND due_at <= ?1",
        (now,),
    )
    moved = conn.execute(SWEEP, (now,)).rowcount
    conn.execute(sql.ADD_COUNT, (1, "refresh-expired", 0, moved))
    conn.execute(sql.ADD_COUNT, (1, "active", 0, -moved))
    conn.execute("COMMIT")
    spent = time.perf_counter() - began
    conn.close()
    return spent, moved
