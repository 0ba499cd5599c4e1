"""Every example runs, and stays short."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from grantflow import Actor, App, Engine, KeyRing, hosting, new_pkce
from grantflow.demo._web import marketplace
from grantflow.testing import ForeignServer, ManualClock, People
from tests.hosting.browser import Browser

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short(path: Path) -> None:
    code = [
        line for line in path.read_text().splitlines() if line.strip() and not line.startswith(("from", "import"))
    ]
    assert len(code) < 80


@pytest.mark.parametrize("path", sorted((EXAMPLES / "apps").glob("*.toml")), ids=lambda path: path.name)
def test_every_app_file_is_a_complete_app(path: Path) -> None:
    assert App.from_toml(path).latest.required


def test_the_plain_host_runs() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "plain_asyncio.py")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "401: Desk Sync on acme stopped working" in done.stdout
    assert "notice: installation.expired" in done.stdout


def test_the_hosts_own_chart_lives() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "approval_step.py")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    for told in (
        "waiting for an approval: ['bob', 'carol']",
        "its tokens do not work yet",
        "nobody approves their own connection",
        "approved by maria: active acme",
        "swept: 2",
        "bob's: exchange_ok → pending-approval",
        "bob's: expire → refresh-expired",
        "bob's: force → uninstalled",
    ):
        assert told in done.stdout


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_fastapi_host_serves_a_whole_journey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRANTFLOW_DATABASE", f"sqlite:///{tmp_path}/grants.db")
    verifier, challenge = new_pkce()
    uri, user = "https://report-hub.example/callback", {"x-user": "una"}
    with TestClient(load("fastapi_host").api) as web:
        request = {"client_id": "report-hub", "redirect_uri": uri, "code_challenge": challenge}
        opened = web.post("/attempts", params=request, headers=user).json()
        assert opened["accounts"] == ["acme"]
        assert opened["form"]["awaiting"] == ["reports.read", "tickets.read"]
        stranger = web.post(f"/attempts/{opened['attempt']}/agree", headers={"x-user": "eve"})
        assert stranger.status_code == 404
        back = web.post(f"/attempts/{opened['attempt']}/agree", headers=user).json()["redirect_to"]
        code = parse_qs(urlsplit(back).query)["code"][0]
        form = {"client_id": "report-hub", "redirect_uri": uri, "code_verifier": verifier, "code": code}
        assert web.post("/oauth/v2/token", data=form | {"code_verifier": "wrong"}).json()["error"] == "invalid_grant"
        tokens = web.post("/oauth/v2/token", data=form).json()
        bearer = {"authorization": f"Bearer {tokens['access_token']}"}
        assert web.get("/api/reports", headers=bearer).json()["account"] == "acme"
        assert web.post("/oauth/v2/token", data=form).json()["error"] == "invalid_grant", "a code works once"
        ended = web.get("/api/reports", headers=bearer)
        assert ended.status_code == 401, "a replayed code ends the grant"
        assert ended.json()["guidance"]["prompt"] == "REAUTHORIZE"


def test_the_foreign_host_connects_calls_and_turns_strangers_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRANTFLOW_DATABASE", f"sqlite:///{tmp_path}/grants.db")
    monkeypatch.setenv("GRANTFLOW_KEYS", KeyRing.new_key())
    server, user = ForeignServer("https://login.mail.example"), {"x-user": "bob"}
    server.secret = ""  # its client is a public one
    host = load("foreign_host")
    monkeypatch.setattr(host, "CARRIER", server)
    with TestClient(host.api, base_url="http://localhost:8000") as web:
        assert web.get("/inbox", headers=user).status_code == 404
        sent = web.get("/connect", headers=user, follow_redirects=False)
        assert sent.headers["location"].startswith("https://login.mail.example/authorize?")
        query = server.back(sent.headers["location"])
        back = web.get(f"/callback?{query}")
        assert back.json() == {"outcome": "completed", "state": "active"}
        assert web.get("/inbox", headers=user).json()["generation"] == 1
        again = web.get(f"/callback?{query}")
        assert (again.status_code, again.json()["error"]) == (400, "bad_callback")


def test_the_django_host_serves_a_whole_journey(tmp_path: Path) -> None:
    """In a process of its own: Django is configured once in each."""
    done = subprocess.run(
        [sys.executable, "-c", DJANGO],
        env={**os.environ, "GRANTFLOW_DATABASE": f"sqlite:///{tmp_path}/grants.db"},
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "walked\n"


DJANGO = """
import re
from urllib.parse import parse_qs, urlsplit
import django_host
from django.test import Client
from grantflow import new_pkce

verifier, challenge = new_pkce()
uri = "https://report-hub.example/callback"
asked = {"client_id": "report-hub", "redirect_uri": uri, "response_type": "code", "code_challenge": challenge}
web = Client(enforce_csrf_checks=True)

def press(answer, what):
    text = answer.content.decode()
    token = re.search('csrfmiddlewaretoken" value="([^"]+)', text)[1]
    action = re.search('action="([^"]+)', text)[1]
    stranger = action.replace("una", "eve")
    assert web.post(action, {"do": what}).status_code == 403, "Django checks the form"
    assert web.post(stranger, {"do": what, "csrfmiddlewaretoken": token}).status_code == 404
    return web.post(action, {"do": what, "csrfmiddlewaretoken": token})

opened = web.get("/oauth/v2/authorize", {"user": "una", **asked})
assert "Authorize Report Hub" in opened.content.decode()
form = press(opened, "account:globex")
assert "reports.read" in form.content.decode()
back = press(form, "agree:")
assert back.status_code == 303
code = parse_qs(urlsplit(back.headers["Location"]).query)["code"][0]
proof = {"code": code, "client_id": "report-hub", "redirect_uri": uri}
assert web.post("/oauth/v2/token", {**proof, "code_verifier": "wrong"}).json()["error"] == "invalid_grant"
tokens = web.post("/oauth/v2/token", {**proof, "code_verifier": verifier}).json()
bearer = {"Authorization": "Bearer " + tokens["access_token"]}
assert web.get("/api/reports", headers=bearer).json()["account"] == "globex"
assert web.get("/api/reports").status_code == 401
cancelled = press(web.get("/oauth/v2/authorize", {"user": "una", **asked}), "cancel:")
assert "error=access_denied" in cancelled.headers["Location"]
django_host.ENGINE.close()
print("walked")
"""


def test_the_flask_host_connects_calls_and_turns_strangers_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRANTFLOW_DATABASE", f"sqlite:///{tmp_path}/grants.db")
    monkeypatch.setenv("GRANTFLOW_KEYS", KeyRing.new_key())
    server, user = ForeignServer("https://login.mail.example"), {"x-user": "bob"}
    server.secret = ""  # its client is a public one
    api = load("flask_host").create_app(server)
    engine = api.extensions["grantflow"]
    web = api.test_client()
    try:
        assert web.get("/inbox", headers=user).status_code == 404
        assert web.get("/connect", headers={"x-user": "intern"}).status_code == 403, "the host's own policy"
        sent = web.get("/connect", headers=user)
        query = server.back(sent.headers["Location"])
        back = web.get(f"/callback?{query}")
        assert back.json == {"outcome": "completed", "state": "active"}
        assert web.get("/inbox", headers=user).json["generation"] == 1
        again = web.get(f"/callback?{query}")
        assert (again.status_code, again.json["error"]) == (400, "bad_callback")
        engine.drain_notices()
    finally:
        engine.close()
    assert "notice: installation.activated" in capsys.readouterr().out


async def test_the_external_app_connects_at_the_hosted_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example, uma, clock = load("external_app"), Actor.user("uma"), ManualClock()

    async def session(request: Request) -> Actor | None:
        return uma if request.cookies.get("session") == "uma" else None

    async def reports(request: Request) -> Response:
        return JSONResponse({"account": request.state.grant.account})

    people, keys = People({uma: ["acme", "globex"]}), KeyRing.parse(KeyRing.new_key())
    async with Engine.open(f"sqlite:///{tmp_path}/g.db", directory=people, clock=clock, keys=keys) as engine:
        hub = App.from_toml(EXAMPLES / "apps/report_hub.toml")
        await engine.apps.register(hub)
        pages = hosting.create_app(engine, who_is=session, base_url="http://localhost:8000")
        rest = hosting.protect(engine, scopes=["reports.read"])(Starlette(routes=[Route("/reports", reports)]))
        platform = Starlette(routes=[Mount("/api", rest), Mount("/", pages)])
        monkeypatch.setattr(example, "TRANSPORT", httpx2.ASGITransport(platform))
        transport = httpx2.ASGITransport(example.app)
        async with (
            httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8001") as site,
            Browser(platform, "http://localhost:8000", "uma") as browser,
        ):
            assert (await site.get("/report")).status_code == 401
            sent = await site.get("/connect")
            await browser.open(sent.headers["location"].removeprefix("http://localhost:8000"))
            await browser.press("Continue", account="globex")
            await browser.press("Agree")
            assert browser.left.startswith("http://127.0.0.1:8001/callback?")
            assert (await site.get("/callback", params={"code": "x", "state": "y"})).status_code == 400
            back = f"/callback?{urlencode(browser.query)}"
            assert (await site.get(back)).json() == {"connected": True}
            assert (await site.get("/report")).json() == {"account": "globex"}
            first = dict(example.TOKENS)
            clock.advance(hub.access_lifetime)
            assert (await site.get("/report")).json() == {"account": "globex"}, "it was renewed meanwhile"
            assert example.TOKENS["refresh_token"] != first["refresh_token"]
            clock.advance(timedelta(days=3650))
            ended = await site.get("/report")
            assert ended.status_code == 401
            assert ended.json()["guidance"]["prompt"] == "REAUTHORIZE"
            assert (await site.get(back)).status_code == 400, "a state works once"


async def test_the_external_app_connects_at_grantflow_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very app that `grantflow serve` runs; only the sockets between the two are left out."""
    example, platform = load("external_app"), "http://localhost:8000"
    async with marketplace(tmp_path / "trial.db", platform) as served, Browser(served, platform) as browser:
        monkeypatch.setattr(example, "TRANSPORT", httpx2.ASGITransport(served))
        transport = httpx2.ASGITransport(example.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8001") as site:
            await browser.open("/")
            await browser.press("Uma")
            for button in ("Cancel", "Agree"):
                await browser.open((await site.get("/connect")).headers["location"])
                await browser.press("Continue", account="globex")
                await browser.press(button)
                back = (await site.get(f"/callback?{urlencode(browser.query)}")).json()
                assert back == (
                    {"connected": True} if button == "Agree" else {"connected": False, "why": "access_denied"}
                )
            assert (await site.get("/report")).json()["account"] == "globex"
            await browser.open("/")
            await browser.press("one week later")
            assert (await site.get("/report")).status_code == 200, "it was renewed meanwhile"
            await browser.press("one year later")
            ended = await site.get("/report")
            assert (ended.status_code, ended.json()["guidance"]["prompt"]) == (401, "REAUTHORIZE")
