"""`grantflow forecast`: when grants end, as numbers and as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from grantflow.cli import _out
from grantflow.cli._out import clean
from grantflow.cli._read import Json
from grantflow.cli._run import Run

if TYPE_CHECKING:
    from grantflow import Engine, Forecast, ForecastSpan

_GAP = 2
_HEADING, _ENDS, _WARNINGS = "1", "32", "33"


class By(StrEnum):
    """What one line of the picture stands for."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


_SPANS = {By.DAY: 14, By.WEEK: 13, By.MONTH: 12}
"""How many lines, where nobody says."""


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(forecast)


def forecast(
    ctx: typer.Context,
    by: Annotated[By, typer.Option(help="One line for each of them, in UTC.")] = By.MONTH,
    spans: Annotated[
        int | None, typer.Option(min=1, max=400, help="How many lines; 14 days, 13 weeks, 12 months by default.")
    ] = None,
    app: Annotated[str, typer.Option(metavar="KEY", help="Grants of this app alone.")] = "",
    lifetime: Annotated[
        str, typer.Option(metavar="SPAN", help="What if every grant lived so long from its issue? 180d, 26w, 12h.")
    ] = "",
    warn: Annotated[str, typer.Option(metavar="SPAN", help="Count warnings so long before each end, too.")] = "",
    ascii: Annotated[bool, typer.Option("--ascii", help="No glyphs beyond ASCII.")] = False,  # noqa: A002 - the flag's name
    json: Json = False,
) -> None:
    """Show how many live grants end in each coming day, week or month, and what if they lived longer or shorter."""
    lived, before = _span(lifetime), _span(warn)

    async def work(engine: Engine) -> Forecast:
        lines = _SPANS[by] if spans is None else spans
        return await engine.ops.forecast(by=by.value, spans=lines, lifetime=lived, warn=before, app=app or None)

    found = Run.of(ctx).engine(work)
    if json:
        _out.as_json(found)
        return
    if _out.is_plain():
        _out.tabs(_rows(found))
        return
    title = f"Grants{f' of {clean(app)}' if app else ''} that end, by {by.value} (UTC)"
    if lived is not None:
        title += f", if each lived {lifetime} from its issue"
    if before is not None:
        title += f"; warnings {warn} before"
    ascii = ascii or _out.plain_terminal()  # noqa: A001 - the flag's name
    for line in picture(found, title, _out.width(), ascii=ascii, what_if=lived is not None):
        print(line)


def _rows(told: Forecast) -> Iterator[tuple[object, ...]]:
    """Beginning of the span, ends, and warnings where they were asked for; then what lies outside."""
    for one in told.spans:
        yield (one.start.isoformat(), one.expiries, *(() if one.warnings is None else (one.warnings,)))
    for name, count, _ in _rest(told, "", what_if=False):
        yield name, count


def _span(text: str) -> timedelta | None:
    from grantflow import duration

    return duration(text) if text else None


def picture(told: Forecast, title: str, width: int, *, ascii: bool, what_if: bool = False) -> list[str]:  # noqa: A002 - the flag's name
    """The lines of the picture: a bar for each span, and below them what lies outside."""
    names = [_name(told.by, one) for one in told.spans]
    lines = [_out.coloured(title, _HEADING), ""]
    columns = [([one.expiries for one in told.spans], "ends", _ENDS)]
    if any(one.warnings is not None for one in told.spans):
        columns.append(([one.warnings or 0 for one in told.spans], "warnings", _WARNINGS))
    rest = _rest(told, names[-1], what_if=what_if)
    left = max(len(name) for name in (*names, *(name for name, _, _ in rest)))
    numbers = max(len(f"{count:,}") for count in (told.total, *(n for counts, *_ in columns for n in counts)))
    numbers = max(numbers, *(len(heading) for _, heading, _ in columns)) if len(columns) > 1 else numbers
    room = (width - left) // len(columns) - numbers - 2 * _GAP
    if len(columns) > 1:
        headings = (f"{'':<{_GAP}}{heading:>{numbers}}{'':<{_GAP + room}}" for _, heading, _ in columns)
        lines.append(f"{'':<{left}}{''.join(headings)}".rstrip())
    most = max(max(counts) for counts, *_ in columns)
    for place, name in enumerate(names):
        line = f"{name:<{left}}"
        for number, (counts, _, colour) in enumerate(columns, 1):
            count = counts[place]
            bar = _out.bar(count, most, room, ascii=ascii)
            padded = "" if number == len(columns) else " " * (room - len(bar))
            line += f"{'':<{_GAP}}{count:>{numbers},}{'':<{_GAP}}{_out.coloured(bar, colour)}{padded}"
        lines.append(line.rstrip())
    lines.append("")
    lines += [
        f"{name:<{left}}{'':<{_GAP}}{count:>{numbers},}{'':<{_GAP}}{says}".rstrip() for name, count, says in rest
    ]
    return lines


def _rest(told: Forecast, last: str, *, what_if: bool) -> list[tuple[str, int, str]]:
    """What lies outside of the picture, and all of it together."""
    return [
        (
            "overdue",
            told.overdue,
            "would have ended already" if what_if else "ended already; a sweep writes it",
        ),
        ("later", told.later, f"after {last}"),
        ("never told", told.never, "no end is known"),
        ("in all", told.total, f"live at {_out.moment(told.at)}"),
    ]


def _name(by: str, one: ForecastSpan) -> str:
    return {"day": _day, "week": _week, "month": _month}[by](one.start)


def _day(start: datetime) -> str:
    return f"{_WEEKDAYS[start.weekday()]} {start:%Y-%m-%d}"


def _week(start: datetime) -> str:
    return f"{start:%Y-%m-%d} W{start.isocalendar().week:02}"


def _month(start: datetime) -> str:
    return f"{_MONTHS[start.month - 1]} {start.year}"


_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
