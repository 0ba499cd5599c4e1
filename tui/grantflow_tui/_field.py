"""The one field that people type and paste into."""

from __future__ import annotations

from textual.widgets import Input

from grantflow_tui._text import inert


class Field(Input):
    """A line of text; what is pasted or set is made harmless before it is kept, so the screen never obeys it."""

    def validate_value(self, value: str) -> str:
        """Whatever way a value comes in."""
        return inert(value)

    def insert(self, text: str, index: int) -> None:
        """Cleaned first, so that the cursor stands behind what was really taken."""
        super().insert(inert(text), index)

    def replace(self, text: str, start: int, end: int) -> None:
        """The same for a selection that is pasted over."""
        super().replace(inert(text), start, end)
