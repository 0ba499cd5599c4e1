"""What goes to the terminal: cleaned text, tables, JSON. Data on stdout, talk on stderr."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

_GLYPHS = {"idle": "○", "pending": "◔", "ok": "●", "warn": "▲", "bad": "✗"}
_COLOURS = {"idle": "2", "pending": "36", "ok": "32", "warn": "33", "bad": "31"}
_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Manner:
    """How things are said in this run."""

    plain = False


def be_plain(wanted: bool) -> None:
    """Words and tabs alone from here on, for screen readers and scripts: no glyph, colour, heading or picture."""
    _Manner.plain = wanted


def is_plain() -> bool:
    """Whether `--plain` was given."""
    return _Manner.plain


def say(text: str) -> None:
    """Talk: one line on stderr."""
    print(text, file=sys.stderr)


def clean(value: object) -> str:
    """Foreign text with everything a terminal could obey replaced."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(value))


def moment(when: datetime | None) -> str:
    """A time in UTC, to the second."""
    return "" if when is None else when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def as_json(value: object) -> None:
    """Print a value as JSON; secret fields are left out."""
    print(json.dumps(plain(value), indent=2))  # ASCII only: no terminal obeys it


def plain(value: object) -> Any:
    """Dataclasses, times and enums as JSON has them; a field hidden from repr is a secret and is left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = [field.name for field in dataclasses.fields(value) if field.repr]
        return {name: _field(name, getattr(value, name)) for name in shown}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    msg = f"{type(value).__name__} has no place in the output"
    raise TypeError(msg)


def _field(name: str, value: object) -> Any:
    if name.endswith("_at") and type(value) is int:
        return (_EPOCH + timedelta(microseconds=value)).isoformat()
    return plain(value)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns under their headings; with `--plain` tabs and no headings."""
    if is_plain():
        tabs(rows)
        return
    from rich.cells import cell_len

    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(headings, *cells, strict=True)]
    for line in (headings, *cells):
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True))
        print(_painted("  ".join(padded).rstrip()))


def tabs(rows: Iterable[Sequence[object]]) -> None:
    """Print rows for other programs: one line each, fields between tabs, no headings."""
    for row in rows:
        print("\t".join(clean(cell) for cell in row))


def fields(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one pair a line; what is empty is left out."""
    shown = [(name, clean(value)) for name, value in pairs if value not in {None, ""}]
    if is_plain():
        tabs(shown)
        return
    width = max(len(name) for name, _ in shown)
    for name, value in shown:
        print(_painted(f"{name:<{width}}  {value}"))


def state(value: str) -> str:
    """A state with the glyph of its severity; with `--plain` the word alone."""
    return value if is_plain() else f"{_GLYPHS.get(_severity(value), '?')} {value}"


def _severity(value: str) -> str:
    from grantflow import charts_from_env

    states = (found for chart in charts_from_env().values() for found in chart.states if found.value == value)
    return next((found.severity.value for found in states), "")


def line(severity: str, text: str) -> None:
    """Print one line behind the glyph of a severity."""
    print(_painted(marked(severity, text)))


def marked(severity: str, text: str) -> str:
    """A text behind the glyph of a severity, or with `--plain` behind its name."""
    return f"{severity}: {text}" if is_plain() else f"{_GLYPHS[severity]} {text}"


def bar(count: int, most: int, width: int = 40, *, ascii: bool = False) -> str:  # noqa: A002 - the flag's name
    """A bar in proportion to the largest of its kind; what is not nothing is never invisible.

    >>> bar(1, 100, 8), bar(100, 100, 8), bar(50, 100, 8, ascii=True)
    ('▏', '████████', '####')
    """
    if not count:
        return ""
    if ascii:
        return "#" * max(1, round(width * count / max(most, 1)))
    full, part = divmod(max(1, round(8 * width * count / max(most, 1))), 8)
    return "█" * full + _EIGHTHS[part]


def ago(length: timedelta) -> str:
    """A span of time as people say it, in its largest unit.

    >>> ago(timedelta(seconds=7)), ago(timedelta(minutes=90)), ago(timedelta(days=3))
    ('7 s', '2 h', '3 d')
    """
    seconds = max(0.0, length.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def plain_terminal() -> bool:
    """Whether ASCII alone is safe: another encoding, or somebody who wants none of it."""
    return bool(os.environ.get("NO_COLOR")) or "utf" not in (sys.stdout.encoding or "").lower()


def width() -> int:
    """Columns of the terminal, or of COLUMNS; 80 where there is none."""
    return max(60, shutil.get_terminal_size((80, 24)).columns)


def coloured(text: str, code: str) -> str:
    """A text in a colour, where colours are seen."""
    return f"\x1b[{code}m{text}\x1b[0m" if text and _colours_are_seen() else text


def progress(done: int, total: int) -> None:
    """Draw a bar on stderr, where somebody looks at it."""
    if sys.stderr.isatty():
        share = min(1.0, done / total) if total else 1.0
        print(f"\r{'█' * round(30 * share):·<30} {done:,}", end="", file=sys.stderr, flush=True)


def progress_over() -> None:
    """Leave the line of the bar."""
    if sys.stderr.isatty():
        say("")


def reader_left() -> int:
    """Nobody reads the pipe any more: stop quietly, the exit's own flush included."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _colours_are_seen() -> bool:
    wanted = not is_plain() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and sys.stdout.isatty()


def _painted(line: str) -> str:
    if not _colours_are_seen():
        return line
    for severity, glyph in _GLYPHS.items():
        if f"{glyph} " in line:
            return line.replace(glyph, f"\x1b[{_COLOURS[severity]}m{glyph}\x1b[0m")
    return line
