"""The PostgreSQL adapter keeps the store's contract."""

from __future__ import annotations

from tests.store.contract import ReadingContract, StoreContract, SweepContract


class TestPostgres(StoreContract):
    """Transactions."""


class TestPostgresSweeps(SweepContract):
    """Chunks."""


class TestPostgresReading(ReadingContract):
    """Lists."""
