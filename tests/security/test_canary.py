"""No secret leaves by a door that is not its own: one run of everything, then a search in all that came out."""

from __future__ import annotations

import contextlib
import logging
import pickle
import traceback
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import pytest

from grantflow import Actor, ClientCredentials, Engine, KeyRing, Secret, new_pkce
from grantflow.testing import SECRET, ManualClock, People, sample_app

BOB, EVE, PLATFORM, OPERATOR = Actor.agent("bob"), Actor.agent("eve"), Actor.system(), Actor.operator("olga")
STATE = "canary-state-of-the-app-7c1f"
APP = "agent-app"


@dataclass
class Channels:
    """Everything that came out, by the door it took."""

    secrets: dict[str, str] = field(default_factory=dict)
    out: dict[str, list[bytes]] = field(default_factory=dict)

    def keep(self, name: str, secret: Secret | str | None) -> str:
        """Note a canary; returns its plain text."""
        assert secret is not None
        plain = secret.value if isinstance(secret, Secret) else secret
        assert len(plain) >= 16
        self.secrets[name] = plain
        return plain

    def heard(self, door: str, text: str | bytes) -> None:
        self.out.setdefault(door, []).append(text.encode() if isinstance(text, str) else text)

    def shown(self, thing: object) -> None:
        """A returned object, as people and programs print it."""
        self.heard("repr", repr(thing))
        with contextlib.suppress(TypeError):
            self.heard("str", f"{thing}")
        with contextlib.suppress(TypeError, AttributeError, pickle.PicklingError):
            self.heard("pickle", pickle.dumps(thing))

    async def fails(self, call: Awaitable[object]) -> None:
        """An error that must come, with its whole traceback."""
        try:
            self.shown(await call)
        except Exception as error:  # noqa: BLE001 - every error is looked at
            self.heard("error", f"{error} {error!r} {getattr(error, 'hint', '')}")
            self.heard("traceback", "".join(traceback.format_exception(error)))
            for behind in (error.__cause__, error.__context__):
                self.heard("error", f"{behind} {behind!r}")
            self.heard("error", repr(vars(error)))
        else:
            pytest.fail("an error was expected")

    def hits(self) -> list[tuple[str, str, str]]:
        """(secret, way of writing, door) of everything that leaked."""
        found = []
        for name, plain in self.secrets.items():
            raw = plain.encode()
            forms = {
                "plain": raw,
                "quoted": quote(plain, safe="").encode(),
                "hex": raw.hex().encode(),
                "base64": b64encode(raw).rstrip(b"="),
                "urlsafe": urlsafe_b64encode(raw).rstrip(b"="),
                "tail": raw[-16:],
            }
            found += [
                (name, form, door)
                for door, texts in self.out.items()
                for form, looked_for in forms.items()
                if any(looked_for in text for text in texts)
            ]
        return found


async def everything(engine: Engine, told: Channels, clock: ManualClock) -> None:
    """Every way a secret is made, used, misused and ended."""
    app = await engine.apps.register(sample_app(key=APP))
    told.shown(app)
    told.shown(await engine.apps.list())
    client = ClientCredentials(app.client_id, SECRET)
    told.heard("repr", repr(client))
    wrong = ClientCredentials(app.client_id, told.keep("wrong client secret", "a wrong secret of a client 0815"))
    for account in ("acme", "bolt"):
        told.shown(await engine.apps.install(APP, account, actor=PLATFORM))

    for number, account in enumerate(("acme", "bolt")):
        verifier, challenge = new_pkce()
        told.keep(f"verifier {number}", verifier)
        attempt = await engine.ledger.begin(
            client_id=app.client_id, actor=BOB, state=STATE, code_challenge=challenge, scope=None
        )
        told.keep(f"cookie {number}", attempt.cookie)
        told.shown(attempt)
        told.shown(await engine.window(attempt.id, actor=BOB))
        told.shown(await engine.select_account(attempt.id, account, actor=BOB))
        told.shown(await engine.form(attempt.id, actor=BOB))
        await told.fails(engine.agree(attempt.id, actor=EVE))
        returned = await engine.agree(attempt.id, actor=BOB)
        code = told.keep(f"code {number}", returned.code)
        assert STATE in returned.redirect_to  # this door is theirs: the browser carries code and state to the app
        told.shown(returned.code)
        told.shown((returned.attempt, returned.outcome, returned.installation, returned.code))
        await told.fails(engine.ledger.redeem(code, client=wrong, code_verifier=verifier))
        await told.fails(engine.ledger.redeem(code, client=client, code_verifier="v" * 43))
        await told.fails(engine.ledger.redeem(code + "x", client=client, code_verifier=verifier))
        tokens = await engine.ledger.redeem(code, client=client, code_verifier=verifier)
        told.shown(tokens)
        access = told.keep(f"access {number}", tokens.access_token)
        refresh = told.keep(f"refresh {number}", tokens.refresh_token)
        told.shown(await engine.ledger.authenticate(access))
        renewed = await engine.ledger.renew(refresh, client=client)
        told.shown(renewed)
        told.keep(f"new access {number}", renewed.access_token)
        again = told.keep(f"new refresh {number}", renewed.refresh_token)
        await told.fails(engine.ledger.renew(again, client=wrong))
        if number == 0:
            await told.fails(engine.ledger.renew(refresh, client=client))
            await told.fails(engine.ledger.authenticate(renewed.access_token.value))
        else:
            await told.fails(engine.ledger.redeem(code, client=client, code_verifier=verifier))
        installation = tokens.installation
        told.shown(await engine.get(installation))
        told.shown(await engine.history(installation))
        told.shown(await engine.guidance(installation, viewer=BOB))
        told.shown(await engine.explain(installation, "suspend", actor=OPERATOR))
        await told.fails(engine.send(installation, "no-such-event", actor=BOB))
        await told.fails(engine.send(installation, "exchange_ok", actor=BOB))

    opening = await engine.ledger.begin(client_id=app.client_id, actor=BOB, state=STATE, code_challenge="c" * 43)
    told.keep("cookie of a cancelled attempt", opening.cookie)
    cancelled = await engine.cancel(opening.id, actor=BOB)
    told.shown((cancelled.attempt, cancelled.outcome, cancelled.code))
    told.shown(await engine.find(""))
    told.shown(await engine.counts())
    told.shown(await engine.ops.preview_sweep())
    clock.advance(timedelta(days=400))
    told.shown(await engine.sweep())
    told.shown(await engine.ops.actions())
    told.shown(engine._core.keys)
    told.shown(engine)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def test_no_secret_is_found_anywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)
    told, clock = Channels(), ManualClock()
    told.keep("client secret", SECRET)
    told.keep("state", STATE)
    key = told.keep("key", KeyRing.new_key().split(":", 1)[1])
    people = People({BOB: ["acme", "bolt"]})
    async with Engine.open(
        f"sqlite:///{tmp_path / 'g.db'}", keys=KeyRing.parse(f"k1:{key}"), directory=people, clock=clock
    ) as engine:
        notices: list[object] = []
        engine.subscribe(notices.append)
        await everything(engine, told, clock)
        await engine.drain_notices()
        for notice in notices:
            told.shown(notice)
        files = _files(tmp_path)
        assert any(file.name.endswith("-wal") for file in files)
        for file in files:
            told.heard(f"file {file.suffix}", file.read_bytes())
    for file in _files(tmp_path):
        told.heard("file after closing", file.read_bytes())
    formatter = logging.Formatter("%(name)s %(message)s")
    assert any(record.levelno == logging.DEBUG for record in caplog.records)
    for record in caplog.records:
        told.heard("log", formatter.format(record))
        told.heard("log arguments", repr(record.args))
    assert {"repr", "str", "error", "traceback", "log", "file after closing"} <= set(told.out)
    assert len(told.secrets) >= 18
    assert told.hits() == []


async def test_the_address_that_carries_the_code_hides_it_when_printed(tmp_path: Path) -> None:
    """`redirect_to` holds the code, so an answer that is logged as a whole must not show it."""
    people = People({BOB: ["acme"]})
    async with Engine.open(
        f"sqlite:///{tmp_path / 'g.db'}", keys=KeyRing.parse(KeyRing.new_key()), directory=people, clock=ManualClock()
    ) as engine:
        app = await engine.apps.register(sample_app(key=APP))
        await engine.apps.install(APP, "acme", actor=PLATFORM)
        _, challenge = new_pkce()
        attempt = await engine.ledger.begin(client_id=app.client_id, actor=BOB, state=STATE, code_challenge=challenge)
        await engine.select_account(attempt.id, "acme", actor=BOB)
        returned = await engine.agree(attempt.id, actor=BOB)
        assert returned.code is not None
        assert returned.code.value in returned.redirect_to
        assert returned.code.value not in repr(returned)
        assert STATE not in repr(returned)
        parts = urlsplit(returned.redirect_to)
        assert urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")) == "https://app.example/callback"


def test_the_search_finds_what_leaks() -> None:
    told = Channels()
    told.keep("planted", "a planted secret of some length")
    told.heard("log", "nothing here")
    assert told.hits() == []
    told.heard("log", "code=" + quote("a planted secret of some length"))
    told.heard("file", b"\x00a planted secret of some length\x00")
    assert {(name, door) for name, _, door in told.hits()} == {("planted", "log"), ("planted", "file")}
