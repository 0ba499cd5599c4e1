"""Kill -9 between every two requests of a journey, and at every database call of a token request. Promise P1."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.types import Message, Receive, Scope, Send

from grantflow.testing import SECRET
from tests.faults import killing
from tests.faults.oracle import looked_at
from tests.hosting.raw import ask
from tests.hosting.world import CALLBACK, YEAR, World

AGENT, EXTERNAL = "agent-app", "external-app"
FORM = "application/x-www-form-urlencoded"
STRIDE = 6
pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"  # of the test runner's own; a child needs none
)


@dataclass
class Mortal(World):
    """A platform whose every request has a process of its own, killed the moment the answer is out."""

    deaths: int = field(default=0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        request: Message = {"type": "http.request", "body": body, "more_body": False}
        status, lines = killing.forked(lambda told: asyncio.run(self.live_once(scope, request, told)))
        assert os.WIFSIGNALED(status), status
        assert os.WTERMSIG(status) == signal.SIGKILL
        self.deaths += 1
        await send({
            "type": "http.response.start",
            "status": lines[0]["status"],
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines[0]["headers"]],
        })  # fmt: skip
        await send({"type": "http.response.body", "body": lines[1]["body"].encode("latin-1")})

    async def live_once(self, scope: Scope, request: Message, told: Callable[[object], None]) -> None:
        """In the child: answer, and die with everything open."""

        async def receive() -> Message:
            return request

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
                told({"status": message["status"], "headers": headers})
            else:
                assert not message.get("more_body")
                told({"body": message.get("body", b"").decode("latin-1")})
                os.kill(os.getpid(), signal.SIGKILL)

        await super().__call__(scope, receive, send)


async def test_a_journey_completes_though_the_server_is_killed_after_every_answer(world: World) -> None:
    mortal = Mortal(world.path, clock=world.clock, keys=world.keys)
    async with mortal.browser("bob") as bob:
        await bob.open("/apps/agent-app?account=acme")
        await bob.press("Authorize")
        await mortal.started(bob, AGENT)
        await bob.press("Cancel")
        assert bob.query["error"] == "access_denied"
        await bob.open(mortal.request_of(AGENT))
        await bob.press("Continue", account="acme")
        await bob.press("Agree")
        first = await mortal.redeem(AGENT, bob.query)
        assert (await mortal.call(first)).json() == {"account": "acme"}
        renewed = await mortal.token(AGENT, grant_type="refresh_token", refresh_token=first["refresh_token"])
        assert (await mortal.call(renewed.json())).status_code == 200
        mortal.clock.advance(YEAR)
        assert (await mortal.call(renewed.json())).status_code == 401
        await bob.open("/gallery?account=acme")
        await bob.follow("The agent app")
        await bob.press("Reauthorize")
        await mortal.started(bob, AGENT)
        await bob.press("Continue", account="acme")
        await bob.press("Agree")
        second = await mortal.redeem(AGENT, bob.query)
        assert (await mortal.call(second)).json() == {"account": "acme"}
        assert (await mortal.call(first)).status_code == 401
    assert mortal.deaths > 20
    assert looked_at(world.path)[1] == []


# -- a token request, killed at every call of the database ----------------------------------------
@dataclass
class Request:
    """One token request, with the database it starts from."""

    world: World
    form: dict[str, str]
    template: Path = field(init=False)

    def __post_init__(self) -> None:
        self.template = self.world.path.with_name("template.db")
        shutil.copy(self.world.path, self.template)

    def set_up(self) -> None:
        """The database as the request finds it."""
        for old in self.world.path.parent.glob(f"{self.world.path.name}*"):
            old.unlink()
        shutil.copy(self.template, self.world.path)

    def sent(self, number: int = 0, moment: str = "") -> tuple[int, list[Any]]:
        """From a child that may die at one call: its wait status, and (status, body, calls made)."""

        def child(told: Callable[[object], None]) -> None:
            killing.CALLS = killing.Calls(number, moment)
            killing.watch_every_connection()
            told(asyncio.run(self.asked(self.form, told)))
            told(killing.CALLS.made)

        return killing.forked(child)

    async def asked(self, form: dict[str, str], told: Callable[[object], None]) -> str:
        answer = await ask(
            self.world, "POST", "/oauth/v2/token", b"",
            urlencode(form | {"client_id": EXTERNAL, "client_secret": SECRET}).encode(), content_type=FORM,
        )  # fmt: skip
        return f"{answer.status} {answer.body.decode()}"


@pytest.fixture(params=["authorization_code", "refresh_token"])
async def request_(request: pytest.FixtureRequest, world: World) -> Request:
    if request.param == "refresh_token":
        tokens = await world.connected(EXTERNAL, "solo")
        return Request(world, {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})
    async with world.browser("solo") as solo:
        await solo.open(world.request_of(EXTERNAL))
        await solo.press("Agree")
        code, state = solo.query["code"], solo.query["state"]
    form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code": code}
    return Request(world, form | {"code_verifier": world.verifiers[state]})


@pytest.mark.parametrize("stride", [STRIDE, pytest.param(1, marks=pytest.mark.slow)])
def test_a_token_request_is_whole_or_was_not(request_: Request, stride: int) -> None:
    request_.set_up()
    before = looked_at(request_.world.path)[0]
    status, (answer, calls) = request_.sent()
    assert (status, answer[:3]) == (0, "200")
    after = looked_at(request_.world.path)[0]
    assert calls >= 20, "the engine makes more database calls than that"
    died, lost = 0, 0
    for number, moment in [(n, m) for n in range(1, calls + 1) for m in ("before", "after")][::stride]:
        request_.set_up()
        status, told = request_.sent(number, moment)
        at = f"{moment} call {number} of {calls}"
        left, wrong = looked_at(request_.world.path)
        assert wrong == [], at
        assert left in (before, after), f"{at}: half a transaction is left"
        died += os.WIFSIGNALED(status)
        if told:  # an answer got out, so it is true
            assert left == after, at
        _, (again, _) = request_.sent()
        if left == before:
            assert again.startswith("200"), f"{at}: nothing had happened, and yet it is refused: {again}"
            continue
        lost += 1
        assert again.startswith('400 {"error":"invalid_grant"'), f"{at}: it was given out twice"
        assert looked_at(request_.world.path)[1] == [], at
    assert died > calls // stride
    assert 0 < lost < died
