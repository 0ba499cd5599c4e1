"""The detail of one installation: scopes, attempts, clocks, the health of its tokens, and why not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow import Actor, definitions
from grantflow_tui import _detail, _facets
from grantflow_tui._look import Look
from tests.client.stage import on_stage
from tests.tui.fleet import BOB, fleet
from tests.tui.lively import lively

MARIA = Actor.operator("maria")
LOOK = Look(definitions())


async def told(engine: Any, installation: str) -> str:
    """Everything on the page."""
    story = await _detail.read(engine, LOOK, installation, MARIA)
    parts = (_detail.lifecycle(story, LOOK), _detail.facts(story, LOOK, engine.now()))
    return "\n".join(part.plain for part in (*parts, _detail.timeline(story, LOOK), _detail.events(story, LOOK)))


async def test_scopes_are_approved_or_awaited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with lively(tmp_path / "g.db", monkeypatch) as engine:
        (found,) = (await engine.find("scope:?notes.write account:acct07")).items
        text = await told(engine, found.id)
        assert "Scopes · 3 approved, 1 awaiting" in text
        assert "+ notes.write" in text
        assert "✓ tickets.read" in text


async def test_an_attempt_shows_how_far_it_came_and_the_time_left(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        here = (await engine.find()).items[0]
        attempt = await engine.reauthorize(here.id, actor=BOB, code_challenge="x" * 43)
        assert f"{attempt.kind:<10} window  agent:bob  10m left" in await told(engine, here.id)
        await engine.select_account(attempt.id, here.account, actor=BOB)
        engine._core.clock.advance(timedelta(minutes=4))  # type: ignore[attr-defined]
        text = await told(engine, here.id)
        assert "account  agent:bob  6m left" in text
        assert "Open attempts · 1" in text


async def test_a_titles_style_ends_with_it(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        story = await _detail.read(engine, LOOK, (await engine.find()).items[0].id, MARIA)
        for made in (_detail.facts(story, LOOK, engine.now()), _detail.timeline(story, LOOK)):
            assert not made.style
            assert made.spans[0].end == made.plain.index("\n") + 1


async def test_the_next_warning_is_among_the_clocks(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        here = (await engine.find()).items[0]
        assert here.expires_at is not None
        assert here.next_notice_at == here.expires_at - timedelta(days=30)
        assert f"warning    {here.next_notice_at:%Y-%m-%d %H:%M:%S}Z  in 335d" in await told(engine, here.id)


async def test_a_dead_grant_says_when_it_ended_and_nothing_of_a_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lively(tmp_path / "g.db", monkeypatch) as engine:
        (forced,) = (await engine.find("is:forced")).items
        assert forced.expires_at is not None
        assert forced.expires_at > engine.now(), "it was ended before its time"
        assert LOOK.ends(forced) == forced.entered_at
        text = await told(engine, forced.id)
        assert f"ended      {forced.entered_at:%Y-%m-%d %H:%M:%S}Z  7s ago" in text
        assert f"{forced.expires_at:%Y-%m-%d}" not in text
        expired = (await engine.find("state:refresh-expired reason:time")).items[0]
        assert LOOK.ends(expired) == expired.expires_at
        (at_it,) = (await engine.find("state:reauthorizing")).items
        assert LOOK.ends(at_it) == at_it.expires_at
        assert LOOK.ends(replace(at_it, expires_at=engine.now() + timedelta(days=1))) is None, "nobody knows"
        alive = (await engine.find("state:active")).items[0]
        assert LOOK.ends(alive) == alive.expires_at
        (listed,) = [
            line for line in _facets.preview(forced, LOOK, engine.now()).plain.splitlines() if "ended" in line
        ]
        assert listed.startswith("ended 7s ago  entered 7s ago")


async def test_what_may_not_happen_says_why(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        text = await told(engine, (await engine.find()).items[0].id)
        definition = definitions()["agent"]
        for name in definition.outside_events():
            assert f" {name}" in text
        refused = [line for line in text.splitlines() if line.startswith("no  ")]
        assert refused
        assert all(len(line.split(None, 2)) == 3 for line in refused)


async def test_the_health_of_tokens_names_no_token(tmp_path: Path) -> None:
    async with on_stage(tmp_path) as stage:
        granted = await stage.active()
        health = await stage.engine.token_health(granted)
        assert health is not None
        text = await told(stage.engine, granted)
        for expected in ("Tokens", f"generation {health.generation}", "access", "renewal", "identity"):
            assert expected in text


async def test_an_app_of_a_host_has_no_token_panel(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        assert "\nTokens\n" not in await told(engine, (await engine.find()).items[0].id)
