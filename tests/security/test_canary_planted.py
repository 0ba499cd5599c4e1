"""The canary is alive: whatever leaks on purpose, through each kind of door and in each way of writing, is found."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import urllib.parse
import warnings
from base64 import b64encode, urlsafe_b64encode
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.text import Text

from grantflow import Actor, Attempt, ClientCredentials, Engine
from grantflow.cli import _errors, main
from grantflow.errors import BadInput, TokenUnavailable
from grantflow.testing import People, authorize, sample_app
from tests.security.channels import CHANNELS, FORMS, Channels, every_handler, every_logger, excepthook, forgotten
from tests.tui.fleet import console_on, fleet, settled

LEAK = "gfa_Qm9iLnNwb25nZS1jYW5hcnkhPz4+"


@pytest.fixture
def told() -> Channels:
    """Channels that look for one secret."""
    made = Channels()
    made.keep("planted", LEAK)
    return made


def doors(told: Channels) -> set[str]:
    """Where something was found."""
    return {door for _, _, door in told.hits()}


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("plain", f"token={LEAK};"),
        ("quoted", "https://x.example/?t=" + urllib.parse.quote(LEAK, safe="")),
        ("hex", LEAK.encode().hex()),
        ("base64", "Basic " + b64encode(f"client:{LEAK}".encode()).decode()),
        ("base64", b64encode(f"c2:{LEAK}!".encode()).decode()),
        ("base64", b64encode(f"{LEAK} and more".encode()).decode()),
        ("urlsafe", urlsafe_b64encode(f"?>{LEAK}?>".encode()).decode()),
        ("tail", "…" + LEAK[-16:]),
        ("tail", LEAK[:18] + "…"),
    ],
)
def test_a_secret_is_found_however_it_is_written(told: Channels, form: str, text: str) -> None:
    assert set(FORMS) >= {form}
    told.heard("log", "nothing here")
    assert told.hits() == []
    told.heard("log", text)
    assert ("planted", form, "log") in told.hits()


def test_a_door_that_is_not_in_the_table_is_refused(told: Channels) -> None:
    with pytest.raises(AssertionError, match="table of channels"):
        told.heard("fax", "x")


@dataclass(frozen=True)
class Careless:
    token: str


def test_a_careless_object_is_found_in_every_way_of_printing(told: Channels) -> None:
    told.shown(Careless(LEAK))
    assert doors(told) == {"repr", "str", "pretty", "asdict", "pickle"}


def test_only_the_named_fields_of_the_named_types_are_doors_of_their_own(told: Channels) -> None:
    told.shown(ClientCredentials("client", LEAK))
    assert told.hits() == []
    told.shown(ClientCredentials(LEAK, None))
    assert doors(told) >= {"repr", "asdict", "pickle"}
    assert "cookie" in Attempt.__dataclass_fields__


async def test_careless_errors_are_found_with_all_that_stands_behind_them(told: Channels) -> None:
    async def fails() -> None:
        try:
            json.loads("{")
        except ValueError as error:
            error.add_note(LEAK)
            raise TokenUnavailable("no") from error

    await told.fails(fails())
    assert doors(told) == {"error", "traceback"}


async def test_a_local_variable_of_a_foreign_frame_is_found(told: Channels) -> None:
    async def library() -> None:
        parameters = {"refresh_token": LEAK}
        raise OSError(len(parameters))

    await told.fails(library())
    assert doors(told) == {"locals"}


async def test_logs_warnings_and_the_handlers_of_last_resort_are_found(
    told: Channels, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fails() -> None:
        raise BadInput(LEAK)

    with every_logger(told):
        async with every_handler(told):
            logging.getLogger("aiosqlite").debug("executing %s", LEAK)
            warnings.warn(LEAK, ResourceWarning, stacklevel=1)
            asyncio.get_running_loop().call_exception_handler({"message": LEAK})
    excepthook(told, BadInput(LEAK), capsys)
    assert doors(told) == {"log", "warning", "loop", "excepthook"}
    told.out.clear()
    with every_logger(told):
        async with every_handler(told):
            await forgotten(fails())
    assert doors(told) >= {"loop", "error"}


async def test_extra_fields_of_a_log_record_are_found(told: Channels) -> None:
    with every_logger(told):
        logging.getLogger("grantflow").info("hello", extra={"token": LEAK})
    assert doors(told) == {"log"}


def test_a_careless_command_is_found(
    told: Channels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_errors, "_told", lambda error: (f"{error} {LEAK}", None))
    assert main(["--database", str(tmp_path / "none.db"), "counts"]) == 3
    for text in capsys.readouterr():
        told.heard("command", text)
    assert doors(told) == {"command"}


async def test_a_careless_screen_is_found_as_text_and_as_picture(told: Channels, tmp_path: Path) -> None:
    from tests.security.screens import watched

    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine)
        async with app.run_test(size=(120, 36)) as pilot:
            await settled(pilot)
            watched(told, app)
            assert told.hits() == []
            app.tell(Text(LEAK).plain)
            await settled(pilot)
            watched(told, app)
    assert doors(told) == {"screen", "svg"}


async def test_a_careless_column_is_found_in_the_row_and_in_the_bytes_of_the_file(
    told: Channels, tmp_path: Path
) -> None:
    from tests.security.test_canary_foreign import columns

    path, bob = tmp_path / "g.db", Actor.agent("bob")
    async with Engine.open(f"sqlite:///{path}", directory=People({bob: ["acme"]})) as engine:
        await engine.apps.register(sample_app())
        await engine.apps.install("agent-app", "acme", actor=Actor.system())
        await authorize(engine, "agent-app", "acme", actor=bob)
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("UPDATE grantflow_token_set SET access_sealed = ?", (LEAK.encode(),))
    for _, _, value in columns(path):
        told.heard("column", value if isinstance(value, bytes) else repr(value))
    told.files(tmp_path)
    assert doors(told) == {"column", "file"}


def test_every_channel_is_a_sentence() -> None:
    assert len(CHANNELS) == 19
    assert all(CHANNELS.values())
