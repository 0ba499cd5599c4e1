"""Client mode with a server that quotes every secret: nothing of it comes out of any door."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlencode

import pytest

from grantflow import Engine, KeyRing
from grantflow._ports import SEALED_FIELDS
from tests.security.channels import CHANNELS, Channels, excepthook
from tests.security.foreign_story import BOB, MINUTE, everything, told_at

HERE = set(CHANNELS) - {"command", "screen", "svg"}
KINDS = {
    "access_token", "adopted access", "adopted refresh", "another cookie", "basic", "binding", "client secret",
    "code",
    "code_verifier", "cookie", "id_token", "key", "key bytes", "nonce", "refresh_token", "second client secret",
    "state",
}  # fmt: skip

INSIDE = {
    "_apps.add_secret", "_apps.work", "_callback._pairs", "_callback._proved", "_callback.complete",
    "_callback.parse_callback", "_client.adopt", "_client.complete",
}  # fmt: skip
"""What a crash reporter that prints local variables finds in grantflow's own frames: the arguments as the host passed
them (query, cookies, a client secret, adopted tokens) and what is read from them before they are wrapped. Nothing
that grantflow opened or received itself: no token of a server, no verifier, no nonce, no key. Whoever prints locals
has the same values in the host's own frame above; see PROMISES S1 and TRAPS (structlog: `show_locals=False`)."""


def columns(path: Path) -> Iterator[tuple[str, str, object]]:
    """(table, column, value) of every row."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as conn:
        conn.row_factory = sqlite3.Row
        for (table,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in conn.execute(f"SELECT * FROM {table}"):
                yield from ((table, name, row[name]) for name in row.keys())  # noqa: SIM118 - a Row is no mapping


async def test_no_secret_of_a_foreign_server_comes_out_anywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = Channels()
    async with told_at(tmp_path, told) as life:
        name = await everything(life)
        error = await told.fails(life.engine.complete("code=1&state=2", cookies={}))
        assert error is not None
        excepthook(told, error, capsys)
        suffixes = told.files(tmp_path)
        assert {"db", "db-wal", "db-shm"} <= set(suffixes)
        for wrong in (KeyRing(), KeyRing.parse(KeyRing.new_key())):
            async with Engine.open(f"sqlite:///{life.path}", keys=wrong, http=life.server, clock=life.clock) as other:
                await told.fails(other.access_token(name))
                told.shown(await other.ops.verify_keys())
    told.files(tmp_path)
    sealed = set()
    for table, column, value in columns(life.path):
        told.heard("column", value if isinstance(value, bytes) else repr(value))
        if value is not None and any(
            table == f"grantflow_{one.value}" and column in f for one, f in SEALED_FIELDS.items()
        ):
            sealed.add(f"{table}.{column}")
    assert len(sealed) == 5, sealed
    kinds = {name.rstrip(" 0123456789") for name in told.secrets}
    assert kinds >= KINDS, KINDS - kinds
    assert set(told.out) >= HERE, HERE - set(told.out)
    assert set(told.seen_inside()) == INSIDE
    assert told.hits() == []


@pytest.mark.parametrize("where", ["token endpoint", "callback"])
async def test_a_server_that_quotes_a_secret_in_the_error_word_itself(tmp_path: Path, where: str) -> None:
    told = Channels()
    async with told_at(tmp_path, told) as life:
        engine, server = life.engine, life.server
        name = await life.active("acme")
        if where == "callback":
            attempt = await engine.authorize("crm", actor=BOB, account="acme")
            cookies, query = life.opened(attempt), parse_qs(server.back(attempt.authorize_url))
            said = {"error": query["code"][0], "state": query["state"][0], "iss": server.server.issuer}
            told.shown(await engine.complete(urlencode(said), cookies=cookies))
        else:
            life.clock.advance(61 * MINUTE)
            life.answers(400, error=f"bad refresh token {next(iter(server.alive))}")
            await told.fails(engine.access_token(name))
            told.shown(await engine.token_health(name))
        told.shown(await engine.history(name))
        await engine.drain_notices()
        told.files(tmp_path)
    assert told.hits() == []
