"""The way from the schema of an earlier release to today's: alembic revisions, one by one on an open connection.

Only `grantflow db upgrade` and `db check` come here; alembic keeps no table of its own, the version is where the
engine looks for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from grantflow._database_model import UpgradePlan, UpgradeStep
from grantflow._store import _migrations, _names
from grantflow._store._statements import SCHEMA_ROW
from grantflow._store._version import Stamp, stamp
from grantflow.errors import NotFound, SchemaMismatch
from grantflow_machines import Actor, Instant

if TYPE_CHECKING:
    from alembic.script import Script
    from sqlalchemy import Connection

FIRST = {"sqlite": 1, "postgresql": 3}
"""The first version there was on each database."""
_HAS_COMPATIBLE_FROM = 4
_RECORD = text(
    f"INSERT INTO {_names.ACTION} (at, actor, claimed, verb, target, reason, version_seen, outcome, detail) "
    "VALUES (:at, :actor, :claimed, 'upgrade', :target, NULL, NULL, 'applied', :detail)"
)


def revisions() -> list[Script]:
    """Every version there was, oldest first."""
    folder = Path(str(_migrations.__file__)).parent
    return list(ScriptDirectory(str(folder)).walk_revisions())[::-1]


def version_of(connection: Connection) -> Stamp:
    """What wrote the database; raises NotFound where grantflow did not."""
    look = inspect(connection)
    if not look.has_table(_names.SCHEMA):
        msg = "the database holds no tables of grantflow"
        raise NotFound(msg, hint="check the URL, or make them: grantflow db init")
    row = connection.exec_driver_sql(SCHEMA_ROW).fetchone()
    return stamp(None if row is None else tuple(row), unfinished=row is None and look.has_table(_names.COPY))


def ahead(connection: Connection) -> tuple[Stamp, list[Script]]:
    """What is found, and the steps from there; raises SchemaMismatch where no way leads from."""
    found = version_of(connection)
    first = FIRST[connection.dialect.name]
    if found.version < first:
        msg = f"no way leads from schema version {found.version}; the first on this database was {first}"
        raise SchemaMismatch(msg)
    return found, [step for step in revisions() if int(step.revision) > found.version]


def planned(connection: Connection) -> UpgradePlan:
    """What an upgrade would do."""
    found, steps = ahead(connection)
    return UpgradePlan(
        found.version,
        max(found.version, _names.SCHEMA_VERSION),
        tuple(_described(connection, step) for step in steps),
        all(found.version >= step.module.COMPATIBLE_FROM for step in steps),
    )


def _described(connection: Connection, step: Script) -> UpgradeStep:
    look, rows = inspect(connection), {}
    for name in step.module.REWRITES:
        if look.has_table(name):  # or an earlier step makes it, without rows
            rows[str(name)] = int(connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one())
    return UpgradeStep(int(step.revision), step.doc, rows)


def take(connection: Connection, step: Script, actor: Actor, now: Instant) -> None:
    """One step, inside the transaction that is open: the tables, the version, and a line for the audit."""
    version = int(step.revision)
    with Operations.context(MigrationContext.configure(connection)):
        step.module.upgrade()
    values: dict[str, Any] = {"version": version}
    if version >= _HAS_COMPATIBLE_FROM:
        values["compatible_from"] = step.module.COMPATIBLE_FROM
    sets = ", ".join(f"{name} = :{name}" for name in values)
    connection.execute(text(f"UPDATE {_names.SCHEMA} SET {sets}"), values)
    connection.execute(
        _RECORD,
        {
            "at": now,
            "actor": str(actor),
            "claimed": actor.claimed,
            "target": "database",
            "detail": f"schema version {version}: {step.doc}"[:1000],
        },
    )
