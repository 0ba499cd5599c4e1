"""The demonstration: a fleet of installations lives 420 days in a few seconds, by engine verbs alone."""

from grantflow.demo._run import run_demo, run_web

__all__ = ["run_demo", "run_web"]
