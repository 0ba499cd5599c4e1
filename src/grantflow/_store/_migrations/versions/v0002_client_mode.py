"""Client mode: sealed tokens of foreign servers, incidents, and what is to be given back."""

import sqlalchemy as sa
from alembic import op

from grantflow._store._migrations import add_required

revision = "0002"
down_revision = "0001"
COMPATIBLE_FROM = 2
REWRITES = ("grantflow_app", "grantflow_outbox", "grantflow_token_set")


def upgrade() -> None:
    """Tokens kept by hash stay what they are; what was not sealed needs no key."""
    add_required("grantflow_app", sa.Column("secrets", sa.String()), "'[]'")
    _attempts()
    _incidents()
    _revocations()
    op.create_index(
        "grantflow_installation_identity",
        "grantflow_installation",
        ["app_pk", "identity"],
        sqlite_where=sa.text("identity IS NOT NULL"),
    )
    with op.batch_alter_table("grantflow_outbox") as outbox:
        outbox.alter_column("installation_pk", existing_type=sa.Integer(), nullable=True)
    op.add_column("grantflow_outbox", sa.Column("app_pk", sa.Integer()))
    _token_sets()


def _attempts() -> None:
    for name, kind in (
        ("state_hash", sa.LargeBinary()),
        ("state_used_at", sa.BigInteger()),
        ("sealed", sa.LargeBinary()),
        ("issuer", sa.String()),
    ):
        op.add_column("grantflow_attempt", sa.Column(name, kind))
    op.create_index(
        "grantflow_attempt_state",
        "grantflow_attempt",
        ["state_hash"],
        unique=True,
        sqlite_where=sa.text("state_hash IS NOT NULL"),
    )


def _incidents() -> None:
    op.create_table(
        "grantflow_incident",
        sa.Column("pk", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("app_pk", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("probe_at", sa.BigInteger(), nullable=False),
        sa.Column("probes", sa.Integer(), nullable=False),
        sa.Column("closed_at", sa.BigInteger()),
        sa.Column("closed_by", sa.String()),
        sa.PrimaryKeyConstraint("pk"),
        sa.UniqueConstraint("public_id"),
    )
    op.create_index(
        "grantflow_incident_open",
        "grantflow_incident",
        ["app_pk"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
    )


def _revocations() -> None:
    op.create_table(
        "grantflow_revocation",
        sa.Column("pk", sa.Integer(), nullable=False),
        sa.Column("app_pk", sa.Integer(), nullable=False),
        sa.Column("installation_pk", sa.Integer(), nullable=False),
        sa.Column("identity", sa.String()),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("hint", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary()),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger()),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String()),
        sa.Column("done_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("pk"),
    )
    op.create_index(
        "grantflow_revocation_due",
        "grantflow_revocation",
        ["next_at"],
        sqlite_where=sa.text("next_at IS NOT NULL"),
    )


def _token_sets() -> None:
    with op.batch_alter_table("grantflow_token_set") as tokens:
        tokens.alter_column("access_expires_at", existing_type=sa.BigInteger(), nullable=True)
    for name, kind in (
        ("access_sealed", sa.LargeBinary()),
        ("refresh_sealed", sa.LargeBinary()),
        ("consented_at", sa.BigInteger()),
        ("refresh_at", sa.BigInteger()),
        ("lease", sa.String()),
        ("lease_until", sa.BigInteger()),
        ("in_flight_at", sa.BigInteger()),
    ):
        op.add_column("grantflow_token_set", sa.Column(name, kind))
    add_required("grantflow_token_set", sa.Column("failures", sa.Integer()), "0")
    op.add_column("grantflow_token_set", sa.Column("failing", sa.String()))
    op.add_column("grantflow_token_set", sa.Column("forced_generation", sa.Integer()))
    op.add_column("grantflow_token_set", sa.Column("unauthorized_at", sa.BigInteger()))
    op.create_index(
        "grantflow_token_set_refresh",
        "grantflow_token_set",
        ["refresh_at"],
        sqlite_where=sa.text("refresh_at IS NOT NULL"),
    )
