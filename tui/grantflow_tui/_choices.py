"""A list to choose from, with the cursor that the other lists have: a line reversed, its colours included."""

from __future__ import annotations

from rich.style import Style
from textual.strip import Strip
from textual.widgets import OptionList

_ON = Style(reverse=True)


class Choices(OptionList):
    """Options; textual's own cursor would put a state's colour on a ground it cannot be read on."""

    DEFAULT_CSS = """
    Choices > .option-list--option-highlighted, Choices:focus > .option-list--option-highlighted {
        color: $foreground; background: transparent; text-style: none; }
    """

    def render_line(self, y: int) -> Strip:
        """One line, reversed under the cursor."""
        strip = super().render_line(y)
        styles = [segment.style for segment in strip if segment.style is not None]
        on = self.highlighted is not None and any(style.meta.get("option") == self.highlighted for style in styles)
        return strip.apply_style(_ON) if on else strip
