"""Callbacks that belong: a code is sent once, its grant stored; a live grant beside it outlives any failure."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from grantflow import HttpResponse
from grantflow.errors import BadCallback, GrantflowError, NoAnswer, NotSent, PermissionDenied
from grantflow.testing import ForeignServer
from tests.client.stage import BOB, CAROL, DAY, MARIA, MINUTE, SECOND, SYSTEM, Stage, cookies, micro

says = ForeignServer.says
REFUSALS: dict[str, HttpResponse | Exception] = {
    "invalid_grant": says(400, error="invalid_grant"),
    "invalid_grant with 200": says(200, error="invalid_grant"),
    "invalid_request": says(400, error="invalid_request"),
    "503": says(503),
    "429": says(429, {"retry-after": "1"}),
    "a page": HttpResponse(200, {"content-type": "text/html"}, b"<html>"),
    "no answer": NoAnswer(),
    "a broken carrier": RuntimeError("x"),
    "interaction_required": says(400, error="interaction_required"),
    "temporarily_unavailable": says(400, error="temporarily_unavailable"),
}


async def landed(stage: Stage) -> None:
    """Until what is under way has come to its end."""
    async with asyncio.timeout(5):
        while flights := [flight for flight in stage.engine._renewals.flights.values() if not flight.done()]:
            await asyncio.wait(flights)


async def test_a_first_grant_is_stored_with_its_story(stage: Stage) -> None:
    name = await stage.active()
    trail = [(entry.event, entry.target) for entry in reversed(await stage.engine.history(name))]
    assert trail == [
        ("installed", "unauthorized"),
        ("authorize", "unauthorized"),
        ("callback_ok", "consented"),
        ("exchange_ok", "active"),
    ]
    inferred = next(entry for entry in await stage.engine.history(name) if entry.event == "callback_ok")
    assert (inferred.actor, inferred.reason) == ("system:grantflow", "inferred from the callback")
    (sent,) = stage.server.asked
    assert set(sent) == {"grant_type", "code", "redirect_uri", "code_verifier"}
    assert 43 <= len(sent["code_verifier"]) <= 128
    assert stage.notices() == ["installation.activated"]


async def test_what_goes_to_the_browser_is_bound_and_differs_each_time(stage: Stage) -> None:
    made = [await stage.engine.authorize("crm", actor=BOB, account="acme") for _ in range(3)]
    asked = [parse_qs(urlsplit(attempt.authorize_url).query) for attempt in made]
    for name in ("state", "code_challenge"):
        assert len({values[name][0] for values in asked}) == 3
    assert asked[0]["code_challenge_method"] == ["S256"]
    assert len({attempt.cookie_name for attempt in made}) == 3
    assert all("HttpOnly; SameSite=Lax; Secure" in attempt.set_cookie for attempt in made)
    assert all(values["state"][0] not in repr(attempt) for values, attempt in zip(asked, made, strict=True))


async def test_the_window_that_comes_second_is_answered_with_the_grant_of_the_first(stage: Stage) -> None:
    await stage.engine.install("crm", account="acme", actor=SYSTEM, subject=BOB)
    first, second = [await stage.engine.authorize("crm", actor=BOB, account="acme") for _ in range(2)]
    name = (await stage.back(second)).installation
    assert name is not None
    kept, query = stage.tokens(name.id), stage.server.back(first.authorize_url)
    done = await stage.engine.complete(query, cookies=cookies(first))
    assert (done.outcome, done.already) == ("completed", True)
    assert done.installation is not None
    assert (done.installation.id, done.installation.state) == (name.id, "active")
    assert stage.tokens(name.id) == kept
    assert stage.exchanges() == 1, "its code is not sent"
    with stage.refused(BadCallback) as caught:
        await stage.engine.complete(query, cookies=cookies(first))
    assert caught.value.why == "used"


async def test_a_superseded_window_of_another_browser_learns_nothing(stage: Stage) -> None:
    await stage.engine.install("crm", account="acme", actor=SYSTEM, subject=BOB)
    first, second = [await stage.engine.authorize("crm", actor=BOB, account="acme") for _ in range(2)]
    await stage.back(second)
    with stage.refused(BadCallback) as caught:
        await stage.engine.complete(stage.server.back(first.authorize_url), cookies=cookies(second))
    assert caught.value.why == "browser"


async def test_two_tabs_of_one_browser_hold_two_cookies(stage: Stage) -> None:
    first = await stage.engine.authorize("crm", actor=BOB, account="acme")
    second = await stage.engine.authorize("crm", actor=BOB, account="bolt")
    jar = {**cookies(first), **cookies(second)}
    assert len(jar) == 2
    for attempt, account in ((second, "bolt"), (first, "acme")):
        done = await stage.engine.complete(stage.server.back(attempt.authorize_url), cookies=jar)
        assert done.installation is not None
        assert (done.outcome, done.installation.account) == ("completed", account)


async def test_a_session_of_the_host_takes_the_place_of_the_cookie(stage: Stage) -> None:
    session = b"0123456789abcdef"
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme", binding=session)
    assert attempt.cookie is None
    query = stage.server.back(attempt.authorize_url)
    for wrong in ({"binding": b"0123456789abcdeX"}, {"cookies": {attempt.cookie_name: session.hex()[::-1]}}, {}):
        with stage.refused(BadCallback) as caught:
            await stage.engine.complete(query, **wrong)
        assert caught.value.why == "browser"
    assert (await stage.engine.complete(query, binding=session)).outcome == "completed"


async def test_a_person_with_one_account_need_not_choose(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=CAROL)
    assert attempt.account == "acme"
    assert (await stage.back(attempt)).outcome == "completed"


async def test_only_the_owner_may_open_the_way(stage: Stage) -> None:
    with stage.refused(PermissionDenied):
        await stage.engine.authorize("crm", actor=MARIA, subject="bob", account="acme")
    name = await stage.active()
    with stage.refused(PermissionDenied):
        await stage.engine.reauthorize(name, actor=CAROL)


@pytest.mark.parametrize("live", [False, True])
async def test_a_person_who_cancels_over_there_changes_no_grant(stage: Stage, live: bool) -> None:
    name = await stage.active() if live else None
    kept = stage.tokens(name) if name is not None else None
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    asked = len(stage.server.asked)
    done = await stage.back(attempt, cancel=True)
    assert (done.outcome, done.why) == ("cancelled", None)
    assert len(stage.server.asked) == asked, "no token request"
    if name is not None:
        assert stage.tokens(name) == kept
        assert await stage.state(name) == ("active", None)
    else:
        assert done.installation is None, "nothing was there, nothing is made"
    assert stage.notices("attempt.failed") == []


@pytest.mark.parametrize("word", ["unauthorized_client", "invalid_scope", "invalid_request", "server_error"])
async def test_an_error_that_is_no_cancel_fails_the_attempt_and_may_be_the_apps_matter(
    stage: Stage, word: str
) -> None:
    name = await stage.active()
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    state = parse_qs(urlsplit(attempt.authorize_url).query)["state"][0]
    query = urlencode({"error": word, "state": state, "iss": stage.server.server.issuer, "error_description": "<b>"})
    done = await stage.engine.complete(query, cookies=cookies(attempt))
    assert (done.outcome, done.why) == ("failed", word)
    assert await stage.state(name) == ("active", None)
    causes = [incident.cause for incident in await stage.engine.ops.incidents()]
    assert causes == ([] if word == "server_error" else [word])


@pytest.mark.parametrize("live", ["nothing", "a live grant", "a dead grant"])
@pytest.mark.parametrize("what", REFUSALS)
async def test_a_code_that_is_refused_is_sent_once_and_ends_the_attempt_alone(
    stage: Stage, what: str, live: str
) -> None:
    before = None
    if live != "nothing":
        name = await stage.active()
        if live == "a dead grant":
            await stage.engine.send(name, "security_event", actor=SYSTEM)
            await stage.settled()
        before = await stage.state(name), stage.tokens(name)
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme") if live == "nothing" else None
    attempt = attempt or await stage.engine.reauthorize(name, actor=BOB)
    sent = stage.exchanges()
    stage.server.faults.append(REFUSALS[what])
    done = await stage.back(attempt)
    assert done.outcome == "failed"
    assert done.why
    assert stage.exchanges() == sent + 1
    assert done.installation is not None
    if before is None:
        assert (done.installation.state, done.installation.open_attempts) == ("unauthorized", 0)
        assert stage.sql("SELECT * FROM grantflow_token_set") == []
    else:
        assert (await stage.state(name), stage.tokens(name)) == before
    assert stage.notices("attempt.failed") == ["attempt.failed"]
    assert stage.revocations() == [] if live != "a dead grant" else True
    assert await stage.engine.ops.incidents() == []


async def test_a_code_that_never_left_is_sent_again(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    stage.server.faults += [NotSent(), NotSent()]
    assert (await stage.back(attempt)).outcome == "completed"
    assert stage.exchanges() == 3


async def test_a_code_that_cannot_be_sent_within_its_life_is_given_up(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    stage.server.faults += [NotSent()] * 50
    passing = asyncio.create_task(stage.back(attempt))
    while not passing.done():
        await asyncio.sleep(0.01)
        stage.clock.advance(5 * SECOND)
    done = await passing
    assert (done.outcome, done.why) in {("failed", "not_sent"), ("expired", "too-late")}
    assert done.installation is not None
    assert done.installation.state == "unauthorized"
    assert stage.server.faults, "it did not go on for ever"


async def test_a_code_that_was_sent_and_not_answered_is_not_sent_again(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    stage.server.faults += [NotSent(), NoAnswer()]
    assert (await stage.back(attempt)).why == "no_answer"
    assert stage.exchanges() == 2


async def test_the_second_secret_is_tried_where_the_first_is_refused(stage: Stage) -> None:
    await stage.engine.apps.add_secret("crm", "not yet known over there", actor=SYSTEM)
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    assert (await stage.back(attempt)).outcome == "completed"
    assert await stage.engine.ops.incidents(closed=True) == []


async def test_a_request_that_is_broken_off_in_mid_exchange_is_stored_all_the_same(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    stage.gate.close()
    task = asyncio.create_task(stage.back(attempt))
    await stage.gate.under_way()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    stage.gate.open()
    await landed(stage)
    found = await stage.engine.get("crm", account="acme", subject=BOB)
    assert (found.state, found.open_attempts) == ("active", 0)
    assert (await stage.engine.access_token(found.id)).generation == 1


@pytest.mark.parametrize("how", ["cancelled", "disconnected", "uninstalled"])
async def test_a_grant_that_comes_too_late_is_given_back(stage: Stage, how: str) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    stage.gate.close()
    task = asyncio.create_task(stage.back(attempt))
    await stage.gate.under_way()
    found = await stage.engine.get("crm", account="acme", subject=BOB)
    assert found.state == "consented"
    if how == "cancelled":
        await stage.engine.cancel(attempt.id, actor=BOB)
    elif how == "disconnected":
        await stage.engine.disconnect(found.id, actor=BOB)
    else:
        await stage.engine.uninstall(found.id, actor=SYSTEM)
    stage.gate.open()
    done = await task
    assert (done.outcome, done.why) == ("cancelled" if how == "cancelled" else "superseded", "too-late")
    await stage.settled()
    assert (await stage.engine.get(found.id)).state == ("uninstalled" if how == "uninstalled" else "unauthorized")
    assert stage.sql("SELECT * FROM grantflow_token_set") == []
    assert [row["outcome"] for row in stage.revocations()] == ["revoked"]
    assert stage.server.alive == {}


async def test_a_crash_after_the_callback_was_written_never_sends_the_code_later(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    query = stage.server.back(attempt.authorize_url)
    stage.gate.close()
    task = asyncio.create_task(stage.engine.complete(query, cookies=cookies(attempt)))
    await stage.gate.under_way()
    async with stage.another_engine() as survivor:
        stage.clock.advance(MINUTE)
        await survivor.sweep()
        with pytest.raises(BadCallback) as caught:
            await survivor.complete(query, cookies=cookies(attempt))
        assert caught.value.why == "used"
        assert (await survivor.get("crm", account="acme", subject=BOB)).state == "unauthorized"
    assert stage.exchanges() == 1
    stage.gate.open()
    assert (await task).why == "too-late"
    await stage.settled()
    assert stage.server.alive == {}


# -- scopes and consents ----------------------------------------------------------------------------
async def test_what_the_answer_grants_is_what_is_granted_and_what_was_consented(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    stage.answers(200, access_token="a", refresh_token="r", expires_in=3600, scope="tickets.read people.read")
    done = await stage.back(attempt)
    assert done.installation is not None
    assert (done.outcome, done.installation.state) == ("completed", "active")
    assert done.installation.scopes_missing == ("tickets.write",), "a gap, not a refusal"
    (consent,) = stage.rows("SELECT * FROM grantflow_consent")
    assert (consent["approved"], consent["refused"]) == ("people.read tickets.read", "tickets.write")
    assert (consent["actor_kind"], consent["actor_id"], consent["account"]) == ("agent", "bob", "acme")
    assert consent["requested"] == "people.read tickets.read tickets.write"
    assert consent["given_at"] == micro(stage.clock.now())


async def test_the_next_attempt_knows_what_was_approved_and_asks_for_all_of_it_again(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    stage.answers(200, access_token="a", refresh_token="r", expires_in=3600, scope="tickets.read people.read")
    done = await stage.back(attempt)
    assert done.installation is not None
    again = await stage.engine.reauthorize(done.installation.id, actor=BOB)
    form = await stage.engine.select_account(again.id, "acme", actor=BOB)
    assert (form.approved, form.awaiting) == (("people.read", "tickets.read"), ("tickets.write",))
    asked = parse_qs(urlsplit(again.authorize_url).query)["scope"][0]
    assert asked == "people.read tickets.read tickets.write", "a grant of less would take away what is there"
    assert (await stage.back(again)).installation is not None
    found = await stage.engine.get(done.installation.id)
    assert (found.state, found.scopes_missing) == ("active", ())
    consents = stage.rows("SELECT * FROM grantflow_consent ORDER BY pk")
    assert [row["voided_at"] for row in consents] == [None, None], "consents are never overwritten"


async def test_scopes_that_were_never_asked_for_are_granted_but_not_consented(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    stage.answers(200, access_token="a", expires_in=3600, scope="tickets.read tickets.write people.read admin")
    done = await stage.back(attempt)
    assert done.installation is not None
    assert "admin" in done.installation.granted
    (consent,) = stage.rows("SELECT * FROM grantflow_consent")
    assert "admin" not in consent["approved"]
    assert consent["refused"] == ""


async def test_a_disconnect_voids_consents_and_the_next_form_starts_anew(stage: Stage) -> None:
    name = await stage.active()
    await stage.engine.disconnect(name, actor=BOB)
    await stage.settled()
    assert all(row["voided_at"] for row in stage.rows("SELECT * FROM grantflow_consent"))
    again = await stage.engine.authorize("crm", actor=BOB, account="acme")
    form = await stage.engine.select_account(again.id, "acme", actor=BOB)
    assert (form.approved, len(form.awaiting)) == ((), 3)


async def test_nobody_agrees_here_to_what_is_agreed_over_there(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    await stage.engine.select_account(attempt.id, "acme", actor=BOB)
    with stage.refused(GrantflowError, match="own authorization server"):
        await stage.engine.agree(attempt.id, actor=BOB)


async def test_a_voluntary_reauthorization_leaves_a_live_grant_in_use_until_it_succeeds(stage: Stage) -> None:
    name = await stage.active()
    attempt = await stage.engine.reauthorize(name, actor=BOB)
    assert await stage.state(name) == ("active", None)
    assert (await stage.engine.access_token(name)).generation == 1
    stage.clock.advance(DAY)
    await stage.engine.sweep()
    assert (await stage.engine.access_token(name)).generation == 2, "the attempt ran out, the grant did not"
    with stage.refused(BadCallback) as caught:
        await stage.back(attempt)
    assert caught.value.why == "expired"
