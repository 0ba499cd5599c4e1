"""An external app: S-19 … S-26."""

from __future__ import annotations

from typing import Any

from grantflow import Actor, ClientCredentials, Engine, new_pkce
from grantflow.errors import (
    GrantflowError,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    KeysMissing,
    NotFound,
    PermissionDenied,
    TransitionRefused,
)
from grantflow.testing import SECRET, sample_app
from tests.journeys.stage import BOB, MARIA, SOLO, UMA, Stage, query_of

APP = "external-app"
CALLBACK = "https://app.example/callback"


async def test_s19_the_app_sends_the_person_to_the_authorization_server(stage: Stage) -> None:
    ledger = stage.engine.ledger
    challenge = new_pkce()[1]
    attempt = await ledger.begin(client_id=APP, actor=UMA, code_challenge=challenge)
    assert (attempt.app, attempt.actor, attempt.installation) == (APP, UMA, None)
    assert (await stage.engine.counts()).total == 0
    for stranger in (BOB, MARIA, Actor.agent("uma")):
        with stage.refused(PermissionDenied, match="only the user themself"):
            await ledger.begin(client_id=APP, actor=stranger, code_challenge=challenge)
    with stage.refused(InvalidClient, match="no app"):
        await ledger.begin(client_id="unknown", actor=UMA, code_challenge=challenge)
    with stage.refused(NotFound):
        await stage.engine.window(attempt.id, actor=SOLO)


async def test_s20_the_authorize_endpoint_checks_the_request(stage: Stage) -> None:
    ledger = stage.engine.ledger
    good: dict[str, Any] = {
        "client_id": APP,
        "redirect_uri": CALLBACK,
        "state": "opaque",
        "scope": "tickets.read tickets.write",
        "response_type": "code",
        "code_challenge": new_pkce()[1],
    }
    attempt = await ledger.begin(actor=UMA, **good)
    window = await stage.engine.window(attempt.id, actor=UMA)
    assert (window.app_name, window.message) == ("The external app", None)

    faults: list[tuple[str, Any, type[GrantflowError]]] = [
        ("client_id", "nobody", InvalidClient),
        ("redirect_uri", CALLBACK + "/", InvalidRequest),
        ("redirect_uri", CALLBACK.replace("https", "http"), InvalidRequest),
        ("redirect_uri", CALLBACK + "?next=https://evil.example", InvalidRequest),
        ("redirect_uri", "https://evil.example/callback", InvalidRequest),
        ("redirect_uri", "https://app.example@evil.example/callback", InvalidRequest),
        ("redirect_uri", "", InvalidRequest),
        ("state", "x" * 4097, InvalidRequest),
        ("scope", "tickets.read admin", InvalidScope),
        ("scope", "", InvalidScope),
        ("response_type", "token", InvalidRequest),
        ("response_type", "", InvalidRequest),
        ("code_challenge", None, InvalidRequest),
        ("code_challenge", "short", InvalidRequest),
        ("code_challenge_method", "plain", InvalidRequest),
    ]
    for name, value, error in faults:
        with stage.refused(error):
            await ledger.begin(actor=UMA, **(good | {name: value}))


async def test_s20_a_state_is_never_stored_in_the_clear(stage: Stage) -> None:
    await stage.open(APP, UMA, state="canary-of-the-app")
    files = [path for path in stage.path.parent.iterdir() if path.name.startswith(stage.path.name)]
    assert files
    assert not any(b"canary-of-the-app" in path.read_bytes() for path in files)
    url = f"sqlite:///{stage.path}"
    async with Engine.open(url, directory=stage.people, clock=stage.clock) as keyless:
        with stage.refused(KeysMissing):
            await keyless.ledger.begin(client_id=APP, actor=UMA, code_challenge=new_pkce()[1], state="s")


async def test_s21_a_user_with_several_accounts_picks_one(stage: Stage) -> None:
    engine = stage.engine
    attempt = await stage.open(APP, UMA)
    with stage.unchanged():
        window = await engine.window(attempt.id, actor=UMA)
    assert [line.id for line in window.accounts] == ["acme", "globex"]
    assert (window.form, window.preselected) == (None, None), "nothing is chosen for them"
    for foreign in ("hooli", "ACME", "acme "):
        with stage.refused(TransitionRefused, match="not among"):
            await engine.select_account(attempt.id, foreign, actor=UMA)
    with stage.refused(NotFound):
        await engine.select_account(attempt.id, "acme", actor=SOLO)

    form = await engine.select_account(attempt.id, "globex", actor=UMA)

    assert form.account == "globex"
    assert await stage.absent(APP, "acme", UMA)
    tokens = await stage.redeem(APP, await engine.agree(attempt.id, actor=UMA))
    assert (await stage.call(tokens)).account == "globex"


async def test_s22_a_user_with_one_account_sees_the_form_at_once(stage: Stage) -> None:
    engine = stage.engine
    attempt = await stage.open(APP, SOLO)
    with stage.refused(NotFound):
        await engine.window(attempt.id, actor=UMA)
    window = await engine.window(attempt.id, actor=SOLO)
    assert window.form is not None
    assert (window.form.account, window.form.app_name) == ("acme", "The external app")
    found = await engine.get(APP, account="acme", subject=SOLO)
    assert (found.state, found.usable) == ("account-selected", False), "shown is not agreed"
    assert stage.sql("SELECT * FROM grantflow_consent") == []
    with stage.unchanged():
        assert (await engine.window(attempt.id, actor=SOLO)).form == window.form
    left = await engine.cancel(attempt.id, actor=SOLO)
    assert left.outcome == "cancelled"
    assert (await engine.get(found.id)).state == "unauthorized"


async def test_s23_the_form_lists_what_the_app_requires(stage: Stage) -> None:
    form = await stage.form(APP, UMA)
    assert form.required == ("tickets.read", "tickets.write")
    assert {*form.approved, *form.awaiting} == {"people.read", "tickets.read", "tickets.write"}
    await stage.engine.cancel(form.attempt, actor=UMA)
    narrow = await stage.form(APP, UMA, scope="people.read")
    assert (narrow.required, narrow.awaiting) == ((), ("people.read",)), "only what was asked for"
    with stage.refused(NotFound):
        await stage.engine.form(narrow.attempt, actor=SOLO)


async def test_s24_the_user_reviews_and_agrees(stage: Stage) -> None:
    engine = stage.engine
    form = await stage.form(APP, UMA)
    with stage.unchanged():
        assert await engine.form(form.attempt, actor=UMA) == form
    with stage.refused(TransitionRefused, match="required scopes"):
        await engine.agree(form.attempt, actor=UMA, scopes=["people.read"])
    with stage.refused(TransitionRefused, match="required scopes"):
        await engine.agree(form.attempt, actor=UMA, scopes=[])
    with stage.refused(NotFound):
        await engine.agree(form.attempt, actor=SOLO)
    returned = await engine.agree(form.attempt, actor=UMA, scopes=form.required)
    assert (returned.outcome, returned.code is not None) == ("agreed", True)
    assert stage.sql("SELECT actor_id, approved, refused FROM grantflow_consent") == [
        ("uma", "tickets.read tickets.write", "people.read")
    ]
    with stage.refused(TransitionRefused):
        await engine.agree(form.attempt, actor=UMA)


async def test_s25_it_redirects_to_the_uri_of_the_request(stage: Stage) -> None:
    uris = ("https://app.example/a", "https://app.example/b?tenant=7", "http://127.0.0.1:8080/cb")
    await stage.put(sample_app("external", "many", redirect_uris=uris))
    for label, uri in enumerate(uris):
        returned = await stage.agreed("many", UMA, redirect_uri=uri, label=f"l{label}")
        assert returned.redirect_to.startswith(uri)
        assert returned.code is not None
        assert query_of(returned)["code"] == returned.code.value
    assert "tenant=7" in (await stage.agreed("many", UMA, redirect_uri=uris[1])).redirect_to
    assert (await stage.agreed("many", UMA)).redirect_to.startswith(uris[0] + "?"), "the first one is the default"
    with stage.refused(InvalidRequest):
        await stage.open("many", UMA, redirect_uri="https://app.example/c")
    with stage.refused(InvalidRequest):  # another app's
        await stage.open(APP, UMA, redirect_uri=uris[0])


async def test_s26_refusing_leaves_the_app_unauthorized(stage: Stage) -> None:
    engine = stage.engine
    form = await stage.form(APP, UMA, state="s")
    found = await engine.get(APP, account="acme", subject=UMA)
    with stage.refused(NotFound):
        await engine.refuse(form.attempt, actor=SOLO)
    for stranger in (SOLO, BOB):
        with stage.refused(TransitionRefused, match="the person who opened"):
            await engine.send(found.id, "refuse", actor=stranger, payload={"attempt": form.attempt})
    returned = await engine.refuse(form.attempt, actor=UMA)
    assert (returned.outcome, returned.code) == ("refused", None)
    assert query_of(returned) == {"error": "access_denied", "state": "s"}
    assert returned.redirect_to.startswith(CALLBACK + "?")
    found = await engine.get(found.id)
    assert (found.state, found.usable, found.granted) == ("unauthorized", False, ())
    assert not await engine.can_use(found, UMA)
    await stage.over(form.attempt, UMA)
    for table in ("consent", "credential", "token_set"):
        assert stage.sql(f"SELECT * FROM grantflow_{table}") == []
    with stage.refused(InvalidGrant):
        await engine.ledger.redeem("gfc_guess", client=ClientCredentials(APP, SECRET))
    event = (await engine.history(found.id))[0]
    assert (event.event, event.actor, event.target) == ("refuse", "user:uma", "unauthorized")
