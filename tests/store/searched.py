"""Installations of every kind, what other tables say of them, and what each filter means, told in Python."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from grantflow._app import App, AppKind, Version
from grantflow._filter import SHIPPED
from grantflow._rows import AppRow, InstallationRow
from grantflow._store import _ddl
from grantflow._store._connection import Connection
from grantflow._store._statements import APP_COLUMNS

NOW = 1_785_000_000_000_000
DAY = 86_400_000_000
ROWS = 5_000
STATES = ("active", "active", "active", "refresh-expired", "reauthorizing", "unauthorized", "uninstalled")
ODD = (
    "100%",
    "100% sure",
    "1000",
    "a_b",
    "aXb",
    "a\ud7ff",
    "a\ue000",
    "a\U0010ffff",
    "a\U0010ffffz",
    "b",
    "🦊den",
    "🦊",
)

UNREADABLE = 6
"""An app whose document nobody can read."""
RUNS = ("0198c0de-run-one", "0198c0de-run-two", "0198c0df-run")

Keep = Callable[[InstallationRow], bool]


def app_row(pk: int) -> AppRow:
    kind = ("account", "agent", "external")[pk % 3]
    key = f"crm-{pk}" if pk % 2 else f"hr-{pk}"
    versions = (Version("1", ("crm.read",)), Version("2", ("crm.read", "crm.assets")))
    app = App(key, AppKind(kind), key, versions, ("https://crm.example/callback",))
    document = "{}" if pk == UNREADABLE else app.to_document()
    return AppRow(pk, f"app-id-{pk}", key, kind, f"client-{pk}", document, 1)


@contextmanager
def with_apps() -> Iterator[sqlite3.Connection]:
    """A database in memory that holds the schema and the apps."""
    with closing(sqlite3.connect(":memory:")) as conn:
        for statement in _ddl.statements():
            conn.execute(statement)
        insert(conn, "grantflow_app", APP_COLUMNS, [app_row(pk) for pk in range(1, 7)])
        yield conn


def installation_row(pk: int, chance: random.Random) -> InstallationRow:
    state = chance.choice(STATES)
    dead = state in {"refresh-expired", "reauthorizing"}
    ends = NOW + chance.randrange(-5, 400) * DAY // 2 if state == "active" or dead else None
    due = ends if state == "active" and ends is not None and chance.random() < 0.95 else None
    created = NOW - (ROWS - pk) * DAY // 50
    suspended = chance.random() < 0.02
    return InstallationRow(
        pk=pk,
        public_id=f"{0x0198C0DE + pk // 100:08x}-{chance.randrange(1 << 16):04x}-7000-8000-{pk:012x}",
        app_pk=pk % 6 + 1,
        account=chance.choice(ODD) if pk % 50 == 0 else f"acct-{chance.randrange(300)}",
        subject_kind=chance.choice(("agent", "user")),
        subject_id=str(chance.randrange(500)),
        label="" if pk % 3 else f"laptop {pk}",
        state="from-the-future" if pk % 997 == 0 else state,
        reason=chance.choice(("time", "revoked", "api-rejected")) if dead else None,
        version=chance.randrange(1, 40),
        generation=1,
        due_at=due,
        deadline_at=ends,
        grant_revoked=False,
        granted="crm.read crm.write" if pk % 4 == 0 else "crm.readonly",
        identity=None,
        definition="AgentInstallation",
        definition_version=1,
        fingerprint="f",
        bucket=0,
        created_at=created,
        entered_at=min(created + chance.randrange(40) * DAY, NOW - chance.randrange(3) * DAY // 48),
        updated_at=created,
        forced=pk % 61 == 0,
        suspended_by="operator" if suspended else None,
        suspended_at=NOW if suspended else None,
        suspended_why="why" if suspended else None,
        quarantined=pk % 997 == 0,
    )


def many_rows() -> list[InstallationRow]:
    """Installations of every kind, no two with the same natural key."""
    chance = random.Random(4)
    made: dict[tuple[object, ...], InstallationRow] = {}
    for pk in range(1, ROWS + 1):
        row = installation_row(pk, chance)
        while (row.app_pk, row.account, row.subject_kind, row.subject_id, row.label) in made:
            row = installation_row(pk, chance)
        made[row.app_pk, row.account, row.subject_kind, row.subject_id, row.label] = row
    return list(made.values())


def insert(conn: Connection, table: str, names: tuple[str, ...], rows: list[object]) -> None:
    places = ", ".join("?" * len(names))
    values = [tuple(getattr(row, name) for name in names) for row in rows]
    conn.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})", values)


def failing(row: InstallationRow) -> bool:
    return row.pk % 41 == 0


def runs(row: InstallationRow) -> tuple[str, ...]:
    """Sweeps that moved it; one of them moved some of its rows twice."""
    return tuple(run for number, run in enumerate(RUNS) if row.pk % (31 + number) == 0)


def old_version(row: InstallationRow) -> bool:
    return row.account.startswith("acct-1")


def insert_named(conn: Connection, table: str, **values: object) -> None:
    columns = [(str(line[1]), line[2]) for line in conn.execute(f"PRAGMA table_info({table})")]
    blank = {name: None if name.endswith("_sealed") else 0 for name, _ in columns if name != "pk"}
    filled = {**blank, **values}
    conn.execute(
        f"INSERT INTO {table} ({', '.join(filled)}) VALUES ({', '.join('?' * len(filled))})", [*filled.values()]
    )


def surroundings(conn: Connection, rows: list[InstallationRow]) -> None:
    """What other tables say of the rows."""
    for row in rows:
        failed = {"failing": "server-error" if failing(row) else None, "refresh_at": None}
        if row.pk % 2 or failing(row):
            insert_named(conn, "grantflow_token_set", installation_pk=row.pk, family=f"f{row.pk}", **failed)
        for version, run in enumerate((None, *runs(row), *runs(row)[:1]), 1):
            told = {"version": version, "run_id": run, "idempotency_key": None}
            insert_named(conn, "grantflow_transition", installation_pk=row.pk, **told)
    for app, account in {(row.app_pk, row.account) for row in rows if old_version(row)}:
        insert_named(conn, "grantflow_parent", app_pk=app, account=account, app_version="1")
    for app, cause, closed in ((2, "key-lost", None), (3, "invalid_client", None), (4, "key-lost", NOW)):
        name = f"incident-{app}"
        insert_named(conn, "grantflow_incident", public_id=name, app_pk=app, cause=cause, closed_at=closed)


def app_of(row: InstallationRow) -> AppRow:
    return app_row(row.app_pk)


def here(row: InstallationRow) -> bool:
    return row.state != "uninstalled"


def live(row: InstallationRow) -> bool:
    return row.state in SHIPPED.live


def granted(row: InstallationRow) -> bool:
    return row.state in SHIPPED.granted and row.app_pk != UNREADABLE


def awaits_assets(row: InstallationRow) -> bool:
    return granted(row) and not old_version(row)


def awaits_read(row: InstallationRow) -> bool:
    return granted(row) and "crm.read" not in row.granted.split()


def ends(row: InstallationRow) -> int:
    return -1 if row.deadline_at is None else row.deadline_at


MEANINGS: dict[str, Keep] = {
    "": here,
    "is:any": lambda row: True,
    "state:active": live,
    "state:active,uninstalled": lambda row: row.state in {"active", "uninstalled"},
    "-state:active": lambda row: here(row) and not live(row),
    "state!=active is:any": lambda row: not live(row),
    "app:crm-1": lambda row: here(row) and row.app_pk == 1,
    "app:crm-*": lambda row: here(row) and row.app_pk % 2 == 1,
    "-app:crm-*": lambda row: here(row) and row.app_pk % 2 == 0,
    "app:crm-1 state:re*": lambda row: row.app_pk == 1 and row.state.startswith("re"),
    "app:none": lambda row: False,
    "kind:agent": lambda row: here(row) and app_of(row).kind == "agent",
    "kind:agent,external -app:hr-2": lambda row: here(row) and app_of(row).kind != "account" and row.app_pk != 2,
    "account:acct-7": lambda row: here(row) and row.account == "acct-7",
    "account:acct-7,acct-8": lambda row: here(row) and row.account in {"acct-7", "acct-8"},
    "account:acct-1*": lambda row: here(row) and row.account.startswith("acct-1"),
    "account:acct-1*,acct-2": lambda row: here(row) and (row.account.startswith("acct-1") or row.account == "acct-2"),
    "-account:acct-1*": lambda row: here(row) and not row.account.startswith("acct-1"),
    "acct-29": lambda row: here(row) and row.account.startswith("acct-29"),
    "-acct": lambda row: here(row) and not row.account.startswith("acct"),
    "0198c0e0": lambda row: here(row) and row.public_id.startswith("0198c0e0"),
    "id:0198c0e0*": lambda row: here(row) and row.public_id.startswith("0198c0e0"),
    "subject:42": lambda row: here(row) and row.subject_id == "42",
    "subject:agent:42": lambda row: here(row) and row.subject_id == "42" and row.subject_kind == "agent",
    "subject:agent:4*,42": lambda row: (
        here(row) and (row.subject_id == "42" or (row.subject_id.startswith("4") and row.subject_kind == "agent"))
    ),
    'label:""': lambda row: here(row) and not row.label,
    'label:"laptop 3"*': lambda row: here(row) and row.label.startswith("laptop 3"),
    "reason:time": lambda row: here(row) and row.reason == "time",
    "reason:time,revoked": lambda row: here(row) and row.reason in {"time", "revoked"},
    "reason:*": lambda row: here(row) and row.reason is not None,
    "-reason:time": lambda row: here(row) and row.reason != "time",
    "expires:<7d": lambda row: live(row) and NOW < ends(row) < NOW + 7 * DAY,
    "expires:7d..30d": lambda row: live(row) and NOW + 7 * DAY <= ends(row) < NOW + 30 * DAY,
    "expires:>100d": lambda row: live(row) and ends(row) > NOW + 100 * DAY,
    "expires:7d..9d,30d..": lambda row: (
        live(row) and (7 <= (ends(row) - NOW) / DAY < 9 or ends(row) >= NOW + 30 * DAY)
    ),
    "expires:<30d state:reauthorizing": lambda row: row.state == "reauthorizing" and NOW < ends(row) < NOW + 30 * DAY,
    "-expires:<30d": lambda row: live(row) and not NOW < ends(row) < NOW + 30 * DAY,
    "entered:<10d": lambda row: here(row) and row.entered_at > NOW - 10 * DAY,
    "entered:>50d app:crm-*": lambda row: here(row) and row.entered_at < NOW - 50 * DAY and row.app_pk % 2 == 1,
    "created:1d..3d": lambda row: here(row) and NOW - 3 * DAY < row.created_at <= NOW - DAY,
    "version:1..3,9": lambda row: here(row) and row.version in {1, 2, 3, 9},
    "version:>=39": lambda row: here(row) and row.version >= 39,
    "is:overdue": lambda row: here(row) and row.due_at is not None and row.due_at <= NOW,
    "is:suspended": lambda row: here(row) and row.suspended_by is not None,
    "-is:suspended state:active": lambda row: live(row) and row.suspended_by is None,
    "is:forced": lambda row: here(row) and row.forced,
    "is:quarantined": lambda row: row.quarantined,
    "is:forced,suspended": lambda row: here(row) and (row.forced or row.suspended_by is not None),
    "is:expiring": lambda row: live(row) and NOW < ends(row) < NOW + 7 * DAY,
    "is:stuck": lambda row: row.state == "reauthorizing" and row.entered_at <= NOW - DAY // 24,
    "-is:stuck state:reauthorizing": lambda row: row.state == "reauthorizing" and row.entered_at > NOW - DAY // 24,
    "has:failure": lambda row: here(row) and failing(row),
    "has:failure app:crm-*": lambda row: here(row) and failing(row) and row.app_pk % 2 == 1,
    "-has:failure": lambda row: here(row) and not failing(row),
    f"run:{RUNS[0]}": lambda row: here(row) and RUNS[0] in runs(row),
    "run:0198c0de*,nothing": lambda row: here(row) and bool({*RUNS[:2]} & {*runs(row)}),
    f"-run:{RUNS[2]}": lambda row: here(row) and RUNS[2] not in runs(row),
    "incident:*": lambda row: here(row) and row.app_pk in {2, 3},
    "incident:key-lost": lambda row: here(row) and row.app_pk == 2,
    "-incident:key-lost": lambda row: here(row) and row.app_pk != 2,
    "scope:?crm.assets": lambda row: here(row) and awaits_assets(row),
    "scope:?crm.read app:crm-1": lambda row: row.app_pk == 1 and awaits_read(row),
    "scope:?*": lambda row: here(row) and (awaits_assets(row) or awaits_read(row)),
    "-scope:?crm.read": lambda row: here(row) and not awaits_read(row),
    "scope:?crm.assets,crm.read": lambda row: here(row) and (awaits_assets(row) or "crm.read" in row.granted.split()),
    "scope:+crm.read": lambda row: here(row) and "crm.read" in row.granted.split(),
    "-scope:crm.read": lambda row: here(row) and "crm.read" not in row.granted.split(),
}
