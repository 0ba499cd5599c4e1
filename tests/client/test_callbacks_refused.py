"""Callbacks that do not belong: each is refused with its reason and changes no row of any table."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from grantflow import Actor, Attempt, Engine, KeyRing, Settings
from grantflow.errors import (
    BadCallback,
    BadInput,
    ConfigurationError,
    DirectoryUnavailable,
    KeysMissing,
    TransitionRefused,
)
from grantflow.testing import sample_app
from tests.client.stage import BOB, HOUR, MINUTE, SYSTEM, TICK, Stage, cookies


def query_of(stage: Stage, attempt: Attempt, **changes: str | None) -> dict[str, str]:
    """The callback's parameters; None leaves one out."""
    found = {name: values[0] for name, values in parse_qs(stage.server.back(attempt.authorize_url)).items()}
    return {name: value for name, value in {**found, **changes}.items() if value is not None}


async def bad(
    stage: Stage, query: str | dict[str, str], seen: dict[str, str] | None, why: str, engine: Engine | None = None
) -> None:
    """It is refused for this reason, no row changes, no server is asked."""
    with stage.refused(BadCallback) as caught:
        await (engine or stage.engine).complete(query, cookies=seen)
    assert caught.value.why == why


@pytest.fixture
async def attempt(stage: Stage) -> Attempt:
    """An open attempt at the foreign server, beside a live grant."""
    await stage.active("bolt")
    return await stage.engine.authorize("crm", actor=BOB, account="acme")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?",
        "state=x",
        "code=x",
        "code=x&state=",
        "state=x&code=y&error=access_denied",
        "state=x&code=y&state=x",
        "state=x&code=y&code=y",
        "state=x&code=y&iss=a&iss=a",
        "state=x&error=a&error=a",
        "state=x&code=%ff",
        "state=x&code=a%00b",
        "state=x&code=a%0ab",
        "state=x&code=" + "y" * 4097,
        "state=" + "x" * 4097 + "&code=y",
        "state=x&code=y&z=" + "z" * 17_000,
    ],
)
async def test_a_malformed_callback_is_refused(stage: Stage, attempt: Attempt, query: str) -> None:
    await bad(stage, query, cookies(attempt), "malformed")


@pytest.mark.parametrize("name", ["state", "code", "iss"])
async def test_a_repeated_parameter_of_a_true_callback_is_refused(stage: Stage, attempt: Attempt, name: str) -> None:
    true = query_of(stage, attempt)
    await bad(stage, urlencode(true) + "&" + urlencode({name: true[name]}), cookies(attempt), "malformed")
    with stage.refused(BadCallback):
        await stage.engine.complete({**true, name: [true[name], true[name]]}, cookies=cookies(attempt))
    assert (await stage.engine.complete(true, cookies=cookies(attempt))).outcome == "completed"


async def test_an_unknown_state_is_refused(stage: Stage, attempt: Attempt) -> None:
    true = query_of(stage, attempt)
    for state in ("x", true["state"] + "x", true["state"][:-1], true["state"].upper()):
        await bad(stage, {**true, "state": state}, cookies(attempt), "unknown")


@pytest.mark.parametrize("cancel", [False, True])
async def test_another_browser_is_refused(stage: Stage, attempt: Attempt, cancel: bool) -> None:
    other = await stage.engine.authorize("crm", actor=BOB, account="bolt")
    assert attempt.cookie is not None
    query = stage.server.back(attempt.authorize_url, cancel=cancel)
    seen: list[dict[str, str] | None] = [
        None,
        {},
        cookies(other),
        {attempt.cookie_name: cookies(other)[other.cookie_name]},
        {attempt.cookie_name: attempt.cookie.value + "x"},
        {attempt.cookie_name: ""},
        {"grantflow_attempt": attempt.cookie.value},
    ]
    for jar in seen:
        await bad(stage, query, jar, "browser")
    done = await stage.engine.complete(query, cookies=cookies(attempt))
    assert done.outcome == ("cancelled" if cancel else "completed"), "the attempt was not burnt"


@pytest.mark.parametrize("iss", ["https://evil.example", "https://server.example/", "HTTPS://server.example", None])
async def test_another_issuer_is_refused(stage: Stage, attempt: Attempt, iss: str | None) -> None:
    await bad(stage, query_of(stage, attempt, iss=iss), cookies(attempt), "issuer")


async def test_an_error_from_another_issuer_does_not_cancel(stage: Stage, attempt: Attempt) -> None:
    query = {"error": "access_denied", "state": query_of(stage, attempt)["state"], "iss": "https://evil.example"}
    await bad(stage, query, cookies(attempt), "issuer")


async def test_an_issuer_that_changed_meanwhile_is_refused(stage: Stage, attempt: Attempt) -> None:
    app = await stage.engine.apps.get("crm")
    assert app.server is not None
    await stage.engine.apps.register(replace(app, server=replace(app.server, issuer="https://new.example")))
    for iss in ("https://new.example", "https://server.example"):
        await bad(stage, query_of(stage, attempt, iss=iss), cookies(attempt), "issuer")


async def test_a_server_that_announces_no_iss_may_leave_it_out_but_not_send_a_wrong_one(stage: Stage) -> None:
    app = await stage.engine.apps.get("crm")
    assert app.server is not None
    await stage.engine.apps.register(replace(app, server=replace(app.server, sends_iss=False)))
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    await bad(stage, query_of(stage, attempt, iss="https://evil.example"), cookies(attempt), "issuer")
    done = await stage.engine.complete(query_of(stage, attempt, iss=None), cookies=cookies(attempt))
    assert done.outcome == "completed"


@pytest.mark.parametrize("end", ["completed", "cancelled", "failed"])
async def test_a_used_callback_is_refused(stage: Stage, attempt: Attempt, end: str) -> None:
    query = stage.server.back(attempt.authorize_url, cancel=end == "cancelled")
    if end == "failed":
        stage.answers(400, error="invalid_grant")
    assert (await stage.engine.complete(query, cookies=cookies(attempt))).outcome == end
    await stage.settled()
    await bad(stage, query, cookies(attempt), "used")
    await bad(stage, query_of(stage, attempt, code="another"), cookies(attempt), "used")
    await bad(stage, query, {}, "browser")
    assert stage.exchanges() <= 2, "a code is never sent twice"


async def test_one_callback_delivered_many_times_at_once_is_used_once(stage: Stage, attempt: Attempt) -> None:
    query = stage.server.back(attempt.authorize_url)
    async with stage.another_engine() as other:
        doors = [stage.engine, other] * 10
        ends = await asyncio.gather(
            *(door.complete(query, cookies=cookies(attempt)) for door in doors), return_exceptions=True
        )
    good = [end for end in ends if not isinstance(end, BaseException)]
    whys = {end.why for end in ends if isinstance(end, BadCallback)}
    assert (len(good), whys) == (1, {"used"})
    assert stage.exchanges() == 2, "one for the grant beside it, one for this code"


async def test_an_attempt_whose_time_is_over_is_refused_swept_or_not(stage: Stage, attempt: Attempt) -> None:
    query = stage.server.back(attempt.authorize_url)
    stage.clock.advance(10 * MINUTE)
    await bad(stage, query, cookies(attempt), "expired")
    await stage.engine.sweep()
    await bad(stage, query, cookies(attempt), "expired")
    assert stage.exchanges() == 1


async def test_a_microsecond_before_its_end_an_attempt_is_in_time(stage: Stage, attempt: Attempt) -> None:
    stage.clock.advance(10 * MINUTE - TICK)
    assert (await stage.back(attempt)).outcome == "completed"


async def test_a_cancelled_attempt_is_closed(stage: Stage, attempt: Attempt) -> None:
    query = stage.server.back(attempt.authorize_url)
    await stage.engine.cancel(attempt.id, actor=BOB)
    await bad(stage, query, cookies(attempt), "closed")


async def superseded(stage: Stage) -> tuple[str, Attempt]:
    """The oldest of six windows, on an installation without a grant; it was superseded without success."""
    name = (await stage.engine.install("crm", account="acme", actor=SYSTEM, subject=BOB)).id
    attempts = [await stage.engine.authorize("crm", actor=BOB, account="acme") for _ in range(6)]
    return name, attempts[0]


async def test_an_attempt_superseded_without_success_is_closed(stage: Stage) -> None:
    name, oldest = await superseded(stage)
    await bad(stage, stage.server.back(oldest.authorize_url), cookies(oldest), "closed")
    assert await stage.state(name) == ("unauthorized", None)


async def test_an_attempt_superseded_before_a_disconnect_is_closed(stage: Stage) -> None:
    await stage.engine.install("crm", account="acme", actor=SYSTEM, subject=BOB)
    left = await stage.engine.authorize("crm", actor=BOB, account="acme")
    name = await stage.active()
    await stage.engine.disconnect(name, actor=BOB)
    await stage.settled()
    await bad(stage, stage.server.back(left.authorize_url), cookies(left), "closed")


# -- hooks ----------------------------------------------------------------------------------------
async def test_hooks_hear_the_reason_and_nothing_of_the_callback(
    stage: Stage, attempt: Attempt, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def broken(why: str) -> None:
        raise RuntimeError(why)

    stage.engine.on_bad_callback(broken)
    leave = stage.engine.on_bad_callback(heard.append)
    with caplog.at_level(logging.DEBUG):
        await bad(stage, "state=secret-state&code=secret-code", cookies(attempt), "unknown")
        await bad(stage, "state=secret-state", None, "malformed")
    assert heard == ["unknown", "malformed"]
    assert "secret-" not in caplog.text
    leave()
    await bad(stage, "", None, "malformed")
    assert len(heard) == 2


async def test_hooks_hear_at_most_twenty_a_minute(stage: Stage) -> None:
    heard: list[str] = []
    stage.engine.on_bad_callback(heard.append)
    for _ in range(3):
        for _ in range(50):
            with pytest.raises(BadCallback):
                await stage.engine.complete("state=x&code=y", cookies={})
        stage.clock.advance(MINUTE / 4)
    assert len(heard) == 20
    stage.clock.advance(MINUTE)
    with pytest.raises(BadCallback):
        await stage.engine.complete("state=x&code=y", cookies={})
    assert len(heard) == 21


async def test_hooks_hear_of_a_closed_attempt_too(stage: Stage) -> None:
    heard: list[str] = []
    stage.engine.on_bad_callback(heard.append)
    _, oldest = await superseded(stage)
    await bad(stage, stage.server.back(oldest.authorize_url), cookies(oldest), "closed")
    assert heard == ["closed"]


# -- what is refused and can be used again --------------------------------------------------------
async def test_without_an_account_the_callback_waits_for_the_choice(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB)
    query = stage.server.back(attempt.authorize_url)
    with stage.refused(TransitionRefused, match="no account is chosen"):
        await stage.engine.complete(query, cookies=cookies(attempt))
    assert len((await stage.engine.window(attempt.id, actor=BOB)).accounts) == 2
    await stage.engine.select_account(attempt.id, "bolt", actor=BOB)
    done = await stage.engine.complete(query, cookies=cookies(attempt))
    assert done.installation is not None
    assert (done.outcome, done.installation.account, done.installation.state) == ("completed", "bolt", "active")
    assert stage.exchanges() == 1


async def test_an_account_that_is_not_theirs_any_more_gets_no_grant(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    query = stage.server.back(attempt.authorize_url)
    stage.people.accounts[BOB].remove("acme")
    with stage.refused(TransitionRefused, match="not among the person's accounts"):
        await stage.engine.complete(query, cookies=cookies(attempt))
    stage.people.add(BOB, "acme")
    assert (await stage.engine.complete(query, cookies=cookies(attempt))).outcome == "completed"


async def test_an_account_the_app_was_taken_off_gets_no_grant(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    await stage.engine.apps.uninstall("crm", "acme", actor=SYSTEM)
    with stage.refused(TransitionRefused, match="not installed"):
        await stage.back(attempt)


@pytest.mark.parametrize("how", ["raises", "hangs"])
async def test_while_the_directory_is_down_nothing_is_consumed(stage: Stage, how: str) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    query = stage.server.back(attempt.authorize_url)

    async def down(actor: Actor) -> list[object]:
        if how == "hangs":
            await asyncio.sleep(HOUR.total_seconds())
        raise RuntimeError

    settings = Settings(synchronous="NORMAL", directory_timeout=MINUTE / 600)
    async with stage.another_engine(directory=down, settings=settings) as engine:
        with stage.refused(DirectoryUnavailable):
            await engine.complete(query, cookies=cookies(attempt))
    assert (await stage.engine.complete(query, cookies=cookies(attempt))).outcome == "completed"


@pytest.mark.parametrize("ring", [KeyRing, lambda: KeyRing.parse(KeyRing.new_key())])
async def test_without_the_keys_nothing_is_consumed(stage: Stage, ring: Callable[[], KeyRing]) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    query = stage.server.back(attempt.authorize_url)
    async with stage.another_engine(keys=ring()) as engine:
        with stage.refused(KeysMissing):
            await engine.complete(query, cookies=cookies(attempt))
    assert (await stage.engine.complete(query, cookies=cookies(attempt))).outcome == "completed"


@pytest.mark.parametrize("binding", [b"", b"x" * 15, "x" * 32, 5])
async def test_a_binding_that_binds_nothing_is_refused(stage: Stage, binding: object) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    with stage.refused(BadInput):
        await stage.engine.authorize("crm", actor=BOB, account="acme", binding=binding)  # type: ignore[arg-type]
    with stage.refused(BadInput):
        await stage.engine.complete(stage.server.back(attempt.authorize_url), binding=binding)  # type: ignore[arg-type]


async def test_an_app_in_host_mode_takes_no_callback(stage: Stage) -> None:
    await stage.put(sample_app("agent", "hosted"))
    hosted = await stage.engine.authorize(
        "hosted", actor=BOB, account="acme", code_challenge="x" * 43, state="s" * 20
    )
    assert "state=" not in urlsplit(hosted.authorize_url).query
    await bad(stage, {"code": "x", "state": "s" * 20}, cookies(hosted), "unknown")


async def test_an_app_that_went_over_to_host_mode_takes_no_callback_any_more(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    await stage.engine.apps.register(sample_app("agent", "crm"))
    with stage.refused(ConfigurationError, match="host mode"):
        await stage.back(attempt)
