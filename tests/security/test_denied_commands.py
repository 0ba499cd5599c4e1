"""Without an operator's rights every command that writes ends with 7, on the record, and nothing else has changed."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from grantflow import Actor, Engine, KeyRing
from grantflow.testing import ForeignServer, People, grant
from tests.security.commands import Run, every_command, runner
from tests.security.foreign_story import CLOSED

REASON = ("--reason", "a reason that is long enough")
WRITES: dict[str, list[str]] = {
    "apps add-secret": ["crm"],
    "apps hold": ["crm", *REASON],
    "apps register": ["TOML"],
    "apps release": ["crm", *REASON],
    "apps resume": ["crm", *REASON],
    "bulk": ["app:crm", "suspend", "--yes", *REASON],
    "cancel-attempt": ["some-attempt", *REASON],
    "db recount": [*REASON],
    "force": ["LIVE", "--to", "unauthorized", "--yes", *REASON],
    "hold": ["crm", *REASON],
    "jobs cancel": ["some-job", *REASON],
    "jobs pause": ["some-job", *REASON],
    "jobs resume": ["some-job", *REASON],
    "jobs retry": ["some-job", *REASON],
    "keys rotate": [*REASON],
    "notices retry": [*REASON],
    "probe": ["LIVE", *REASON],
    "release": ["crm", *REASON],
    "remind": ["LIVE", *REASON],
    "repair": ["LIVE", *REASON],
    "scheduler pause": [*REASON],
    "scheduler resume": [*REASON],
    "send": ["LIVE", "suspend", *REASON],
    "tui": ["--write"],
}
LOOKS = {
    "apps list", "attempts", "audit", "changes", "counts", "db check", "doctor", "explain", "forecast", "history",
    "incidents", "jobs", "jobs items", "jobs list", "jobs show", "keys list", "keys new", "keys verify", "list",
    "machines check", "machines readme", "machines show", "notices", "scheduler jobs", "scheduler status", "show",
}  # fmt: skip
BY_CODE = {"scheduler status"}
"""Says by its exit code that nobody is at work."""
OTHERS = {
    "db init": "makes a file that was not there; it belongs to whoever makes it",
    "demo": "works on a file of its own",
    "serve": "works on a file of its own",
    "jobs run": "does what an operator started, for whoever may write the file; the policy is asked about every row",
    "scheduler run": "brings what time has done, to whoever may write the file",
    "scheduler run-now": "the same, once",
    "sweep": "the same, once",
}
FOR_OTHERS = [
    ("send", ["LIVE", "disconnect", "--as", "agent:bob"]),
    ("send", ["LIVE", "suspend", "--as", "system:x"]),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """(database, a live installation, its key)."""
    path, key = tmp_path_factory.mktemp("denied") / "g.db", KeyRing.new_key()

    async def lived() -> str:
        server, bob = ForeignServer(CLOSED), Actor.agent("bob")
        people, keys = People({bob: ["acme"]}), KeyRing.parse(key)
        async with Engine.open(f"sqlite:///{path}", keys=keys, directory=people, http=server) as engine:
            await engine.apps.register(server.app("crm"))
            await engine.apps.install("crm", "acme", actor=Actor.system())
            done = await grant(engine, server, "crm", "acme", actor=bob)
            assert done.installation is not None
            return done.installation.id

    return path, asyncio.run(lived()), key


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


def content(path: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """(every row but the record, the record's actors and outcomes)."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as conn:
        tables = [name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY 1")]
        rows = [f"{t}{row}" for t in tables if "action" not in t for row in conn.execute(f"SELECT * FROM {t}")]
        return rows, conn.execute("SELECT actor, outcome FROM grantflow_action ORDER BY pk").fetchall()


def test_every_command_is_known_to_write_or_not() -> None:
    assert {name for name, _ in every_command()} == set(WRITES) | LOOKS | set(OTHERS)


CASES = [*WRITES.items(), *FOR_OTHERS]


@pytest.mark.parametrize(("command", "words"), CASES, ids=[f"{c} {' '.join(w[-2:])}" for c, w in CASES])
@pytest.mark.parametrize("claimed", [(), ("--operator", "zoe")], ids=["as oneself", "under another name"])
def test_it_is_refused_with_seven_and_changes_nothing(
    made: tuple[Path, str, str], tmp_path: Path, run: Run, command: str, words: list[str], claimed: tuple[str, ...]
) -> None:
    source, live, key = made
    path = Path(shutil.copy(source, tmp_path / "g.db"))
    (tmp_path / "app.toml").write_text('key = "new"')
    before, recorded = content(path)
    shown = [{"LIVE": live, "TOML": str(tmp_path / "app.toml")}.get(word, word) for word in words]
    answer = run(
        *claimed, "--database", path, *command.split(), *shown, stdin="a new secret\n", GRANTFLOW_OPERATORS="zoe,max",
        GRANTFLOW_KEYS=key, LOGNAME="zoe", USER="zoe", SUDO_USER="zoe",
    )  # fmt: skip
    after, now_recorded = content(path)
    assert (answer.code, answer.out) == (7, ""), answer.err
    assert "operator" in answer.err
    assert after == before
    assert now_recorded[len(recorded) :] == [("user:olga", "refused")]
    assert "GRANTFLOW_OPERATORS" in answer.err.partition("hint: ")[2]


@pytest.mark.parametrize("command", sorted(LOOKS - {"machines check", "keys new", "jobs items", "jobs show"}))
def test_looking_writes_nothing(made: tuple[Path, str, str], tmp_path: Path, run: Run, command: str) -> None:
    source, live, key = made
    path = Path(shutil.copy(source, tmp_path / "g.db"))
    words = [live] if command in {"show", "history", "attempts", "explain"} else []
    words += ["suspend"] if command == "explain" else []
    before = content(path)
    answer = run("--database", path, *command.split(), *words, GRANTFLOW_OPERATORS="zoe", GRANTFLOW_KEYS=key)
    assert answer.code == (command in BY_CODE), answer.err
    assert content(path) == before
