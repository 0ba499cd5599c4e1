"""A host's own charts for the command line and the console: GRANTFLOW_CHARTS=module:NAME."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from examples.approval_chart import CHARTS as OURS
from grantflow import Actor, Engine, charts_from_env
from grantflow.errors import ConfigurationError
from grantflow.testing import People, authorize, sample_app
from tests.cli.fleet import Command
from tests.tui.fleet import console_on, screen_text, settled

NAME = "examples.approval_chart:CHARTS"
BOB, MARIA = Actor.agent("bob"), Actor.admin("maria")


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """(database, an installation that waits for an approval)."""
    url = f"sqlite:///{tmp_path / 'own.db'}"
    monkeypatch.setenv("GRANTFLOW_DATABASE", url)

    async def make() -> str:
        async with Engine.open(url, charts=OURS, directory=People({BOB: ["acme"], MARIA: ["acme"]})) as engine:
            await engine.apps.register(sample_app("agent"))
            await engine.apps.install("agent-app", "acme", actor=MARIA)
            return (await authorize(engine, "agent-app", "acme", actor=BOB)).installation

    return url, asyncio.run(make())


@pytest.fixture
def named(grantflow: Command, waiting: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("GRANTFLOW_DATABASE", waiting[0])
    monkeypatch.setenv("GRANTFLOW_CHARTS", NAME)
    return grantflow


def test_a_state_of_the_hosts_own_is_found_explained_and_forced(named: Command, waiting: tuple[str, str]) -> None:
    listed = json.loads(named("list", "state:pending-approval", "--json").out)["items"]
    assert [row["id"] for row in listed] == [waiting[1]]
    assert "◔ pending-approval" in named("show", waiting[1]).out
    assert "pending-approval" in named("machines", "show", "agent").out
    assert "approve does not happen" in named("explain", waiting[1], "approve").out
    done = named("force", waiting[1], "--to", "uninstalled", "--reason", "nobody approved it", "--yes")
    assert done.code == 0, done.err
    assert json.loads(named("show", waiting[1], "--json").out)["state"] == "uninstalled"


def test_a_live_state_of_the_hosts_own_counts_as_live(named: Command, waiting: tuple[str, str]) -> None:
    assert json.loads(named("list", "expires:<400d", "--json").out)["count"] == 1
    assert json.loads(named("list", "sort:expires", "--json").out)["count"] == 1
    assert json.loads(named("forecast", "--spans", "14", "--json").out)["total"] == 1

    async def ends() -> int:
        async with Engine.open(waiting[0], charts=OURS) as engine:
            return sum(count for _, count in await engine.horizon(spans=14))

    assert asyncio.run(ends()) == 1


def test_without_the_name_the_state_is_strange_and_nothing_is_written(
    named: Command, waiting: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRANTFLOW_CHARTS")
    assert json.loads(named("show", waiting[1], "--json").out)["stored_state"] == "pending-approval"
    assert named("list", "state:pending-approval").code == 2
    assert json.loads(named("sweep", "--json").out)["moved"] == 0
    monkeypatch.setenv("GRANTFLOW_CHARTS", NAME)
    assert json.loads(named("show", waiting[1], "--json").out)["quarantined"] is None


@pytest.mark.parametrize(
    "name", ["nowhere:CHARTS", "json:CHARTS", "json", "json:dumps", ":", "tests.cli.fleet:LONG_AGO"]
)
def test_a_name_that_leads_nowhere_is_told(name: str, grantflow: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRANTFLOW_CHARTS", name)
    with pytest.raises(ConfigurationError):
        charts_from_env()
    answer = grantflow("list")
    assert answer.code == 2
    assert "GRANTFLOW_CHARTS" in answer.err
    assert "module:NAME" in answer.err


async def test_the_console_knows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRANTFLOW_CHARTS", NAME)
    people = People({BOB: ["acme"], MARIA: ["acme"]})
    async with Engine.open(f"sqlite:///{tmp_path / 'g.db'}", charts=OURS, directory=people) as engine:
        await engine.apps.register(sample_app("agent"))
        await engine.apps.install("agent-app", "acme", actor=MARIA)
        await authorize(engine, "agent-app", "acme", actor=BOB)
        app = console_on(engine)
        async with app.run_test(size=(120, 36)) as pilot:
            await settled(pilot)
            assert re.search(r"\S pending-approval +1 100.0%", screen_text(app))
            await pilot.press("2", "enter")
            await settled(pilot)
            drawn = screen_text(app)
            assert "approve" in drawn
            assert "quarantined" not in drawn
