"""What a host may set: theme, templates, languages, addresses, roles, and how apps begin."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from starlette.requests import Request

from grantflow import Actor, HttpRequest, HttpResponse, hosting, http_veto
from grantflow.errors import BadInput, ConfigurationError, InvalidRequest
from grantflow.hosting import _problems
from grantflow.hosting._problems import page_of
from grantflow.hosting._words import ENGLISH, best_language
from grantflow.testing import sample_app
from tests.hosting.raw import ask
from tests.hosting.world import ORIGIN, YEAR, World, starts_at

GERMAN = {
    "window.title": "{app} verbinden",
    "window.continue": "Weiter",
    "scope.tickets.read": "Tickets lesen",
    "sentence.REAUTHORIZE": "{app} auf {account} ruht: {reason}.",
    "reason.time": "die Zeit ist um",
    "prompt.REAUTHORIZE": "Erneut verbinden",
}


async def test_a_host_speaks_other_languages(world: World) -> None:
    world.hosted["translations"] = {"de": GERMAN, "AR": {"dir": "rtl", "cancel": "إلغاء"}}
    async with world.browser("bob", **{"Accept-Language": "fr, de-AT;q=0.9, en;q=0.1"}) as bob:
        page = await bob.open(world.request_of("agent-app"))
        assert page.headings == ["The agent app verbinden"]
        assert page.buttons == ["Weiter", "Cancel"], "what is not said in German is said in English"
        assert (page.tags[0][1]["lang"], page.response.headers["content-language"]) == ("de", "de")
        await bob.press("Weiter", account="acme")
        assert "Tickets lesen tickets.read" in bob.page.text
    await world.connected("agent-app", "bob")
    world.clock.advance(YEAR)
    async with world.browser("bob", **{"Accept-Language": "de"}) as bob:
        page = await bob.open("/apps/agent-app?account=acme")
        assert "The agent app auf Acme ruht: die Zeit ist um." in page.text
        assert page.buttons == ["Erneut verbinden"]
    async with world.browser("bob", **{"Accept-Language": "ar"}) as bob:
        page = await bob.open(world.request_of("agent-app"))
        assert page.tags[0][1]["dir"] == "rtl"


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("", "en"), ("de", "de"), ("DE-at", "de"), ("en, de", "en"), ("de;q=0, en", "en"), ("de;q=x", "en")],
)
def test_the_language_is_the_first_one_that_is_known(accepted: str, language: str) -> None:
    assert best_language(accepted, {"de": GERMAN}).language == language


def test_every_word_of_the_pages_is_in_the_catalog_and_none_is_idle() -> None:
    home = Path(hosting.__file__).parent
    sources = [
        path.read_text() for kind in ("*.html", "*.py") for path in home.rglob(kind) if path.name != "_words.py"
    ]
    families = ("state.", "problem.", "outcome.", "prompt.", "market.kind.", "dir")
    text = "\n".join(sources)
    assert [key for key in ENGLISH if f"'{key}'" not in text and f'"{key}"' not in text
            and not key.startswith(families)] == []  # fmt: skip
    for key, words in ENGLISH.items():
        assert {name for _, name, _, _ in Formatter().parse(words) if name} <= {
            *("app", "account", "time", "who", "where", "place")
        }, key


def test_every_kind_of_problem_has_a_heading_and_says_what_can_be_done() -> None:
    kinds = {key for _, _, key in _problems._PAGES} | {page_of(BadInput())[1], page_of(InvalidRequest())[1], "later"}
    assert len(kinds) >= 12
    assert [key for key in kinds if not {f"problem.{key}", f"problem.{key}.next"} <= set(ENGLISH)] == []


async def test_a_host_gives_its_colours(world: World) -> None:
    world.hosted["theme"] = {"--gf-accent": "light-dark(#0a5, #4e9)", "--gf-radius": "4px"}
    answer = await ask(world, "GET", "/oauth/static/theme.css")
    assert answer.body == b":root {\n  --gf-accent: light-dark(#0a5, #4e9);\n  --gf-radius: 4px;\n}\n"
    assert (await ask(world, "GET", "/oauth/static/_app.py")).status == 404


async def test_a_host_changes_a_template(world: World, tmp_path: Path) -> None:
    base = (
        '{% extends "grantflow/base.html" %}'
        "{% block header %}<header>Acme Desk {{ t('gallery.title') }}</header>{% endblock %}"
    )
    (tmp_path / "base.html").write_text(base)
    world.hosted["templates"] = tmp_path
    async with world.browser("bob") as bob:
        page = await bob.open("/marketplace")
        assert "Acme Desk App Gallery" in page.text
        assert page.headings[0] == "Marketplace"


@pytest.mark.parametrize(
    "changes",
    [
        {"base_url": "http://platform.example"},
        {"base_url": "platform.example"},
        {"base_url": "https://platform.example?x=1"},
        {"base_url": "https://user@platform.example"},
        {"theme": {"--gf-accent": "red;} body { display: none"}},
        {"theme": {"color": "red"}},
        {"theme": {"--gf-accent": "url(x)</style>"}},
    ],
)
async def test_a_malformed_setting_is_refused(world: World, changes: dict[str, Any]) -> None:
    async with world.engine() as engine:
        values: dict[str, Any] = {"who_is": nobody, "base_url": ORIGIN} | changes
        with pytest.raises(ConfigurationError) as error:
            hosting.create_app(engine, **values)
    assert error.value.hint


async def nobody(request: Request) -> Sequence[Actor] | None:
    return None


async def test_one_person_in_several_roles(world: World) -> None:
    async with world.browser("everything") as browser:
        page = await browser.open(world.request_of("external-app"))
        assert page.buttons == ["Continue", "Cancel"]
        page = await browser.open(world.request_of("agent-app"))
        assert [one for one, _ in page.forms[0].radios["account"]] == ["acme", "globex"]
        await browser.press("Continue", account="acme")
        await browser.press("Agree")
        tokens = await world.redeem("agent-app", browser.query)
    async with world.engine() as engine:
        found = await engine.ledger.authenticate(tokens["access_token"])
        assert (found.subject_kind, found.subject) == ("agent", "bob")


async def test_one_actor_is_enough(world: World) -> None:
    async def who(request: Request) -> Actor | None:
        return Actor.agent("bob")

    world.hosted["who_is"] = who
    async with world.browser() as browser:
        assert (await browser.open("/gallery")).headings[0] == "App Gallery"


async def test_an_app_that_begins_by_itself_has_no_button(world: World) -> None:
    world.hosted["start_url"] = None
    async with world.browser("bob") as bob, world.browser("carol") as carol:
        page = await bob.open("/marketplace/agent-app")
        assert page.buttons == []
        assert "connected from the app itself" in page.text
        page = await bob.open("/apps/agent-app?account=acme")
        assert page.buttons == []
        world.hosted["start_url"] = starts_at
        await carol.open("/apps/agent-app?account=acme")
        world.hosted["start_url"] = None
        with world.unchanged():
            page = await carol.press("Authorize")
        assert (page.status, page.headings) == (409, ["The agent app starts its authorization itself"])


async def test_an_old_app_without_pkce_begins_here(world: World) -> None:
    world.hosted["start_url"] = None
    async with world.engine() as engine:
        confidential = sample_app("account", "old").secret_hashes
        await engine.apps.register(sample_app("account", "old", secret_hashes=confidential, require_pkce=False))
    async with world.browser("max") as max_:
        await max_.open("/marketplace/old")
        await max_.press("Authorize Acme")
        assert max_.page.headings[0] == "Authorize The account app"
        await max_.press("Continue")
        await max_.press("Agree")
        code = max_.query["code"]
    answer = await world.token("old", grant_type="authorization_code", code=code)
    assert answer.status_code == 200


@pytest.mark.parametrize("over_http", [False, True])
async def test_what_an_app_objects_to_is_read_on_the_page(world: World, over_http: bool) -> None:
    async def objects(verb: str, app: str, account: str, actor: Actor) -> str | None:
        return f"Finish the import before the {verb}." if account == "acme" else None

    async def answers(request: HttpRequest) -> HttpResponse:
        asked = json.loads(request.body)
        why = await objects(asked["verb"], asked["app"], asked["account"], Actor.system())
        return HttpResponse(200, {}, json.dumps({"veto": why}).encode())

    async with world.engine() as engine:
        await engine.apps.register(sample_app("agent", "notes"))
    world.opened |= (
        {"veto": http_veto("https://notes.example/veto"), "http": answers} if over_http else {"veto": objects}
    )
    async with world.browser("maria") as maria:
        await maria.open("/marketplace/notes")
        with world.unchanged():
            page = await maria.press("Install on Acme")
        assert page.status == 409
        assert "Finish the import before the install." in page.text
        assert "The agent app" in page.text
        await maria.open("/marketplace/notes")
        await maria.press("Install on Globex")
        assert maria.place == "/marketplace/notes"
        assert "Install on Globex" not in maria.page.buttons


async def test_when_the_directory_is_silent(world: World) -> None:
    async def silent(actor: Actor) -> list[Any]:
        raise OSError("a secret of the directory")

    async with world.browser("uma") as uma:
        await uma.open(world.request_of("external-app"))
        world.people = silent
        with world.unchanged():
            page = await uma.open(uma.url)
            assert (page.status, page.headings) == (503, ["Try again in a moment"])
            assert "a secret" not in page.html
            assert (await uma.open("/gallery")).status == 503
            answer = await uma.http.get("/apps/agent-app/prompt?account=acme")
            assert (answer.status_code, answer.json()["error"]) == (503, "directory_unavailable")


async def test_the_prompt_speaks_json_always(world: World) -> None:
    async with world.browser() as stranger, world.browser("bob") as bob:
        answer = await stranger.http.get("/apps/agent-app/prompt")
        assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")
        for url in ("/apps/nothing/prompt", "/apps/agent-app/prompt?account=hooli"):
            answer = await bob.http.get(url)
            assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
        answer = await bob.http.get("/apps/account-app/prompt?account=acme")
        told = answer.json()
        assert (told["prompt"], told["may_act"], told["action"]) == ("AUTHORIZE", False, None)
        assert told["help"] == "Who can do this: an admin of the account, at the marketplace."


async def test_what_stands_in_the_way_is_said(world: World) -> None:
    await world.connected("agent-app", "bob")
    async with world.engine() as engine:
        await engine.apps.suspend("agent-app", "acme", actor=Actor.system(), reason="under investigation")
    async with world.browser("bob") as bob:
        page = await bob.open("/apps/agent-app?account=acme")
        assert "is suspended" in page.text
        page = await bob.open("/gallery?account=acme")
        assert "Cannot be used now" in page.text
        assert (await bob.open("/gallery?account=hooli")).status == 404
