"""A list to choose from, with the cursor that the other lists have: a line reversed."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widgets import OptionList

from grantflow_tui._lines import lit

_PLAIN = Style()


class Choices(OptionList):
    """Options; textual's own cursor would put a state's colour on a ground it cannot be read on."""

    DEFAULT_CSS = """
    Choices > .option-list--option-highlighted, Choices:focus > .option-list--option-highlighted {
        color: $foreground; background: transparent; text-style: none; }
    """

    def render_line(self, y: int) -> Strip:
        """One line, reversed under the cursor."""
        strip = super().render_line(y)
        styles = [segment.style or _PLAIN for segment in strip]
        if self.highlighted is None or not any(style.meta.get("option") == self.highlighted for style in styles):
            return strip
        segments = [Segment(segment.text, lit(style)) for segment, style in zip(strip, styles, strict=True)]
        return Strip(segments, strip.cell_length).apply_style(self.rich_style)
