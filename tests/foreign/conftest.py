"""One server of each kind for all these tests, put back to its defaults before each."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.foreign.world import World, opened
from tests.servers.control import KINDS, Kind, RealServer, started

PROBLEM = re.compile(r"^[\w.]+(?:Error|Exception|DoesNotExist|Warning)\b.*", re.MULTILINE)


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[Kind, RealServer]]:
    with ExitStack() as stack:
        yield {kind: stack.enter_context(started(kind)) for kind in KINDS}


def ready(server: RealServer) -> Iterator[RealServer]:
    server.reset()
    before = len(server.stderr())
    yield server
    assert PROBLEM.findall(server.stderr()[before:]) == [], "the server fell over what it was sent"


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, servers: dict[Kind, RealServer]) -> Iterator[RealServer]:
    yield from ready(servers[request.param])


@pytest.fixture
def another(servers: dict[Kind, RealServer], server: RealServer) -> RealServer:
    """The other server of the two."""
    (other,) = (servers[kind] for kind in KINDS if servers[kind] is not server)
    other.reset()
    return other


@pytest.fixture(autouse=True)
def no_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here speaks TLS, and reading the world's authorities takes longer than a test: once for each engine."""
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_, **__: None)


@pytest.fixture
async def world(server: RealServer, tmp_path: Path) -> AsyncIterator[World]:
    async with opened(server, tmp_path) as made:
        yield made
