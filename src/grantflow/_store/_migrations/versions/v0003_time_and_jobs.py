"""Time and bulk work: warnings before an end and reminders after it, retention, pauses, jobs."""

import sqlalchemy as sa
from alembic import op

from grantflow._store._migrations import add_required

revision = "0003"
down_revision = "0002"
COMPATIBLE_FROM = 3
REWRITES = ("grantflow_outbox",)

_DEAD = "('refresh-expired', 'reauthorizing')"
_LIVE = "('active')"
_FIRST_WARNING = 30 * 86_400 * 1_000_000
_INDEXES = (
    ("grantflow_attempt_closed", "grantflow_attempt", "closed_at", "closed_at IS NOT NULL"),
    ("grantflow_installation_ended", "grantflow_installation", "ended_at", "ended_at IS NOT NULL"),
    ("grantflow_installation_notice", "grantflow_installation", "notice_due_at", "notice_due_at IS NOT NULL"),
    ("grantflow_outbox_pending", "grantflow_outbox", "pk", "delivered_at IS NULL AND dead_at IS NULL"),
    ("grantflow_outbox_retry", "grantflow_outbox", "next_at", "next_at IS NOT NULL"),
    ("grantflow_outbox_dead", "grantflow_outbox", "pk", "dead_at IS NOT NULL"),
    ("grantflow_outbox_done", "grantflow_outbox", "delivered_at", "delivered_at IS NOT NULL"),
    ("grantflow_token_set_failing", "grantflow_token_set", "installation_pk", "failing IS NOT NULL"),
)


def upgrade() -> None:
    """Whoever died before is not reminded late; a live grant is warned of as by the settings that come with us."""
    for name in ("ended_at", "notice_due_at"):
        op.add_column("grantflow_installation", sa.Column(name, sa.BigInteger()))
    op.execute(f"UPDATE grantflow_installation SET ended_at = entered_at WHERE state IN {_DEAD}")
    op.execute(
        f"UPDATE grantflow_installation SET notice_due_at = deadline_at - {_FIRST_WARNING} "
        f"WHERE state IN {_LIVE} AND deadline_at IS NOT NULL"
    )
    op.drop_index("grantflow_outbox_pending", "grantflow_outbox")
    add_required("grantflow_outbox", sa.Column("tries", sa.Integer()), "0")
    for name in ("next_at", "dead_at"):
        op.add_column("grantflow_outbox", sa.Column(name, sa.BigInteger()))
    for name, table, column, where in _INDEXES:
        op.create_index(name, table, [column], sqlite_where=sa.text(where))
    op.create_index(
        "grantflow_transition_run",
        "grantflow_transition",
        ["run_id", "installation_pk"],
        sqlite_where=sa.text("run_id IS NOT NULL"),
    )
    _operation()
    _jobs()


def _operation() -> None:
    op.create_table(
        "grantflow_control",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "grantflow_beat",
        sa.Column("process", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("process"),
    )


def _jobs() -> None:
    op.create_table(
        "grantflow_job",
        sa.Column("pk", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("verb", sa.String(), nullable=False),
        sa.Column("to_state", sa.String()),
        sa.Column("quiet", sa.Boolean(), nullable=False),
        sa.Column("filter", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("claimed", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("fingerprints", sa.String(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("canary", sa.Integer(), nullable=False),
        sa.Column("stop_after", sa.Integer(), nullable=False),
        sa.Column("stop_share", sa.Float(), nullable=False),
        sa.Column("retries", sa.String()),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("why", sa.String()),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("applied", "refused", "outdated", "failed", "forgiven_rows", "forgiven")
        ),
        sa.Column("lease", sa.String()),
        sa.Column("lease_until", sa.BigInteger()),
        sa.PrimaryKeyConstraint("pk"),
        sa.UniqueConstraint("public_id"),
    )
    op.create_index("grantflow_job_state", "grantflow_job", ["state", "pk"])
    op.create_table(
        "grantflow_job_item",
        sa.Column("job_pk", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("installation", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("job_pk", "ordinal"),
        sqlite_with_rowid=False,
    )
    op.create_index("grantflow_job_item_outcome", "grantflow_job_item", ["job_pk", "outcome", "ordinal"])
