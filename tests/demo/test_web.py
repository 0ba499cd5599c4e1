"""The marketplace to click through: people, apps, and a clock that moves."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from grantflow import hosting
from grantflow.cli import main
from grantflow.demo._web import marketplace
from grantflow.errors import ConfigurationError
from tests.hosting.browser import Browser

ORIGIN = "http://localhost:8000"


@pytest.fixture(name="web")
async def open_web(tmp_path: Path) -> AsyncIterator[Any]:
    async with marketplace(tmp_path / "trial.db", ORIGIN) as app:
        yield app


async def test_an_admin_walks_through_a_year(web: Any) -> None:
    async with Browser(web, ORIGIN) as browser:
        await browser.open("/marketplace")
        assert browser.place == "/", "nobody yet: the page to be somebody"
        await browser.press("Maria")
        assert "You are Maria" in browser.page.text
        await browser.open("/marketplace/desk-sync")
        await browser.press("Authorize Acme")
        await browser.press("Cancel")
        assert "access_denied" in browser.page.text
        await browser.open("/marketplace/desk-sync")
        await browser.press("Authorize Acme")
        if "Continue" in browser.page.buttons:
            await browser.press("Continue", account="acme")
        await browser.press("Agree")
        assert "Desk Sync is connected to acme" in browser.page.text
        await browser.press("Call the API")
        assert "200 OK" in browser.page.text
        await browser.press("one week later")
        await browser.press("Call the API")
        assert "200 OK" in browser.page.text, "the app renewed its access token"
        await browser.press("one year later")
        assert "refresh-expired" in browser.page.text
        await browser.press("Call the API")
        assert "stopped working" in browser.page.text
        await browser.open("/gallery/desk-sync?account=acme")
        await browser.press("Reauthorize")
        if "Continue" in browser.page.buttons:
            await browser.press("Continue", account="acme")
        await browser.press("Agree")
        assert "Desk Sync is connected to acme" in browser.page.text


async def test_the_external_app_begins_at_itself(web: Any) -> None:
    async with Browser(web, ORIGIN) as browser:
        await browser.open("/")
        await browser.press("Uma")
        await browser.follow("connect it from the app itself")
        await browser.press("Continue", account="globex")
        await browser.press("Agree")
        assert "Report Hub is connected to globex" in browser.page.text


async def test_a_new_version_comes_out_and_the_old_grant_works_until_somebody_agrees(web: Any) -> None:
    async with Browser(web, ORIGIN) as browser:
        await browser.open("/")
        await browser.press("Maria")
        await browser.open("/marketplace/call-notes")
        await browser.press("Install on Acme")
        await browser.open("/")
        await browser.press("Bob")
        await browser.open("/apps/call-notes?account=acme")
        await browser.press("Authorize")
        await browser.press("Continue")
        await browser.press("Agree")
        await browser.press("Call Notes 2.0 comes out")
        assert "is out and asks for more" in browser.page.text
        await browser.press("Call the API")
        assert "200 OK: Call Notes may do notes.write, tickets.read on acme." in browser.page.text
        await browser.open("/gallery/call-notes?account=acme")
        assert "The installed version asks for more than was agreed to." in browser.page.text
        await browser.press("Authorize")
        await browser.press("Continue")
        assert browser.page.headings[1:] == ["Already approved", "Awaiting your approval"]
        assert "See who called whom calls.read" in browser.page.text
        await browser.press("Agree")
        await browser.press("Call the API")
        assert "calls.read" in browser.page.text


async def test_a_user_with_one_account_meets_the_form_at_once(web: Any) -> None:
    async with Browser(web, ORIGIN) as browser:
        await browser.open("/")
        await browser.press("Nora")
        await browser.follow("connect it from the app itself")
        assert browser.page.buttons == ["Agree", "Cancel"]
        await browser.press("Cancel")
        assert "Report Hub was told: access_denied" in browser.page.text


async def test_another_site_moves_nothing_and_another_name_is_refused(web: Any) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(web), base_url=ORIGIN) as http:
        before = (await http.get("/")).text
        for deed in ("later/one-year", "happen/Call%20Notes%202.0%20comes%20out", "be/maria"):
            answer = await http.post(f"/trial/{deed}", headers={"Sec-Fetch-Site": "cross-site"})
            assert (answer.status_code, answer.headers.get("set-cookie")) == (303, None)
        after = (await http.get("/")).text
        assert "another site" in after
        assert before.split("It is ")[1][:20] == after.split("It is ")[1][:20]
        assert (await http.get("/", headers={"Host": "evil.example"})).status_code == 400
        assert (await http.get("/api/reports")).status_code == 401
        assert "frame-ancestors 'none'" in (await http.get("/")).headers["content-security-policy"]
        await http.get("/trial/desk-sync/callback?state=x&code=y")
        assert "belongs to no request" in (await http.get("/")).text


def test_the_trial_is_for_loopback_alone() -> None:
    with pytest.raises(ConfigurationError, match="this machine"):
        hosting.create_trial(None, people=[], secrets={}, advance=None, base_url="https://x.example")  # type: ignore[arg-type]


@pytest.mark.parametrize("words", [["serve"], ["demo", "--web"]])
def test_a_file_that_is_there_is_left_alone(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.db"
    file.write_text("mine")
    assert main([*words, "--keep", str(file)]) == 2
    assert file.read_text() == "mine"


def test_without_the_pages_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve"]) == 2
    assert "grantflow[hosting]" in capsys.readouterr().err


def test_the_real_server_answers(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = f"from grantflow.cli import main; main(['serve', '--port', '{port}'])"
    server = subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ), stderr=subprocess.PIPE)
    try:
        with httpx2.Client(base_url=f"http://localhost:{port}", trust_env=False) as http:
            for _ in range(300):
                try:
                    answer = http.get("/")
                except httpx2.ConnectError:
                    time.sleep(0.1)
                    continue
                break
            assert answer.status_code == 200
            assert "Be this person" in answer.text
    finally:
        server.terminate()
        server.communicate(timeout=30)
