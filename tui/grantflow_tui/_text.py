"""Foreign text made harmless, and times and numbers as people read them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.cells import set_cell_size

MAX_SHOWN = 300
_DROPPED = frozenset(("Cc", "Cf", "Cs", "Co", "Cn"))
_BREAKS = frozenset(("Zl", "Zp"))
_MAX_MARKS = 2
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and symbols that are drawn as nothing."""


def inert(text: str) -> str:
    r"""One line without control, bidi and zero-width characters, as long as it came.

    >>> inert("a\x1b[31mb\n\u202ec")
    'a[31mb c'
    """
    if text.isascii() and text.isprintable():
        return text
    out: list[str] = []
    marks = 0
    for char in text:
        kind = unicodedata.category(char)
        if char in "\t\n\r\v\f" or kind in _BREAKS:
            out.append(" ")
        elif kind in _DROPPED:
            continue
        else:
            marks = marks + 1 if kind.startswith("M") else 0
            if marks <= _MAX_MARKS:
                out.append(char)
    return "".join(out)


def clean(text: object) -> str:
    r"""Text from outside as it may stand on a screen; one of invisible characters alone shows their escapes.

    >>> clean("a\x1b[31mb\n\u202ec"), clean("\u200b\u2060")
    ('a[31mb c', '\\u200b\\u2060')
    """
    whole = str(text)[: MAX_SHOWN * 4]
    shown = inert(whole)
    if whole.strip() and not any(_visible(char) for char in shown):
        shown = whole.strip().encode("unicode_escape").decode("ascii")
    return shown[:MAX_SHOWN]


def named(text: object) -> str:
    """A name to be typed by hand, never empty: where there is none, the quotes around nothing.

    >>> named(" acme "), named("")
    ('acme', "''")
    """
    return clean(text).strip() or "''"


def term(field: str, value: str) -> str:
    r"""One term of a filter that takes the value as it stands.

    >>> term("app", 'my "app"')
    'app="my \\"app\\""'
    """
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{field}="{escaped}"'


def _visible(char: str) -> bool:
    return unicodedata.category(char)[0] not in "CMZ" and char not in _BLANK


def cell(text: object, width: int, *, right: bool = False, dots: str = "…") -> str:
    """Cleaned text in exactly `width` cells; what does not fit ends in dots.

    >>> cell("abcdef", 4), cell("ab", 4, right=True)
    ('abc…', '  ab')
    """
    shown = clean(text)
    if width <= 0:
        return ""
    fitted = set_cell_size(shown, width)
    if fitted.rstrip() != shown.rstrip() and len(fitted) <= len(shown):
        return set_cell_size(fitted, width - 1) + dots[:1]
    if right:
        stripped = fitted.rstrip()
        return " " * (len(fitted) - len(stripped)) + stripped
    return fitted


def stamp(moment: datetime | None) -> str:
    """A moment to the second, UTC.

    >>> from datetime import UTC
    >>> stamp(datetime(2025, 1, 1, tzinfo=UTC))
    '2025-01-01 00:00:00Z'
    """
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}Z"


def lasting(length: timedelta) -> str:
    """A span in its two largest units.

    >>> lasting(timedelta(days=3, hours=4, minutes=9)), lasting(timedelta(seconds=5))
    ('3d 4h', '5s')
    """
    seconds = int(abs(length).total_seconds())
    parts = ((seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    shown = [f"{value}{unit}" for value, unit in parts if value]
    if seconds >= 30 * 86400:
        return shown[0]
    return " ".join(shown[:2]) or "0s"


def until(moment: datetime | None, now: datetime) -> str:
    """How far away a moment is, in words."""
    if moment is None:
        return "-"
    if abs(moment - now) < timedelta(seconds=1):
        return "now"
    return f"in {lasting(moment - now)}" if moment >= now else f"{lasting(now - moment)} ago"


def spark(values: Sequence[float], *, ascii_only: bool = False) -> str:
    """Values as heights beside each other, the largest as the highest.

    >>> spark([1, 4, 8, 0]), spark([1, 4, 8, 0], ascii_only=True)
    ('▁▄█▁', '.:#.')
    """
    steps, most = ".:-=#" if ascii_only else "▁▂▃▄▅▆▇█", max(values, default=0) or 1
    return "".join(steps[max(0, round(value / most * len(steps)) - 1)] for value in values)


def ending(count: int) -> str:
    """How many grants end, in words.

    >>> ending(1), ending(1200)
    ('1 grant ends', '1,200 grants end')
    """
    return "1 grant ends" if count == 1 else f"{count:,} grants end"


def short_id(installation_id: str, width: int) -> str:
    """Both ends of an id: the beginning finds it, the end tells it from its neighbours."""
    shown = clean(installation_id)
    if len(shown) <= width:
        return shown.ljust(width)
    return f"{shown[: width - 5]}…{shown[-4:]}"


def bar(share: float, width: int, *, ascii_only: bool = False) -> str:
    """A bar as long as its share of the width; something is visible wherever there is something.

    >>> bar(0.5, 4), bar(0.001, 4, ascii_only=True)
    ('██', '#')
    """
    if share <= 0:
        return ""
    return ("#" if ascii_only else "█") * max(1, round(min(1.0, share) * width))
