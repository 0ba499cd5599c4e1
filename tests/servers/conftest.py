"""One server of each kind for all tests of a module, put back to its defaults before each test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.servers.control import KINDS, Kind, RealServer, started

# DOT may rotate for one request while another request ends the family, and answers the first with this.
STORM_AT_DOT = "oauth2_provider.models.AccessToken.DoesNotExist: AccessToken matching query does not exist."


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[Kind, RealServer]]:
    with ExitStack() as stack:
        running: dict[Kind, RealServer] = {kind: stack.enter_context(started(kind)) for kind in KINDS}
        yield running
        for server in running.values():
            problems = re.findall(
                r"^[\w.]+(?:Error|Exception|DoesNotExist|Warning)\b.*", server.stderr(), re.MULTILINE
            )
            assert {*problems} <= {STORM_AT_DOT}


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest, servers: dict[Kind, RealServer]) -> RealServer:
    kind: Kind = request.param
    servers[kind].reset()
    return servers[kind]
