"""The order of ends: those of the living are found by what is due, whatever states a host's chart has."""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grantflow._filter import SHIPPED, Query, States, parse
from grantflow._rows import InstallationRow
from grantflow._store import _names, _search
from grantflow._store._statements import DUE_BY_APP, INSTALLATION_COLUMNS
from tests.store.searched import DAY, NOW, insert, installation_row, many_rows, with_apps
from tests.store.test_search import ordered

HOST = replace(
    SHIPPED,
    names=(*SHIPPED.names, "approved", "parked"),
    live=SHIPPED.live | {"approved"},
    granted=SHIPPED.granted | {"approved", "parked"},
)
"""A host's chart beside the shipped ones, with a live state of its own."""
STRANGE = replace(HOST, live=HOST.live | {"refresh-expired"})
"""A host whose chart has a word of the shipped ones in another meaning."""
UNKNOWN = "from-the-future"
STATES = ("active", "active", "approved", "parked", "refresh-expired", "reauthorizing", "uninstalled", UNKNOWN)
ENDS = (None, NOW - 40 * DAY, NOW - DAY, NOW, NOW + 1, NOW + DAY, NOW + 9 * DAY, NOW + 90 * DAY)
"""Few, so that rows of several states end at the same instant."""
FILTERS = (
    "",
    "is:any",
    "state:active",
    "-state:active",
    "state:refresh-expired,parked,uninstalled",
    "is:any -state:parked",
    "expires:<7d",
    "is:any expires:<7d",
    "expires:1d..30d,60d..",
    "expires:>0001-01-01",
    "app:crm-1",
    "is:any app:crm-1",
    "is:expiring",
)


@pytest.fixture
def empty() -> Iterator[sqlite3.Connection]:
    with with_apps() as conn:
        yield conn


def made(drawn: list[tuple[str, int | None, int | None]]) -> list[InstallationRow]:
    """Rows by state, end, and what they are due for."""
    chance = random.Random(7)
    plain = [replace(installation_row(pk, chance), subject_id=f"s{pk}") for pk in range(1, len(drawn) + 1)]
    return [
        replace(row, state=state, deadline_at=at, due_at=due)
        for row, (state, at, due) in zip(plain, drawn, strict=True)
    ]


def put(conn: sqlite3.Connection, rows: list[InstallationRow]) -> None:
    conn.execute("DELETE FROM grantflow_installation")
    insert(conn, "grantflow_installation", INSTALLATION_COLUMNS, list(rows))


def matches(text: str, row: InstallationRow, query: Query) -> bool:
    """What the filters above mean, told in Python."""
    ahead = None if row.deadline_at is None else (row.deadline_at - NOW) / DAY
    told: dict[str, Callable[[float], bool]] = {
        "expires:<7d": lambda days: 0 < days < 7,
        "expires:1d..30d,60d..": lambda days: 1 <= days < 30 or days >= 60,
        "is:expiring": lambda days: 0 < days < 7 and row.state in query.states.live,
    }
    kept = all(test(ahead) for term, test in told.items() if term in text and ahead is not None)
    return kept and query.shows(row.state) and ("app:crm-1" not in text or row.app_pk == 1)


row_drawn = st.tuples(st.sampled_from(STATES), st.sampled_from(ENDS), st.sampled_from([0, 0, 0, *ENDS]))
rows_drawn = st.lists(
    row_drawn.map(lambda told: (told[0], told[1], told[1] if told[2] == 0 else told[2])), max_size=40
)
"""Most are due at their end; the others for something else, or for nothing."""
few_drawn = st.sampled_from([0, 3, 10_000])
branches_drawn = st.sampled_from([1, 12])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150, database=None)
@given(
    rows_drawn,
    st.sampled_from(FILTERS),
    st.booleans(),
    st.integers(1, 9),
    few_drawn,
    branches_drawn,
    st.sampled_from([HOST, STRANGE]),
)
def test_pages_jumps_and_counts_are_those_of_a_sorted_list(
    empty: sqlite3.Connection,
    drawn: list[tuple[str, int | None, int | None]],
    text: str,
    falling: bool,
    limit: int,
    few: int,
    branches: int,
    known: States,
) -> None:
    rows = made(drawn)
    put(empty, rows)
    query = parse(f"{text} sort:{'-' if falling else ''}expires", NOW, states=known)
    whole = ordered([row for row in rows if matches(text, row, query)], query)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_search, "FEW", few)
        patch.setattr(_search, "MAX_BRANCHES", branches)
        assert pages(empty, query, limit, back=False) == pages(empty, query, limit, back=True) == whole
        assert _search.count(empty, query, NOW, 1_000) == len(whole)
        assert _search.count(empty, query, NOW, 2) == min(2, len(whole))
        ends = {row.pk: row.deadline_at or 0 for row in rows}
        for place in (NOW - 2 * DAY, NOW, NOW + DAY, NOW + 2 * DAY):
            page = _search.find(empty, query, NOW, query.before(place), 40, False)
            reached = [pk for pk in whole if (ends[pk] <= place if falling else ends[pk] >= place)]
            assert [row.installation.pk for row in page] == reached
        edges = [NOW - DAY, NOW, NOW + DAY, NOW + 30 * DAY]
        assert _search.horizon(empty, edges, known.live) == [
            sum(row.state in known.live and low <= ends[row.pk] < high for row in rows)
            for low, high in pairwise(edges)
        ]


def pages(conn: sqlite3.Connection, query: Query, limit: int, *, back: bool) -> list[int]:
    """All of them, page after page, from one end or from the other."""
    found: list[InstallationRow] = []
    while True:
        cursor = query.cursor(found[0 if back else -1]) if found else None
        page = [row.installation for row in _search.find(conn, query, NOW, cursor, limit, back)]
        if not page:
            return [row.pk for row in found]
        found = [*page, *found] if back else [*found, *page]


def test_the_states_that_are_left_out_are_those_of_dead_grants() -> None:
    assert SHIPPED.granted - SHIPPED.live == _names.DEAD
    assert set(re.findall("'(.*?)'", _names.UNDUE)) == _names.DEAD


# -- through the index ---------------------------------------------------------------------------------
RANGE = re.compile(
    r"SEARCH i USING (COVERING INDEX grantflow_installation_due \(due_at|"
    r"INDEX grantflow_installation_undue \(deadline_at)"
)
"""What is due is answered without the rows; of what is not there are next to none."""


def inner(conn: sqlite3.Connection, query: Query, cursor: str | None) -> list[str]:
    """How the keys of a page are found, line by line."""
    statement = _search._page(conn, query, NOW, cursor, 50, back=False)
    assert statement is not None
    plan = [str(line[3]) for line in conn.execute(f"EXPLAIN QUERY PLAN {statement.sql}", statement.values)]
    return plan[: plan.index("SCAN k")]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("sort:expires", 1),
        ("sort:-expires", 1),
        ("state:active,unauthorized sort:expires", 1),
        ("expires:<30d sort:expires", 1),
        ("state:active expires:1d..5d,30d.. sort:-expires", 2),
        ("is:expiring sort:expires", 1),
    ],
)
def test_who_is_not_dead_is_found_in_two_ranges(
    empty: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, text: str, spans: int
) -> None:
    put(empty, many_rows())
    monkeypatch.setattr(_search, "FEW", 0)
    query = parse(text, NOW)
    for cursor in (None, query.before(NOW + 3 * DAY)):
        plan = inner(empty, query, cursor)
        searched = [line for line in plan if RANGE.match(line)]
        assert (len(searched), len([line for line in searched if "COVERING" in line])) == (2 * spans, spans)
        assert not [line for line in plan if line.startswith("SCAN i") or "TEMP B-TREE" in line], plan


@pytest.mark.parametrize("text", ["is:any sort:expires", "state:refresh-expired sort:-expires"])
def test_who_may_be_dead_is_found_in_the_order_of_all_ends(
    empty: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    put(empty, many_rows())
    monkeypatch.setattr(_search, "FEW", 0)
    plan = inner(empty, parse(text, NOW), None)
    (line,) = [line for line in plan if " i " in line]
    assert line.startswith("SEARCH i USING INDEX grantflow_installation_deadline (deadline_at>?")
    assert not [line for line in plan if "TEMP B-TREE" in line], plan


def test_the_horizon_and_the_ends_of_apps_are_counted_in_an_index(empty: sqlite3.Connection) -> None:
    put(empty, many_rows())
    told: list[str] = []
    empty.set_trace_callback(told.append)
    _search.horizon(empty, [NOW, NOW + DAY], SHIPPED.live)
    empty.set_trace_callback(None)
    (horizon,) = told
    plan = [str(line[3]) for line in empty.execute(f"EXPLAIN QUERY PLAN {horizon}")]
    assert len([line for line in plan if RANGE.match(line)]) == 2, plan
    assert not [line for line in plan if line.startswith("SCAN i")], plan
    plan = [str(line[3]) for line in empty.execute(f"EXPLAIN QUERY PLAN {DUE_BY_APP}", (NOW,))]
    index = "COVERING INDEX grantflow_installation_due (due_at>? AND due_at<?)"
    assert [line for line in plan if line == f"SEARCH grantflow_installation USING {index}"], plan


def test_who_is_dead_is_not_walked_past(empty: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work of a page, of a count and of the horizon is the same however many are dead."""
    monkeypatch.setattr(_search, "FEW", 20)
    living = [("active", NOW + day * DAY, NOW + day * DAY) for day in range(300)]
    dead = [("refresh-expired", NOW + day * DAY // 40, None) for day in range(-2_000, 2_000)]

    def works() -> list[int]:
        query = parse("sort:expires", NOW)
        middle = query.before(NOW + 10 * DAY)
        edges = [NOW + day * DAY for day in range(30)]
        return [
            work(empty, lambda: _search.find(empty, query, NOW, None, 50, False)),
            work(empty, lambda: _search.find(empty, query, NOW, None, 50, True)),
            work(empty, lambda: _search.find(empty, query, NOW, middle, 50, False)),
            work(empty, lambda: _search.find(empty, query, NOW, middle, 10, True)),
            work(empty, lambda: _search.horizon(empty, edges, SHIPPED.live)),
            work(empty, lambda: _search.count(empty, parse("expires:<30d", NOW), NOW, 1_000)),
        ]

    put(empty, made([*living, *dead[::100]]))
    few = works()
    put(empty, made([*living, *dead]))
    many = works()
    assert all(late <= soon * 1.2 + 200 for soon, late in zip(few, many, strict=True)), (few, many)


@pytest.mark.parametrize("text", ["expires:>1d sort:expires", "expires:<400d sort:-expires", "sort:expires"])
def test_a_late_page_begins_at_its_place(
    empty: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(_search, "FEW", 20)
    put(empty, made([("active", NOW + DAY + number, NOW + DAY + number) for number in range(3_000)]))
    query = parse(text, NOW)
    early = _search.find(empty, query, NOW, None, 50, False)[-1].installation
    late = _search.find(empty, query, NOW, None, 2_900, False)[-1].installation

    def page(row: InstallationRow) -> int:
        cursor = query.cursor(row)
        return work(empty, lambda: _search.find(empty, query, NOW, cursor, 50, False))

    assert page(late) <= page(early) * 1.2 + 200


def work(conn: sqlite3.Connection, call: Callable[[], object]) -> int:
    """Steps of the database's own machine."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 10
        return 0

    conn.set_progress_handler(step, 10)
    try:
        call()
    finally:
        conn.set_progress_handler(None, 10)
    return steps
