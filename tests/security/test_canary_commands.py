"""Every command of `grantflow --help`, on a database full of secrets: text, JSON, failures, GRANTFLOW_DEBUG."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from grantflow import Actor, KeyRing
from tests.security.channels import Channels, every_logger, excepthook
from tests.security.commands import Answer, Run, every_command, runner
from tests.security.foreign_story import CLOSED, everything, told_at

REASON = ("--reason", "a reason that is long enough")
CASES: dict[str, list[list[str]]] = {
    "apps add-secret": [["crm"], ["nothing"]],
    "apps hold": [["crm", *REASON], ["nothing", *REASON]],
    "apps list": [[]],
    "apps register": [["TOML"], ["WRONG TOML"], ["none.toml"]],
    "apps release": [["crm", *REASON]],
    "apps resume": [["crm", *REASON]],
    "attempts": [["LIVE"], ["OTHER"]],
    "audit": [[], ["--limit", "2"]],
    "bulk": [
        ["is:any", "suspend", *REASON, "--dry-run"],
        ["is:any", "suspend", *REASON, "--yes"],
        ["app:crm", "probe", *REASON, "--yes", "--queue"],
        ["state:bogus", "force", "--to", "unauthorized", *REASON],
    ],
    "cancel-attempt": [["nothing", *REASON]],
    "changes": [[], ["--limit", "1"]],
    "counts": [[]],
    "db check": [[]],
    "db init": [[]],
    "db recount": [[*REASON]],
    "demo": [["--size", "20", "--keep", "NEW"]],
    "serve": [["--port", "0"]],
    "doctor": [[], ["--thorough"]],
    "explain": [["LIVE", "disconnect", "--as", "agent:bob"], ["LIVE", "no_such_event"]],
    "force": [
        ["LIVE", "--to", "refresh-expired", *REASON, "--yes"],
        ["LIVE", "--to", "active", *REASON],
        ["LIVE", "--to", "unauthorized", *REASON],
        ["LIVE", "--to", "unauthorized", *REASON, "--yes"],
    ],
    "forecast": [[], ["--by", "day", "--lifetime", "1d", "--warn", "1h", "--app", "crm"], ["--lifetime", "x"]],
    "history": [["LIVE"], ["OTHER"]],
    "hold": [["crm", *REASON]],
    "incidents": [[], ["--all"]],
    "jobs cancel": [["JOB", *REASON], ["nothing", *REASON]],
    "jobs items": [["JOB"], ["JOB", "--outcome", "failed"], ["nothing"]],
    "jobs list": [[]],
    "jobs pause": [["JOB", *REASON]],
    "jobs resume": [["JOB", *REASON]],
    "jobs retry": [["JOB", *REASON]],
    "jobs": [[]],
    "jobs run": [["JOB"], []],
    "jobs show": [["JOB"], ["nothing"]],
    "keys list": [[]],
    "keys new": [[]],
    "keys rotate": [[*REASON], [*REASON, "--dry-run"]],
    "keys verify": [[]],
    "list": [["is:any"], ["is:any", "--plain"], ["state:bogus"]],
    "machines check": [["agent"]],
    "machines readme": [[]],
    "machines show": [[]],
    "notices": [[], ["--dead"]],
    "notices retry": [[*REASON]],
    "probe": [["LIVE", *REASON], ["app:crm", *REASON]],
    "release": [["crm", *REASON]],
    "remind": [["LIVE", *REASON], ["OTHER", *REASON]],
    "repair": [["LIVE", *REASON]],
    "scheduler jobs": [[]],
    "scheduler pause": [[*REASON]],
    "scheduler resume": [[*REASON]],
    "scheduler run": [["--interval", "5"]],
    "scheduler run-now": [[duty] for duty in ("expiry", "renewal", "warnings", "outbox", "housekeeping", "nothing")],
    "scheduler status": [[]],
    "send": [
        ["LIVE", "disconnect", "--as", "agent:bob"],
        ["LIVE", "exchange_ok"],
        ["LIVE", "suspend", "--dry-run"],
        ["LIVE", "suspend", *REASON, "--idempotency-key", "k"],
    ],
    "show": [["LIVE"], ["OTHER"], ["00000000"]],
    "sweep": [["--dry-run"], []],
    "tui": [[], ["--write"]],
}
SLOW = {"machines check", "demo"}
"""Look at no database of ours; run once."""
NOTHING_TO_DO = {
    *("keys rotate", "repair", "cancel-attempt", "apps resume", "probe", "doctor", "jobs resume", "jobs retry"),
    *("scheduler resume", "scheduler status"),  # nothing is paused, and nobody is at work
    "serve",  # it would never end; the pages have a suite of their own
}


@dataclass(frozen=True)
class Vault:
    """A database that holds every kind of secret, and everything that was put into it."""

    folder: Path
    key: str
    secrets: dict[str, bytes]
    live: str
    other: str
    job: str
    """A bulk job that waits."""


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """Made once."""
    folder, told = tmp_path_factory.mktemp("vault"), Channels()

    async def lived() -> tuple[str, str, str, str]:
        async with told_at(folder, told, CLOSED) as life:
            await everything(life)
            found = [item for item in (await life.engine.find("is:any")).items if item.account == "duff"]
            others = (await life.engine.find("account:acme is:any")).items
            olga, why = Actor.operator("olga"), "a reason that is long enough"
            plan = await life.engine.ops.preview_bulk("kind:agent", "suspend", actor=olga, reason=why)
            job = await life.engine.ops.start_bulk(plan)
            return found[0].id, others[0].id, life.keys.ids[0], job.id

    live, other, key_id, job = asyncio.run(lived())
    return Vault(folder, f"{key_id}:{told.secrets['key'].decode()}", dict(told.secrets), live, other, job)


class Wires:
    """One copy of the vault, the command, and what came out."""

    def __init__(self, vault: Vault, folder: Path, run: Run) -> None:
        self.vault, self.folder, self._run = vault, folder, run
        self.told = Channels()
        self.told.secrets |= vault.secrets
        self.secret = self.told.keep("typed client secret", "typed-on-stdin-6e1d0c5a9b")
        self.tomls()

    def tomls(self) -> None:
        """Files with a secret in them: one in order, one that is no TOML, one that is no app."""
        secret = self.told.keep("secret in a file", "in-a-toml-file-77aa1b0c2d")
        plain = (
            f'key = "new-app"\nkind = "agent"\nname = "New"\nredirect_uris = ["https://new.example/back"]\n'
            f'client_secret = "{secret}"\n[[versions]]\nname = "1"\nrequired = ["a.read"]\n'
        )
        (self.folder / "app.toml").write_text(plain)
        (self.folder / "broken.toml").write_text(plain.replace(f'"{secret}"', f'"{secret}'))
        (self.folder / "wrong.toml").write_text(plain.replace("client_secret", "client_secrets"))
        (self.folder / "there.db").write_bytes(b"")

    def __call__(self, command: str, words: list[str], **environment: str) -> Answer:
        """Run one command on a fresh copy; everything it says is kept."""
        path = self.folder / "g.db"
        shutil.copy(self.vault.folder / "g.db", path)
        (self.folder / "new.db").unlink(missing_ok=True)
        names = {
            "LIVE": self.vault.live,
            "OTHER": self.vault.other,
            "JOB": self.vault.job,
            "TOML": str(self.folder / "app.toml"),
            "BROKEN TOML": str(self.folder / "broken.toml"),
            "WRONG TOML": str(self.folder / "wrong.toml"),
            "THERE": str(self.folder / "there.db"),
            "NEW": str(self.folder / "new.db"),
        }
        values = {"GRANTFLOW_DATABASE": str(path), "GRANTFLOW_KEYS": self.vault.key, **environment}
        answer = self._run(
            *command.split(), *(names.get(word, word) for word in words), stdin=self.secret + "\n", **values
        )
        self.told.heard("command", answer.out + "\n" + answer.err)
        if answer.error is not None:
            self.told.raised(answer.error)
        return answer


@pytest.fixture
def wires(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Wires]:
    """The command line on a copy of the vault; the console is not opened, a daemon ends when it has begun."""
    monkeypatch.setattr("grantflow_tui.run", lambda url, **named: 0)

    class Stopper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "sweeping every" in record.getMessage():
                os.kill(os.getpid(), signal.SIGINT)

    stopper, logger = Stopper(), logging.getLogger("grantflow.scheduler")
    logger.addHandler(stopper)
    yield Wires(vault, tmp_path, runner(monkeypatch, capsys))
    logger.removeHandler(stopper)


def test_every_command_has_a_case() -> None:
    assert set(CASES) == {name for name, _ in every_command()}


@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in CASES]
)
def test_a_command_prints_no_secret(command: str, wires: Wires, capsys: pytest.CaptureFixture[str]) -> None:
    options, told = dict(every_command())[command], wires.told
    codes = []
    with every_logger(told):
        logging.getLogger("grantflow.scheduler").setLevel(logging.DEBUG)
        for words in CASES[command]:
            for more in [["--json"], []] if "--json" in options and command not in SLOW else [[]]:
                for debug in ({}, {"GRANTFLOW_DEBUG": "1"})[: 1 if command in SLOW else 2]:
                    answer = wires(command, [*words, *more], **debug)
                    codes.append(answer.code)
                    if answer.error is not None:
                        assert debug
                        excepthook(told, answer.error, capsys)
    assert 0 in codes or command in NOTHING_TO_DO, codes
    assert told.hits() == []


@pytest.mark.parametrize("command", sorted(set(CASES) - {"demo", "scheduler run", "machines check"}))
def test_a_command_that_cannot_work_prints_no_secret(
    command: str, wires: Wires, capsys: pytest.CaptureFixture[str]
) -> None:
    told, words = wires.told, CASES[command][0]
    key = wires.vault.key
    (wires.folder / "noise.db").write_bytes(b"no database " * 500 + b"\n".join(wires.vault.secrets.values()))
    keys = wires.folder / "keys"
    keys.write_text(key)
    keys.chmod(0o644)
    for number, wrong in enumerate(
        (
            {"GRANTFLOW_DATABASE": str(wires.folder / "none.db")},
            {"GRANTFLOW_DATABASE": str(wires.folder / "noise.db")},
            {"GRANTFLOW_KEYS": ""},
            {"GRANTFLOW_KEYS": KeyRing.new_key()},
            {"GRANTFLOW_KEYS": key[:-3]},
            {"GRANTFLOW_KEYS": f"{key},{key.partition(':')[0]}:{key}"},
            {"GRANTFLOW_KEYS": "", "GRANTFLOW_KEYS_FILE": str(keys)},
            {"GRANTFLOW_KEYS_FILE": str(keys)},
            {"GRANTFLOW_OPERATORS": "zoe"},
        )
    ):
        debug = {"GRANTFLOW_DEBUG": "1"} if (number + len(command)) % 2 else {}
        answer = wires(command, words, **wrong, **debug)
        if answer.error is not None:
            excepthook(told, answer.error, capsys)
    assert told.hits() == []


def test_a_file_that_is_no_toml_hangs_on_no_error(wires: Wires) -> None:
    """Whoever prints local variables (structlog, rich, crash reporters) prints the file, client secret included."""
    wires("apps register", ["BROKEN TOML"], GRANTFLOW_DEBUG="1")
    assert wires.told.hits() == []
