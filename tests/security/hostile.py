"""Texts that want to act, in every field that somebody outside can fill."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from grantflow import Actor, Engine, KeyRing, Version
from grantflow.errors import GrantflowError
from grantflow.testing import ForeignServer, ManualClock, People
from tests.security.foreign_story import CLOSED

TEXTS = {
    "csi": "ac\x1b[2J\x1b[31;5mme\x1b[0m",
    "c1": "ac\x9b2J\x9d0;owned\x9cme",
    "osc 8": "\x1b]8;;https://evil.example\x07click me\x1b]8;;\x07",
    "osc 52": "\x1b]52;c;cm0gLXJmIC8=\x07paste",
    "bell and backspace": "admin\x07\x08\x08\x08\x08\x08guest\r\n",
    "bidi": "\u202eresu\u202c \u2066evil\u2069 \u200fx",
    "zero width": "ac\u200bme\u200d\ufeff\u2060",
    "line and paragraph": "one\u2028two\u2029three\x85four",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;",
    "formula": "=cmd|' /C calc'!A0",
    "formula with at": '@SUM(1+9)*cmd|"/C calc"!A0',
    "formula with tab": "\t=1+1\n+2\n-3",
    "rich": "[red]evil[/] [link=https://evil.example]x[/link] [/]",
    "click": "[@click=app.quit]press me[/] [@click=app.bell]x",
    "marks": "Z" + "\u0301\u0489\u20dd" * 30,
    "wide": "日本語\U0001f468\u200d\U0001f469\u200d\U0001f467\ufe0f" * 4,
    "tags": "x\U000e0041\U000e0042\ue000\U0010fffd",
    "format": "{0.__class__} %s %(x)s $HOME `id` ; rm -rf /",
}
NEVER = {"nul": "acme\0", "ten kilobytes": "a" * 10_000, "lone surrogate": "acme\ud800", "empty": "", "blank": " \t "}
SCOPES = ("=cmd|'/C", "[red]scope[/]", "<b>x</b>", "@SUM(1)", "[@click=app.quit]q", "-1+2")
PLATFORM = Actor.system()


@dataclass(frozen=True)
class Zoo:
    """A database with all of them."""

    path: Path
    key: str
    ids: dict[str, str]
    """Text's name → installation."""


@asynccontextmanager
async def zoo_engine(zoo: Zoo) -> AsyncIterator[Engine]:
    """An engine on the zoo."""
    keys, server = KeyRing.parse(zoo.key), ForeignServer(CLOSED)
    async with Engine.open(f"sqlite:///{zoo.path}", keys=keys, http=server) as engine:
        yield engine


async def zoo_at(path: Path) -> Zoo:
    """Put every text into every field."""
    key, server, clock = KeyRing.new_key(), ForeignServer(CLOSED), ManualClock()
    ids: dict[str, str] = {}
    actors = {name: Actor.agent(text) for name, text in TEXTS.items()}
    people = People({actors[name]: [text] for name, text in TEXTS.items()})
    async with Engine.open(
        f"sqlite:///{path}", keys=KeyRing.parse(key), directory=people, http=server, clock=clock
    ) as engine:
        for number, (name, text) in enumerate(TEXTS.items()):
            app, operator = f"app-{number:02}", Actor.operator(text, claimed=True)
            version = Version(text, ("tickets.read", *SCOPES))
            await engine.apps.register(server.app(app, name=text, description=text * 20, versions=(version,)))
            await engine.apps.install(app, text, actor=PLATFORM)
            made = await engine.adopt(
                app, account=text, actor=PLATFORM, subject=text, label=text, identity=text, scopes=SCOPES,
                reason=text,
                access_token="x" * 20, refresh_token=f"refresh-{number}", expires_in=timedelta(minutes=1),
            )  # fmt: skip
            ids[name] = made.id
            await engine.suspend(made.id, actor=operator, reason=(text * 2)[:200])
            await engine.unsuspend(made.id, actor=operator)
            await engine.authorize(app, actor=actors[name], account=text, label=text, entry_point=text)
            clock.advance(timedelta(minutes=2))
            server.faults.append(server.says(400, error=text, error_description=text))
            with suppress(GrantflowError):
                await engine.access_token(made.id)
            server.faults.append(server.says(401, error="invalid_client", error_description=text))
            clock.advance(timedelta(hours=2))
            with suppress(GrantflowError):
                await engine.access_token(made.id)
            why = f"{text} and so on"
            with suppress(GrantflowError):
                await engine.ops.force(made.id, to="active", actor=operator, reason=why)
            await engine.send(made.id, "suspend", actor=operator, reason=text, idempotency_key=text)
            if number % 3 == 0:
                await engine.apps.hold(app, actor=operator, reason=text)
    return Zoo(path, key, ids)
