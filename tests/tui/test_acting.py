"""Acting on many: marks and ranges, everything that matches, and bulk jobs with a hand on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from grantflow import Actor, Engine, JobState
from grantflow_tui._browse import BrowseScreen
from grantflow_tui._deed_dialog import DeedDialog
from grantflow_tui._jobs import JobsScreen
from grantflow_tui._list import InstallationList
from grantflow_tui._marks import Marks
from grantflow_tui._menu import VerbMenu
from grantflow_tui._plan_dialog import PlanDialog
from grantflow_tui._window import WINDOW
from tests.tui.fleet import console_on, fleet, screen_text, settled
from tests.tui.hand import OLGA, REASON, at_hand

ACCOUNTS = ("acme", "bolt", "cog", "dyno")


async def planned(engine: Engine, verb: str = "suspend", query: str = "state:active", canary: int = 10) -> str:
    """A bulk job that waits."""
    plan = await engine.ops.preview_bulk(query, verb, actor=OLGA, reason=REASON, canary=canary)
    return (await engine.ops.start_bulk(plan)).id


async def suspended(engine: Engine) -> set[str]:
    return {one.account for one in (await engine.find()).items if one.suspension is not None}


# -- marks ----------------------------------------------------------------------------------------
def test_marks_give_up_single_ones_for_a_filter_and_back() -> None:
    marks = Marks()
    marks.toggle("a")
    marks.all_of("state:active")
    assert (list(marks), marks.everything, bool(marks)) == ([], "state:active", True)
    marks.toggle("b")
    assert (list(marks), marks.everything) == (["b"], None)
    marks.toggle("b")
    assert not marks


async def test_a_range_is_marked_with_v(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db", *ACCOUNTS) as hand:
        screen = hand.app.screen
        assert isinstance(screen, BrowseScreen)
        text = await hand.press("j", "v", "j", "j", "v")
        assert "3 marked (0 hidden)" in text
        rows = {one.id: one.account for one in screen.list.rows.items}
        assert [rows[one] for one in screen.marks] == ["bolt", "cog", "dyno"]
        await hand.press("ctrl+backslash")
        assert not screen.marks
        assert "marked" not in screen_text(hand.app)


async def test_a_range_reaches_beyond_what_is_read_and_both_ways(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db", copies=700) as engine:
        app = console_on(engine)
        async with app.run_test(size=(120, 36)) as pilot:
            for begins, ends in (("g", "G"), ("G", "g")):
                await pilot.press("2", begins)
                await settled(pilot)
                await pilot.press("v", ends)
                await settled(pilot)
                assert len(app.screen.query_one(InstallationList).rows.items) <= 3 * WINDOW
                await pilot.press("v")
                await settled(pilot)
                assert "701 marked (0 hidden)" in screen_text(app)
                await pilot.press("ctrl+backslash")
                await settled(pilot)


async def test_a_range_that_began_elsewhere_or_too_far_away_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grantflow_tui._marking.MAX_BULK", 600)
    async with fleet(tmp_path / "g.db", copies=700) as engine:
        app = console_on(engine)
        async with app.run_test(size=(160, 36)) as pilot:
            await pilot.press("2", "v", "G")
            await settled(pilot)
            await pilot.press("v")
            await settled(pilot)
            assert "it begins here now" in screen_text(app)
            await pilot.press("slash", *"account:acct0000*", "enter")
            await settled(pilot)
            await pilot.press("v")
            await settled(pilot)
            assert "it begins here now" in screen_text(app)
            await pilot.press("j", "j", "v")
            await settled(pilot)
            assert "3 marked (0 hidden)" in screen_text(app)


async def test_everything_that_matches_is_the_filter_and_not_the_rows(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db", *ACCOUNTS) as hand:
        assert "a filter is needed" in await hand.press("asterisk")
        await hand.filter("account:acme,bolt")
        assert "all that match are marked: account:acme,bolt" in await hand.press("asterisk")
        await hand.filter("account:dyno")  # another filter on screen is not what is marked
        await hand.press("a")
        menu = hand.app.screen
        assert isinstance(menu, VerbMenu)
        assert "all that match account:acme,bolt" in screen_text(hand.app)
        await hand.choose("suspend")
        await hand.fill(typed="2")
        await hand.press("f9")
        assert await suspended(hand.engine) == {"acme", "bolt"}


async def test_more_marks_than_a_filter_holds_ids_are_planned_by_id(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db", *(f"a{number:03}" for number in range(70))) as hand:
        await hand.press("v", "G", "v")
        assert "70 marked (0 hidden)" in screen_text(hand.app)
        await hand.press("b")
        await hand.choose("suspend")
        await hand.fill(typed="70")
        await hand.press("f9")
        (job,) = await hand.engine.ops.jobs()
        assert (job.applied, job.filter) == (70, "70 chosen by id")


async def test_without_marks_and_filter_bulk_says_what_is_missing(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        assert "nothing is marked" in await hand.press("b")


# -- bulk -----------------------------------------------------------------------------------------
async def test_a_plan_says_what_is_left_out_and_why(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db", *ACCOUNTS) as hand:
        first = (await hand.engine.find("account:acme")).items[0]
        await hand.engine.suspend(first.id, actor=OLGA, reason="suspended before")
        await hand.filter("state:active")
        await hand.press("b")
        await hand.choose("suspend")
        dialog = await hand.fill()
        assert isinstance(dialog, PlanDialog)
        text = screen_text(hand.app)
        assert "Plan: 3 rows would be done, 1 left out" in text
        assert dialog.plan is not None
        ((why, count),) = dialog.plan.refused.items()
        assert count == 1
        assert "suspended already" in why
        assert f"1 left out: {why[:30]}" in text
        assert "Sample of 3" in text


async def test_a_row_that_moves_after_the_plan_is_left_alone(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db", *ACCOUNTS) as hand:
        await hand.filter("state:active")
        await hand.press("b")
        await hand.choose("force", "unauthorized")
        await hand.fill(typed="4")
        moved = (await hand.engine.find("account:bolt")).items[0]
        await hand.engine.suspend(moved.id, actor=Actor.system(), reason="somebody else")
        await hand.press("f9")
        (job,) = await hand.engine.ops.jobs()
        assert (job.outdated, job.applied) == (1, 3)
        assert (await hand.engine.get(moved.id)).state == "active"


async def test_a_scheduler_at_work_is_left_to_run_the_job(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db", *ACCOUNTS) as hand:
        await hand.engine.beat("scheduler")
        await hand.filter("state:active")
        await hand.press("b")
        await hand.choose("suspend")
        await hand.fill(typed="4")
        assert "the scheduler runs it" in await hand.press("f9")
        (job,) = await hand.engine.ops.jobs()
        assert job.state is JobState.WAITING
        assert "a scheduler is at work" in await hand.press("5")


# -- jobs -----------------------------------------------------------------------------------------
async def test_a_job_is_paused_resumed_and_cancelled_by_dialogs(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db", *ACCOUNTS) as hand:
        job = await planned(hand.engine)
        text = await hand.press("5")
        assert "no scheduler is at work; grantflow jobs run does what waits" in text
        assert "resume: the job is waiting" in await hand.press("u")
        await hand.press("P")
        await hand.fill()
        assert "the job is paused" in await hand.press("f9")
        assert (await hand.engine.ops.job(job)).state is JobState.PAUSED
        await hand.press("u")
        await hand.fill()
        assert "this console runs it" in await hand.press("f9")
        await settled(hand.pilot)
        assert (await hand.engine.ops.job(job)).state is JobState.DONE
        assert await suspended(hand.engine) == set(ACCOUNTS)
        assert "cancel: the job is done" in await hand.press("x")
        other = await planned(hand.engine, "unsuspend")
        await hand.press("r", "g", "x")
        assert isinstance(hand.app.screen, DeedDialog)
        assert "IRREVERSIBLE" in screen_text(hand.app)
        await hand.fill()
        await hand.press("f9")
        assert (await hand.engine.ops.job(other)).state is JobState.CANCELLED


async def test_failures_are_shown_opened_as_a_filter_and_retried(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db", *ACCOUNTS) as hand:
        job = await planned(hand.engine, canary=0)
        moved = (await hand.engine.find("account:cog")).items[0]
        await hand.engine.ops.force(moved.id, to="refresh-expired", actor=OLGA, reason="for the test")
        await hand.engine.run_jobs()
        text = await hand.press("5")
        assert "3 applied · 0 refused · 1 outdated" in text
        assert "outdated:" in text
        await hand.press("enter")
        screen = hand.app.screen
        assert isinstance(screen, BrowseScreen)
        assert screen.filter == f"id:{moved.id}"
        await hand.press("5", "R")
        await hand.fill()
        assert "this console runs it" in await hand.press("f9")
        newest = (await hand.engine.ops.jobs())[0]
        assert (newest.retries, newest.total, newest.applied) == (job, 1, 1)
        assert "cog" in await suspended(hand.engine)


async def test_the_cursor_stays_on_its_job_when_newer_ones_come(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db", *ACCOUNTS) as hand:
        first = await planned(hand.engine)
        await hand.press("5")
        second = await planned(hand.engine, "suspend", "account:acme")
        await hand.press("r")
        screen = hand.app.screen
        assert isinstance(screen, JobsScreen)
        assert screen.chosen is not None
        assert screen.chosen.id == first
        await hand.press("g")
        assert screen.chosen.id == second


@pytest.mark.parametrize("key", ["P", "x", "R", "u"])
async def test_no_job_no_hand_on_it(tmp_path: Path, key: str) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        await hand.press("5")
        assert "there is no job" in await hand.press(key)


async def test_the_attempt_of_a_person_is_closed_from_the_menu(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        here = (await hand.engine.find()).items[0]
        await hand.engine.ops.force(here.id, to="refresh-expired", actor=OLGA, reason="for the test")
        await hand.engine.reauthorize(here.id, actor=Actor.agent("bob"), code_challenge="c" * 43)
        await hand.press("r", "a")
        await hand.choose("cancel attempt")
        await hand.fill()
        assert "the attempt is closed" in await hand.press("f9")
        assert [one.outcome for one in await hand.engine.attempts(here.id) if one.outcome is None] == []


async def test_an_app_is_held_and_resumed(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        await hand.press("a")
        await hand.choose("hold app")
        await hand.fill(typed="agent-app")
        assert "agent-app is held everywhere" in await hand.press("f9")
        assert await hand.engine.apps.held() == {"agent-app": REASON}
        await hand.press("a")
        await hand.choose("resume app")
        await hand.fill()
        assert "agent-app works again" in await hand.press("f9")
        assert await hand.engine.apps.held() == {}


async def test_write_mode_ends_by_its_key(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        assert hand.app.writable
        assert "READ mode" in await hand.press("W")
        assert not hand.app.writable
