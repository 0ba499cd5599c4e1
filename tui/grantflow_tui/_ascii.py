"""`--ascii`: whatever is about to be painted, in letters every terminal has."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_LETTERS = str.maketrans(
    {"·": "|", "…": "~", "≥": ">", "▶": ">", "◀": "<", "↻": "~"}
    | dict.fromkeys("─━▔▁", "-")
    | dict.fromkeys("│┃▕▏▎▍▌", "|")
    | dict.fromkeys("╭╮╰╯", "+")
    | dict.fromkeys("▂▃▄▅▆▇█▋▊▉", "#")
)


def letters(text: str) -> str:
    """The text in ASCII, as wide as before.

    >>> letters("≥3 · 日本 ─▶")
    '>3 | ???? ->'
    """
    shown = text.translate(_LETTERS)
    return shown if shown.isascii() else "".join(c if c.isascii() else "?" * cell_len(c) for c in shown)


class AsciiFilter(LineFilter):
    """Rewrites every painted line."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002 - as the base
        """One line, in letters."""
        return [segment._replace(text=letters(segment.text)) for segment in segments]
