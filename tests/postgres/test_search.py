"""Searching on PostgreSQL finds what it finds on SQLite, in the same order."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from grantflow._filter import SHIPPED, SORTS, parse
from grantflow._rows import InstallationRow
from grantflow._store import _ddl, _search
from grantflow._store._statements import APP_COLUMNS, INSTALLATION_COLUMNS
from tests.postgres.copying import copy
from tests.postgres.outside import Outside
from tests.postgres.server import Server
from tests.store.searched import DAY, MEANINGS, NOW, ODD, ROWS, app_row, ends, insert, live, many_rows, surroundings
from tests.store.test_search import JUMPS, found, landed, ordered


@pytest.fixture(scope="module")
def rows() -> list[InstallationRow]:
    return many_rows()


@pytest.fixture
def bare(url: str) -> Iterator[Outside]:
    """Six apps and nothing else."""
    outside = Outside(url)
    try:
        insert(outside, "grantflow_app", APP_COLUMNS, [app_row(pk) for pk in range(1, 7)])
        yield outside
    finally:
        outside.close()


@pytest.fixture(scope="module")
def conn(server: Server, rows: list[InstallationRow]) -> Iterator[Outside]:
    """Many rows, in a database of their own."""
    outside = Outside(server.url("postgres"))
    outside.execute("CREATE DATABASE searched TEMPLATE template0")
    outside.close()
    outside = Outside(server.url("searched"))
    try:
        outside.create_schema()
        insert(outside, "grantflow_app", APP_COLUMNS, [app_row(pk) for pk in range(1, 7)])
        insert(outside, "grantflow_installation", INSTALLATION_COLUMNS, list(rows))
        _surround(outside, rows)
        outside.execute("ANALYZE")
        yield outside
    finally:
        outside.close()


def _surround(outside: Outside, rows: list[InstallationRow]) -> None:
    """What other tables say of the rows, by way of a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "g.db"
        with closing(sqlite3.connect(file)) as source:
            for statement in _ddl.statements():
                source.execute(statement)
            surroundings(source, rows)
            source.commit()
        copy(file, outside)


@pytest.mark.parametrize(
    "text",
    [pytest.param(text, marks=pytest.mark.slow if number % 3 else ()) for number, text in enumerate(MEANINGS)],
)
def test_a_filter_finds_and_counts_what_it_says(conn: Outside, rows: list[InstallationRow], text: str) -> None:
    query = parse(text, NOW)
    expected = ordered([row for row in rows if MEANINGS[text](row)], query)
    assert found(conn, query) == expected
    assert _search.count(conn, query, NOW, ROWS) == len(expected)
    assert _search.count(conn, query, NOW, 10) == min(10, len(expected))


@pytest.mark.slow
@pytest.mark.parametrize("few", [0, ROWS], ids=["walks", "sorts"])
@pytest.mark.parametrize("sort", [*SORTS, *(f"-{sort}" for sort in SORTS)])
def test_every_order_of_every_filter(
    conn: Outside, rows: list[InstallationRow], monkeypatch: pytest.MonkeyPatch, sort: str, few: int
) -> None:
    monkeypatch.setattr(_search, "FEW", few)
    for text, keep in MEANINGS.items():
        query = parse(f"{text} sort:{sort}", NOW)
        dated = query.sort == "expires"
        kept = [row for row in rows if keep(row) and (not dated or query.shows(row.state))]
        assert found(conn, query, limit=300) == ordered(kept, query)[:300], text


@pytest.mark.parametrize("sort", ["id", "-account", "expires", "-entered"])
def test_pages_in_both_directions_are_the_plain_list(conn: Outside, sort: str) -> None:
    query = parse(f"app:crm-* sort:{sort}", NOW)
    whole = [row.installation for row in _search.find(conn, query, NOW, None, ROWS, False)]
    forwards: list[InstallationRow] = []
    while page := _search.find(conn, query, NOW, query.cursor(forwards[-1]) if forwards else None, 611, False):
        forwards += [row.installation for row in page]
    assert forwards == whole
    backwards: list[InstallationRow] = []
    while page := _search.find(conn, query, NOW, query.cursor(backwards[0]) if backwards else None, 611, True):
        backwards = [*(row.installation for row in page), *backwards]
    assert backwards == whole


@pytest.mark.parametrize("jump", JUMPS)
def test_a_jump_begins_where_the_order_passes_the_place(
    conn: Outside, rows: list[InstallationRow], jump: str
) -> None:
    for direction in ("", "-"):
        jumped, expected = landed(conn, rows, jump, direction)
        assert jumped == expected


def test_the_horizon_counts_live_grants_between_edges(conn: Outside, rows: list[InstallationRow]) -> None:
    edges = [NOW + days * DAY for days in (0, 1, 7, 30, 60)]
    expected = [sum(live(row) and low <= ends(row) < high for row in rows) for low, high in pairwise(edges)]
    assert _search.horizon(conn, edges, SHIPPED.live) == expected
    assert all(expected)


@pytest.mark.parametrize("place", [None, NOW + 3 * DAY])
@pytest.mark.parametrize(
    ("text", "indexes"),
    [
        ("sort:expires", ("due", "undue")),
        ("state:active,unauthorized expires:<90d sort:-expires", ("due", "undue")),
        ("is:any sort:expires", ("deadline",)),
    ],
)
def test_as_much_as_a_page_is_read_of_each_range_of_ends(
    conn: Outside, monkeypatch: pytest.MonkeyPatch, text: str, indexes: tuple[str, ...], place: int | None
) -> None:
    monkeypatch.setattr(_search, "FEW", 0)
    query = parse(text, NOW)
    cursor = None if place is None else query.before(place)
    statement = _search._page(conn, query, NOW, cursor, 50, back=False)
    assert statement is not None
    switches = ("enable_seqscan", "enable_bitmapscan")  # of a few thousand rows all are read in no time
    try:
        for switch in switches:
            conn.execute(f"SET {switch} = off")
        plan = [str(line) for (line,) in conn.execute(f"EXPLAIN {statement.sql}", statement.values).fetchall()]
    finally:
        for switch in switches:
            conn.execute(f"RESET {switch}")
    lines = zip(plan, plan[1:], plan[2:], strict=False)
    ranges = [found for found in lines if "using grantflow_installation_" in found[1] and "Limit " in found[0]]
    assert sorted(line.split("grantflow_installation_")[1].split()[0] for _, line, _ in ranges) == [*indexes], plan
    for _, _, below in ranges:
        assert place is None or ("Index Cond: (" in below and (" < " in below or " > " in below)), plan


def test_a_prefix_is_literal_and_texts_are_compared_byte_by_byte(bare: Outside, rows: list[InstallationRow]) -> None:
    odd = [replace(row, account=name, state="active") for row, name in zip(rows, ODD, strict=False)]
    insert(bare, "grantflow_installation", INSTALLATION_COLUMNS, list(odd))
    for prefix in ("100%", "100% ", "a_", "a", "a\ud7ff", "a\ue000", "a\U0010ffff", "🦊", "\U0010ffff", ""):
        expected = [row.pk for row in odd if row.account.startswith(prefix)]
        assert found(bare, parse(f'account:"{prefix}"*', NOW)) == expected
    assert found(bare, parse("sort:account", NOW)) == ordered(odd, parse("sort:account", NOW))


@pytest.mark.parametrize("text", ["' OR 1=1 --", "account:'%_", 'account:"\\"],[\\""', "account:?1", 'scope:"\'"'])
def test_hostile_text_is_only_text(conn: Outside, text: str) -> None:
    page = _search.find(conn, parse(text, NOW), NOW, None, 10, False)
    assert len(page) <= min(10, _search.count(conn, parse(text, NOW), NOW, ROWS))
    assert conn.execute("SELECT count(*) FROM grantflow_installation").fetchone() == (ROWS,)
