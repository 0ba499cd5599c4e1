"""Searching: the right rows in the right order, page by page, through an index."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from grantflow._filter import FIELDS, FLAGS, HAS, MAX_VALUES, SHIPPED, SORTS, WORD, Query, landing, parse
from grantflow._rows import InstallationRow, ParentRow
from grantflow._store import _search
from grantflow._store._conditions import successor
from grantflow._store._connection import Connection
from grantflow._store._statements import FIRST_KEY, INSTALLATION_COLUMNS, PARENT_COLUMNS
from grantflow.errors import BadInput, FilterSyntaxError
from tests.store.searched import (
    DAY,
    MEANINGS,
    NOW,
    ODD,
    ROWS,
    app_row,
    ends,
    insert,
    live,
    many_rows,
    surroundings,
    with_apps,
)


@pytest.fixture(scope="module")
def rows() -> list[InstallationRow]:
    return many_rows()


@pytest.fixture
def empty() -> Iterator[sqlite3.Connection]:
    with with_apps() as conn:
        yield conn


@pytest.fixture(scope="module")
def conn(rows: list[InstallationRow]) -> Iterator[sqlite3.Connection]:
    with with_apps() as made:
        insert(made, "grantflow_installation", INSTALLATION_COLUMNS, list(rows))
        surroundings(made, rows)
        yield made


@pytest.fixture(params=[0, ROWS], ids=["walks", "sorts"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Every answer must be the same whichever way into the table is chosen."""
    limit = int(request.param)
    monkeypatch.setattr(_search, "FEW", limit)
    return limit


def found(conn: Connection, query: Query, *, limit: int = ROWS) -> list[int]:
    return [row.installation.pk for row in _search.find(conn, query, NOW, None, limit, False)]


def ordered(rows: list[InstallationRow], query: Query) -> list[int]:
    column = SORTS[query.sort]
    kept = [row for row in rows if getattr(row, column) is not None]
    kept.sort(key=lambda row: (getattr(row, column), row.pk), reverse=query.descending)
    return [row.pk for row in kept]


# -- what is found ------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", MEANINGS)
def test_a_filter_finds_what_it_says(
    conn: sqlite3.Connection, rows: list[InstallationRow], few: int, text: str
) -> None:
    for sort in ("", "sort:-id", "sort:expires", "sort:-entered", "sort:account"):
        query = parse(f"{text} {sort}", NOW)
        dated = query.sort == "expires"
        kept = [row for row in rows if MEANINGS[text](row) and (not dated or query.shows(row.state))]
        expected = ordered(kept, query)
        for limit in (7, ROWS if query.sort == "id" else 300):
            assert found(conn, query, limit=limit) == expected[:limit]
        assert expected or dated or text == "app:none"


def test_the_table_of_meanings_covers_every_field_and_flag() -> None:
    terms = [term for text in MEANINGS for term in parse(text, NOW).terms]
    assert {term.field for term in terms} == {*FIELDS, WORD.name} - {"sort"}
    for words, name in ((FLAGS, "is"), (HAS, "has")):
        assert {value for text in MEANINGS for value in words if f"{name}:{value}" in text} == set(words)


@pytest.mark.parametrize("direction", ["", "-"])
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("text", ["", "is:any", "state:active,refresh-expired", "app:crm-* acct", "entered:<60d"])
def test_pages_in_both_directions_are_the_plain_list(
    conn: sqlite3.Connection, few: int, text: str, sort: str, direction: str
) -> None:
    query = parse(f"{text} sort:{direction}{sort}", NOW)
    whole = [row.installation for row in _search.find(conn, query, NOW, None, ROWS, False)]
    assert len(whole) > 600
    forwards: list[InstallationRow] = []
    while page := _search.find(conn, query, NOW, query.cursor(forwards[-1]) if forwards else None, 611, False):
        forwards += [row.installation for row in page]
    assert forwards == whole
    backwards: list[InstallationRow] = []
    while page := _search.find(conn, query, NOW, query.cursor(backwards[0]) if backwards else None, 611, True):
        backwards = [*(row.installation for row in page), *backwards]
    assert backwards == whole


def test_ties_are_in_the_order_of_installation(empty: sqlite3.Connection, rows: list[InstallationRow]) -> None:
    same = [
        replace(
            row,
            account="one",
            subject_id=str(row.pk),
            deadline_at=NOW + 1,
            entered_at=NOW,
            state="active",
            quarantined=False,
        )
        for row in rows[:60]
    ]
    insert(empty, "grantflow_installation", INSTALLATION_COLUMNS, list(same))
    for sort in SORTS:
        for direction, expected in (("", list(range(1, 61))), ("-", list(range(60, 0, -1)))):
            query = parse(f"sort:{direction}{sort}", NOW)
            pks: list[int] = []
            cursor = None
            while page := _search.find(empty, query, NOW, cursor, 7, False):
                pks += [row.installation.pk for row in page]
                cursor = query.cursor(page[-1].installation)
            assert pks == expected


def test_rows_without_an_end_are_left_out_of_the_order_by_end(
    conn: sqlite3.Connection, rows: list[InstallationRow]
) -> None:
    endless = {row.pk for row in rows if row.deadline_at is None}
    assert endless
    assert not endless & set(found(conn, parse("sort:expires is:any", NOW)))
    assert endless <= set(found(conn, parse("sort:id is:any", NOW)))
    assert _search.count(conn, parse("sort:expires is:any", NOW), NOW, ROWS) == ROWS - len(endless)


def test_a_row_comes_with_its_app_its_parent_and_its_open_attempts(
    empty: sqlite3.Connection, rows: list[InstallationRow]
) -> None:
    row = replace(rows[0], state="active")
    insert(empty, "grantflow_installation", INSTALLATION_COLUMNS, [row])
    (bare,) = _search.find(empty, parse("", NOW), NOW, None, 5, False)
    assert (bare.installation, bare.app, bare.parent, bare.attempts) == (row, app_row(row.app_pk), None, 0)
    parent = ParentRow(9, row.app_pk, row.account, "1", available=True, revision=1, installed_at=NOW)
    insert(empty, "grantflow_parent", PARENT_COLUMNS, [parent])
    columns = [str(line[1]) for line in empty.execute("PRAGMA table_info(grantflow_attempt)")]
    for pk, outcome in ((1, None), (2, None), (3, "cancelled")):
        values = {"pk": pk, "public_id": f"a{pk}", "installation_pk": row.pk, "outcome": outcome}
        insert_attempt = f"INSERT INTO grantflow_attempt VALUES ({', '.join('?' * len(columns))})"
        blank = {"app_state": None, "code_hash": None, "binding_hash": None, "state_hash": None}
        empty.execute(insert_attempt, [{**blank, **values}.get(name, 0) for name in columns])
    (full,) = _search.find(empty, parse("", NOW), NOW, None, 5, False)
    assert (full.parent, full.attempts) == (parent, 2)


# -- hostile names ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "prefix", ["100%", "100% ", "a_", "a", "a\ud7ff", "a\ue000", "a\U0010ffff", "🦊", "\U0010ffff", ""]
)
def test_a_prefix_is_literal_in_any_script(
    empty: sqlite3.Connection, rows: list[InstallationRow], prefix: str
) -> None:
    odd = [replace(row, account=name, state="active") for row, name in zip(rows, ODD, strict=False)]
    insert(empty, "grantflow_installation", INSTALLATION_COLUMNS, list(odd))
    expected = [row.pk for row in odd if row.account.startswith(prefix)]
    assert found(empty, parse(f'account:"{prefix}"*', NOW)) == expected


@pytest.mark.parametrize(
    ("prefix", "above"),
    [
        ("a", "b"),
        ("az", "a{"),
        ("a\ud7ff", "a\ue000"),
        ("a\U0010ffff", "b"),
        ("\U0010ffff\U0010ffff", None),
        ("", None),
    ],
)
def test_the_text_above_a_prefix_is_the_nearest(prefix: str, above: str | None) -> None:
    assert successor(prefix) == above


@pytest.mark.parametrize(
    "text",
    [
        "' OR 1=1 --",
        '"\'; DROP TABLE grantflow_installation; --"',
        "account:'%_",
        'account:"\\"],[\\""',
        "account:?1",
        'account:"🦊","\\"",[',
        "account:" + ",".join(f"a{number}*" for number in range(MAX_VALUES)),
        " ".join(["is:forced,suspended"] * 32),
        "version:" + ",".join(str(number * 2) for number in range(MAX_VALUES)),
        "version:>999999999999999",
        "is:any expires:" + ",".join(f"2026-{month:02}-02" for month in range(1, 13)),
        "expires:<9999-12-31 expires:>0001-01-01",
        "entered:<36500d created:>36500d",
        "app:" + ",".join(f"crm-{number}" for number in range(MAX_VALUES)),
        'scope:"\'"',
    ],
)
def test_hostile_text_is_only_text(conn: sqlite3.Connection, few: int, text: str) -> None:
    query = parse(text, NOW)
    page = _search.find(conn, query, NOW, None, 10, False)
    assert len(page) <= min(10, _search.count(conn, query, NOW, ROWS))
    assert conn.execute("SELECT count(*) FROM grantflow_installation").fetchone() == (ROWS,)


PIECES = [
    *MEANINGS,
    *(f"sort:-{sort}" for sort in SORTS),
    "account:",
    "acct-",
    "🦊",
    '"%"*',
    "'",
    "\\",
    ",",
    "*",
    "_",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=6), st.sampled_from(["", " "]))
def test_whatever_can_be_read_can_be_searched(conn: sqlite3.Connection, pieces: list[str], glue: str) -> None:
    try:
        query = parse(glue.join(pieces), NOW)
    except FilterSyntaxError:
        reject()
    page = _search.find(conn, query, NOW, None, 3, True)
    assert len(page) == _search.count(conn, query, NOW, 3)


def test_a_cursor_of_another_order_is_refused(conn: sqlite3.Connection) -> None:
    query = parse("sort:account", NOW)
    (row,) = _search.find(conn, query, NOW, None, 1, False)
    with pytest.raises(BadInput):
        _search.find(conn, parse("sort:entered", NOW), NOW, query.cursor(row.installation), 1, False)


# -- jumping -----------------------------------------------------------------------------------------
JUMPS = ("id 0198c0f0", "id 2020-01-01", "id 2100-01-01", "account acct-2", "account b", "expires 30d", "entered 3d")


@pytest.mark.parametrize("direction", ["", "-"])
@pytest.mark.parametrize("jump", JUMPS)
def test_a_jump_begins_where_the_order_passes_the_place(
    conn: sqlite3.Connection, rows: list[InstallationRow], few: int, jump: str, direction: str
) -> None:
    jumped, expected = landed(conn, rows, jump, direction)
    assert jumped == expected


def landed(conn: Connection, rows: list[InstallationRow], jump: str, direction: str) -> tuple[list[int], list[int]]:
    """The first rows after a jump, and those that the plain list has there."""
    sort, text = jump.split()
    query = parse(f"state:active sort:{direction}{sort}", NOW)
    value = landing(query, text, NOW)
    if sort == "id":
        assert isinstance(value, str)
        later = sorted((row for row in rows if row.public_id >= value), key=lambda row: row.public_id)
        assert conn.execute(FIRST_KEY, (value,)).fetchall() == [(row.pk,) for row in later[:1]]
        assert len(later) == {"id 2020-01-01": len(rows), "id 2100-01-01": 0}.get(jump, len(later))
        value = later[0].pk if later else 1 << 61

    def reached(row: InstallationRow) -> bool:
        has = getattr(row, SORTS[sort])
        if query.descending:
            return bool(has <= value or str(has).startswith(text))
        return bool(has >= value)

    whole = ordered([row for row in rows if row.state == "active"], query)
    rank = {row.pk: row for row in rows}
    page = _search.find(conn, query, NOW, query.before(value), 40, False)
    return [row.installation.pk for row in page], [pk for pk in whole if reached(rank[pk])][:40]


# -- counting -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", MEANINGS)
def test_a_count_is_exact_up_to_its_bound(
    conn: sqlite3.Connection, rows: list[InstallationRow], few: int, text: str
) -> None:
    query, expected = parse(text, NOW), sum(map(MEANINGS[text], rows))
    assert _search.count(conn, query, NOW, ROWS) == expected
    assert _search.count(conn, query, NOW, 10) == min(10, expected)


def test_the_horizon_counts_live_grants_between_edges(conn: sqlite3.Connection, rows: list[InstallationRow]) -> None:
    edges = [NOW + days * DAY for days in (0, 1, 7, 30, 60)]
    spans = list(pairwise(edges))
    expected = [sum(live(row) and low <= ends(row) < high for row in rows) for low, high in spans]
    assert _search.horizon(conn, edges, SHIPPED.live) == expected
    assert all(expected)
    assert _search.count(conn, parse("expires:7d..30d", NOW), NOW, ROWS) == expected[2]
    assert _search.horizon(conn, [], SHIPPED.live) == _search.horizon(conn, edges[:1], SHIPPED.live) == []


INDEXED = [field.name for field in (*FIELDS.values(), WORD) if field.cost == "index" and field.name != "sort"]


@pytest.mark.parametrize("sort", ["", *SORTS])
@pytest.mark.parametrize("name", [*INDEXED, *(f"is:{flag}" for flag in FLAGS if flag != "any")])
def test_a_field_declared_indexed_is_searched_by_its_index(
    conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, name: str, sort: str
) -> None:
    monkeypatch.setattr(_search, "FEW", ROWS)
    flag = FLAGS.get(name.removeprefix("is:"))
    field = WORD if name == WORD.name else FIELDS[name.partition(":")[0]]
    index = field.index if flag is None else flag.index
    text = field.example if flag is None else name
    plan = _search.explain(conn, parse(f"{text} sort:{sort}" if sort else text, NOW), NOW)
    assert any(str(index) in line for line in plan)
    # An index that holds flagged rows only is read from end to end.
    scans = [line for line in plan if re.search(r"\bSCAN (i|grantflow_installation)\b", line)]
    assert not [line for line in scans if flag is None or str(flag.index) not in line]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("text", ["", "state:active,refresh-expired", "app:crm-1", "account:acct-*", "is:any"])
def test_many_rows_are_walked_in_their_order_and_never_sorted(
    conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, text: str, sort: str
) -> None:
    monkeypatch.setattr(_search, "FEW", 20)
    query = parse(f"{text} sort:{sort}", NOW)
    row = _search.find(conn, query, NOW, None, 10, False)[-1].installation
    statement = _search._page(conn, query, NOW, query.cursor(row), 10, back=False)
    assert statement is not None
    plan = [line[3] for line in conn.execute(f"EXPLAIN QUERY PLAN {statement.sql}", statement.values)]
    inner = plan[: plan.index("SCAN k")]
    assert not any("TEMP B-TREE" in line or "SCAN i" in line for line in inner)


def test_a_rare_term_is_preferred_to_the_order(conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_search, "FEW", 100)
    plan = _search.explain(conn, parse("state:active account:acct-7 sort:entered", NOW), NOW)
    assert any("grantflow_installation_account" in line for line in plan)


@pytest.mark.parametrize("newest", ["active", "refresh-expired"])
def test_where_every_way_leads_to_many_rows_the_densest_is_counted(
    empty: sqlite3.Connection, rows: list[InstallationRow], monkeypatch: pytest.MonkeyPatch, newest: str
) -> None:
    monkeypatch.setattr(_search, "FEW", 10)
    other = {"active": "refresh-expired", "refresh-expired": "active"}[newest]
    made = [
        replace(rows[0], pk=pk, public_id=f"made-{pk}", account=f"made-{pk}", entered_at=pk,
                state=newest if pk > ROWS // 2 else other)
        for pk in range(1, ROWS + 1)
    ]  # fmt: skip
    insert(empty, "grantflow_installation", INSTALLATION_COLUMNS, list(made))
    monkeypatch.setattr(_search, "_SAMPLE", 20)
    query = parse(f"state:{newest} entered:>1s", NOW)
    search = _search._search(empty, query, NOW)
    assert search is not None
    way = _search._chosen(empty, search, query, ordered=False)
    assert [str(branch.index) for branch in way.branches] == ["grantflow_installation_state"]
    assert _search.count(empty, query, NOW, ROWS) == ROWS // 2


def test_every_index_of_the_field_table_exists(empty: sqlite3.Connection) -> None:
    known = {str(name) for (name,) in empty.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    named = [row.index for row in FIELDS.values()] + [flag.index for flag in FLAGS.values()] + [WORD.index]
    assert {index for index in named if index is not None} <= known


def test_an_empty_database_answers_with_nothing(empty: sqlite3.Connection) -> None:
    query = parse("app:crm-1", NOW)
    assert _search.find(empty, query, NOW, None, 10, False) == []
    assert _search.count(empty, query, NOW, 10) == 0
    assert _search.explain(empty, query, NOW) == []


def test_nothing_expires_where_no_grant_is_live(empty: sqlite3.Connection, rows: list[InstallationRow]) -> None:
    insert(empty, "grantflow_installation", INSTALLATION_COLUMNS, [replace(rows[0], state="unauthorized")])
    assert found(empty, parse("is:expiring", NOW)) == found(empty, parse("sort:expires", NOW)) == []
    assert _search.count(empty, parse("is:expiring", NOW), NOW, 10) == 0
    assert found(empty, parse("-is:expiring", NOW)) == [rows[0].pk]


def test_an_unfamiliar_state_is_listed_and_can_be_set_apart(conn: sqlite3.Connection) -> None:
    strange = found(conn, parse("is:quarantined", NOW))
    assert strange
    assert set(strange) <= set(found(conn, parse("", NOW)))
    assert set(strange) <= set(found(conn, parse("-state:active,refresh-expired", NOW)))
