"""No secret leaves by a door that is not its own: one run of everything, then a search in all that came out."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from grantflow import Actor, ClientCredentials, Engine, KeyRing, new_pkce
from grantflow.testing import SECRET, ManualClock, People, sample_app
from tests.security.channels import Channels, every_handler, every_logger

BOB, EVE, PLATFORM, OPERATOR = Actor.agent("bob"), Actor.agent("eve"), Actor.system(), Actor.operator("olga")
STATE = "canary-state-of-the-app-7c1f"
APP = "agent-app"
HERE = {"repr", "str", "pretty", "asdict", "pickle", "error", "traceback", "locals", "log", "notice", "file"}


async def everything(engine: Engine, told: Channels, clock: ManualClock) -> None:
    """Every way a secret is made, used, misused and ended."""
    app = await engine.apps.register(sample_app(key=APP))
    told.shown(app)
    told.shown(await engine.apps.list())
    client = ClientCredentials(app.client_id, SECRET)
    told.shown(client)
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
    told.heard("repr", repr(engine))


async def test_no_secret_is_found_anywhere(tmp_path: Path) -> None:
    told, clock = Channels(), ManualClock()
    told.keep("client secret", SECRET)
    told.keep("state", STATE)
    key = told.keep("key", KeyRing.new_key().split(":", 1)[1])
    people = People({BOB: ["acme", "bolt"]})
    url = f"sqlite:///{tmp_path / 'g.db'}"
    with every_logger(told):
        async with every_handler(told):
            ring = KeyRing.parse(f"k1:{key}")
            async with Engine.open(url, keys=ring, directory=people, clock=clock) as engine:
                engine.subscribe(lambda notice: told.heard("notice", repr(notice)))
                await everything(engine, told, clock)
                await engine.drain_notices()
                assert "db-wal" in told.files(tmp_path)
    told.files(tmp_path)
    assert set(told.out) >= HERE, HERE - set(told.out)
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
