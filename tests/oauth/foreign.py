"""The foreign server of these tests: its settings, its answers, and itself on a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from grantflow._app import ClientAuth, Server
from grantflow._oauth import ClientProof
from grantflow._ports import HttpResponse
from grantflow._secret import Secret

NOW = int(datetime(2026, 11, 24, tzinfo=UTC).timestamp()) * 1_000_000
SECOND = 1_000_000
ISSUER = "https://as.example"
SERVER = Server(
    issuer=ISSUER,
    authorization_endpoint=ISSUER + "/authorize",
    token_endpoint=ISSUER + "/token",
    revocation_endpoint=ISSUER + "/revoke",
)
REDIRECT = "https://app.example/callback"
BASIC = ClientProof("client", Secret("s3cret"), ClientAuth.BASIC)
POST = ClientProof("client", Secret("s3cret"), ClientAuth.POST)
PUBLIC = ClientProof("client", None, ClientAuth.NONE)
FORM = "application/x-www-form-urlencoded"


def answer(body: object, status: int = 200, **headers: str) -> HttpResponse:
    """An answer with this body: bytes as they are, anything else as JSON; `_` in names of headers is `-`."""
    named = {"content-type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return HttpResponse(status, named, body if isinstance(body, bytes) else json.dumps(body).encode())


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[str]:
    """A server on loopback that does `talk` with whoever connects; gives its URL."""

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


async def heard(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Head and body of one request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(
        (line.split(":")[1] for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0
    )
    return head, await reader.readexactly(int(length))


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    """The bytes of one answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body
