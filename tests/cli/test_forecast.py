"""`grantflow forecast`: the numbers of the engine, and a picture that fits the terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from grantflow import Forecast, ForecastSpan
from grantflow.cli._forecast import picture
from tests.cli.fleet import Command

START = datetime(2026, 11, 1, tzinfo=UTC)


def told(*counts: int, by: str = "month", warnings: bool = False, **outside: int) -> Forecast:
    spans = tuple(
        ForecastSpan(
            START + timedelta(days=31 * number), START + timedelta(days=31 * (number + 1)), count,
            10 * count if warnings else None,
        )
        for number, count in enumerate(counts)
    )  # fmt: skip
    rest = {"overdue": 0, "later": 0, "never": 0} | outside
    return Forecast(START, by, spans, **rest, total=sum(counts) + sum(rest.values()))


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("warnings", [False, True])
@pytest.mark.parametrize("plain", [False, True])
def test_the_picture_fits_its_width(width: int, warnings: bool, plain: bool) -> None:
    lines = picture(told(3, 0, 1_000, 1, warnings=warnings, later=12_345), "t", width, ascii=plain)
    assert max(map(len, lines)) <= width
    bars = [line for line in lines if "█" in line or "#" in line]
    assert bars
    assert max(len(line) for line in bars) > width - 6, "and fills it"
    assert all(line.isascii() for line in lines) is plain


def test_bars_are_in_proportion_and_nothing_that_is_there_is_invisible() -> None:
    lines = picture(told(1, 0, 500, 1_000), "t", 80, ascii=False)[2:6]
    assert [line[:10] for line in lines] == ["Nov 2026  ", "Dec 2026  ", "Jan 2027  ", "Feb 2027  "]
    assert [line.count("█") for line in lines] == [0, 0, 31, 62] or lines[3].count("█") // 2 == lines[2].count("█")
    assert lines[0].endswith("▏")
    assert lines[1].endswith(" 0")


def test_what_lies_outside_stands_below() -> None:
    lines = picture(told(2, overdue=3, later=4, never=5), "t", 80, ascii=False)
    below = {
        line.partition("  ")[0].strip(): line.split()[1 + line.partition("  ")[0].count(" ")] for line in lines[-4:]
    }
    assert below == {"overdue": "3", "later": "4", "never told": "5", "in all": "14"}
    assert "after Nov 2026" in lines[-3]
    assert "would have ended already" in picture(told(2), "t", 80, ascii=False, what_if=True)[-4]


def test_the_command_tells_what_the_engine_told(grantflow: Command) -> None:
    found = json.loads(grantflow("forecast", "--json").out)
    assert (found["by"], len(found["spans"]), found["total"], found["overdue"]) == ("month", 12, 3, 1)
    assert sum(span["expiries"] for span in found["spans"]) + found["later"] == 2
    for by, spans in (("day", 14), ("week", 13)):
        assert len(json.loads(grantflow("forecast", "--by", by, "--json").out)["spans"]) == spans
    assert len(json.loads(grantflow("forecast", "--spans", "2", "--json").out)["spans"]) == 2


def test_what_if_lives_were_shorter(grantflow: Command) -> None:
    found = json.loads(grantflow("forecast", "--by", "day", "--lifetime", "36h", "--warn", "12h", "--json").out)
    assert found["overdue"] == 1
    assert [span["expiries"] for span in found["spans"]][:3] in ([0, 2, 0], [0, 0, 2])
    assert sum(span["warnings"] for span in found["spans"]) == 2
    people = grantflow("forecast", "--lifetime", "2w", "--warn", "12h").out
    assert people.startswith(
        "Grants that end, by month (UTC), if each lived 2w from its issue; warnings 12h before\n"
    )
    assert "would have ended already" in people


def test_one_app_alone(grantflow: Command) -> None:
    found = json.loads(grantflow("forecast", "--app", "old-app", "--json").out)
    assert (found["total"], found["overdue"]) == (1, 1)
    assert grantflow("forecast", "--app", "old-app").out.startswith("Grants of old-app that end")
    assert grantflow("forecast", "--app", "nobodys").code == 3


@pytest.mark.parametrize(
    "words",
    [
        ["--by", "year"],
        ["--spans", "0"],
        ["--spans", "401"],
        ["--lifetime", "1y"],
        ["--lifetime", "0d"],
        ["--warn", "-1d"],
        ["--warn", "99999d"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_forecast_is_a_usage_error(grantflow: Command, words: list[str]) -> None:
    answer = grantflow("forecast", *words)
    assert (answer.code, answer.out) == (2, "")


def test_the_terminal_decides_about_width_and_glyphs(grantflow: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    for columns in (80, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = grantflow("forecast", "--spans", "13").out.splitlines()
        assert columns - 6 < max(map(len, lines)) <= columns
    assert "█" in grantflow("forecast", "--spans", "13").out
    assert grantflow("forecast", "--spans", "13", "--ascii").out.isascii()
    monkeypatch.setenv("NO_COLOR", "1")
    assert grantflow("forecast", "--spans", "13").out.isascii()


def test_bars_are_green_where_colours_are_seen(grantflow: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert "\x1b[32m█" in grantflow("forecast", "--spans", "13").out
