"""The database says which code may work on it, so that hosts can be renewed one after the other.

Code for version 3 that is at work goes on; it cannot be started anew, because it knows no schema but its own.
"""

import sqlalchemy as sa

from grantflow._store._migrations import add_required

revision = "0004"
down_revision = "0003"
COMPATIBLE_FROM = 3
REWRITES = ()


def upgrade() -> None:
    """The value itself is written with the version."""
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    add_required("grantflow_schema", sa.Column("compatible_from", kind), "0")
