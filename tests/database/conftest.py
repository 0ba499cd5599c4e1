"""A server of its own for these tests, and the command run in this process."""

from __future__ import annotations

from tests.cli.conftest import first_fleet, fleet, grantflow
from tests.postgres.conftest import empty, server

__all__ = ["empty", "first_fleet", "fleet", "grantflow", "server"]
