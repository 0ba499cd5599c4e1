"""The filter language: what it accepts, where it points when it does not, and that nothing else comes out."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantflow._clock import to_instant
from grantflow._filter import (
    FIELDS,
    FLAGS,
    MAX_LENGTH,
    MAX_TERMS,
    MAX_VALUES,
    SHIPPED,
    SORTS,
    Exact,
    Prefix,
    Query,
    Span,
    help_rows,
    id_start,
    parse,
    quoted,
    with_term,
)
from grantflow.errors import BadInput, FilterSyntaxError
from grantflow_machines import CHARTS

NOW = to_instant(datetime(2026, 8, 1, 12, tzinfo=UTC))
SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
MIDNIGHT = NOW - 12 * HOUR


def values(text: str) -> tuple[object, ...]:
    (term,) = parse(text, NOW).terms
    return term.values


# -- what is understood -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("account:acme", (Exact("acme"),)),
        ("ACCOUNT:acme", (Exact("acme"),)),
        ("account:acme,bolt", (Exact("acme"), Exact("bolt"))),
        ("account:acme,acme", (Exact("acme"),)),
        ("account:crm-*", (Prefix("crm-"),)),
        ("account:crm-*,crm-1,crm-1*", (Prefix("crm-"),)),
        ("account:*", (Prefix(""),)),
        ("account=crm-*", (Exact("crm-*"),)),
        ('account:"crm-*"', (Exact("crm-*"),)),
        ('account:"two words"*', (Prefix("two words"),)),
        ('account:"a, b",c', (Exact("a, b"), Exact("c"))),
        (r'account:"say \"hi\" \\ there"', (Exact(r'say "hi" \ there'),)),
        ('account:"state:active"', (Exact("state:active"),)),
        ("account:a:b=c", (Exact("a:b=c"),)),
        ('label:""', (Exact(""),)),
        ("id:0198C0DE*", (Prefix("0198c0de"),)),
        ("subject:42", (Exact("42"),)),
        ("subject:agent:42", (Exact("42", "agent"),)),
        ("subject:agent:4*", (Prefix("4", "agent"),)),
        ("subject:robot:42", (Exact("robot:42"),)),
        ('subject:"agent:42"', (Exact("agent:42"),)),
        ("state:active", (Exact("active"),)),
        ("state:re*", (Exact("refresh-expired"), Exact("reauthorizing"))),
        ("kind:agent", (Exact("agent"),)),
        ("is:overdue", (Exact("overdue"),)),
        ("scope:+crm.read", (Exact("crm.read"),)),
        ("scope:crm.read", (Exact("crm.read"),)),
        ("scope:?crm.read", (Exact("crm.read", "awaiting"),)),
        ("scope:?*", (Prefix("", "awaiting"),)),
        ('scope:"?odd"', (Exact("?odd"),)),
        ("has:failure", (Exact("failure"),)),
        ("run:0198c0de*", (Prefix("0198c0de"),)),
        ("incident:*", (Prefix(""),)),
        ("version:3", (Span(3, 4),)),
        ("version:>3", (Span(4, None),)),
        ("version>=3", (Span(3, None),)),
        ("version<3", (Span(None, 3),)),
        ("version:<=3", (Span(None, 4),)),
        ("version:2..5", (Span(2, 6),)),
        ("version:..5", (Span(None, 6),)),
        ("version:1,2,9", (Span(1, 3), Span(9, 10))),
        ("version:4..,1..5", (Span(1, None),)),
        ("version:4..,6", (Span(4, None),)),
    ],
)
def test_values_are_read(text: str, expected: tuple[object, ...]) -> None:
    assert values(text) == expected


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("expires:<7d", NOW + 1, NOW + 7 * DAY),
        ("expires<7d", NOW + 1, NOW + 7 * DAY),
        ("expires:<=7d", NOW + 1, NOW + 7 * DAY + 1),
        ("expires:>30d", NOW + 30 * DAY + 1, None),
        ("expires:>=30d", NOW + 30 * DAY, None),
        ("expires:7d..30d", NOW + 7 * DAY, NOW + 30 * DAY),
        ("expires:..30d", NOW + 1, NOW + 30 * DAY),
        ("expires:1w..", NOW + 7 * DAY, None),
        ("expires:2026-08-01", MIDNIGHT, MIDNIGHT + DAY),
        ("expires=2026-08-01", MIDNIGHT, MIDNIGHT + DAY),
        ("expires:<2026-08-01", None, MIDNIGHT),
        ("expires:<=2026-08-01", None, MIDNIGHT + DAY),
        ("expires:>2026-08-01", MIDNIGHT + DAY, None),
        ("expires:>=2026-08-01", MIDNIGHT, None),
        ("expires:2026-08-01..2026-08-03", MIDNIGHT, MIDNIGHT + 3 * DAY),
        ("expires:..2026-08-03", None, MIDNIGHT + 3 * DAY),
        ("expires:2026-08-01..2d", MIDNIGHT, NOW + 2 * DAY),
        ("expires:>2026-08-01T12:00:00Z", NOW + 1, None),
        ("expires:>=2026-08-01t14:00:00+02:00", NOW, None),
        ("expires:<2026-08-01T12:00", None, NOW),
        ("entered:<3h", NOW - 3 * HOUR + 1, None),
        ("entered:<=3h", NOW - 3 * HOUR, None),
        ("entered:>3h", None, NOW - 3 * HOUR),
        ("entered:>=90s", None, NOW - 90 * SECOND + 1),
        ("entered:1d..3d", NOW - 3 * DAY + 1, NOW - DAY + 1),
        ("entered:1d..", None, NOW - DAY + 1),
        ("entered:..30m", NOW - HOUR // 2 + 1, None),
        ("entered:>2026-07-31", MIDNIGHT, None),
        ("created:2026-07-01..2026-07-31", MIDNIGHT - 31 * DAY, MIDNIGHT),
    ],
)
def test_times_become_instants(text: str, low: int | None, high: int | None) -> None:
    assert values(text) == (Span(low, high),)


def test_a_word_alone_is_the_beginning_of_an_account_or_of_an_id() -> None:
    assert values("acme") == values("acme*") == values('"acme"') == (Prefix("acme"),)
    assert id_start("0198C0DE-7") == "0198c0de-7"
    assert id_start("0198") is None
    assert id_start("acme-corporation") is None


def test_a_minus_and_an_unequal_negate_and_cancel_each_other() -> None:
    negated = [parse(text, NOW).terms[0].negated for text in ("-kind=agent", "kind!=agent", "-kind!=agent", "-acme")]
    assert negated == [True, True, False, True]


def test_terms_remember_where_they_stand() -> None:
    query = parse("  state:active\t-app:crm \n acme", NOW)
    assert query.text == "state:active\t-app:crm \n acme"
    assert [(term.field, term.position) for term in query.terms] == [("state", 2), ("app", 15), ("word", 26)]


def test_an_empty_filter_is_everything() -> None:
    assert parse("  ", NOW) == Query("")


@pytest.mark.parametrize("sort", SORTS)
def test_every_sort_has_both_directions(sort: str) -> None:
    forwards, backwards = parse(f"sort:{sort}", NOW), parse(f"sort:-{sort}", NOW)
    assert (forwards.sort, forwards.descending) == (sort, False)
    assert (backwards.sort, backwards.descending) == (sort, True)


# -- what is not --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "position", "says", "hint"),
    [
        ("stat:active", 0, "no field 'stat'", "did you mean state?"),
        ("acme http://x", 5, "no field 'http'", "quote the word"),
        ("-stat:active", 1, "no field", "did you mean state?"),
        ("state:actve", 6, "no state 'actve'", "did you mean active?"),
        ("state:active,reauthorising", 13, "no state", "did you mean reauthorizing?"),
        ("state:zz*", 6, "no state", "known: unauthorized"),
        ("kind:agnet", 5, "no kind", "did you mean agent?"),
        ("is:overdu", 3, "no is:overdu", "did you mean overdue?"),
        ("is:stick", 3, "no is:stick", "stuck"),
        ("is:marked", 3, "only a console", None),
        ("has:failures", 4, "no has:failures", "failure"),
        ("-is:any", 4, "matches nothing", None),
        ("sort:expire", 5, "no sort", "did you mean expires?"),
        ("sort:expires*", 5, "no sort", "did you mean expires?"),
        ("-sort:expires", 0, "with a colon", "sort:-expires"),
        ("sort:<id", 0, "with a colon", None),
        ("sort:id,account", 8, "one sort", None),
        ("sort:id sort:id", 8, "two sorts", None),
        ("state:", 6, "a value is missing", None),
        ("a state:active,", 15, "a value is missing", None),
        ("state:,active", 6, "a value is missing", None),
        ('account:""', 8, "a value is missing", None),
        ("-", 1, "a value is missing", None),
        ('account:"acme', 8, "never closed", None),
        (r'account:"acme\"', 8, "never closed", None),
        ('account:"a"b', 11, "follows the closing quote", None),
        ('"a",b', 3, "follows the closing quote", None),
        ('account:a"b"', 9, "inside a word", "quote the whole value"),
        ("account:*crm", 8, "only the end", "crm-*"),
        ("account:a*b*", 9, "only the end", "quote"),
        ("ac*me", 2, "only the end", None),
        ("account<x", 0, "cannot be compared", "account:acme"),
        ("state:>active", 0, "cannot be compared", None),
        ("expires:<7d,8d", 12, "only one value", None),
        ("expires:7d", 8, "needs a comparison", "expires:<7d"),
        ("expires:soon", 8, "no time", "7d"),
        ("expires:<7", 9, "no time", None),
        ("expires:<2026-02-30", 9, "no time", None),
        ("expires:<2026-08-01T99:00", 9, "no time", None),
        ("expires:<99999w", 9, "at most 36500d", None),
        ("expires:30d..7d", 8, "the range is empty", "smaller end"),
        ("entered:3d..1d", 8, "the range is empty", None),
        ("expires:..", 8, "no range", "expires:7d..30d"),
        ("expires:<7d..9d", 9, "no range", None),
        ("expires:7d..soon", 12, "no time", None),
        ("expires:2026-*", 8, "no range", None),
        ("version:two", 8, "no number", "version:>100"),
        ("version:²", 8, "no number", None),
        ("scope:?", 6, "whole name", "scope:?crm.read"),
        ("scope:?crm*", 6, "whole name", None),
        ("scope:+", 6, "whole name", None),
        ("scope:crm*", 6, "whole name", None),
        ("acme\0", 4, "U+0000", None),
        ("a \x1b[31m", 2, "U+001B", None),
        ("a\ud800", 1, "U+D800", None),
    ],
)
def test_an_error_points_at_the_character(text: str, position: int, says: str, hint: str | None) -> None:
    with pytest.raises(FilterSyntaxError) as caught:
        parse(text, NOW)
    assert caught.value.position == position
    assert says in str(caught.value)
    assert hint is None or hint in (caught.value.hint or "")
    shown, caret = caught.value.caret.splitlines()
    assert len(shown) == len(text)
    assert caret.index("^") == position


def test_limits_are_refused_where_they_are_passed() -> None:
    terms = " ".join(["a"] * MAX_TERMS)
    items = ",".join(["b"] * MAX_VALUES)
    assert len(parse(terms, NOW).terms) == MAX_TERMS
    assert parse("a" * MAX_LENGTH, NOW).terms
    assert parse(f"account:{items}", NOW).terms
    for text, position in (
        (f"{terms} a", len(terms) + 1),
        ("a" * 10_000, MAX_LENGTH),
        (f"account:{items},b", len(items) + 9),
    ):
        with pytest.raises(FilterSyntaxError) as caught:
            parse(text, NOW)
        assert caught.value.position == position
        assert len(caught.value.caret) <= 2 * MAX_LENGTH + 2


def read(text: str) -> Query | FilterSyntaxError:
    try:
        return parse(text, NOW)
    except FilterSyntaxError as error:
        return error


_PIECES = [
    *(f"{name}{op}" for name in (*FIELDS, "nope") for op in (":", "=", "!=", "<", "<=", ">", ">=", ":<", ":>=")),
    *(
        "-",
        '"',
        "\\",
        "*",
        ",",
        "..",
        " ",
        "?",
        "+",
        "7d",
        "3h",
        "2026-08-01",
        "2026-08-01T10:00Z",
        "12",
        "active",
    ),
    *(
        "0001-01-01",
        "9999-12-31",
        "9999-12-31T23:59:59+00:00",
        "0001-01-01T00:00:00+14:00",
        "999999999w",
        *FLAGS,
    ),
]


@given(st.lists(st.one_of(st.sampled_from(_PIECES), st.text(max_size=6)), max_size=14).map("".join))
def test_whatever_is_typed_only_a_syntax_error_comes_out(text: str) -> None:
    query = read(text)
    if isinstance(query, FilterSyntaxError):
        assert 0 <= query.position <= len(query.text)
        assert "^" in query.caret
        return
    query.scans()
    for term in query.terms:
        assert term.values
        assert 0 <= term.position < len(text)
    assert parse(query.text, NOW).sort == query.sort


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=20))
def test_a_quoted_value_is_read_back(value: str) -> None:
    assert values(f"account:{quoted(value)}") == (Exact(value),)
    assert values(f"subject:{quoted(value)}") == (Exact(value),)
    assert parse(with_term("state:active", f"account:{quoted(value)}"), NOW).terms[1].values == (Exact(value),)


def test_a_term_is_added_once() -> None:
    once = with_term('account:"a  b"  state:active', "app:crm")
    assert once == 'account:"a  b" state:active app:crm'
    assert with_term(once, "app:crm") == once
    assert with_term("", "app:crm") == "app:crm"


# -- what it costs and whom it shows ------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "scanned"),
    [
        ("", ()),
        ("state:active -app:crm kind:agent acme", ()),
        ("label:x version:3 created:<3d scope:+a", ("label", "version", "created", "scope")),
        ("label:x label:y", ("label",)),
        ("-account:acme", ("account",)),
        ("-acme", ("word",)),
        ("is:overdue", ()),
        ("is:any", ()),
        ("is:forced,suspended", ("is",)),
        ("label:x account:acme", ()),
        ("label:x account:ac*", ("label",)),
    ],
)
def test_terms_without_an_index_are_named(text: str, scanned: tuple[str, ...]) -> None:
    assert parse(text, NOW).scans() == scanned


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "not final"),
        ("-state:active", "not final, not active"),
        ("is:any", "all"),
        ("state:uninstalled", "uninstalled"),
        ("state:active,uninstalled -state:active", "uninstalled"),
        ("expires:<7d", "live"),
        ("sort:expires", "live"),
        ("expires:<7d is:any", "all"),
        ("sort:expires state:refresh-expired", "refresh-expired"),
    ],
)
def test_tombstones_and_dead_grants_are_shown_when_asked_for(text: str, shown: str) -> None:
    states = {str(state.value) for chart in CHARTS.values() for state in chart.states} | {"unheard-of"}
    expected = {
        "not final": states - SHIPPED.final,
        "not final, not active": states - SHIPPED.final - {"active"},
        "all": states,
        "live": set(SHIPPED.live),
    }.get(shown, {shown})
    query = parse(text, NOW)
    assert {state for state in states if query.shows(state)} == expected


def test_the_help_explains_every_field_with_an_example_that_works() -> None:
    rows = help_rows()
    assert {row.name for row in rows} == {"word", *FIELDS}
    for row in rows:
        assert row.meaning
        assert row.cost == ("index" if row.index else "scan")
        query = parse(row.example, NOW)
        assert row.name == "sort" or query.terms[0].field == row.name
        assert query.scans() == ((row.name,) if row.cost == "scan" else ())


# -- places -------------------------------------------------------------------------------------------
@dataclass
class Row:
    """What a cursor needs of a row."""

    pk: int = 7
    deadline_at: int = NOW
    entered_at: int = NOW - 1
    account: str = "Zoë 🦊"


@pytest.mark.parametrize("sort", SORTS)
def test_a_cursor_is_a_place_in_its_own_order_only(sort: str) -> None:
    query, row = parse(f"sort:{sort}", NOW), Row()
    cursor = query.cursor(row)
    assert query.place(cursor) == (getattr(row, SORTS[sort]), 7)
    assert cursor.isascii()
    assert not set(cursor) & set("+/=& ")
    for other in SORTS.keys() - {sort}:
        with pytest.raises(BadInput):
            parse(f"sort:{other}", NOW).place(cursor)


@given(st.one_of(st.text(), st.binary().map(lambda data: data.hex()), st.just("W" * 9_000), st.just("eyJ9")))
def test_a_cursor_that_nobody_made_is_refused(cursor: str) -> None:
    with pytest.raises(BadInput):
        parse("", NOW).place(cursor)


@pytest.mark.parametrize(
    "place",
    [
        '["id",1.5,2]',
        '["id",true,1]',
        f'["id",1,{1 << 70}]',
        '["id",1]',
        '["id","1","1"]',
        '{"id":1}',
        "[" * 900,
    ],
)
def test_a_cursor_with_other_content_is_refused(place: str) -> None:
    with pytest.raises(BadInput):
        parse("", NOW).place(base64.urlsafe_b64encode(place.encode()).decode().rstrip("="))


def test_a_cursor_cannot_smuggle_text_the_database_refuses() -> None:
    place = base64.urlsafe_b64encode(b'["account","\\ud800",1]').decode().rstrip("=")
    with pytest.raises(BadInput):
        parse("sort:account", NOW).place(place)
