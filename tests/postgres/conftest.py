"""One server for the session; a clean database for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from grantflow import Settings
from grantflow._store.postgres import PostgresStore
from tests.journeys.stage import Stage, on_stage
from tests.postgres.outside import Outside, PostgresStage
from tests.postgres.server import Server
from tests.store.builders import NOW

_NUMBERS = count()
_SHARED = "shared"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A running server."""
    made = Server()
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
async def empty(server: Server) -> str:
    """The URL of a database without tables."""
    return await created(server, f"empty_{next(_NUMBERS)}")


@pytest.fixture
async def url(server: Server) -> str:
    """The URL of a database that holds the schema and nothing else."""
    if not cleaned(server):
        store = await PostgresStore.open(await created(server, _SHARED), Settings(), NOW)
        await store.close()
    return server.url(_SHARED)


async def created(server: Server, name: str) -> str:
    """A new database; returns its URL."""
    conn = await asyncpg.connect(server.url("postgres"))
    try:
        await conn.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    finally:
        await conn.close()
    return server.url(name)


def cleaned(server: Server) -> bool:
    """Take every row out of the shared database; False while there is none."""
    try:
        outside = Outside(server.url(_SHARED))
    except asyncpg.InvalidCatalogNameError:
        return False
    try:
        outside.alone()
        outside.clear()
    finally:
        outside.close()
    return True


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    """The adapter on a database of its own."""
    opened = await PostgresStore.open(url, Settings(), NOW)
    yield opened
    await opened.close()


@pytest.fixture
async def stage(url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    """What the journeys walk on, on PostgreSQL."""
    outside = Outside(url)
    try:
        async with on_stage(tmp_path, url=url, made=partial(PostgresStage, outside=outside)) as made:
            yield made
    finally:
        outside.close()
