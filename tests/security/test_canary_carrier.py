"""grantflow's own carrier over a real socket: a server quotes every request, and all loggers are at DEBUG."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from grantflow import ClientAuth, Engine, KeyRing, Settings
from grantflow.testing import ManualClock, People
from tests.oauth.foreign import heard, http, listening
from tests.security.channels import LOGGERS, Channels, every_handler, every_logger
from tests.security.foreign_story import BOB, OLGA, PLATFORM, VERSION, WHY, QuotingServer

Answer = Callable[[str, bytes], bytes | None]


def quoting(status: str, kind: str = "application/json") -> Answer:
    """Everything of the request comes back: in the body, in headers, in the address of a redirect."""

    def answer(head: str, body: bytes) -> bytes:
        line = head.replace("\r\n", " | ")
        told = json.dumps({"error": "odd", "error_description": line + body.decode()}).encode()
        more = (f"Location: /again?{body.decode()}", f"Set-Cookie: last={body.decode()}", f"X-Seen: {line}")
        return http(status, told, f"Content-Type: {kind}", *more)

    return answer


def cut(head: str, body: bytes) -> bytes:
    """Half an answer."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + body


def rubbish(head: str, body: bytes) -> bytes:
    """No HTTP at all."""
    return head.encode() + body


def nothing(head: str, body: bytes) -> None:
    """The line goes dead."""


ANSWERS: dict[str, Answer] = {
    "a refusal": quoting("400 Bad Request"),
    "a page": quoting("500 Oh no", "text/html"),
    "a redirect": quoting("302 Found"),
    "a status line that quotes": lambda head, body: http("400 " + body.decode()[:200], b"{}"),
    "half an answer": cut,
    "rubbish": rubbish,
    "nothing": nothing,
}


class Wire:
    """Speaks for the quoting server, or for whatever the test put in its place."""

    def __init__(self, server: QuotingServer) -> None:
        self.server, self.instead, self.requests = server, list[Answer](), 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = await heard(reader)
        self.requests += 1
        for name, values in parse_qs(body.decode()).items():
            self.server.keep(name, values[0])
        for line in head.splitlines():
            if line.lower().startswith("authorization:"):
                self.server.keep("basic", line.rpartition(" ")[2])
        if self.instead:
            answer = self.instead[0](head, body)
            if answer is not None:
                writer.write(answer)
            return
        tokens = {"token_type": "Bearer", "expires_in": 3600}
        tokens |= {name: self.server._new(name) for name in ("access_token", "refresh_token", "id_token")}
        for name, value in tokens.items():
            self.server.keep(name, value)
        writer.write(http("200 OK", json.dumps(tokens).encode(), "Content-Type: application/json"))


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
async def told() -> AsyncIterator[Channels]:
    """Channels with every logger listened to."""
    made = Channels()
    with every_logger(made):
        async with every_handler(made):
            yield made


@pytest.mark.parametrize("method", [ClientAuth.BASIC, ClientAuth.POST])
async def test_requests_of_our_own_carrier_leave_nothing_in_any_log(
    tmp_path: Path, told: Channels, method: ClientAuth
) -> None:
    text = KeyRing.new_key()
    told.keep("key", text.split(":", 1)[1])
    server, clock = QuotingServer(told), ManualClock()
    wire = Wire(server)
    async with listening(wire) as url:
        server.server = replace(
            server.server,
            issuer=url,
            authorization_endpoint=f"{url}/authorize",
            token_endpoint=f"{url}/token",
            revocation_endpoint=f"{url}/revoke",
            auth_method=method,
        )
        async with Engine.open(
            f"sqlite:///{tmp_path / 'g.db'}",
            keys=KeyRing.parse(text),
            directory=People({BOB: ["acme"]}),
            clock=clock,
            settings=Settings(synchronous="NORMAL", http_timeout=timedelta(seconds=5)),
        ) as engine:
            await engine.apps.register(server.app("crm", versions=(VERSION,)).with_secret(server.secret))
            await engine.apps.install("crm", "acme", actor=PLATFORM)
            for odd in [*ANSWERS.values(), None]:
                wire.instead = [] if odd is None else [odd]
                attempt = await engine.authorize("crm", actor=BOB, account="acme")
                assert attempt.cookie is not None
                for name in ("state", "nonce"):
                    server.keep(name, parse_qs(urlsplit(attempt.authorize_url).query)[name][0])
                cookies = {attempt.cookie_name: told.keep(f"cookie {odd}", attempt.cookie)}
                done = await engine.complete(server.back(attempt.authorize_url), cookies=cookies)
                told.shown(done)
                assert done.outcome == ("completed" if odd is None else "failed")
            assert done.installation is not None
            name = done.installation.id
            for odd in ANSWERS.values():
                clock.advance(timedelta(hours=2))
                wire.instead = [odd]
                await told.fails(engine.access_token(name))
                told.shown(await engine.token_health(name))
                await told.fails(engine.apps.discover(url))
            wire.instead = []
            clock.advance(timedelta(hours=2))
            told.shown(await engine.access_token(name))
            told.shown(await engine.ops.probe(name, actor=OLGA, reason=WHY))
            wire.instead = [ANSWERS["a page"]]
            await engine.disconnect(name, actor=BOB)
            await engine.deliver_revocations()
            told.heard("repr", repr(engine._core.carrier))
    assert wire.requests >= 20
    names = {name.rstrip(" 0123456789") for name in told.secrets}
    assert {"code", "code_verifier", "refresh_token", "access_token", "nonce", "state", "client secret"} <= names
    assert ("basic" in names) is (method is ClientAuth.BASIC)
    assert told.hits() == []


async def test_the_hosts_own_requests_are_logged_as_before(told: Channels) -> None:
    """The silence is about grantflow's requests alone: it is no way to lose a host's log."""
    import httpx2

    said = told.keep("a word of the host's own request", "in-the-hosts-own-request-4711")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)
        writer.write(http("200 OK", b"{}"))

    async with listening(talk) as url, httpx2.AsyncClient(trust_env=False) as client:
        await client.get(f"{url}/?q={said}")
    assert {door for _, _, door in told.hits()} == {"log"}


def test_every_logger_is_heard_at_debug() -> None:
    told = Channels()
    with every_logger(told):
        for name in LOGGERS:
            logging.getLogger(name).debug("hear me %s", name or "root")
    heard_there = b"".join(told.out["log"]).decode()
    assert all(f"hear me {name or 'root'}" in heard_there for name in LOGGERS)
