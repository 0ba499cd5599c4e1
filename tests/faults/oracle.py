"""What must be true of a database whatever happened to its writers: raw SQL and the compiled charts, no engine."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from pathlib import Path
from typing import Any

from grantflow._compile import Definition, compile_chart
from grantflow_machines import CHARTS, Grant

PROJECTION = {
    "installation": "SELECT pk, state, version, generation, grant_revoked, deadline_at, due_at, suspended_by, "
    "quarantined FROM grantflow_installation ORDER BY pk",
    "transition": "SELECT installation_pk, version, source, event, target FROM grantflow_transition ORDER BY 1, 2",
    "attempt": "SELECT pk, installation_pk, step, outcome FROM grantflow_attempt ORDER BY pk",
    "token_set": "SELECT installation_pk, generation FROM grantflow_token_set ORDER BY 1",
    "credential": "SELECT installation_pk, kind, generation, spent_at IS NULL FROM grantflow_credential "
    "ORDER BY 1, 2, 3, 4",
    "outbox": "SELECT installation_pk, name, version, delivered_at IS NULL FROM grantflow_outbox ORDER BY pk",
    "consent": "SELECT pk, voided_at IS NULL FROM grantflow_consent ORDER BY pk",
    "action": "SELECT verb, outcome FROM grantflow_action ORDER BY pk",
    "app": "SELECT key, revision, held_by FROM grantflow_app ORDER BY pk",
    "parent": "SELECT app_pk, account, revision, available, removed_at IS NULL, suspended_by "
    "FROM grantflow_parent ORDER BY pk",
    "job": "SELECT pk, state, applied, outdated, lease IS NULL FROM grantflow_job ORDER BY pk",
    "job_item": "SELECT job_pk, ordinal, outcome FROM grantflow_job_item ORDER BY 1, 2",
    "quarantine": "SELECT installation_pk FROM grantflow_quarantine ORDER BY 1",
    "count": "SELECT app_pk, state, sum(n) FROM grantflow_count GROUP BY 1, 2 HAVING sum(n) <> 0 ORDER BY 1, 2",
}
MAX_OPEN = 5
DAY = 86_400 * 1_000_000
YEAR = 365 * DAY
Charts = dict[str, Definition]


def charts() -> Charts:
    """The compiled charts of today, by app kind."""
    return {kind: compile_chart(chart) for kind, chart in CHARTS.items()}


def projection(conn: sqlite3.Connection) -> str:
    """Everything that may not be half there, as text; chance (ids, hashes) is left out."""
    if not conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'grantflow_count'").fetchone():
        return ""
    return json.dumps({name: conn.execute(query).fetchall() for name, query in PROJECTION.items()})


def looked_at(file: Path) -> tuple[str, list[str]]:
    """Reopen as any program would; the projection, and what is wrong."""
    conn = sqlite3.connect(file)
    try:
        text = projection(conn)
        return text, wrong(conn, integrity=True) if text else []
    finally:
        conn.close()


def wrong(conn: sqlite3.Connection, known: Charts | None = None, *, integrity: bool = False) -> list[str]:
    """Every broken promise that the rows alone can show; rows set aside are left out."""
    definitions = known or charts()
    found = []
    if integrity:
        found += [f"integrity: {text}" for (text,) in conn.execute("PRAGMA integrity_check") if text != "ok"]
    trails: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for pk, *step in conn.execute(
        "SELECT installation_pk, version, source, event, target, at, forced FROM grantflow_transition ORDER BY 1, 2"
    ):
        trails[pk].append(tuple(step))
    open_attempts: dict[int, list[int]] = defaultdict(list)
    for pk, ends in conn.execute(
        "SELECT installation_pk, expires_at FROM grantflow_attempt WHERE outcome IS NULL "
        "AND installation_pk IS NOT NULL"
    ):
        open_attempts[pk].append(ends)
    rows = conn.execute(
        "SELECT i.pk, a.kind, i.state, i.version, i.generation, i.due_at, i.deadline_at, i.updated_at, i.entered_at, "
        "i.quarantined FROM grantflow_installation i JOIN grantflow_app a ON a.pk = i.app_pk"
    ).fetchall()
    for pk, kind, state, version, generation, due_at, deadline_at, updated_at, entered_at, aside in rows:
        if aside:
            continue
        definition = definitions[kind]
        found += [f"{pk}: {why}" for why in trail_of(definition, trails.pop(pk, []), state, version)]
        found += [f"{pk}: {why}" for why in _grant_of(conn, definition, pk, state, generation)]
        found += [f"{pk}: {why}" for why in _waiting(definition, state, due_at, deadline_at, open_attempts[pk])]
        if entered_at > updated_at:
            found.append(f"{pk}: entered after it was last written")
    set_aside = {row[0] for row in rows if row[9]}
    found += [f"{pk}: a trail without a row" for pk in trails if pk not in set_aside]
    return found + _counted(conn) + _loose(conn)


def trail_of(definition: Definition, trail: list[tuple[Any, ...]], state: str, version: int) -> list[str]:
    """Invariants 3 and 9, never early, and that each step is an arrow of the chart."""
    if [step[0] for step in trail] != list(range(1, version + 1)):
        return [f"version {version}, trail {[step[0] for step in trail]}"]
    found, here, at, issued = [], None, 0, None
    for number, source, event, target, moment, _ in trail:
        if source != here:
            found.append(f"version {number} starts in {source}, the one before ended in {here}")
        if number == 1:
            if (source, event, target) != (None, definition.creation, definition.initial):
                found.append(f"it began with {event} in {target}")
        elif target not in definition.targets(event, source):
            found.append(f"{source} --{event}--> {target} is no arrow of {definition.name}")
        if moment < at:
            found.append(f"version {number} is older than the one before")
        if event == "expire" and (issued is None or moment < issued + YEAR):
            found.append(f"version {number} expired a grant before its time")
        if event == "exchange_ok":
            issued = moment
        here, at = target, moment
    if here != state:
        found.append(f"{state} is not the fold of its trail, which ends in {here}")
    return found


def _grant_of(conn: sqlite3.Connection, definition: Definition, pk: int, state: str, generation: int) -> list[str]:
    """Invariants 2 and 7: no secrets without a grant; one live pair, of the row's generation."""
    tokens = conn.execute("SELECT generation FROM grantflow_token_set WHERE installation_pk=?", (pk,)).fetchall()
    held = conn.execute(
        "SELECT kind, generation, spent_at IS NULL FROM grantflow_credential WHERE installation_pk=?", (pk,)
    ).fetchall()
    if definition.states[state].grant is Grant.NONE:
        return [f"secrets in {state}: {tokens} {held}"] if tokens or held else []
    fresh = [row for row in held if row[0] == "refresh" and row[2]]
    if not tokens and not held and state != "active":
        return []  # forced there without ever having had a grant
    sealed = conn.execute(
        "SELECT 1 FROM grantflow_token_set WHERE installation_pk=? AND access_sealed IS NOT NULL", (pk,)
    ).fetchall()
    if sealed:
        return [] if tokens == [(generation,)] and not held else [f"{tokens} sealed, {held} beside, not {generation}"]
    if tokens == [(generation,)] and not held and definition.states[state].grant is Grant.DEAD:
        return []  # retention wiped what a foreign server gave
    if tokens != [(generation,)] or fresh != [("refresh", generation, 1)]:
        return [f"tokens {tokens} and credentials {held} at generation {generation} in {state}"]
    if max(row[1] for row in held) > generation:
        return [f"a credential beyond generation {generation}"]
    return []


def _waiting(
    definition: Definition, state: str, due_at: int | None, deadline_at: int | None, ends: list[int]
) -> list[str]:
    """Invariants 16 and 17: what waits has an attempt and a date; a dead grant with an attempt is Z."""
    info, found = definition.states[state], []
    if info.waits_for_attempt and not ends:
        found.append(f"{state} waits for nobody")
    if (info.final or (info.grant is Grant.DEAD and not info.waits_for_attempt)) and ends:
        found.append(f"{state} with {len(ends)} open attempts")
    if len(ends) > MAX_OPEN:
        found.append(f"{len(ends)} open attempts")
    instants = [] if info.final or not ends else [min(ends)]
    if info.functional and deadline_at is not None:
        instants.append(deadline_at)
    if (min(instants) if instants else None) != due_at:
        found.append(f"due at {due_at} in {state}, not at {instants}")
    return found


def _counted(conn: sqlite3.Connection) -> list[str]:
    rows = conn.execute("SELECT app_pk, state, count(*) FROM grantflow_installation GROUP BY 1, 2").fetchall()
    told = conn.execute(
        "SELECT app_pk, state, sum(n) FROM grantflow_count GROUP BY 1, 2 HAVING sum(n) <> 0 ORDER BY 1, 2"
    ).fetchall()
    return [] if sorted(rows) == sorted(told) else [f"counters {told}, rows {rows}"]


_ODD = {
    "notices without their transition": "SELECT count(*) FROM grantflow_outbox o LEFT JOIN grantflow_transition t "
    "ON t.installation_pk = o.installation_pk AND t.version = o.version WHERE t.pk IS NULL",
    "closed attempts without an instant, or open ones with one": "SELECT count(*) FROM grantflow_attempt "
    "WHERE (outcome IS NULL) <> (closed_at IS NULL)",
    "attempts that ran out before their time": "SELECT count(*) FROM grantflow_attempt "
    "WHERE outcome = 'expired' AND closed_at < expires_at",
    "secrets of nobody": "SELECT (SELECT count(*) FROM grantflow_token_set WHERE installation_pk NOT IN "
    "(SELECT pk FROM grantflow_installation)) + (SELECT count(*) FROM grantflow_credential "
    "WHERE installation_pk NOT IN (SELECT pk FROM grantflow_installation))",
    "attempts of no installation that went on": "SELECT count(*) FROM grantflow_attempt "
    "WHERE installation_pk IS NULL AND (step > 1 OR outcome = 'completed')",
    "attempts that completed without an exchange": "SELECT max(0, (SELECT count(*) FROM grantflow_attempt "
    "WHERE outcome = 'completed') - (SELECT count(*) FROM grantflow_transition WHERE event = 'exchange_ok'))",
    "rows set aside without a reason": "SELECT count(*) FROM grantflow_installation WHERE quarantined AND pk NOT IN "
    "(SELECT installation_pk FROM grantflow_quarantine)",
}


def _loose(conn: sqlite3.Connection) -> list[str]:
    return [f"{n} {what}" for what, query in _ODD.items() if (n := conn.execute(query).fetchone()[0])]
