"""The first schema: host mode on SQLite."""

revision = "0001"
down_revision = None
COMPATIBLE_FROM = 1
REWRITES = ()


def upgrade() -> None:
    """Nothing leads here: a new database is made as it is today."""
