"""The pictures of the console in the guides: all there, none forgotten, and none that fetches anything."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.tui.pictures import DRAWN, PICTURES, draw, safe

NAMES = [f"console-{scene.__name__}" for scene in DRAWN]


def test_there_are_exactly_those_that_are_drawn() -> None:
    assert sorted(path.stem for path in PICTURES.glob("console-*.svg")) == sorted(NAMES)
    assert len(NAMES) <= 10


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_stands_alone(name: str) -> None:
    text = (PICTURES / f"{name}.svg").read_text(encoding="utf-8")
    assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert set(re.findall(r"https?://[^\"') ]*", text)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", text)
    assert len(text) < 150_000


def test_what_would_be_fetched_is_cut_out() -> None:
    text = '<!-- by x --><style>@font-face { src: url("https://cdn.example/f.woff2"); }\n.a { fill: red }</style>'
    assert safe(text) == "<style>.a { fill: red }</style>"


def test_the_guides_show_them() -> None:
    root = PICTURES.parents[1]
    guides = [root / "README.md", *(root / "docs").rglob("*.md")]
    shown = {name for path in guides for name in re.findall(r"pictures/(console-\w+)\.svg", path.read_text("utf-8"))}
    assert shown == set(NAMES)


@pytest.mark.slow
async def test_they_are_the_same_however_often_they_are_drawn(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        await draw(folder)
    for name in NAMES:
        assert (one / f"{name}.svg").read_bytes() == (two / f"{name}.svg").read_bytes(), name
