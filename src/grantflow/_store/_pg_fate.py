"""What became of a transaction whose commit got no answer.

The server knows by its id. But a server that crashed, or a standby that took over, may give the id of a transaction
it never heard of to somebody else's: *committed* then counts only where a row that we wrote carries the id.
"""

from __future__ import annotations

from dataclasses import replace

import asyncpg

from grantflow._ports import ChunkDone
from grantflow._rows import Change
from grantflow._store import _names
from grantflow.errors import DatabaseUnreachable

SINCE = "pg_postmaster_start_time()::text"
_FATE = f"SELECT pg_xact_status($1::text::xid8), {SINCE}"
_OURS = "xmin::text = ($1::text::numeric % 4294967296)::text"  # a row carries the lower half of the id
_STEP = f"SELECT count(*) FROM {_names.TRANSITION} WHERE {_OURS} AND installation_pk = $2 AND version = $3"
_ATTEMPT = f"SELECT count(*) FROM {_names.ATTEMPT} WHERE {_OURS} AND pk = $2"
_TOKENS = f"SELECT count(*) FROM {_names.TOKEN_SET} WHERE {_OURS} AND installation_pk = $2"


class Uncertain(Exception):
    """The connection broke while a transaction was being committed."""

    def __init__(self, transaction: str, result: object, since: str) -> None:
        super().__init__(transaction)  # nothing of the rows stands in a traceback
        self.transaction, self.result = transaction, result
        self.since = since
        """When the server started, as far as was known before."""

    async def was_committed(self, conn: asyncpg.Connection) -> bool | None:
        """Ask the server; None while it is at it.

        Raises DatabaseUnreachable where nobody can tell.
        """
        try:
            fate, since = await conn.fetchrow(_FATE, self.transaction)
        except asyncpg.InvalidParameterValueError:
            return False  # another server took over that has not come so far
        if fate == "in progress":
            return None
        if fate != "committed" or _wrote_nothing(self.result):
            return bool(fate == "committed")
        if (proof := _proof(self.result)) is not None:
            text, values = proof
            return bool(await conn.fetchval(text, self.transaction, *values))
        if since == self.since:
            return True
        raise DatabaseUnreachable(UNKNOWN, hint=LOOK)


UNKNOWN = "the connection broke during a commit, and nobody can tell whether it was written"
LOOK = "look at the installation before you try again"


def _wrote_nothing(result: object) -> bool:
    if isinstance(result, ChunkDone):
        return not result.changes and not result.quarantined
    return isinstance(result, Change) and replace(result, result=None) == Change()


def _proof(result: object) -> tuple[str, tuple[int, ...]] | None:
    """Where a row stands that the transaction wrote and that nobody else changes meanwhile."""
    changes = result.changes if isinstance(result, ChunkDone) else [result]
    for change in changes:
        if not isinstance(change, Change):
            continue
        if change.transitions:
            step = change.transitions[0]
            return _STEP, (step.installation_pk, step.version)
        if change.new_attempts:
            return _ATTEMPT, (change.new_attempts[0].pk,)
        if change.tokens is not None:
            return _TOKENS, (change.tokens.installation_pk,)
    return None
