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
