"""Both themes as they are painted: readable on every ground, told apart by the colour-blind, never colour alone."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.color import Color

import grantflow_tui
from grantflow import definitions
from grantflow_machines import Severity
from grantflow_tui._app import Console
from grantflow_tui._look import Look
from grantflow_tui._saved import default_path
from grantflow_tui._themes import DARK, LIGHT, PALETTES, Palette
from tests.tui.colours import SIGHTS, ciede2000, contrast, seen
from tests.tui.fleet import console_on, screen_text, settled
from tests.tui.lively import lively

if TYPE_CHECKING:
    from textual.pilot import Pilot

READABLE = 4.5
"""WCAG 2.2, 1.4.3: text."""
APART = 10.0
"""CIEDE2000 between two classes; 1 is just noticeable side by side, and these are not always side by side."""
Triplet = tuple[int, int, int]
TOUR = (
    ("fleet", ()),
    ("installations", ("2",)),
    ("cursor on the forced one", ("slash", *"is:forced", "enter")),
    ("installations, further down", ("escape", "slash", "home", "ctrl+k", *"is:any", "enter", "j", "j", "j")),
    ("verbs", ("a",)),
    ("force", ("escape", "slash", "home", "ctrl+k", *"state:active", "enter", "f")),
    ("detail", ("escape", "enter")),
    ("apps", ("escape", "3")),
    ("sweeps", ("4",)),
    ("sweep now", ("t",)),
    ("audit", ("escape", "6")),
    ("palette", ("colon",)),
    ("help", ("escape", "question_mark")),
)


def triplet(colour: str) -> Triplet:
    red, green, blue = Color.parse(colour).get_truecolor()
    return red, green, blue


@dataclass(frozen=True)
class Ink:
    """A run of text in one colour on one ground."""

    text: str
    colour: Triplet
    ground: Triplet


def inks(app: Console) -> Iterator[Ink]:
    """What is painted, reversed where it is painted so; of a dialog not what lies dimmed behind it."""
    boxes = app.screen.query("#box, #help, #--container") if app.screen.is_modal else ()
    region = boxes[0].region if boxes else app.screen.region
    for strip in app.screen._compositor.render_strips()[region.y : region.bottom]:
        for text, style, _ in strip.crop(region.x, region.right):
            if not text.strip():
                continue
            assert style is not None
            assert style.color is not None, f"{text!r} has the terminal's own colour"
            assert style.bgcolor is not None, f"{text!r} stands on the terminal's own ground"
            assert not style.dim, f"{text!r} is left for the terminal to dim"
            pair = (triplet(style.color.name), triplet(style.bgcolor.name))
            yield Ink(text, *(reversed(pair) if style.reverse else pair))


def is_text(text: str) -> bool:
    """Letters, digits, punctuation and glyphs; not the lines, bars and borders around them."""
    return any(not 0x2500 <= ord(char) <= 0x259F for char in text if not char.isspace())


@asynccontextmanager
async def painted(path: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> AsyncIterator[Pilot[None]]:
    """The console over a fleet in which something of everything happens."""
    async with lively(path, monkeypatch) as engine:
        app = console_on(engine, write=True, **options)
        app._interval = 3_600.0
        async with app.run_test(size=(120, 36)) as pilot:
            await settled(pilot)
            yield pilot


async def tour(pilot: Pilot[None]) -> AsyncIterator[str]:
    """From screen to screen."""
    for name, keys in TOUR:
        await pilot.press(*keys[:-1])
        await settled(pilot)
        await pilot.press(*keys[-1:])
        await settled(pilot)
        yield name


def console_of(pilot: Pilot[None]) -> Console:
    assert isinstance(pilot.app, Console)
    return pilot.app


@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
async def test_whatever_is_painted_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, palette: Palette
) -> None:
    classes = {triplet(colour): severity for severity, colour in palette.classes.items()}
    weak: set[str] = set()
    met: set[tuple[Severity, Triplet]] = set()
    async with painted(tmp_path / "g.db", monkeypatch, theme=palette.name) as pilot:
        async for name in tour(pilot):
            for ink in filter(lambda ink: is_text(ink.text), inks(console_of(pilot))):
                ratio = contrast(ink.colour, ink.ground)
                if ratio < READABLE:
                    weak.add(f"{name}: {ink.text.strip()!r} {ratio:.2f} {ink.colour} on {ink.ground}")
                for one, other in ((ink.colour, ink.ground), (ink.ground, ink.colour)):
                    if one in classes:
                        met.add((classes[one], other))
    assert not weak, "\n".join(sorted(weak))
    grounds = {triplet(palette.background), triplet(palette.surface)}
    assert {severity for severity, ground in met if ground in grounds} == set(Severity)
    assert grounds <= {ground for _, ground in met}


@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
def test_every_class_can_be_read_wherever_it_may_be_painted(palette: Palette) -> None:
    for colour, ground in product(palette.classes.values(), (palette.background, palette.surface)):
        assert contrast(triplet(colour), triplet(ground)) >= READABLE, (colour, ground)


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
def test_classes_are_told_apart_with_any_sight(palette: Palette, sight: str) -> None:
    assert set(palette.classes) == set(Severity)
    for (one, left), (other, right) in combinations(palette.classes.items(), 2):
        apart = ciede2000(seen(triplet(left), sight), seen(triplet(right), sight))
        assert apart >= APART, f"{one} and {other}: {apart:.1f}"


def test_the_measures_are_the_published_ones() -> None:
    # Sharma, Wu and Dalal 2005, table 1, pairs 1, 7, 17 and 25; WCAG 2: black on white, and #777 which just fails
    for one, other, told in (
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ):
        assert ciede2000(one, other) == pytest.approx(told, abs=1e-4)
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)
    assert seen((255, 255, 255), "protanopia")[0] == pytest.approx(100, abs=0.1)


@pytest.mark.parametrize("ascii_only", [False, True], ids=["glyphs", "ascii"])
async def test_a_colour_never_stands_without_glyph_and_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ascii_only: bool
) -> None:
    look = Look(definitions(), ascii_only=ascii_only)
    classes = {triplet(colour) for colour in DARK.classes.values()}
    word = re.compile(rf"(?<![\w-])({'|'.join(sorted(look.states, key=len, reverse=True))})(?![\w-])")
    bare, met = set(), set()
    async with painted(tmp_path / "g.db", monkeypatch, ascii=ascii_only) as pilot:
        async for name in tour(pilot):
            for ink in inks(console_of(pilot)):
                if not {ink.colour, ink.ground} & classes:
                    continue
                for found in word.finditer(ink.text):
                    glyphs = {look.glyph(found[1]), look.glyph(found[1], expiring=True)}
                    if ink.text[: found.start()][-2:].strip() in glyphs:
                        met.add(found[1])
                    else:
                        bare.add(f"{name}: {ink.text!r}")
    assert not bare
    assert met == set(look.states)


async def test_the_theme_is_turned_by_a_key_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ground(pilot: Pilot[None]) -> Triplet:
        await settled(pilot)
        found = [ink.ground for ink in inks(console_of(pilot)) if "Changed lately" in ink.text]
        assert found, screen_text(pilot.app)
        return found[0]

    async with painted(tmp_path / "a.db", monkeypatch) as pilot:
        assert await ground(pilot) == triplet(DARK.background)
        await pilot.press("T")
        assert await ground(pilot) == triplet(LIGHT.background)
        assert "light theme, from the next start on, too" in screen_text(pilot.app)
    async with painted(tmp_path / "b.db", monkeypatch) as pilot:
        assert await ground(pilot) == triplet(LIGHT.background)
    async with painted(tmp_path / "c.db", monkeypatch, theme="dark") as pilot:
        assert await ground(pilot) == triplet(DARK.background)
        await pilot.press("colon")
        await settled(pilot)
        await pilot.press(*"theme")
        await pilot.pause(0.5)
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert await ground(pilot) == triplet(LIGHT.background)
    default_path().with_name("console.json").write_text("[1]")
    async with painted(tmp_path / "d.db", monkeypatch) as pilot:
        assert await ground(pilot) == triplet(DARK.background)


async def test_a_theme_that_cannot_be_remembered_is_turned_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("in the way")
    async with painted(tmp_path / "g.db", monkeypatch) as pilot:
        await pilot.press("T")
        await settled(pilot)
        assert console_of(pilot).palette is LIGHT
        assert "not saved:" in screen_text(pilot.app)


@pytest.mark.parametrize("theme", PALETTES)
async def test_without_colour_everything_is_grey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theme: str) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with painted(tmp_path / "g.db", monkeypatch, theme=theme) as pilot:
        for ink in inks(console_of(pilot)):
            assert len(set(ink.colour)) == 1 == len(set(ink.ground)), ink
            if is_text(ink.text):
                assert contrast(ink.colour, ink.ground) >= READABLE, ink


def test_colours_are_named_in_one_file_alone() -> None:
    sources = Path(grantflow_tui.__file__).parent.glob("*.py")
    hexadecimal = re.compile(r"#[0-9A-Fa-f]{6}\b|color=\"")
    assert [path.name for path in sources if hexadecimal.search(path.read_text())] == ["_themes.py"]
