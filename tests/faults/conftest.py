"""A folder where writing is cheap, with the prepared database: a kill needs no disk, only a file."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("driver.py")


@pytest.fixture(scope="session")
def prepared() -> Iterator[Path]:
    """The database every kill starts from; made once, by the sound engine."""
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
