"""Every journey walks on a stage of its own: a file, a clock, people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.journeys.stage import Stage, on_stage


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """An engine on a real file; see tests/journeys/stage.py."""
    async with on_stage(tmp_path) as made:
        yield made
