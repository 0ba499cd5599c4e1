"""Twelve processes on one server's database, one grant: a rotating refresh token is sent once. S7."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.foreign.conftest import no_authorities, servers  # noqa: F401 - fixtures
from tests.foreign.rotating import rounds
from tests.foreign.worker import crew
from tests.foreign.world import beside, opened
from tests.servers.control import Kind, RealServer


@pytest.mark.slow
async def test_twelve_processes_refresh_once_a_round(
    servers: dict[Kind, RealServer],  # noqa: F811 - the fixture
    url: str,
    tmp_path: Path,
) -> None:
    dot, authlib = servers.values()
    for server in (dot, authlib):
        server.reset()
    async with opened(dot, tmp_path, url=url) as world, crew(world, 12) as workers:
        for one in (world, await beside(world, authlib)):
            await rounds(workers, one, 1)
