"""Locks that a transaction takes before it reads, so that what it decides on is still so when it commits.

One SQLite file has one writer; here every statement sees what was committed before it began, and the rows a decision
stands on are locked in one order: parent, installation, attempt, incident. Parents are shared: many installations of
an account move at once, and only a change of the parent itself waits for them. An app's own row is locked by changes
of the app alone. The first answer is the transaction's id, by which an uncertain commit is looked up.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Any

from grantflow._rows import Load
from grantflow._store import _names

_app = _names.APP
_parent = _names.PARENT
_installation = _names.INSTALLATION
_attempt = _names.ATTEMPT
_credential = _names.CREDENTIAL
_incident = _names.INCIDENT

_ID = "pg_current_xact_id()::text"
JUST_THE_ID = f"SELECT {_ID}"
CLAIM = (
    f"SELECT pk FROM {_installation} WHERE pk = ANY($1::bigint[]) AND due_at <= $2 AND NOT quarantined "
    "ORDER BY pk FOR NO KEY UPDATE SKIP LOCKED"
)
"""Rows for a sweep, but for those that somebody else is at."""
HOLD = (
    f"SELECT pk FROM {_installation} WHERE pk = ANY($1::bigint[]) OR pk IN (SELECT installation_pk FROM {_attempt} "
    "WHERE pk = ANY($2::bigint[])) ORDER BY pk FOR NO KEY UPDATE"
)
"""Installations by key, and those of some attempts, before what hangs on them is written by itself."""
_NATURAL = (
    f"FROM {_installation} i JOIN {_app} a ON a.pk = i.app_pk WHERE a.key = $1 AND i.account = $2 "
    "AND i.subject_id = CASE WHEN a.kind = 'account' OR $3::text IS NULL THEN $2 ELSE $3 END AND i.label = $4 "
    "AND i.state <> 'uninstalled'"
)


def _statement(foreign: bool, **locks: str) -> str:  # noqa: FBT001 - called here alone
    """CTEs that lock, in the order in which they are named."""
    if not foreign:
        locks.pop("incident", None)
    ctes = ", ".join(f"{name} AS ({text})" for name, text in locks.items())
    each = ", ".join(f"(SELECT count(*) FROM {name})" for name in locks)
    return f"WITH {ctes} SELECT {_ID}, {each}"


def _of_installation(which: str, *, foreign: bool) -> str:
    """`which` is FROM … WHERE … with the installation as `i`."""
    return _statement(
        foreign,
        parent=(
            f"SELECT p.pk FROM {_parent} p WHERE (p.app_pk, p.account) IN (SELECT i.app_pk, i.account {which}) "
            "FOR SHARE OF p"
        ),
        installation=f"SELECT i.pk {which} FOR NO KEY UPDATE OF i",
        incident=(
            f"SELECT n.pk FROM {_incident} n WHERE n.app_pk IN (SELECT i.app_pk {which}) AND n.closed_at IS NULL "
            "FOR NO KEY UPDATE OF n"
        ),
    )


def _of_attempt(column: str, *, foreign: bool) -> str:
    """The attempt, and the installation it belongs to or will; $2 is the account that was chosen."""
    here = f"FROM {_attempt} x WHERE x.{column} = $1"
    own = f"(SELECT i.account FROM {_installation} i WHERE i.pk = x.installation_pk)"
    return _statement(
        foreign,
        parent=(
            f"SELECT p.pk FROM {_parent} p WHERE (p.app_pk, p.account) IN (SELECT x.app_pk, "
            f"coalesce({own}, $2, x.account) {here}) FOR SHARE OF p"
        ),
        installation=(
            f"SELECT i.pk FROM {_installation} i WHERE i.pk IN (SELECT x.installation_pk {here}) "
            "FOR NO KEY UPDATE OF i"
        ),
        attempt=f"SELECT x.pk {here} FOR NO KEY UPDATE OF x",
        incident=(
            f"SELECT n.pk FROM {_incident} n WHERE n.app_pk IN (SELECT x.app_pk {here}) AND n.closed_at IS NULL "
            "FOR NO KEY UPDATE OF n"
        ),
    )


def _of_app(column: str, *, foreign: bool) -> str:
    """An app itself, and with $2 its parent on one account."""
    here = f"FROM {_app} a WHERE a.{column} = $1"
    return _statement(
        foreign,
        app=f"SELECT a.pk {here} FOR NO KEY UPDATE OF a",
        parent=(
            f"SELECT p.pk FROM {_parent} p WHERE p.app_pk IN (SELECT a.pk {here}) AND p.account = $2 "
            "FOR NO KEY UPDATE OF p"
        ),
        incident=(
            f"SELECT n.pk FROM {_incident} n WHERE n.app_pk IN (SELECT a.pk {here}) AND n.closed_at IS NULL "
            "FOR NO KEY UPDATE OF n"
        ),
    )


_BY_ID = f"FROM {_installation} i WHERE i.public_id = $1"
_BY_CREDENTIAL = (
    f"FROM {_installation} i WHERE i.pk IN (SELECT c.installation_pk FROM {_credential} c WHERE c.hash = $1)"
)
_STATEMENTS = {
    (name, foreign): text
    for foreign in (False, True)
    for name, text in {
        "installation": _of_installation(_BY_ID, foreign=foreign),
        "natural": _of_installation(_NATURAL, foreign=foreign),
        "credential": _of_installation(_BY_CREDENTIAL, foreign=foreign),
        "attempt": _of_attempt("public_id", foreign=foreign),
        "code": _of_attempt("code_hash", foreign=foreign),
        "state": _of_attempt("state_hash", foreign=foreign),
        "app": _of_app("key", foreign=foreign),
        "client": _of_app("client_id", foreign=foreign),
    }.items()
}


def locks(load: Load | None) -> tuple[str, tuple[Any, ...]]:
    """The statement that locks what a transaction will read, and its values."""
    name, values = _asked(load)
    return (JUST_THE_ID, ()) if load is None or name is None else (_STATEMENTS[name, load.foreign], values)


def _asked(load: Load | None) -> tuple[str | None, tuple[Any, ...]]:
    """The same order of preference as in reading."""
    if load is None:
        return None, ()
    if load.installation is not None:
        return "installation", (load.installation,)
    if load.natural is not None:
        return "natural", load.natural
    for name, value in (("attempt", load.attempt), ("code", load.code_hash), ("state", load.state_hash)):
        if value is not None:
            return name, (value, load.account)
    if load.credential is not None:
        return "credential", (load.credential,)
    if load.app is None:
        return None, ()
    if load.app.startswith("client:"):
        return "client", (load.app.removeprefix("client:"), load.account)
    return "app", (load.app, load.account)


class Turns:
    """Those of this process who wait for the same row, in the order they came; they wait without a connection."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, asyncio.Lock] = {}
        self._asking: Counter[Hashable] = Counter()

    @asynccontextmanager
    async def of(self, load: Load | None) -> AsyncIterator[None]:
        """Hold the turn for what a transaction will lock."""
        key = _asked(load)
        if key[0] is None:
            yield
            return
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._asking[key] += 1
        try:
            async with lock:
                yield
        finally:
            self._asking[key] -= 1
            if not self._asking[key]:
                del self._asking[key], self._locks[key]
