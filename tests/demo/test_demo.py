"""The demonstration: every state at its end, engine verbs alone, nothing left behind."""

from __future__ import annotations

import re
import sqlite3
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest

from grantflow import definitions
from grantflow.demo import run_demo
from grantflow.errors import BadInput


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "demo.db"
    assert run_demo(120, path) == 0
    return path


def test_every_state_is_present_at_the_end(kept: Path) -> None:
    with sqlite3.connect(f"file:{kept}?mode=ro", uri=True) as conn:
        found = {state for (state,) in conn.execute("SELECT DISTINCT state FROM grantflow_installation")}
    assert found == set(definitions()["agent"].states)


def test_it_holds_what_a_year_brings(kept: Path) -> None:
    with sqlite3.connect(f"file:{kept}?mode=ro", uri=True) as conn:
        events = dict(conn.execute("SELECT event, count(*) FROM grantflow_transition GROUP BY event"))
        forced = conn.execute("SELECT count(*) FROM grantflow_transition WHERE forced").fetchone()[0]
        swept = conn.execute("SELECT count(*) FROM grantflow_transition WHERE event='expire' AND run_id IS NULL")
        assert swept.fetchone()[0] == 0, "every expiry came from a sweep"
    assert {"expire", "reauthorize", "cancel", "refuse", "attempt_expired", "suspend", "uninstall"} <= set(events)
    assert events["expire"] > 10
    assert forced == 1


def test_the_trail_alone_explains_every_row(kept: Path) -> None:
    with sqlite3.connect(f"file:{kept}?mode=ro", uri=True) as conn:
        rows = conn.execute("SELECT pk, state, version FROM grantflow_installation").fetchall()
        for pk, state, version in rows:
            trail = conn.execute(
                "SELECT version, source, target FROM grantflow_transition WHERE installation_pk=? ORDER BY version",
                (pk,),
            ).fetchall()
            assert [step[0] for step in trail] == list(range(1, version + 1))
            assert all(before[2] == after[1] for before, after in pairwise(trail))
            assert trail[-1][2] == state


def test_people_are_warned_and_reminded_in_the_year(kept: Path) -> None:
    with sqlite3.connect(f"file:{kept}?mode=ro", uri=True) as conn:
        names = dict(conn.execute("SELECT name, count(*) FROM grantflow_outbox GROUP BY name"))
        waiting = conn.execute("SELECT count(*) FROM grantflow_outbox WHERE delivered_at IS NULL").fetchone()[0]
    assert names["installation.expiring"] > 50
    assert names["installation.reminded"] > 10
    assert waiting == 0


def test_nothing_is_left_behind_without_keep(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert run_demo(20) == 0
    assert list(tmp_path.iterdir()) == []
    shown = capsys.readouterr().out
    assert "The fleet now" in shown
    assert "Grants that end, by month" in shown
    assert re.search(r"[1-9]\d* warnings before an end, [1-9]\d* reminders after it", " ".join(shown.split()))
    assert "grantflow demo --keep" in shown


@pytest.mark.parametrize("size", [0, 19, 10**9])
def test_a_size_out_of_bounds_is_refused(size: int) -> None:
    with pytest.raises(BadInput, match="size"):
        run_demo(size)


def test_an_existing_file_is_never_written(tmp_path: Path) -> None:
    there = tmp_path / "mine.db"
    there.write_text("mine")
    with pytest.raises(BadInput, match="exists"):
        run_demo(20, there)
    assert there.read_text() == "mine"
