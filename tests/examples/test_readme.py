"""The README is short, and what it shows runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"
MAX_WORDS = 500

# Put behind a block that builds a web app: it is started, every page without parameters is asked for
# once, and it is stopped. Answers such as 401 are the host's own; a 5xx is a defect of the example.
ASK_EVERY_PAGE = """
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

[_host] = [thing for thing in list(globals().values()) if isinstance(thing, FastAPI)]
_pages = [route.path for route in _host.routes if isinstance(route, APIRoute) and "GET" in route.methods]
assert _pages, "the example has no page to ask for"
with TestClient(_host, follow_redirects=False) as _browser:
    for _page in _pages:
        _answer = _browser.get(_page.replace("{", "").replace("}", ""))
        print(_page, _answer.status_code)
        assert _answer.status_code < 500, _answer.text
"""


class Block(NamedTuple):
    """One fenced block of Python and the line it starts at."""

    line: int
    code: str


def blocks(page: Path = README) -> list[Block]:
    """The Python blocks of a page; an empty list if there is none."""
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    return [
        Block(text.count("\n", 0, found.start(1)) + 1, found[1])
        for found in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def test_the_readme_is_short() -> None:
    words = README.read_text(encoding="utf-8").split()
    assert 50 < len(words) <= MAX_WORDS


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_readme_names_the_two_commands(command: str) -> None:
    assert command in README.read_text(encoding="utf-8")


def test_the_readme_shows_a_script_and_a_web_host() -> None:
    shown = [("FastAPI(" in block.code) for block in blocks()]
    assert sorted(set(shown)) == [False, True]


def test_the_blocks_of_the_readme_run(tmp_path: Path) -> None:
    assert blocks()
    for block in blocks():
        folder = tmp_path / f"line-{block.line}"
        folder.mkdir()
        outcome = run(block.code, folder)
        assert outcome.returncode == 0, f"README.md:{block.line}\n{outcome.stdout}\n{outcome.stderr}"


KEYS_ALONE = {"operators.md"}
"""Guides without code; tests/tui presses the keys they name."""


@pytest.mark.parametrize("page", sorted((README.parent / "docs" / "how-to").glob("*.md")), ids=lambda page: page.name)
def test_the_blocks_of_a_guide_run(page: Path, tmp_path: Path) -> None:
    assert blocks(page) or page.name in KEYS_ALONE
    for block in blocks(page):
        outcome = run(block.code, tmp_path)
        assert outcome.returncode == 0, f"{page.name}:{block.line}\n{outcome.stdout}\n{outcome.stderr}"


def test_a_block_that_fails_is_noticed(tmp_path: Path) -> None:
    assert run("import grantflow\ngrantflow.no_such_name\n", tmp_path).returncode != 0


def test_a_page_that_breaks_is_noticed(tmp_path: Path) -> None:
    host = "from fastapi import FastAPI\napp = FastAPI()\n@app.get('/')\ndef page():\n    return {}\n"
    assert run(host.format("'hello'"), tmp_path).returncode == 0
    assert run(host.format("1 / 0"), tmp_path).returncode != 0


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one block as a program of its own in an empty folder."""
    script = folder / "block.py"
    script.write_text(code + (ASK_EVERY_PAGE if "FastAPI(" in code else ""), encoding="utf-8")
    settings = {name: value for name, value in os.environ.items() if not name.startswith("GRANTFLOW_")}
    return subprocess.run(
        [sys.executable, script.name],
        cwd=folder,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
