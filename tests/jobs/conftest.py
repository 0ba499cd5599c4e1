"""One engine on a file with forty installations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from grantflow import Engine
from tests.jobs.fleet import filled, opened


@dataclass(frozen=True)
class Forty:
    """The file, the engine on it, and the ids of its forty installations by account."""

    file: Path
    engine: Engine
    ids: list[str]


@pytest.fixture
async def forty(tmp_path: Path) -> AsyncIterator[Forty]:
    file = tmp_path / "g.db"
    async with opened(file) as engine:
        yield Forty(file, engine, await filled(engine, 40))
