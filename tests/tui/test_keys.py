"""The keymap is data: every binding comes from its table, and a person may have other keys."""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

import grantflow_tui
from grantflow_tui import _keys, _saved
from grantflow_tui._browse import BrowseScreen
from grantflow_tui._keys import GROUPS, KEYS, WrongKeys, keymap
from tests.tui.fleet import console_on, fleet, screen_text, settled

FIELDS_OWN = {"FilterInput", "LineDialog"}
"""What is typed into has esc and tab of its own."""
OWN = {("DetailScreen", "left"), ("ForceDialog", "up"), ("ForceDialog", "down"), ("Choices", "enter")}


def test_every_binding_is_in_the_table() -> None:
    used: set[str] = set()
    for found in pkgutil.iter_modules(grantflow_tui.__path__):
        module = importlib.import_module(f"grantflow_tui.{found.name}")
        for thing in vars(module).values():
            if not (isinstance(thing, type) and issubclass(thing, DOMNode) and thing.__module__ == module.__name__):
                continue
            if thing.__name__ in FIELDS_OWN:
                continue
            for binding in thing.__dict__.get("BINDINGS", ()):
                assert isinstance(binding, Binding)
                if binding.id is not None:
                    assert binding.key == KEYS[binding.id].keys
                    used.add(binding.id)
                else:
                    assert (thing.__name__, binding.key) in OWN
    assert used == set(KEYS), "a name of the table that nothing is bound to"


def test_the_shipped_keys_are_apart() -> None:
    assert keymap({}) == {}
    assert len(KEYS) == sum(map(len, GROUPS.values()))


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"dwon": "n"}, "did you mean down"),
        ({"apply": "enter"}, "apply is fixed"),
        ({"leave": "q"}, "leave is fixed"),
        ({"down": ""}, "down needs keys"),
        ({"down": 7}, "down needs keys"),
        ({"down": "a"}, "a would be down and verbs"),
        ({"down": "n", "up": "n"}, "n would be"),
        ({"sweep": "P"}, "P would be"),
        ([], "a name and its keys each"),
    ],
)
def test_a_keymap_that_would_surprise_is_refused(chosen: object, says: str) -> None:
    with pytest.raises(WrongKeys, match=says):
        keymap(chosen)


@pytest.fixture
def settings(own_configuration: Path) -> Path:
    path = _saved.default_path().with_name("console.json")
    assert path.is_relative_to(own_configuration)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def remembered(settings: Path, **given: object) -> object:
    """What the console remembers, after something was given."""
    if given:
        settings.write_text(json.dumps(given))
    return json.loads(settings.read_text())


async def test_other_keys_move_are_shown_and_are_letters_in_a_field(tmp_path: Path, settings: Path) -> None:
    remembered(settings, keys={"down": "n,down", "filter": "F", "help": "ctrl+e", "force": "z"})
    async with fleet(tmp_path / "g.db", accounts=("acme", "bolt", "cog")) as engine:
        app = console_on(engine)
        async with app.run_test(size=(120, 50)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            screen = app.screen
            assert isinstance(screen, BrowseScreen)
            assert screen_text(app).splitlines()[-1].startswith("F filter · enter open")
            await pilot.press("n")
            assert screen.chosen is not None
            assert screen.chosen.account == "bolt"
            await pilot.press("j", "slash")
            assert screen.chosen.account == "bolt"
            await pilot.press("F", *"account:nFz")
            assert screen.query_one("#filter").value == "account:nFz"  # type: ignore[attr-defined]
            await pilot.press("escape", "ctrl+e")
            await settled(pilot)
            told = screen_text(app)
            assert "Installations · this screen" in told
            assert told.index("Installations · this screen") < told.index("Everywhere")
            assert " n down " in told.replace("│", " ")


async def test_a_wrong_keymap_is_told_and_the_shipped_keys_work(tmp_path: Path, settings: Path) -> None:
    remembered(settings, keys={"down": "a"}, theme="light")
    async with fleet(tmp_path / "g.db", accounts=("acme", "bolt")) as engine:
        app = console_on(engine)
        async with app.run_test(size=(120, 36)) as pilot:
            await settled(pilot)
            assert "a would be down and verbs: the keys are as shipped" in screen_text(app)
            await pilot.press("T")
            await settled(pilot)
    assert remembered(settings) == {"keys": {"down": "a"}, "theme": "dark"}


def test_keys_are_spoken_of_as_people_do() -> None:
    assert _keys.words({"jump": "ctrl+j"})["jump"] == "ctrl+j"
    assert [_keys.shown(KEYS[name].keys) for name in ("palette", "unmark", "apply", "leave", "last")] == [
        ": ctrl+p", "ctrl+\\", "F9", "esc", "G end",
    ]  # fmt: skip
