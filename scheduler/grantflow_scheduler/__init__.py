"""APScheduler drives the expiry transitions: jobs that wake supervised tasks, and a daemon."""

from grantflow_scheduler._daemon import describe_jobs, run_forever
from grantflow_scheduler._expiry import ExpiryScheduler

__all__ = ["ExpiryScheduler", "describe_jobs", "run_forever"]
