"""Headers, foreign sites, hostile names, secrets and malformed input: S1, S6, S8 and P11 of the promises."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grantflow import Account, Actor, Version, hosting
from grantflow.testing import SECRET, sample_app
from tests.hosting.browser import Page
from tests.hosting.raw import Answer, ask
from tests.hosting.world import ORIGIN, YEAR, World, world_at
from tests.security.hostile import TEXTS

APP = "external-app"
FORM = "application/x-www-form-urlencoded"
ROUTES = (
    ("GET", "/oauth/v2/authorize"), ("POST", "/oauth/v2/authorize"), ("POST", "/oauth/v2/token"),
    ("POST", "/oauth/v2/revoke"), ("GET", "/oauth/callback"), ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/oauth/static/{}"), ("GET", "/marketplace"), ("GET", "/marketplace/{}"), ("GET", "/gallery"),
    ("GET", "/gallery/{}"), ("GET", "/apps/{}"), ("GET", "/apps/{}/prompt"), ("POST", "/apps/{}/authorize"),
    ("POST", "/apps/{}/install"), ("POST", "/apps/{}/availability"),
)  # fmt: skip


async def test_the_list_of_routes_is_whole(world: World) -> None:
    async with world.engine() as engine:
        app: Any = hosting.create_app(engine, who_is=nobody, base_url=ORIGIN)
    found = {
        (method, route.path.replace("{app}", "{}").replace("{name}", "{}"))
        for route in app.routes
        for method in route.methods - {"HEAD"}
    }
    assert found == set(ROUTES)


async def nobody(request: object) -> None:
    return None


# -- headers --------------------------------------------------------------------------------------
@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("GET", "/nothing"), ("DELETE", "/gallery")])
async def test_every_answer_carries_the_headers(world: World, method: str, path: str) -> None:
    name = "grantflow.css" if "static" in path else "agent-app"
    answers = [
        await ask(world, method, path.format(name), cookie="session=bob", content_type=FORM),
        await ask(world, method, path.format(name), b"%ff", b"%ff"),
    ]
    for answer in answers:
        policy = answer.header("content-security-policy")
        directives = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
        assert directives["default-src"] == "'none'"
        assert directives["frame-ancestors"] == directives["base-uri"] == "'none'"
        assert (directives["script-src"], directives["style-src"]) == ("'self'", "'self'")
        assert answer.header("x-frame-options") == "DENY"
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("referrer-policy") == "no-referrer"
        assert answer.header("cache-control") == ("max-age=300" if "static" in path else "no-store")
        assert answer.header("content-type").partition(";")[0] in {
            "", "text/html", "application/json", "text/css", "text/plain"
        }  # fmt: skip


async def test_pages_hold_no_inline_script_or_style(world: World) -> None:
    await world.connected("agent-app", "bob")
    async with world.browser("everything") as browser:
        pages = ["/marketplace", "/marketplace/agent-app", "/gallery", "/gallery/agent-app", "/apps/agent-app", "/no"]
        for url in (*pages, world.request_of("agent-app"), world.request_of(APP, client_id="x")):
            page = await browser.open(url)
            for tag, told in page.tags:
                assert not any(name.startswith("on") or name == "style" for name in told), (url, tag, told)
                assert tag != "style"
                assert tag != "script" or urlsplit(told["src"] or "").path.startswith("/oauth/static/")
            assert [tag for tag, _ in page.tags].count("h1") == 1, url
            assert [tag for tag, _ in page.tags].count("main") == 1, url
            assert (page.tags[0][0], page.tags[0][1]["lang"]) == ("html", "en")
            ids = [told["id"] for _, told in page.tags if "id" in told]
            assert len(ids) == len(set(ids))
            named = {told.get("aria-labelledby") or told.get("aria-describedby") for _, told in page.tags} - {None}
            assert named <= set(ids)


async def test_cookies_are_ours_alone(world: World) -> None:
    answer = await ask(world, "GET", "/marketplace/agent-app", cookie="session=bob")
    cookie = answer.header("set-cookie")
    assert cookie.startswith("__Host-grantflow_form=")
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(cookie.split("; "))
    assert "Max-Age" not in cookie


# -- another site's form --------------------------------------------------------------------------
async def forms_of(world: World) -> list[tuple[str, str, dict[str, str]]]:
    """Every form there is, each with who may send it: (session, address, fields)."""
    async with world.engine() as engine:
        await engine.apps.register(sample_app("agent", "notes"))
    await world.connected("account-app", "max")
    async with world.browser("uma") as uma:
        await uma.open(world.request_of(APP))
        window = dict(uma.page.forms[0].fields)["attempt"]
    async with world.browser("solo") as solo:
        await solo.open(world.request_of(APP))
        form = dict(solo.page.forms[0].fields)["attempt"]
    account = {"account": "acme"}
    authorize = "/oauth/v2/authorize"
    return [
        ("uma", authorize, {"attempt": window, "action": "continue", **account}),
        ("uma", authorize, {"attempt": window, "action": "cancel"}),
        ("solo", authorize, {"attempt": form, "action": "agree"}),
        ("solo", authorize, {"attempt": form, "action": "refuse"}),
        ("max", "/apps/notes/install", account),
        ("max", "/apps/account-app/availability", {"available": "yes", **account}),
        ("bob", "/apps/mail/authorize", account),
    ]


async def test_a_form_from_elsewhere_changes_nothing(world: World) -> None:
    forms = await forms_of(world)
    async with world.browser("solo") as solo, world.browser("bob") as bob:
        mine = await token_of(solo)
        other = await token_of(bob)
    seed, token = mine
    tricks: list[tuple[str, str, dict[str, str]]] = [
        ("", "", {}),
        ("", token, {}),
        (seed, "", {}),
        (seed, "x" * 64, {}),
        (seed, other[1], {}),
        (other[0], token, {}),
        (seed, token, {"origin": "https://evil.example"}),
        (seed, token, {"origin": "https://platform.example.evil.example"}),
        (seed, token, {"sec_fetch_site": "cross-site"}),
        (seed, token, {"sec_fetch_site": "same-site"}),
        (seed, token, {"sec_fetch_site": "none"}),
        (seed, token, {"content_type": "text/plain"}),
    ]
    for session, url, fields in forms:
        async with world.browser(session) as somebody:
            theirs = await token_of(somebody)
        for cookie, word, headers in tricks:  # with headers everything is right but the site it comes from
            seed, csrf = theirs if headers else (cookie, word)
            body = urlencode(fields | {"csrf": csrf}).encode()
            sent = {"content_type": FORM, "cookie": f"session={session}; __Host-grantflow_form={seed}"} | headers
            with world.unchanged():
                answer = await ask(world, "POST", url, b"", body, **sent)
            assert answer.status in (400, 403), (url, headers)
            assert not answer.header("location")


async def test_the_same_forms_sent_from_our_pages_do_their_work(world: World) -> None:
    for session, url, fields in await forms_of(world):
        if fields.get("action") in ("cancel", "refuse"):
            continue
        async with world.browser(session) as somebody:
            seed, csrf = await token_of(somebody)
        body = urlencode(fields | {"csrf": csrf}).encode()
        cookie = f"session={session}; __Host-grantflow_form={seed}"
        for headers in ({"origin": ORIGIN}, {"origin": "null", "sec_fetch_site": "same-origin"}):
            answer = await ask(world, "POST", url, b"", body, content_type=FORM, cookie=cookie, **headers)
            assert answer.status in (303, 409), (url, answer.body)


async def token_of(browser: Any) -> tuple[str, str]:
    """(cookie, token) of somebody's own page."""
    page = await browser.http.get("/apps/agent-app/prompt?account=acme")
    if page.status_code != 200:
        page = await browser.http.get("/apps/agent-app/prompt")
    found: str = page.json()["fields"]["csrf"]
    return browser.http.cookies["__Host-grantflow_form"], found


async def test_a_form_dies_with_the_session(world: World) -> None:
    async with world.browser("bob") as browser:
        await browser.open("/apps/mail?account=acme")
        browser.http.cookies.set("session", "carol")
        with world.unchanged():
            page = await browser.press("Authorize")
        assert (page.status, page.headings) == (403, ["This form is not valid any more"])
        browser.http.cookies.set("session", "gone")
        await browser.open("/apps/mail?account=acme")
        assert browser.page.status == 401


# -- hostile names --------------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(TEXTS))
async def test_hostile_names_are_only_text(world: World, name: str) -> None:
    text = TEXTS[name]
    kind = ("agent", "account", "external")[sorted(TEXTS).index(name) % 3]
    key = f"evil-{kind}"
    marks = ("\u202e", "\u2066", "\x1b", "\x07", "\x9b")

    async def people(actor: Actor) -> list[Account]:
        return [Account("acme", text, actor.kind.value), Account(text, text, actor.kind.value)]

    version = Version(text[:100], ("<b>x</b>", "=cmd|'/C"), ("'onload='x",))
    async with world.engine() as engine:
        await engine.apps.register(sample_app(kind, key, name=text, description=text, versions=(version,)))
        await engine.apps.install(key, "acme", actor=Actor.system())
    world.people = people
    async with world.browser("everything") as browser:
        urls = [f"/marketplace/{key}", f"/gallery/{key}?account=acme", f"/apps/{key}?account=acme", "/gallery"]
        for url in (*urls, "/marketplace", world.request_of(key)):
            page = await browser.open(url)
            assert page.status == 200, (url, page.text)
            inert(page, marks)
        await browser.press("Continue", account="acme")
        inert(browser.page, marks)
        assert "<b>x</b>" in browser.page.text, "a scope is shown as it is written"
        answer = await browser.http.get(f"/apps/{key}/prompt?account=acme")
        assert answer.headers["content-type"] == "application/json"
        bad = await browser.open(f"/marketplace/{urlencode({'': text})[1:][:60]}")
        assert bad.status == 404
        inert(bad, marks)


def inert(page: Page, marks: tuple[str, ...]) -> None:
    """Nothing in it acts; only the values of fields, which nobody sees, are as they came."""
    for tag in ("<script>", "<img", "<b>", "onerror=alert(1)>"):
        assert tag not in page.html
    seen = [page.html.partition("</title>")[0], page.text]
    seen += [told.get("aria-label") or told.get("title") or "" for _, told in page.tags]
    assert not any(mark in text for mark in marks for text in seen)


async def test_a_page_of_an_error_repeats_no_address_and_no_advice_for_programmers(world: World) -> None:
    claim = "your-account-is-locked-call-0900"
    async with world.browser("everything") as browser:
        for url in (f"/apps/{claim}", f"/marketplace/{claim}", f"/gallery?account={claim}", f"/{claim}",
                    f"/oauth/v2/authorize?attempt={claim}", f"/oauth/v2/authorize?client_id={claim}",
                    world.request_of(APP, redirect_uri=f"https://{claim}.example"),
                    f"/oauth/callback?state={claim}&error={claim}&error_description={claim}"):  # fmt: skip
            page = await browser.open(url)
            assert page.status in (400, 404), url
            assert claim not in page.html, url
            assert "engine." not in page.text, url
            assert page.text.count(".") >= 1, "a sentence says what can be done"


# -- secrets --------------------------------------------------------------------------------------
async def test_no_secret_in_a_log_a_page_or_an_error(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    pages: list[str] = []
    secrets = {SECRET}
    async with world.browser("solo") as solo:
        for _ in range(2):
            await solo.open(world.request_of(APP))
            pages.append(solo.page.html)
            await solo.press("Agree")
        back = solo.query
        secrets |= {back["code"], back["state"], world.verifiers[back["state"]]}
        tokens = await world.redeem(APP, back)
        secrets |= {tokens["access_token"], tokens["refresh_token"]}
        secrets.add(solo.http.cookies["__Host-grantflow_form"])
        world.clock.advance(YEAR)
        code_again = {"grant_type": "authorization_code", "code": back["code"], "code_verifier": "x" * 43}
        pages.append((await world.token(APP, **code_again)).text)
        answer = await world.token(APP, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        pages.append(answer.text)
        pages.append((await world.call(tokens)).text)
        for url in (f"/oauth/callback?{urlencode(back)}", f"/gallery/x?{urlencode(back)}", "/gallery", "/apps/mail"):
            await solo.open(url)
            pages.append(solo.page.html)
        bad = urlencode({"client_id": APP, "redirect_uri": "https://evil.example", "state": back["state"]})
        await solo.open(f"/oauth/v2/authorize?{bad}")
        pages.append(solo.page.html)
    async with world.browser("bob") as bob:
        for cancel in (False, True):
            await bob.open("/marketplace/mail")
            pages.append(bob.page.html)
            await bob.press(bob.page.buttons[0])
            query = world.foreign.back(bob.left, cancel=cancel)
            told = dict(parse_qsl(query))
            secrets |= {told["state"], told.get("code", told["state"])}
            secrets |= {value for name, value in bob.http.cookies.items() if name != "session"}
            for wrong in (query.replace("iss=", "iss=x"), query, query):
                await bob.open(f"/oauth/callback?{wrong}")
                pages.append(bob.page.html)
    secrets |= set(world.foreign.alive)
    records = [record for record in caplog.records if not record.name.startswith(("httpx2", "httpcore2"))]
    logged = "\n".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in records)
    assert len(secrets) == 14, "the form of bob, and a cookie for each way to the foreign server"
    for secret in secrets:
        assert not any(secret in page for page in pages)
        assert secret not in logged


# -- malformed input ------------------------------------------------------------------------------
NAMES = st.sampled_from(
    ["client_id", "redirect_uri", "state", "scope", "response_type", "code_challenge", "code_challenge_method",
     "account", "attempt", "action", "csrf", "grant_type", "code", "refresh_token", "token", "client_secret", "label",
     "error", "iss", "entry", "available"]
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from([APP, "acme", "code", "S256", "agree", "continue", "authorization_code", "x" * 5000, "\0", "%"]),
    st.text(max_size=30),
)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=12).map(
    lambda pairs: urlencode([(k, v.encode("utf-8", "surrogatepass")) for k, v in pairs]).encode()
)
RAW = st.one_of(PAIRS, PAIRS, st.binary(max_size=60))
HEADER = st.one_of(st.just(b""), st.binary(max_size=40), st.just(b"Basic Og=="), st.just(b"Basic /////w=="))


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A platform for many requests."""
    path: Path = tmp_path_factory.mktemp("fuzz") / "grants.db"
    return asyncio.run(world_at(path))


@pytest.mark.parametrize(("method", "path"), ROUTES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_malformed_input_is_answered(steady: World, method: str, path: str, data: st.DataObject) -> None:
    answered(steady, method, path, data)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), ROUTES)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_much_malformed_input_is_answered(steady: World, method: str, path: str, data: st.DataObject) -> None:
    answered(steady, method, path, data)


def answered(steady: World, method: str, path: str, data: st.DataObject) -> None:
    """Any query, body and header gets an answer that is ours and leads nowhere else."""
    part = data.draw(st.one_of(st.sampled_from(["agent-app", "mail", "client:mail"]), st.text(max_size=20)))
    session = data.draw(st.sampled_from(["", "bob", "maria", "everything"]))

    async def all_of_it() -> list[Answer]:
        seed, csrf = "", ""
        if session and method == "POST":
            async with steady.browser(session) as browser:
                seed, csrf = await token_of(browser)
        body = data.draw(RAW) + (f"&csrf={csrf}".encode() if csrf else b"")
        cookie = f"session={session}; __Host-grantflow_form={seed}" if session else data.draw(HEADER)
        kind: bytes | str = data.draw(st.one_of(st.just(FORM), HEADER))
        more: dict[str, Any] = {"authorization": value} if (value := data.draw(HEADER)) else {}
        language = data.draw(HEADER)
        query = data.draw(RAW)
        return [
            await ask(
                steady, method, path.format(part), query, body,
                cookie=cookie, content_type=kind, accept_language=language, **more,
            )
        ]  # fmt: skip

    for answer in asyncio.run(all_of_it()):
        assert 200 <= answer.status < 500, answer.body
        place = answer.header("location")
        assert not place.startswith("//")
        assert place.startswith(("/", "https://app.example/", "https://server.example/")) or not place
