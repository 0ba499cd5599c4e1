"""One spoiled cell: its row is set aside or answers with an error of ours, and everybody else is served and swept."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.faults.mutating import VALUES, Spoiled, asked_everything, cells, owner, soften, spoil

FEW = 120
ROW, TOKENS = "grantflow_installation", "grantflow_token_set"


@pytest.fixture(autouse=True)
def without_log() -> Iterator[None]:
    """What the engine logs of damaged rows is not looked at here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def softened(folder: Path) -> Path:
    """The prepared database without the constraints that would refuse the damage."""
    file = folder / "softened.db"
    shutil.copy(folder / "template.db", file)
    soften(file)
    return file


def is_known(what: Spoiled) -> bool:
    """Whether this damage is one of those that wait for a repair of the product."""
    if (what.table, what.column) == ("grantflow_credential", "expires_at"):
        return True  # rows of credentials come in no order; _grants.authenticate trusts the end of one
    if what.table == "grantflow_attempt":
        return what.value in {"no text", "bytes"}
    return what.value == "no text" and what.table in {ROW, TOKENS}


def found_by(folder: Path, softened: Path, known: dict[str, Any], what: Spoiled) -> list[str] | None:
    """What the damage did that it should not; None where SQLite would not have it."""
    file = folder / "spoiled.db"
    if not spoil(softened, file, what):
        return None
    return asyncio.run(asked_everything(file, known, owner(folder / "template.db", what)))


def test_nothing_is_found_in_a_sound_database(folder: Path, softened: Path, known: dict[str, Any]) -> None:
    assert asyncio.run(asked_everything(softened, known, "nobody")) == []


def test_a_spoiled_cell_costs_its_own_row_at_most(folder: Path, softened: Path, known: dict[str, Any]) -> None:
    all_cells = cells(softened)

    @settings(max_examples=FEW, derandomize=True, database=None, suppress_health_check=[*HealthCheck], deadline=None)
    @given(st.sampled_from(all_cells), st.integers(0, 1 << 20), st.sampled_from([*VALUES]))
    def run(cell: tuple[str, str, int], row: int, value: str) -> None:
        table, column, rows = cell
        what = Spoiled(table, column, row % rows, value)
        assume(not is_known(what))
        found = found_by(folder, softened, known, what)
        assume(found is not None)
        assert found == [], what

    run()


@pytest.mark.slow
def test_no_cell_of_all_costs_more_than_its_own_row(
    folder: Path, softened: Path, known: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    tried, broken = 0, []
    for table, column, rows in cells(softened):
        for row in sorted({0, rows - 1}):
            for value in VALUES:
                what = Spoiled(table, column, row, value)
                found = None if is_known(what) else found_by(folder, softened, known, what)
                tried += found is not None
                broken += [f"{what}: {why}" for why in found or ()]
    assert broken == []
    assert tried > 1_500
    with capsys.disabled():
        sys.stdout.write(f"[{tried} spoiled cells]")
