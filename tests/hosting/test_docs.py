"""What the how-to shows runs as it stands, and lists what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.hosting import test_journeys
from tests.hosting.raw import ask
from tests.hosting.test_security import ROUTES
from tests.hosting.world import World

JOURNEYS = Path(__file__).parents[2] / "docs/reference/journeys.md"
PAGE = Path(__file__).parents[2] / "docs/how-to/hosting.md"


def test_the_host_of_the_how_to_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = block("FastAPI(")
    with TestClient(shown["api"], base_url="https://platform.example", follow_redirects=False) as web:
        assert web.get("/gallery").headers["location"] == "/login?next=%2Fgallery"
        web.cookies.set("user", "ann")
        assert "App Gallery" in web.get("/gallery").text
        assert web.get("/desk").json() == {"your": "own pages"}
        assert web.get("/api/tickets").status_code == 401
        found = web.get("/.well-known/oauth-authorization-server").json()
        assert found["issuer"] == "https://platform.example"


def block(what: str) -> dict[str, Any]:
    """What the block of the page defines that holds these words."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    [found] = [code for code in blocks if what in code]
    shown: dict[str, Any] = {}
    exec(compile(found, str(PAGE), "exec"), shown)
    return shown


async def test_the_limit_of_the_how_to_counts_by_address_and_minute(world: World) -> None:
    now = [0.0]
    limited = block("class Limited")["Limited"](world, most=3, clock=lambda: now[0])
    for _ in range(3):
        assert (await ask(limited, "POST", "/oauth/v2/token")).status == 400
    answer = await ask(limited, "POST", "/oauth/v2/token")
    assert (answer.status, answer.header("retry-after")) == (429, "60")
    assert (await ask(limited, "GET", "/marketplace", cookie="session=bob")).status == 200
    now[0] = 60.0
    assert (await ask(limited, "POST", "/oauth/v2/token")).status == 400


def test_every_requirement_is_walked_over_http_as_a_person_sees_it() -> None:
    rows = re.findall(r"^\| (S-\d\d) \|", JOURNEYS.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == [f"S-{number:02}" for number in range(1, 38)]
    names = " ".join(name for name in vars(test_journeys) if name.startswith("test_"))
    assert [row for row in rows if f"_s{row[2:]}_" not in names] == []
    assert {f"S-{number}" for number in re.findall(r"_s(\d\d)", names)} == set(rows)


def test_every_address_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"/[\w.{}/-]+", text))
    pages = {path.replace("/apps/{}", "/apps/{app}").replace("y/{}", "y/{app}").replace("e/{}", "e/{app}")
             for method, path in ROUTES if method == "GET" and "static" not in path}  # fmt: skip
    assert pages <= named


def test_every_picture_of_the_page_is_there() -> None:
    shown = re.findall(r"!\[[^\]]+\]\((\S+)\)", PAGE.read_text(encoding="utf-8"))
    assert len(shown) >= 5
    assert [name for name in shown if not (PAGE.parent / name).is_file()] == []
