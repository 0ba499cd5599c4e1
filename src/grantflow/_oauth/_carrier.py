"""Carries requests over HTTP with httpx2, which is loaded by the first of them."""

from __future__ import annotations

import asyncio
import logging
import zlib
from contextvars import ContextVar
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from grantflow._oauth._bodies import MAX_BODY
from grantflow._ports import HttpRequest, HttpResponse
from grantflow.errors import CarrierError, NoAnswer, NotSent

if TYPE_CHECKING:
    import httpx2

_ours: ContextVar[bool] = ContextVar("grantflow_request", default=False)
_LOGGERS = ("httpx2", *(f"httpcore2.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")))


class _Quiet(logging.Filter):
    """Keeps what belongs to our own requests out of the log; the host's requests are none of our business."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 -- logging names it
        return not _ours.get()


_QUIET = _Quiet()


class HttpxCarrier:
    """A Carrier: no redirect is followed, no cookie kept, no connection reused, and a body ends at its limit.

    A connection of its own for every request means that none is lost in one the server was just closing.
    Proxies are taken from the environment.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._client: httpx2.AsyncClient | None = None

    def __repr__(self) -> str:
        return f"HttpxCarrier(timeout={self._timeout})"

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Send one request and read its answer, all within the timeout.

        Raises:
            NotSent: the connection was never made.
            NoAnswer: the request may have gone out, and no whole answer came in time.
        """
        token = _ours.set(True)
        try:
            return await self._carry(request)
        finally:
            _ours.reset(token)

    async def close(self) -> None:
        """Let go of open connections; safe to call twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _carry(self, request: HttpRequest) -> HttpResponse:
        import httpx2

        gone = False

        async def trace(name: str, _: dict[str, Any]) -> None:
            nonlocal gone
            gone = gone or ".send_" in name

        never = (
            httpx2.ConnectError,
            httpx2.ConnectTimeout,
            httpx2.PoolTimeout,
            httpx2.ProxyError,
            httpx2.UnsupportedProtocol,
            httpx2.InvalidURL,
        )
        failure: type[CarrierError]
        try:
            async with asyncio.timeout(self._timeout):
                return await self._exchange(self._opened(), request, trace)
        except never as error:
            failure, why = NotSent, type(error).__name__
        except Exception as error:  # noqa: BLE001 -- whatever it is, all that counts is whether the request went out
            failure, why = (NoAnswer if gone else NotSent), type(error).__name__
        # Raised out here: the foreign error may quote a header, and must not hang on ours as its context.
        raise failure(f"{(failure.__doc__ or '').partition(':')[0]} ({why}, {_host(request.url)})")

    def _opened(self) -> httpx2.AsyncClient:
        import httpx2

        if self._client is None:
            for name in _LOGGERS:
                logging.getLogger(name).addFilter(_QUIET)
            self._client = httpx2.AsyncClient(
                # Connecting has two steps, TCP and TLS; a step that ends by itself closes its socket at once.
                timeout=httpx2.Timeout(self._timeout, connect=self._timeout / 2),
                follow_redirects=False,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
                limits=httpx2.Limits(max_connections=100, max_keepalive_connections=0),
                headers={"User-Agent": "grantflow", "Accept-Encoding": "identity"},
            )
        return self._client

    async def _exchange(self, client: httpx2.AsyncClient, request: HttpRequest, trace: Any) -> HttpResponse:
        async with client.stream(
            request.method,
            request.url,
            headers=dict(request.headers),
            content=request.body,
            extensions={"trace": trace},
        ) as response:
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BODY:
                    break
            headers = dict(response.headers.items())
            return HttpResponse(response.status_code, headers, _unpacked(bytes(body), headers))


def _unpacked(body: bytes, headers: dict[str, str]) -> bytes:
    """At most one byte more than readers accept, so that a body that was cut is never taken for a whole one."""
    if headers.get("content-encoding", "").lower() in {"gzip", "deflate"} and len(body) <= MAX_BODY:
        unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        try:
            text = unpacking.decompress(body, MAX_BODY + 1)
        except zlib.error:
            return body
        return text if unpacking.eof or len(text) > MAX_BODY else body
    return body[: MAX_BODY + 1]


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "no host"
    except ValueError:
        return "no host"
