"""The lead among schedulers: a lease on the database's own clock, so that N of them do not poll N-fold.

Nothing is kept right by it: rows are claimed and compared and swapped, whoever leads. It is a row of the controls.
"""

from __future__ import annotations

from grantflow._controls import LEAD, Leader
from grantflow._store import _names
from grantflow._store._pg_connection import Bridge

NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_control = _names.CONTROL
_TAKE = (
    f"INSERT INTO {_control} AS c (name, at, by, reason, detail) VALUES ('{LEAD}', {NOW} + $2, $1, '', '1') "
    "ON CONFLICT (name) DO UPDATE SET at = excluded.at, by = excluded.by, "
    "detail = CASE WHEN c.by = excluded.by THEN c.detail ELSE (c.detail::bigint + 1)::text END "
    f"WHERE c.by = excluded.by OR c.at <= {NOW} RETURNING 1"
)
_LEAVE = f"UPDATE {_control} SET at = 0 WHERE name = '{LEAD}' AND by = $1 RETURNING 1"
_LEADS = f"SELECT by, detail::bigint FROM {_control} WHERE name = '{LEAD}' AND at > {NOW}"


def take(bridge: Bridge, process: str, length: int) -> bool:
    """Take the lead or renew it; False while another process has it."""
    return bool(bridge.fetch(_TAKE, process, length))


def leave(bridge: Bridge, process: str) -> None:
    """Let the next one take it at once; the term is kept."""
    bridge.fetch(_LEAVE, process)


def leader(bridge: Bridge) -> Leader | None:
    """Who leads now."""
    rows = bridge.fetch(_LEADS)
    return Leader(*rows[0]) if rows else None
