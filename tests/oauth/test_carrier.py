"""The carrier against a real server on loopback: sent or not sent, answered or not answered."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from grantflow._oauth import HttpxCarrier, exchange_request, read_token_answer
from grantflow._ports import HttpRequest
from grantflow.errors import CarrierError, NoAnswer, NotSent
from tests.oauth.foreign import BASIC, NOW, REDIRECT, SERVER, Talk, heard, http, listening

LIMIT = 1 << 20


@pytest.fixture
async def carrier() -> AsyncIterator[HttpxCarrier]:
    """A patient carrier."""
    made = HttpxCarrier(20)
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy stands before loopback, whatever the machine says."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


def saying(*chunks: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()

    return talk


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await heard(reader)
    await reader.read()  # until the other side gives up


def post(url: str) -> HttpRequest:
    return HttpRequest("POST", url + "/token", {"Authorization": "Basic C4NARY", "X-Own": "x"}, b"code=C4NARY")


async def free_port() -> int:
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def test_a_request_goes_out_as_it_is_and_the_answer_comes_back(carrier: HttpxCarrier) -> None:
    got: list[tuple[str, bytes]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await heard(reader))
        writer.write(http("201 Created", b"\x00\xff", "X-Answer: yes", "RETRY-AFTER: 3"))

    async with listening(talk) as url:
        answer = await carrier(post(url))
    assert (answer.status, answer.body) == (201, b"\x00\xff")
    assert (answer.headers["x-answer"], answer.headers["retry-after"]) == ("yes", "3")
    ((head, body),) = got
    assert head.startswith("POST /token HTTP/1.1\r\n")
    assert body == b"code=C4NARY"
    lines = head.lower().split("\r\n")
    assert {"authorization: basic c4nary", "x-own: x", "user-agent: grantflow", "accept-encoding: identity"} <= set(
        lines
    )
    assert not [line for line in lines if line.startswith("cookie:")]


async def test_a_refused_port_is_not_sent(carrier: HttpxCarrier) -> None:
    with pytest.raises(NotSent):
        await carrier(post(f"http://127.0.0.1:{await free_port()}"))


@pytest.mark.parametrize(
    "url", ["ftp://as.example", "as.example", "", "http://", "http://[as", "http://127.0.0.1:99999", "http://x\0"]
)
async def test_a_url_that_leads_nowhere_is_not_sent(carrier: HttpxCarrier, url: str) -> None:
    with pytest.raises(NotSent):
        await carrier(post(url))


async def test_a_proxy_that_refuses_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(saying(http("403 Forbidden"))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        carrier = HttpxCarrier(20)
        with pytest.raises(NotSent):
            await carrier(post("https://as.example"))
        await carrier.close()


@pytest.mark.parametrize(
    "chunks",
    [
        (),
        (b"HTTP/1.1 200 OK\r\nContent-Le",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",),
        (b"SSH-2.0-OpenSSH\r\n",),
        (b"\0" * 100_000,),
    ],
    ids=["nothing", "half a head", "half a body", "half a chunk", "another protocol", "NUL"],
)
async def test_what_went_out_and_got_no_whole_answer_is_no_answer(
    carrier: HttpxCarrier, chunks: tuple[bytes, ...]
) -> None:
    async with listening(saying(*chunks)) as url:
        with pytest.raises(NoAnswer):
            await carrier(post(url))


@pytest.mark.parametrize("talk", [silent, None], ids=["nothing", "drop by drop"])
async def test_a_slow_server_is_no_answer_within_the_timeout(talk: Talk | None) -> None:
    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(1000):  # each drop comes in time, the whole does not
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    carrier = HttpxCarrier(0.25)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with listening(talk or dripping) as url:
        with pytest.raises(NoAnswer):
            await carrier(post(url))
    assert loop.time() - began < 5
    await carrier.close()


async def test_a_server_that_takes_the_connection_for_itself_and_no_tls_is_not_sent() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    carrier = HttpxCarrier(0.25)
    async with listening(deaf) as url:
        with pytest.raises(NotSent):
            await carrier(post(url.replace("http:", "https:")))
    await carrier.close()


async def test_a_redirect_is_an_answer_and_is_not_followed(carrier: HttpxCarrier) -> None:
    reached: list[str] = []

    async def target(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append((await heard(reader))[0])
        writer.write(http("200 OK"))

    async with listening(target) as elsewhere:
        for status in ("301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"):
            async with listening(saying(http(status, b"", f"Location: {elsewhere}/x"))) as url:
                answer = await carrier(post(url))
            assert answer.status == int(status[:3])
    assert reached == []


async def test_cookies_are_not_kept(carrier: HttpxCarrier) -> None:
    heads: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await heard(reader))[0].lower())
        writer.write(http("200 OK", b"", "Set-Cookie: session=C4NARY; Path=/"))

    async with listening(talk) as url:
        await carrier(post(url))
        await carrier(post(url))
    assert len(heads) == 2
    assert not [head for head in heads if "\r\ncookie:" in head]


async def test_no_connection_is_used_twice(carrier: HttpxCarrier) -> None:
    connections: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        while True:
            await heard(reader)
            writer.write(http("200 OK"))

    async with listening(talk) as url:
        for _ in range(3):
            await carrier(post(url))
    assert len(connections) == 3


@pytest.mark.parametrize("length", [LIMIT, 50 * LIMIT])
async def test_a_huge_body_is_cut_one_byte_beyond_the_limit(carrier: HttpxCarrier, length: int) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
    async with listening(saying(head, *[b"x" * LIMIT] * (length // LIMIT))) as url:
        answer = await carrier(post(url))
    assert len(answer.body) == min(length, LIMIT + 1)


async def test_a_packed_body_is_unpacked_no_further_than_the_limit(carrier: HttpxCarrier) -> None:
    packed, bomb = gzip.compress(b'{"error": "invalid_grant"}'), gzip.compress(b"x" * 50 * LIMIT)
    half = packed[: len(packed) // 2]
    for body, seen in ((packed, 26), (bomb, LIMIT + 1), (half, len(half)), (b"plain", 5)):
        async with listening(saying(http("400 Bad Request", body, "Content-Encoding: gzip"))) as url:
            assert len((await carrier(post(url))).body) == seen


async def test_nothing_is_logged_and_no_error_or_repr_shows_a_secret(
    carrier: HttpxCarrier, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with listening(saying(http("200 OK", b"{}", "Set-Cookie: C4NARY=1"))) as url:
        shown = repr(await carrier(post(url + "/C4NARY")))
    failures: list[CarrierError] = []
    for talk in (saying(), saying(b"C4NARY\r\n\r\n")):
        async with listening(talk) as url:
            with pytest.raises(NoAnswer) as caught:
                await carrier(post(url + "/C4NARY"))
            failures.append(caught.value)
    with pytest.raises(NotSent) as refused:
        await carrier(HttpRequest("POST", f"http://127.0.0.1:{await free_port()}", {"A": "C4NARY\r\n"}, b""))
    failures.append(refused.value)
    assert "C4NARY" not in f"{shown} {failures!r} {[str(failure) for failure in failures]} {carrier!r}"
    assert [failure.__context__ for failure in failures] == [None, None, None]
    assert [record for record in caplog.records if record.name.startswith(("httpx2", "httpcore2"))] == []


async def test_the_hosts_own_requests_are_still_logged(
    carrier: HttpxCarrier, caplog: pytest.LogCaptureFixture
) -> None:
    import httpx2

    caplog.set_level(logging.INFO)
    async with listening(saying(http("200 OK"))) as url:
        await carrier(post(url))
        assert caplog.records == []
        async with httpx2.AsyncClient() as client:
            await client.post(url)
    assert [record.name for record in caplog.records] == ["httpx2"]


async def test_a_carrier_that_was_cancelled_or_closed_can_go_on(carrier: HttpxCarrier) -> None:
    arrived = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)
        arrived.set()
        await reader.read()

    async with listening(talk) as url:
        task = asyncio.create_task(carrier(post(url)))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await carrier.close()
    await carrier.close()
    async with listening(saying(http("200 OK"))) as url:
        assert (await carrier(post(url))).status == 200


async def test_a_hundred_requests_at_once_each_get_their_own_answer(carrier: HttpxCarrier) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http("200 OK", (await heard(reader))[1]))

    async with listening(echo) as url:
        bodies = [str(number).encode() for number in range(100)]
        answers = await asyncio.gather(*(carrier(HttpRequest("POST", url, {}, body)) for body in bodies))
    assert [answer.body for answer in answers] == bodies


async def test_a_whole_exchange_from_request_to_answer(carrier: HttpxCarrier) -> None:
    from dataclasses import replace

    body = b'{"access_token": "at", "token_type": "bearer", "expires_in": 60}'
    async with listening(saying(http("200 OK", body, "Content-Type: application/json"))) as url:
        server = replace(SERVER, token_endpoint=url + "/token")
        request = exchange_request(server, BASIC, code="c", redirect_uri=REDIRECT, verifier="v")
        found = read_token_answer(await carrier(request), NOW)
    assert found.access_token is not None
    assert found.access_token.value == "at"


def test_httpx2_is_not_loaded_before_the_first_request() -> None:
    code = (
        "import sys, grantflow._oauth as oauth; oauth.HttpxCarrier(1); "
        "sys.exit(bool({'httpx2', 'httpcore2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
