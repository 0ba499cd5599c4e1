"""One vault, made once; every test has a copy of the file and a server that knows the same tokens."""

from __future__ import annotations

import asyncio
import copy
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from grantflow.testing import ForeignServer
from tests.keys.vault import OLD, filled


@dataclass
class Vault:
    """The file, who has a grant in it, and the server that gave it."""

    file: Path
    ids: list[str]
    server: ForeignServer


@pytest.fixture(scope="session")
def first_vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    file, server = tmp_path_factory.mktemp("vault") / "first.db", ForeignServer()
    return Vault(file, asyncio.run(filled(file, server, OLD)), server)


@pytest.fixture
def vault(first_vault: Vault, tmp_path: Path) -> Vault:
    file = Path(shutil.copy(first_vault.file, tmp_path / "grants.db"))
    return Vault(file, list(first_vault.ids), copy.deepcopy(first_vault.server))
