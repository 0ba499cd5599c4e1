"""Foreign text is harmless, and cells are as wide as they say."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.widgets import Input
from textual.widgets.input import Selection

import grantflow_tui
from grantflow_tui._field import Field
from grantflow_tui._text import MAX_SHOWN, cell, clean, named

HOSTILE = "\x1b[2J[bold red]evil[/]\x07\u202etxt.exe\u2066\u200b\nsecond\x9b31m\ud800"


def test_clean_leaves_no_character_that_a_terminal_obeys() -> None:
    shown = clean(HOSTILE)
    assert shown == "[2J[bold red]evil[/]txt.exe second31m"
    assert shown.isprintable()


def test_a_flood_of_combining_marks_is_cut() -> None:
    assert clean("a" + "\u0301" * 500) == "a\u0301\u0301"
    assert len(clean("x" * 10_000)) == MAX_SHOWN


@pytest.mark.parametrize(
    "text", ["", "short", "exactly10!", "longer than ten", "日本語日本語日本語", "a日本語日本語", HOSTILE]
)
@pytest.mark.parametrize("right", [False, True])
def test_a_cell_has_exactly_its_width(text: str, right: bool) -> None:
    for width in range(1, 14):
        assert cell_len(cell(text, width, right=right)) == width


def test_a_name_that_nobody_can_see_is_shown_by_its_escapes() -> None:
    assert clean("\u200b \u2060") == r"\u200b \u2060"
    assert clean("\u3164") == r"\u3164"
    assert (clean(""), clean(" \n")) == ("", "  ")
    assert [named(text) for text in ("", " ", "\u200b", " acme\u200b ")] == ["''", "''", r"\u200b", "acme"]


class OneField(App[None]):
    """A field and nothing else."""

    def compose(self) -> ComposeResult:
        yield Field(HOSTILE, max_length=80)


async def test_whatever_way_a_value_comes_in_it_is_harmless() -> None:
    app = OneField()
    async with app.run_test() as pilot:
        await pilot.pause()
        field = app.query_one(Field)
        assert field.value == clean(HOSTILE)
        field.value = "ab"
        field.cursor_position = 1
        field.insert_text_at_cursor("\x1b[2J\u200b")
        assert (field.value, field.cursor_position) == ("a[2Jb", 4)
        field.selection = Selection(1, 4)
        field.replace("\u202e\x9b-", 1, 4)
        assert (field.value, field.cursor_position) == ("a-b", 2)


def test_the_console_has_no_other_field() -> None:
    for file in Path(grantflow_tui.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == Input.__name__), file.name
            inherits = isinstance(node, ast.ClassDef) and any(getattr(b, "id", "") == "Input" for b in node.bases)
            assert not inherits or file.name == "_field.py"
