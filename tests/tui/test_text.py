"""Foreign text is harmless, and cells are as wide as they say."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from grantflow_tui._text import MAX_SHOWN, cell, clean

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
