"""Every example runs, and stays short."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from grantflow import App, KeyRing, new_pkce
from grantflow.testing import ForeignServer

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
