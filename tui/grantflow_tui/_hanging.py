"""Text whose long lines go on under their own beginning, not under the name that stands before it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text
from textual.widgets import Static

_LEAST = 12


def hung(text: Text, width: int, indent: int, console: Console) -> Text:
    r"""The text in lines of at most that width, the later ones of each indented.

    >>> hung(Text("means  a long way to go"), 14, 7, Console()).plain
    'means  a long\n       way to\n       go'
    """
    whole = text.split("\n", allow_blank=True)
    return Text("\n").join(part for line in whole for part in _parts(line, width, indent, console))


def _parts(line: Text, width: int, indent: int, console: Console) -> Iterator[Text]:
    room, before = width, ""
    while line.cell_len > room:
        head = line.wrap(console, room)[0]
        taken = max(1, len(head.plain))
        head.rstrip()
        yield Text(before).append_text(head)
        line = line[taken + len(line.plain[taken:]) - len(line.plain[taken:].lstrip(" ")) :]
        room, before = max(1, width - indent), " " * indent
    yield Text(before).append_text(line)


class Hanging(Static):
    """Drawn anew when its width changes."""

    def __init__(self, content: str, *, id: str, indent: int) -> None:  # noqa: A002 - textual's word
        super().__init__(content, id=id, markup=False)
        self._indent = indent
        self._whole = Text(content)

    def draw(self, text: Text) -> None:
        """Show this text."""
        self._whole = text
        width = self.content_size.width
        self.update(hung(text, width, self._indent, self.app.console) if width > _LEAST + self._indent else text)

    def on_resize(self) -> None:
        """Another width, other lines."""
        self.draw(self._whole)
