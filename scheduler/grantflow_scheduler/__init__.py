"""APScheduler drives the expiry transitions: jobs that wake supervised tasks, and a daemon."""

from grantflow_scheduler._daemon import describe_jobs, run_duty, run_forever
from grantflow_scheduler._scheduler import ExpiryScheduler, Scheduler

__all__ = ["ExpiryScheduler", "Scheduler", "describe_jobs", "run_duty", "run_forever"]
