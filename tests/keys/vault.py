"""A database with every kind of sealed value in it, and a second way to open them that knows nothing of rotations."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from grantflow import Actor, App, Engine, Granted, HttpRequest, HttpResponse, KeyRing, new_pkce
from grantflow.errors import NotSent
from grantflow.testing import ForeignServer, ManualClock, People, grant, sample_app

BOB, PLATFORM, OPERATOR = Actor.agent("bob"), Actor.system(), Actor.operator("olga")
REASON = "keys are changed every year"
OLD, NEW, OTHER = (f"{name}:{base64.b64encode(name.encode() * 16).decode()}" for name in ("k1", "k2", "k3"))
STATE = "the state of the app, kept sealed"
ACCOUNTS = [f"account-{n}" for n in range(8)]
APP, LOCAL = "mail", "local"

Values = dict[tuple[str, str, int], bytes]


def ring(*keys: str) -> KeyRing:
    """A ring; the first key is active."""
    return KeyRing.parse("\n".join(keys))


@dataclass
class Offline:
    """A carrier that reaches every endpoint but the one where tokens are given back."""

    server: ForeignServer

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.url == self.server.server.revocation_endpoint:
            raise NotSent
        return await self.server(request)


def opened(file: Path, *keys: str, **settings: Any) -> Any:
    """An engine on the vault."""
    chosen: dict[str, Any] = {"clock": ManualClock(), "directory": People({BOB: ACCOUNTS}), "keys": ring(*keys)}
    return Engine.open(f"sqlite:///{file}", **(chosen | settings))


async def identified(app: App, granted: Granted) -> str:
    """Every grant is somebody else's upstream: a token is given back when no other grant shares it."""
    return f"{app.key} {granted.access_token.value[-3:]}"


async def filled(file: Path, server: ForeignServer, *keys: str) -> list[str]:
    """Grants, open attempts of both modes, two client secrets and a token to give back; returns who has a grant."""
    ids = []
    async with opened(file, *keys, http=Offline(server), identify=identified) as engine:
        await engine.apps.register(server.app(APP))
        await engine.apps.register(sample_app(key=LOCAL))
        for account in ACCOUNTS:
            await engine.apps.install(APP, account, actor=PLATFORM)
            done = await grant(engine, server, APP, account, actor=BOB)
            assert done.installation is not None
            ids.append(done.installation.id)
        server.secret = "the secret that comes next"
        await engine.apps.add_secret(APP, server.secret, actor=OPERATOR)
        for account in ACCOUNTS[:3]:
            await engine.authorize(APP, actor=BOB, account=account)
        for _ in range(3):
            await engine.ledger.begin(
                client_id=(await engine.apps.get(LOCAL)).client_id,
                actor=BOB,
                state=STATE,
                code_challenge=new_pkce()[1],
                scope=None,
            )
        await engine.disconnect(ids.pop(), actor=BOB)
        await engine.deliver_revocations()
    return ids


TABLES = {
    ("grantflow_app", "secrets"): "SELECT pk, public_id, secrets FROM grantflow_app",
    ("grantflow_attempt", "app_state"): "SELECT pk, public_id, app_state FROM grantflow_attempt",
    ("grantflow_attempt", "sealed"): "SELECT pk, public_id, sealed FROM grantflow_attempt",
    ("grantflow_revocation", "sealed"): "SELECT pk, place, sealed FROM grantflow_revocation",
    **{
        ("grantflow_token_set", f"{which}_sealed"): (
            f"SELECT t.installation_pk, i.public_id, t.{which}_sealed FROM grantflow_token_set t "
            "JOIN grantflow_installation i ON i.pk = t.installation_pk"
        )
        for which in ("access", "refresh")
    },
}


def sealed(file: Path) -> Iterator[tuple[str, bytes]]:
    """(place, ciphertext) of everything, in no matter what state the file was left."""
    with closing(sqlite3.connect(file)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for (table, column), query in TABLES.items():
            for _, name, value in conn.execute(query).fetchall():
                if table == "grantflow_app":
                    yield from ((f"app/{name}/secret", base64.b64decode(text)) for text, _ in json.loads(value))
                elif value is not None:
                    yield places(table, column, name), value


def places(table: str, column: str, name: str) -> str:
    """What a value is bound to, as the promise S2 has it: table, public id, field."""
    if table == "grantflow_revocation":
        return name
    return f"{table.removeprefix('grantflow_')}/{name}/{column.removesuffix('_sealed')}"


def plain(file: Path, *keys: str) -> list[tuple[str, bytes]]:
    """(place, secret) of everything; raises where one does not open."""
    known = {name: base64.b64decode(text) for name, text in (key.split(":") for key in keys)}
    found = []
    for place, value in sealed(file):
        name, _, rest = value.partition(b":")
        secret = AESGCM(known[name.decode()]).decrypt(rest[:12], rest[12:], f"{place}/{name.decode()}".encode())
        found.append((place, secret))
    return sorted(found)


def change(file: Path, query: str, *values: object) -> None:
    """Somebody with the file in their hands."""
    with closing(sqlite3.connect(file)) as conn, conn:
        conn.execute(query, values)


def one(file: Path, query: str, *values: object) -> Any:
    """The first column of the first row."""
    with closing(sqlite3.connect(file)) as conn:
        row = conn.execute(query, values).fetchone()
    return None if row is None else row[0]


def token(file: Path, installation: str, which: str = "access") -> Any:
    """A stored token's ciphertext."""
    return one(
        file,
        f"SELECT t.{which}_sealed FROM grantflow_token_set t JOIN grantflow_installation i "
        "ON i.pk = t.installation_pk WHERE i.public_id = ?",
        installation,
    )


def put(file: Path, installation: str, value: object, which: str = "access") -> None:
    """Write a stored token's ciphertext."""
    change(
        file,
        f"UPDATE grantflow_token_set SET {which}_sealed = ? WHERE installation_pk = "
        "(SELECT pk FROM grantflow_installation WHERE public_id = ?)",
        value,
        installation,
    )
