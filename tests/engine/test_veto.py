"""A veto handler behind a URL: what it is sent, and what its answers mean."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow import Actor, Engine, HttpRequest, HttpResponse, http_veto
from grantflow.errors import ConfigurationError, NotSent, TransitionRefused
from grantflow.testing import People, sample_app

MARIA = Actor.admin("maria")
URL = "https://app.example/veto"


class Handler:
    """The app's side, as the carrier reaches it."""

    def __init__(self, status: int = 204, body: object = b"", error: Exception | None = None) -> None:
        self.answer = HttpResponse(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())
        self.error = error
        self.asked: list[HttpRequest] = []

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        return self.answer


async def install(path: Path, handler: Any, **options: Any) -> None:
    veto = http_veto(URL, **options)
    people = People({MARIA: ["acme"]})
    async with Engine.open(f"sqlite:///{path}/g.db", veto=veto, http=handler, directory=people) as engine:
        await engine.apps.register(sample_app())
        await engine.apps.install("agent-app", "acme", actor=MARIA)


async def test_the_handler_hears_who_wants_what(tmp_path: Path) -> None:
    handler = Handler()
    await install(tmp_path, handler, headers={"Authorization": "Bearer known"})
    [request] = handler.asked
    assert (request.method, request.url) == ("POST", URL)
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Authorization"] == "Bearer known"
    assert json.loads(request.body) == {
        "app": "agent-app",
        "account": "acme",
        "verb": "install",
        "actor": "admin:maria",
    }


@pytest.mark.parametrize("handler", [Handler(204), Handler(200, {"veto": None})])
async def test_no_objection_lets_it_happen(tmp_path: Path, handler: Handler) -> None:
    await install(tmp_path, handler)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"veto": "orders are open"}, "vetoed it: orders are open"),
        ({"veto": ""}, "it gave no reason"),
        ({"veto": "a\x1b[2Jb"}, r"vetoed it: a\[2Jb"),
    ],
)
async def test_an_objection_stops_it_with_its_text(tmp_path: Path, body: object, told: str) -> None:
    with pytest.raises(TransitionRefused, match=told):
        await install(tmp_path, Handler(200, body))


BROKEN = [
    Handler(500),
    Handler(302),
    Handler(200, b"<html>"),
    Handler(200, b"\xff"),
    Handler(200, ["veto"]),
    Handler(200, {"vetoed": "a typo"}),
    Handler(error=NotSent()),
    Handler(error=RuntimeError("a carrier of the host")),
]


@pytest.mark.parametrize("handler", BROKEN)
async def test_no_usable_answer_fails_closed_or_open_as_told(
    tmp_path: Path, handler: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "grantflow"), pytest.raises(TransitionRefused, match="did not say"):
        await install(tmp_path, handler)
    assert "agent-app" in caplog.text
    await install(tmp_path, handler, unanswered="allow")


async def test_a_handler_that_takes_too_long_is_not_waited_for(tmp_path: Path) -> None:
    async def silent(request: HttpRequest) -> HttpResponse:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(TransitionRefused, match="did not say"):
        await install(tmp_path, silent, timeout=timedelta(milliseconds=20))


@pytest.mark.parametrize("url", ["http://app.example/veto", "ftp://app.example", "veto", ""])
def test_a_handler_has_a_safe_address(url: str) -> None:
    with pytest.raises(ConfigurationError):
        http_veto(url)


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        http_veto(URL, timeout=timedelta(0))
    with pytest.raises(ConfigurationError):
        http_veto(URL, unanswered="perhaps")  # type: ignore[arg-type]


def test_what_is_sent_along_is_not_printed() -> None:
    assert "known" not in repr(http_veto(URL, headers={"Authorization": "Bearer known"}))
