"""What a filter's matches consist of, each part a narrower filter; and a few lines about one installation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from grantflow.errors import FilterSyntaxError
from grantflow_tui._base import BAD, DIM
from grantflow_tui._lines import Line, rule
from grantflow_tui._look import Look
from grantflow_tui._text import cell, clean, term, until

if TYPE_CHECKING:
    from grantflow import Installation, Matches
    from grantflow_tui._window import Marked

_WIDTH = 24
_AHEAD = (("< 24 h", "expires:<24h"), ("< 7 d", "expires:<7d"), ("< 30 d", "expires:<30d"))
_APPS = 6


def none(why: str) -> list[Line]:
    """No facets."""
    return [rule("Facets"), Line(Text(f" {why}", style=DIM))]


async def read(engine: Marked, query: str, items: Sequence[Installation], look: Look) -> list[Line]:
    """States and ends by bounded counts, apps by the rows that were read anyway."""
    lines = [rule("State")]
    try:
        for state in look.states:
            matches = await engine.count(narrowed := f"{query} state:{state}")
            if matches.count:
                lines.append(_line(look.badge(state), matches, narrowed))
        lines += [Line(Text()), rule("Ends")]
        for name, words in _AHEAD:
            matches = await engine.count(narrowed := f"{query} {words}")
            lines.append(_line(Text(name), matches, narrowed))
    except FilterSyntaxError:
        return none("the filter is too long")
    lines += [Line(Text()), rule("App · rows here")]
    for app, count in Counter(item.app for item in items).most_common(_APPS):
        lines.append(_counted(Text(clean(app)), f"{count:,}", f"{query} {term('app', app)}"))
    return lines


def _line(name: Text, matches: Matches, narrowed: str) -> Line:
    return _counted(name, f"{matches.count:,}" if matches.exact else f"≥{matches.count - 1:,}", narrowed)


def _counted(name: Text, number: str, narrowed: str) -> Line:
    text = Text(" ")
    room = _WIDTH - 2 - len(number)
    shown = Text(cell(name.plain, room))
    if name.style:
        shown = Text(cell(name.plain, room), style=name.style)
    text.append_text(shown)
    text.append(f" {number}", style=Style(bold=True))
    return Line(text, narrowed.strip())


def preview(here: Installation, look: Look, now: datetime) -> Text:
    """Three lines: what it is, what it may do and why not, what is next."""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append_text(look.badge(here.state, expiring=look.expiring(here.state, here.expires_at, now)))
    text.append(f"  {clean(here.account)} · {clean(here.subject_kind)}:{clean(here.subject)} · {clean(here.label)}")
    if here.forced:
        text.append("  FORCED", style=BAD)
    if here.reason:
        text.append(f"  {clean(here.reason)}", style=Style(bold=True))
    text.append("\ngranted ", style=DIM)
    text.append(clean(" ".join(here.granted)) or "-")
    if here.scopes_missing:
        text.append("  awaiting ", style=DIM)
        text.append(clean(" ".join(here.scopes_missing)), style=BAD)
    text.append("\nended " if look.over(here.state) else "\nends ", style=DIM)
    text.append(until(look.ends(here), now))
    text.append("  entered ", style=DIM)
    text.append(until(here.entered_at, now))
    text.append("  version ", style=DIM)
    text.append(f"{here.version}")
    if here.quarantined:
        text.append(f"  quarantined: {clean(here.quarantined)}", style=BAD)
    return text
