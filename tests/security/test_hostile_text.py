"""Foreign text cannot act: inert on every command and screen, or refused with a typed error."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.widgets import Input

from grantflow import Actor, App, Engine, Version
from grantflow.errors import BadInput, ConfigurationError, GrantflowError
from grantflow.testing import sample_app
from grantflow_tui._browse import BrowseScreen
from grantflow_tui._text import clean
from tests.client.stage import BOB, OPS, SYSTEM, Stage, on_stage
from tests.security.commands import Answer, Run, every_command, runner
from tests.security.hostile import NEVER, TEXTS, Zoo, zoo_at, zoo_engine
from tests.tui.fleet import console_on, screen_text, settled

REASON = ("--reason", "a reason that is long enough")
SHOWS: dict[str, list[list[str]]] = {
    "apps list": [[]],
    "audit": [["--limit", "500"], ["target:TEXT"]],
    "counts": [[]],
    "db check": [[]],
    "doctor": [[]],
    "explain": [
        ["ID", "suspend"],
        ["ID", "TEXT"],
        ["ID", "suspend", "--as", "agent:TEXT"],
        ["ID", "x", "--as", "TEXT"],
    ],
    "forecast": [[], ["--app", "TEXT"], ["--lifetime", "TEXT"], ["--warn", "TEXT"]],
    "history": [["ID"]],
    "incidents": [["--all"]],
    "changes": [[]],
    "keys list": [[]],
    "keys verify": [[]],
    "notices": [[], ["--dead"]],
    "list": [
        ["is:any"],
        ["is:any", "--plain"],
        ["is:any", "--limit", "1"],
        ["TEXT"],
        ["account:TEXT"],
        ["sort:TEXT"],
    ],
    "scheduler jobs": [[]],
    "scheduler pause": [["--reason", "TEXT long enough"]],
    "scheduler resume": [["--reason", "TEXT long enough"]],
    "scheduler run-now": [[], ["TEXT"]],
    "scheduler status": [[]],
    "show": [["ID"], ["TEXT"]],
    "sweep": [["--dry-run"]],
    "force": [
        ["ID", "--to", "TEXT", *REASON],
        ["ID", "--to", "refresh-expired", "--reason", "TEXT TEXT", "--dry-run"],
    ],
    "send": [["ID", "TEXT"], ["ID", "unsuspend", "--dry-run"], ["ID", "suspend", "--as", "TEXT"]],
    "probe": [["ID", "--reason", "TEXT long enough"], ["account:TEXT", *REASON]],
    "remind": [["ID", *REASON]],
    "repair": [["ID", *REASON]],
    "bulk": [
        ["TEXT", "suspend", *REASON],
        ["account:TEXT", "TEXT", *REASON],
        ["is:any", "remind", "--reason", "TEXT long enough", "--dry-run"],
        ["is:any", "suspend", "--reason", "TEXT long enough", "--yes"],
        ["is:any", "force", "--to", "TEXT", *REASON],
    ],
    "jobs": [[]],
    "jobs cancel": [["TEXT", *REASON]],
    "jobs items": [["TEXT"], ["TEXT", "--outcome", "TEXT"]],
    "jobs list": [[], ["--before", "TEXT"]],
    "jobs pause": [["TEXT", *REASON]],
    "jobs resume": [["TEXT", *REASON]],
    "jobs retry": [["TEXT", *REASON]],
    "jobs run": [["TEXT"], []],
    "jobs show": [["TEXT"]],
    "attempts": [["ID"], ["TEXT"]],
    "cancel-attempt": [["TEXT", *REASON], ["ID", "--reason", "TEXT long enough"]],
    "apps hold": [["TEXT", *REASON]],
    "apps resume": [["TEXT", *REASON], ["app-00", "--reason", "TEXT long enough"]],
    "apps add-secret": [["TEXT"]],
    "apps register": [["TEXT"]],
    "db init": [["TEXT"]],
    "machines show": [["TEXT"]],
}
SILENT = {
    "apps release", "hold", "release", "demo", "keys new", "keys rotate", "machines check", "machines readme", "tui",
    "scheduler run", "serve", "db recount", "notices retry",
}  # fmt: skip
"""Twins of others above, or shows nothing that came from outside; the console has tests of its own."""


@pytest.fixture(scope="module")
def first_zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return asyncio.run(zoo_at(tmp_path_factory.mktemp("zoo") / "g.db"))


@pytest.fixture
def zoo(first_zoo: Zoo, tmp_path: Path) -> Zoo:
    return replace(first_zoo, path=Path(shutil.copy(first_zoo.path, tmp_path / "g.db")))


@pytest.fixture
def run(zoo: Zoo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    command = runner(monkeypatch, capsys)
    environment = {"GRANTFLOW_DATABASE": str(zoo.path), "GRANTFLOW_KEYS": zoo.key}
    return lambda *words, **more: command(*words, **(environment | more))


def inert(text: str, also: str = "\n") -> bool:
    """No character that a terminal or an editor obeys."""
    return all(char.isprintable() or char in also for char in text)


def test_every_command_is_in_a_table() -> None:
    assert {name for name, _ in every_command()} == set(SHOWS) | SILENT


FEW = ("csi", "osc 52", "bidi", "click")
HOW_MANY = [FEW, pytest.param(tuple(TEXTS), marks=pytest.mark.slow)]


@pytest.mark.parametrize("names", HOW_MANY, ids=["few", "all"])
@pytest.mark.parametrize("command", SHOWS)
def test_a_command_shows_foreign_text_inert(command: str, names: tuple[str, ...], zoo: Zoo, run: Run) -> None:
    options = dict(every_command())[command]
    for words in SHOWS[command]:
        speaks = any("ID" in word or "TEXT" in word for word in words)
        for name in names if speaks else names[:1]:
            text = TEXTS[name]
            shown = [zoo.ids[name] if word == "ID" else word.replace("TEXT", text) for word in words]
            for more in [[], ["--json"]] if "--json" in options else [[]]:
                answer: Answer = run(*command.split(), *more, *shown, stdin=f"{text}\n")
                assert inert(answer.out, "\n\t" if "--plain" in words else "\n"), (words, name)
                assert inert(answer.err), (words, name, answer.err)
                assert answer.code in {0, 1, 2, 3, 4, 5, 6, 7}
                assert "error: unexpected " not in answer.err, (words, name, answer.err)
                if more:
                    assert answer.out.isascii()
                    assert not answer.out or json.loads(answer.out) is not None


def test_json_gives_the_text_back_as_it_is(zoo: Zoo, run: Run) -> None:
    for name, text in TEXTS.items():
        told = json.loads(run("show", zoo.ids[name], "--json").out)
        assert (told["account"], told["subject"], told["label"]) == (text, text, text)


def test_every_row_stays_a_row_and_every_field_a_field(zoo: Zoo, run: Run) -> None:
    lines = run("list", "is:any", "--limit", "500").out.splitlines()
    assert len(lines) == 1 + len(TEXTS)
    for line in run("list", "is:any", "--plain", "--limit", "500").out.splitlines():
        assert line.count("\t") == 6
    for words in (["apps", "list"], ["audit", "--limit", "1"], ["incidents"]):
        count = len(json.loads(run(*words, "--json").out))
        assert len(run(*words).out.splitlines()) == 1 + count


def columns_of(out: str) -> list[str]:
    """Lines whose STATE does not begin where the heading does, in cells of a terminal."""
    head, *lines = out.splitlines()
    place = cell_len(head[: head.index("STATE")])
    glyphs = "○◔●▲✗"
    return [line for line in lines if cell_len(line[: min(line.index(g) for g in glyphs if g in line)]) != place]


def test_columns_stand_under_their_headings(zoo: Zoo, run: Run) -> None:
    assert columns_of(run("list", "is:any", "--limit", "500").out) == []


def test_there_is_no_csv_that_a_spreadsheet_would_open(run: Run) -> None:
    """Tables are aligned text, --plain is tabs for programs: a formula in it is text, as JSON gives it."""
    assert not any("csv" in option for _, options in every_command() for option in options)


# -- the console ----------------------------------------------------------------------------------
def obeyed(app: Any) -> list[object]:
    """Whatever on the screen is more than text: control characters, links, actions."""
    found: list[object] = []
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            style = segment.style
            if segment.control or not inert(segment.text, ""):
                found.append(segment)
            if style is not None and any(word in f"{style.link}{style.meta}" for word in ("evil", "quit", "bell")):
                found.append(segment)
    return found


@pytest.mark.parametrize("names", HOW_MANY, ids=["few", "all"])
async def test_no_screen_obeys_foreign_text(zoo: Zoo, names: tuple[str, ...]) -> None:
    async with zoo_engine(zoo) as engine:
        app, seen = console_on(engine, write=True), list[str]()
        async with app.run_test(size=(160, 50)) as pilot:

            async def look(*keys: str) -> str:
                if keys:
                    await pilot.press(*keys)
                await settled(pilot)
                assert obeyed(app) == []
                text = screen_text(app)
                seen.append(text)
                for line in text.splitlines():
                    assert cell_len(line) <= 160, line
                return text

            await look()
            listed = await look("2")
            assert "[red]evil[/]" in listed
            assert "[@click=" in listed
            for name in names:
                text = TEXTS[name]
                app.open_detail(zoo.ids[name])
                shown = await look()
                assert clean(text).split()[0][:12] in shown, name
                if name in {"csi", "click"}:
                    await look("f")
                    app.screen.query_one("#reason", Input).value = f"{clean(text)} and so on"
                    await look("tab", "tab", "enter")
                    await look("escape")
                await look("escape")
            for name in ("rich", "click", "formula"):
                browse = app.screen
                assert isinstance(browse, BrowseScreen)
                browse.use(f"account:{TEXTS[name]}")
                await look()
            for key in ("3", "4", "6", "colon", "escape", "1"):
                await look(key)
            assert app.is_running
        assert "held" in "".join(seen)


@pytest.mark.parametrize("name", ["csi", "osc 52", "c1", "bidi"])
async def test_a_filter_that_was_pasted_reaches_the_terminal_cleaned(zoo: Zoo, name: str) -> None:
    from textual import events

    async with zoo_engine(zoo) as engine:
        app = console_on(engine)
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            await pilot.press("slash")
            app.screen.post_message(events.Paste(TEXTS[name]))
            await settled(pilot)
            assert obeyed(app) == []


# -- where it is not allowed ----------------------------------------------------------------------
@pytest.fixture
async def stage(tmp_path: Path) -> Any:
    async with on_stage(tmp_path) as made:
        yield made


Call = Callable[[Stage, str], Awaitable[object]]
FIELDS: dict[str, Call] = {
    "account": lambda s, t: s.engine.authorize("crm", actor=BOB, account=t),
    "subject": lambda s, t: s.engine.authorize("crm", actor=Actor.agent(t), account="acme", subject=t),
    "label": lambda s, t: s.engine.authorize("crm", actor=BOB, account="acme", label=t),
    "entry point": lambda s, t: s.engine.authorize("crm", actor=BOB, account="acme", entry_point=t),
    "installed account": lambda s, t: s.engine.apps.install("crm", t, actor=SYSTEM),
    "hold reason": lambda s, t: s.engine.apps.hold("crm", actor=OPS, reason=t),
    "adopted identity": lambda s, t: adopted(s.engine, identity=t),
    "adopted reason": lambda s, t: adopted(s.engine, reason=t),
    "adopted scope": lambda s, t: adopted(s.engine, scopes=[t]),
    "app name": lambda s, t: s.engine.apps.register(sample_app(key="new", name=t)),
    "app description": lambda s, t: s.engine.apps.register(sample_app(key="new", description=t)),
    "version": lambda s, t: s.engine.apps.register(sample_app(key="new", versions=(Version(t, ("a.b",)),))),
}
EMPTY_IS_FINE = {"entry point", "app description"}


def adopted(engine: Engine, **more: Any) -> Awaitable[object]:
    return engine.adopt("crm", account="bolt", actor=SYSTEM, subject="zed", access_token="x" * 20, **more)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (field, name)
        for field in FIELDS
        for name in NEVER
        if not (field in EMPTY_IS_FINE and name in {"empty", "blank"})
    ],
)
async def test_what_cannot_be_a_text_is_refused_with_a_typed_error(stage: Stage, field: str, name: str) -> None:
    with stage.refused(GrantflowError) as caught:
        await FIELDS[field](stage, NEVER[name])
    assert isinstance(caught.value, BadInput | ConfigurationError)
    assert caught.value.hint


async def test_an_app_that_was_registered_before_can_still_be_read_and_used(stage: Stage) -> None:
    old = sample_app(key="old", description="a" * 10_000, versions=(Version(" ", ("a.b",)),))
    plain = await stage.engine.apps.register(sample_app(key="old"))
    with closing(sqlite3.connect(stage.path, isolation_level=None)) as conn:
        conn.execute("UPDATE grantflow_app SET document = ? WHERE key = 'old'", (old.to_document(),))
    assert await stage.engine.apps.get("old") == old
    await stage.engine.apps.install("old", "acme", actor=SYSTEM)
    assert (await stage.engine.apps.on_account("old", "acme")).version == " "
    assert await stage.engine.apps.register(old) == old, "as a host does at every start"
    with stage.refused(BadInput):
        await stage.engine.apps.register(replace(old, name="Another"))
    assert await stage.engine.apps.register(plain) == plain


def test_a_plain_secret_where_hashes_belong_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        sample_app(secret_hashes=("my plain client secret",))


@pytest.mark.parametrize("invisible", ["\u200b\u2060", "\u200b \u2060", "\u3164", "\u2800\ufe0f"])
async def test_a_typed_confirmation_cannot_be_empty(tmp_path: Path, invisible: str) -> None:
    from grantflow_tui._force import ForceDialog

    async with on_stage(tmp_path) as stage:
        await stage.engine.apps.install("crm", invisible, actor=SYSTEM)
        await stage.engine.adopt("crm", account=invisible, actor=SYSTEM, subject="zed", access_token="x" * 20)
        app = console_on(stage.engine, write=True)
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            await pilot.press("f")
            await settled(pilot)
            dialog = app.screen
            assert isinstance(dialog, ForceDialog)
            dialog.query_one("#reason", Input).value = "a reason that is long enough"
            await pilot.press("tab", "tab", "enter")
            await settled(pilot)
            assert dialog.plan is not None
            escapes = invisible.encode("unicode_escape").decode()
            for nothing in ("", " ", invisible):
                dialog.query_one("#typed", Input).value = nothing
                assert dialog.obstacle() == f"{escapes} is not typed yet"
            assert escapes in screen_text(app)
            dialog.query_one("#typed", Input).value = escapes
            assert dialog.obstacle() is None


def test_an_app_that_was_read_from_a_file_keeps_no_secret_in_its_addresses() -> None:
    with pytest.raises(ConfigurationError):
        App.from_mapping(
            {
                "key": "x", "kind": "agent", "name": "X", "redirect_uris": ["https://x.example/back"],
                "mode": "client",
                "versions": [{"name": "1", "required": ["a.b"]}],
                "server": {
                    "issuer": "https://as.example", "authorization_endpoint": "https://as.example/a",
                    "token_endpoint": "https://client:a-plain-password@as.example/t",
                },
            }
        )  # fmt: skip
