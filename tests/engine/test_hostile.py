"""What nobody should send: a typed error each, and the file as it was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from grantflow import Actor, ClientCredentials, GrantflowError, new_pkce
from grantflow.errors import (
    BadInput,
    FilterSyntaxError,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    NotFound,
    OAuthError,
    TransitionRefused,
    Unauthorized,
    UnknownEvent,
)
from grantflow.testing import SECRET
from tests.journeys.stage import BOB, MARIA, OPS, UMA, Stage, on_stage

TEXTS = {
    "nul": "acme\0",
    "ten kilobytes": "a" * 10_000,
    "lone surrogate": "acme\ud800",
    "sql": "acme'; DROP TABLE grantflow_installation; --",
    "like": "%",
    "terminal": "\x1b[2J\x1b]0;owned\x07",
    "right to left": "acme\u202egnp",
    "newline": "acme\nstate:active",
    "empty": "",
    "blank": "   ",
    "path": "../../etc/passwd",
    "format": "{0.__class__} %s %n",
}
CALLBACK = "https://app.example/callback"
REDIRECTS = (
    CALLBACK + "/",
    CALLBACK.upper(),
    "https://APP.example/callback",
    CALLBACK + "?a=1",
    CALLBACK + "#top",
    CALLBACK + "%20",
    CALLBACK + " ",
    " " + CALLBACK,
    CALLBACK + "\0",
    CALLBACK + "\r\nSet-Cookie: a=b",
    "http://app.example/callback",
    "https://app.example:443/callback",
    "https://app.example/x/../callback",
    "https://app.example//callback",
    "https://app.example.evil.example/callback",
    "https://evil.example/?u=" + CALLBACK,
    "https://app.example\\@evil.example/callback",
    "//app.example/callback",
    "javascript:alert(1)",
    "data:text/html,hi",
    "http://127.0.0.1/callback",
    "x" * 10_000,
)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage with one live installation on it."""
    async with on_stage(tmp_path) as made:
        await made.active("agent-app", BOB)
        yield made


async def key_of(stage: Stage) -> str:
    """The id of the live installation."""
    return (await stage.engine.get("agent-app", account="acme", subject=BOB)).id


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_hostile_texts_where_a_name_is_expected(stage: Stage, text: str) -> None:
    engine, key = stage.engine, await key_of(stage)
    form = await stage.form("agent-app", BOB, label="open")
    waiting = await stage.open("agent-app", BOB)
    refused: tuple[type[GrantflowError], ...] = (BadInput, NotFound, TransitionRefused)
    with stage.refused(*refused):
        await engine.get(text)
    with stage.refused(*refused):
        await engine.get(text, account="acme", subject=BOB)
    with stage.refused(*refused):
        await engine.get("agent-app", account=text, subject=BOB)
    with stage.refused(*refused):
        await engine.get("agent-app", account="acme", subject=text)
    with stage.refused(*refused):
        await engine.get("agent-app", account="acme", subject=BOB, label=text)
    with stage.refused(*refused):
        await engine.history(text)
    with stage.refused(*refused):
        await engine.authorize(text, actor=BOB, code_challenge=new_pkce()[1])
    with stage.refused(*refused):
        await engine.window(text, actor=BOB)
    with stage.refused(*refused):
        await engine.select_account(waiting.id, text, actor=BOB)
    with stage.refused(*refused):
        await engine.agree(form.attempt, actor=BOB, scopes=[text])
    with stage.refused(*refused):
        await engine.cancel(text, actor=BOB)
    with stage.refused(*refused):
        await engine.send(key, text, actor=BOB)
    with stage.refused(*refused):
        await engine.send(key, "cancel", actor=BOB, payload={"attempt": text})
    with stage.refused(*refused):
        await engine.send(text, "suspend", actor=MARIA)
    with stage.refused(BadInput, NotFound):
        await engine.apps.on_account(text, "acme")
    with stage.refused(BadInput, NotFound):
        await engine.apps.on_account("agent-app", text)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_hostile_texts_where_a_secret_is_expected(stage: Stage, text: str) -> None:
    ledger, client = stage.engine.ledger, ClientCredentials("agent-app", SECRET)
    with stage.refused(Unauthorized):
        await ledger.authenticate(text)
    with stage.refused(InvalidGrant):
        await ledger.redeem(text, client=client)
    with stage.refused(InvalidGrant):
        await ledger.renew(text, client=client)
    with stage.unchanged():
        await ledger.revoke(text, client=client)
    returned = await stage.agreed("agent-app", BOB, label="two")
    for changes in (
        {"client": ClientCredentials(text, SECRET)},
        {"client": ClientCredentials("agent-app", text)},
        {"code_verifier": text},
        {"redirect_uri": text},
    ):
        with stage.refused(InvalidClient, InvalidGrant):
            await stage.redeem("agent-app", returned, **changes)
    with stage.refused(InvalidClient):
        await ledger.begin(client_id=text, actor=UMA, code_challenge=new_pkce()[1])
    with stage.refused(InvalidRequest):
        await ledger.begin(client_id="external-app", actor=UMA, code_challenge=text)
    with stage.refused(InvalidRequest):
        await ledger.begin(client_id="external-app", actor=UMA, code_challenge=new_pkce()[1], response_type=text)
    with stage.refused(InvalidScope):
        await ledger.begin(client_id="external-app", actor=UMA, code_challenge=new_pkce()[1], scope=text)


@pytest.mark.parametrize("uri", REDIRECTS)
async def test_a_redirect_uri_is_matched_exactly(stage: Stage, uri: str) -> None:
    with stage.refused(InvalidRequest):
        await stage.open("external-app", UMA, redirect_uri=uri)


@pytest.mark.parametrize("event", ["force", "exchange_ok", "refresh_dead", "callback_ok", "recovered"])
async def test_what_only_the_engine_knows_is_refused_from_outside(stage: Stage, event: str) -> None:
    key = await key_of(stage)
    for actor in (BOB, MARIA, OPS, Actor.system(), Actor.app("agent-app")):
        with stage.refused(TransitionRefused, match="engine"):
            await stage.engine.send(key, event, actor=actor)


async def test_unknown_events_name_the_nearest(stage: Stage) -> None:
    key = await key_of(stage)
    with stage.refused(UnknownEvent, match="uninstall"):
        await stage.engine.send(key, "unistall", actor=MARIA)
    with stage.refused(UnknownEvent):
        await stage.engine.send(key, "__class__", actor=MARIA)


async def test_huge_and_malformed_scopes(stage: Stage) -> None:
    form = await stage.form("agent-app", BOB, label="open")
    for scope in ("tickets.read " * 5_000 + "admin", "a" * 100_000, 'tickets.read "', "tickets.read\0", "*"):
        with stage.refused(InvalidScope):
            await stage.open("agent-app", BOB, scope=scope)
    with stage.refused(BadInput):
        await stage.engine.agree(form.attempt, actor=BOB, scopes=[f"scope-{n}" for n in range(10_000)])


@pytest.mark.parametrize("wrong", [None, 7, b"acme", ["acme"], {"a": 1}, object()], ids=lambda v: type(v).__name__)
async def test_wrong_types(stage: Stage, wrong: Any) -> None:
    engine, key = stage.engine, await key_of(stage)
    attempt = await stage.open("agent-app", BOB)
    with stage.refused(BadInput, NotFound):
        await engine.get(wrong)
    with stage.refused(BadInput, NotFound):
        await engine.select_account(attempt.id, wrong, actor=BOB)
    with stage.refused(BadInput, NotFound):
        await engine.window(wrong, actor=BOB)
    with stage.refused(BadInput, TransitionRefused):
        await engine.send(key, wrong, actor=MARIA)
    with stage.refused(BadInput, OAuthError, Unauthorized):
        await engine.ledger.authenticate(wrong)
    with stage.refused(BadInput, OAuthError):
        await engine.ledger.redeem(wrong, client=ClientCredentials("agent-app", SECRET))
    if not isinstance(wrong, (list, type(None))):
        with stage.refused(BadInput):
            await engine.send(key, "cancel", actor=BOB, payload={"scopes": wrong, "attempt": attempt.id})


async def test_payloads_reasons_and_keys(stage: Stage) -> None:
    engine, key = stage.engine, await key_of(stage)
    with stage.refused(BadInput, match="unknown payload"):
        await engine.send(key, "suspend", actor=MARIA, payload={"state": "active", "forced": True})
    for reason in ("a" * 10_000, "nul\0", "\ud800"):
        with stage.refused(BadInput):
            await engine.send(key, "suspend", actor=MARIA, reason=reason)
        with stage.refused(BadInput):
            await engine.ops.force(key, to="unauthorized", actor=OPS, reason=reason)
        with stage.refused(BadInput):
            await engine.apps.suspend("agent-app", "acme", actor=MARIA, reason=reason)
        with stage.refused(BadInput):
            await engine.apps.hold("agent-app", actor=OPS, reason=reason)
    for name in ("", "a" * 201, "nul\0", "\udfff"):
        with stage.refused(BadInput):
            await engine.send(key, "suspend", actor=MARIA, idempotency_key=name)
    with stage.refused(BadInput, match="no state is called"):
        await engine.ops.force(key, to="god-mode", actor=OPS, reason="because I can")


@pytest.mark.parametrize("text", ["state:", 'app:"', "state:nothing", "expires:<7parsecs", "\0", "\x1b[2J"])
async def test_hostile_filters(stage: Stage, text: str) -> None:
    with stage.refused(FilterSyntaxError):
        await stage.engine.find(text)
    with stage.refused(FilterSyntaxError):
        await stage.engine.count(text)


@pytest.mark.parametrize("text", ["(" * 500, "';--", "%", "_", "b_b"])
async def test_hostile_words_find_nothing(stage: Stage, text: str) -> None:
    with stage.unchanged():
        assert (await stage.engine.find(text)).items == ()
        assert (await stage.engine.count(text)).count == 0


async def test_a_filter_error_shows_no_terminal_escape(stage: Stage) -> None:
    with pytest.raises(FilterSyntaxError) as raised:
        await stage.engine.find("\x1b[2J state:nothing")
    assert "\x1b" not in raised.value.caret + str(raised.value)


async def test_hostile_pages(stage: Stage) -> None:
    for limit in (0, -1, 1_001, 10**12):
        with stage.refused(BadInput):
            await stage.engine.find(limit=limit)
    for cursor in ("nonsense", "\0", "a" * 10_000, "' OR 1=1 --", "\ud800"):
        with stage.refused(BadInput):
            await stage.engine.find(after=cursor)


async def test_a_state_comes_back_verbatim_however_hostile(stage: Stage) -> None:
    for number, state in enumerate(
        ("a&code=stolen", "\r\nLocation: https://evil.example", "\x1b[2J", "\0", "ü€😀", "a" * 4096)
    ):
        returned = await stage.agreed("external-app", UMA, state=state, label=f"l{number}")
        query = parse_qs(urlsplit(returned.redirect_to).query, keep_blank_values=True)
        assert query["state"] == [state]
        assert returned.code is not None
        assert query["code"] == [returned.code.value]
        assert not {"\r", "\n", "\0", "\x1b"} & {*returned.redirect_to}


async def test_no_message_repeats_what_was_sent_in_full(stage: Stage) -> None:
    secret = "gfr_" + "s3cret" * 20
    for call in (
        stage.engine.ledger.authenticate(secret),
        stage.engine.ledger.renew(secret, client=ClientCredentials("agent-app", SECRET)),
        stage.engine.get("x" * 10_000),
        stage.engine.apps.get("x" * 10_000),
        stage.engine.send(await key_of(stage), "x" * 10_000, actor=MARIA),
    ):
        with pytest.raises(GrantflowError) as raised:
            await call
        assert len(str(raised.value)) < 500
        assert "s3cret" not in str(raised.value)
