"""Every test of client mode walks on a stage of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.client.stage import Stage, on_stage


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """An engine on a real file; see tests/client/stage.py."""
    async with on_stage(tmp_path) as made:
        yield made
