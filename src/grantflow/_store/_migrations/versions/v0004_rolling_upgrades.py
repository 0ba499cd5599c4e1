"""The database says which code may work on it, so that hosts can be renewed one after the other; ends by what is due.

Code for version 3 that is at work goes on; it cannot be started anew, because it knows no schema but its own. The
indexes that its searches name to SQLite are there as before, one of them with more columns.
"""

import sqlalchemy as sa
from alembic import op

from grantflow._store._migrations import add_required

revision = "0004"
down_revision = "0003"
COMPATIBLE_FROM = 3
REWRITES = ()

_UNDUE = (
    "deadline_at IS NOT NULL AND (due_at IS NULL OR due_at <> deadline_at) "
    "AND state <> 'refresh-expired' AND state <> 'reauthorizing'"
)


def upgrade() -> None:
    """The value itself is written with the version."""
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    add_required("grantflow_schema", sa.Column("compatible_from", kind), "0")
    op.drop_index("grantflow_installation_due", "grantflow_installation")
    _index("due", ["due_at", "pk", "app_pk", "deadline_at", "state"], "due_at IS NOT NULL")
    _index("undue", ["deadline_at", "pk"], _UNDUE)


def _index(name: str, columns: list[str], where: str) -> None:
    """On either database."""
    some = sa.text(where)
    full = f"grantflow_installation_{name}"
    op.create_index(full, "grantflow_installation", columns, sqlite_where=some, postgresql_where=some)
