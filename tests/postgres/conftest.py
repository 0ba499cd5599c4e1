"""One server for the session, one database for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count

import asyncpg
import pytest

from grantflow import Settings
from grantflow._store.postgres import PostgresStore
from tests.postgres.server import Server
from tests.store.builders import NOW

_NUMBERS = count()
_TEMPLATE = "with_schema"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A running server."""
    made = Server()
    try:
        made.start()
        yield made
    finally:
        made.close()


async def create(server: Server, name: str, template: str) -> str:
    """A new database; returns its URL."""
    conn = await asyncpg.connect(server.url("postgres"))
    try:
        await conn.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    finally:
        await conn.close()
    return server.url(name)


@pytest.fixture
async def empty(server: Server) -> str:
    """The URL of a database without tables."""
    return await create(server, f"empty_{next(_NUMBERS)}", "template0")


@pytest.fixture
async def url(server: Server) -> str:
    """The URL of a database that holds the schema and nothing else."""
    conn = await asyncpg.connect(server.url("postgres"))
    try:
        there = await conn.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", _TEMPLATE)
    finally:
        await conn.close()
    if not there:
        store = await PostgresStore.open(await create(server, _TEMPLATE, "template0"), Settings(), NOW)
        await store.close()
    return await create(server, f"made_{next(_NUMBERS)}", _TEMPLATE)


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    """The adapter on a database of its own."""
    opened = await PostgresStore.open(url, Settings(), NOW)
    yield opened
    await opened.close()
