"""A folder where writing is cheap, with the prepared database: a kill needs no disk, only a file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DRIVER = Path(__file__).with_name("driver.py")


@pytest.fixture(scope="session")
def prepared() -> Iterator[Path]:
    """The database every drill starts from; made once, by the sound engine."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="grantflow-", dir=memory if memory.is_dir() else None) as name:
        subprocess.run([sys.executable, str(DRIVER), name, "prepare"], check=True, capture_output=True, timeout=60)
        yield Path(name)


@pytest.fixture
def folder(prepared: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="grantflow-", dir=prepared.parent) as name:
        for file in prepared.glob("template*"):
            shutil.copy(file, name)
        yield Path(name)


@pytest.fixture
def known(folder: Path) -> dict[str, Any]:
    """What people and apps hold in their hands when the drill begins."""
    told: dict[str, Any] = json.loads((folder / "template.json").read_text(encoding="utf-8"))
    return told
