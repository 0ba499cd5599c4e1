"""What the tables are called: the hot path knows them by name, so that opening a file needs no SQLModel."""

SCHEMA_VERSION = 4
COMPATIBLE_FROM = 3
"""The oldest code that may work on this schema, by the schema it was made for; see _version."""

SCHEMA = "grantflow_schema"
APP = "grantflow_app"
PARENT = "grantflow_parent"
INSTALLATION = "grantflow_installation"
ATTEMPT = "grantflow_attempt"
CONSENT = "grantflow_consent"
TOKEN_SET = "grantflow_token_set"  # noqa: S105 - a table
CREDENTIAL = "grantflow_credential"
TRANSITION = "grantflow_transition"
OUTBOX = "grantflow_outbox"
REVOCATION = "grantflow_revocation"
INCIDENT = "grantflow_incident"
ACTION = "grantflow_action"
CONTROL = "grantflow_control"
BEAT = "grantflow_beat"
QUARANTINE = "grantflow_quarantine"
COUNT = "grantflow_count"
JOB = "grantflow_job"
JOB_ITEM = "grantflow_job_item"

COPY = "grantflow_copy"
"""There while a copy into this database is not finished."""

DEAD = frozenset(("refresh-expired", "reauthorizing"))
"""States of the shipped charts that keep the end of a grant that is over."""
UNDUE = "deadline_at IS NOT NULL AND (due_at IS NULL OR due_at <> deadline_at)" + "".join(
    f" AND state <> '{state}'" for state in sorted(DEAD, reverse=True)
)
"""Rows whose end is not what they are due for: the index of these is all but empty.

Who lives is due at the end, so that the index of what is due has the ends of the living, and a sweep that moves them
has to change it anyway. An index of ends by state would cost a sweep that goes by keys two fifths more on SQLite.
Whatever is damaged is in one of the two: a row is left out of both only where it has no end, or the name of a dead
state.
"""
