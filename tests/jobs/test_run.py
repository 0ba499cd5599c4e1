"""A job does what its plan said, row by row, and stops where its rules or its operator say so."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow import Actor, Installation, JobOutcome, JobState, KeyRing, Refusal
from grantflow.errors import (
    BadInput,
    DatabaseError,
    NotFound,
    PermissionDenied,
    PlanOutdated,
    Quarantined,
    TransitionRefused,
)
from grantflow.testing import ForeignServer, People, grant
from grantflow_scheduler._daemon import run_duty
from tests.jobs.conftest import Forty
from tests.jobs.fleet import (
    EVERY,
    LEASE,
    OLGA,
    REASON,
    after_rows,
    filled,
    opened,
    plan_of,
    rows,
    started,
    transitions,
)

HOSTILE = 'it\'s "fine"; DROP TABLE grantflow_job; -- \x1b[31m \N{RIGHT-TO-LEFT OVERRIDE}'


def not_these(*accounts: str) -> Any:
    """A policy of the host that forbids some accounts, row by row."""

    def policy(_: Actor, __: str, installation: Installation | None) -> bool | Refusal:
        if installation is not None and installation.account in accounts:
            return Refusal("this one is protected")
        return True

    return policy


async def outcomes(forty: Forty, job: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for item in await forty.engine.ops.job_items(job):
        found.setdefault(item.outcome.value, []).append(item.ordinal)
    return found


async def test_every_row_is_applied_once_under_the_jobs_name(forty: Forty) -> None:
    told: list[tuple[int, int]] = []
    job = await started(forty.engine)
    assert (job.state, job.pending, job.running) == (JobState.WAITING, 40, False)
    report = await forty.engine.run_jobs(progress=lambda done, total: told.append((done, total)))
    assert (report.jobs, report.applied, report.failed) == ((job.id,), 40, 0)
    assert told == [(10, 40), (40, 40)]
    done = await forty.engine.ops.job(job.id)
    assert (done.state, done.applied, done.pending, done.running) == (JobState.DONE, 40, 0, False)
    assert done.ended_at is not None
    assert transitions(forty.file, "suspend") == dict.fromkeys(forty.ids, 1)
    [last] = await forty.engine.history(forty.ids[7], limit=1)
    assert (last.run_id, last.actor, last.reason) == (job.id, "operator:olga", REASON)
    assert (await forty.engine.run_jobs()).jobs == ()


async def test_a_row_that_moved_since_the_plan_is_left_alone(forty: Forty) -> None:
    plan = await plan_of(forty.engine, "force", to="refresh-expired", canary=2)
    await forty.engine.suspend(forty.ids[20], actor=OLGA, reason=REASON)
    job = await forty.engine.ops.start_bulk(plan)
    report = await forty.engine.run_jobs()
    assert (report.applied, report.outdated) == (39, 1)
    [item] = await forty.engine.ops.job_items(job.id, outcome="outdated")
    assert (item.installation, item.version) == (forty.ids[20], 1)
    assert "from version 1 to 2" in item.detail
    assert (await forty.engine.get(forty.ids[20])).state == "unauthorized"


async def test_a_machine_that_changed_since_the_plan_is_not_trusted(forty: Forty) -> None:
    plan = replace(await plan_of(forty.engine), fingerprints=("another",))
    await forty.engine.ops.start_bulk(plan)
    assert (await forty.engine.run_jobs()).outdated == 10, "and the canary stops it"
    assert transitions(forty.file, "suspend") == {}


async def test_the_rest_waits_for_a_canary_without_a_fault(forty: Forty) -> None:
    job = await started(forty.engine, canary=5)
    forty.engine._core.policy = not_these("a00002")
    await forty.engine.run_jobs()
    stopped = await forty.engine.ops.job(job.id)
    assert (stopped.state, stopped.applied, stopped.refused, stopped.pending) == (JobState.STOPPED, 4, 1, 35)
    assert stopped.why == "1 of the first 5 rows were not applied"
    assert (await forty.engine.run_jobs()).jobs == (), "it does not go on by itself"
    resumed = await forty.engine.ops.resume_job(job.id, actor=OLGA, reason=REASON)
    assert (resumed.state, resumed.why) == (JobState.RUNNING, None)
    await forty.engine.run_jobs()
    done = await forty.engine.ops.job(job.id)
    assert (done.state, done.applied, done.refused) == (JobState.DONE, 39, 1)


async def test_a_job_stops_at_too_many_failures_and_not_a_row_later(forty: Forty) -> None:
    job = await started(forty.engine, canary=3, stop_after=2, stop_share=0.05)
    forty.engine._core.policy = not_these(*(f"a{n:05}" for n in range(6, 40, 2)))
    await forty.engine.run_jobs()
    stopped = await forty.engine.ops.job(job.id)
    assert (stopped.state, stopped.applied, stopped.refused) == (JobState.STOPPED, 7, 2), "6 and 8 are refused"
    assert stopped.why == "2 of 9 rows were refused or failed"
    assert len(transitions(forty.file, "suspend")) == 7
    await forty.engine.ops.resume_job(job.id, actor=OLGA, reason=REASON)
    await forty.engine.run_jobs()
    again = await forty.engine.ops.job(job.id)
    assert (again.state, again.refused) == (JobState.STOPPED, 4), "what was forgiven does not count twice"
    assert again.why == "2 of 4 rows were refused or failed"


async def test_a_small_share_of_failures_does_not_stop_it(forty: Forty) -> None:
    job = await started(forty.engine, canary=0, stop_after=1, stop_share=0.2)
    forty.engine._core.policy = not_these("a00020", "a00030")
    await forty.engine.run_jobs()
    assert (await forty.engine.ops.job(job.id)).state is JobState.DONE


async def test_a_row_that_cannot_be_understood_fails_and_is_set_aside(forty: Forty) -> None:
    job = await started(forty.engine)
    rows(forty.file, "UPDATE grantflow_installation SET state = 'bogus' WHERE public_id = ?", forty.ids[15])
    await forty.engine.run_jobs()
    done = await forty.engine.ops.job(job.id)
    assert (done.state, done.applied, done.failed) == (JobState.DONE, 39, 1)
    assert (await forty.engine.get(forty.ids[15])).quarantined
    [item] = await forty.engine.ops.job_items(job.id, outcome=JobOutcome.FAILED)
    assert "bogus" in item.detail


async def test_a_row_that_no_statement_can_put_together_costs_no_other(tmp_path: Path) -> None:
    maria = Actor.admin("maria")
    async with opened(tmp_path / "g.db", directory=People({maria: ["a00012"]})) as engine:
        ids = await filled(engine, 15)
        attempt = await engine.authorize("account-app", actor=maria, account="a00012", code_challenge="x" * 43)
        assert (await engine.attempts(ids[12]))[0].id == attempt.id
        job = await started(engine, canary=5)
        rows(tmp_path / "g.db", "UPDATE grantflow_attempt SET requested = X'00'")
        await engine.run_jobs()
        done = await engine.ops.job(job.id)
        assert (done.state, done.applied, done.failed) == (JobState.DONE, 14, 1)
        [item] = await engine.ops.job_items(job.id, outcome="failed")
        assert item.installation == ids[12]
        plan = await plan_of(engine, "remind")
        assert ids[12] in {one.installation for one in plan.refusals}
        with pytest.raises(TransitionRefused, match="nothing to do"):
            await engine.ops.retry_job(job.id, actor=OLGA, reason=REASON)


async def test_a_database_that_fails_is_not_the_rows_fault(forty: Forty, monkeypatch: pytest.MonkeyPatch) -> None:
    job, transact = await started(forty.engine, canary=0), forty.engine._core.store.transact
    failing = [True]

    async def broken(load: Any, work: Any) -> Any:
        if load.ordinal == 7 and failing:
            raise DatabaseError
        return await transact(load, work)

    monkeypatch.setattr(forty.engine._core.store, "transact", broken)
    with pytest.raises(DatabaseError):
        await forty.engine.run_jobs()
    left = await forty.engine.ops.job(job.id)
    assert (left.failed, left.applied, left.running) == (0, 39, False)
    failing.clear()
    await forty.engine.run_jobs()
    assert (await forty.engine.ops.job(job.id)).applied == 40
    assert transitions(forty.file, "suspend") == dict.fromkeys(forty.ids, 1)


async def test_a_row_that_is_gone_fails(forty: Forty) -> None:
    job = await started(forty.engine)
    rows(forty.file, "DELETE FROM grantflow_installation WHERE public_id = ?", forty.ids[39])
    await forty.engine.run_jobs()
    [item] = await forty.engine.ops.job_items(job.id, outcome="failed")
    assert (item.installation, item.detail) == (forty.ids[39], "there is no such installation")


async def test_the_policy_is_asked_again_about_every_row(forty: Forty) -> None:
    job = await started(forty.engine, canary=0, stop_after=3)
    asked: list[tuple[Actor, str, str]] = []

    def dismissed(actor: Actor, verb: str, installation: Installation | None) -> Refusal:
        asked.append((actor, verb, "" if installation is None else installation.id))
        return Refusal("no operator any more")

    forty.engine._core.policy = dismissed
    await forty.engine.run_jobs()
    assert set(asked) == {(OLGA, "suspend", name) for name in forty.ids}
    stopped = await forty.engine.ops.job(job.id)
    assert (stopped.state, stopped.refused, stopped.applied) == (JobState.STOPPED, 3, 0)
    assert {item.detail for item in await forty.engine.ops.job_items(job.id, outcome="refused")} == {
        "no operator any more"
    }


async def test_a_pause_holds_across_a_restart(tmp_path: Path, forty: Forty) -> None:
    job = await started(forty.engine, canary=4)

    async def pause() -> None:
        await forty.engine.ops.pause_job(job.id, actor=OLGA, reason="lunch is on the table")

    tasks: list[asyncio.Task[None]] = []
    await forty.engine.run_jobs(progress=after_rows(4, lambda: tasks.append(asyncio.create_task(pause()))))
    await asyncio.gather(*tasks)
    paused = await forty.engine.ops.job(job.id)
    assert (paused.state, paused.why) == (JobState.PAUSED, "lunch is on the table")
    assert 4 <= paused.applied < 40
    async with opened(forty.file, timedelta(days=3)) as later:
        assert (await later.run_jobs()).jobs == ()
        await later.ops.resume_job(job.id, actor=OLGA, reason=REASON)
        await later.run_jobs()
        assert (await later.ops.job(job.id)).applied == 40
    assert transitions(forty.file, "suspend") == dict.fromkeys(forty.ids, 1)


async def test_a_pause_in_the_canary_goes_back_to_the_canary(forty: Forty) -> None:
    job = await started(forty.engine, canary=4)
    await forty.engine.ops.pause_job(job.id, actor=OLGA, reason=REASON)
    assert (await forty.engine.ops.resume_job(job.id, actor=OLGA, reason=REASON)).state is JobState.CANARY
    with pytest.raises(TransitionRefused):
        await forty.engine.ops.resume_job(job.id, actor=OLGA, reason=REASON)
    await forty.engine.run_jobs()
    assert (await forty.engine.ops.job(job.id)).state is JobState.DONE


async def test_what_a_cancelled_job_has_done_stays_done(forty: Forty) -> None:
    job = await started(forty.engine, canary=5)
    forty.engine._core.policy = not_these("a00001")
    await forty.engine.run_jobs()
    ended = await forty.engine.ops.cancel_job(job.id, actor=OLGA, reason=REASON)
    assert (ended.state, ended.applied, ended.pending) == (JobState.CANCELLED, 4, 35)
    assert ended.ended_at is not None
    assert (await forty.engine.run_jobs()).jobs == ()
    for steer in (forty.engine.ops.cancel_job, forty.engine.ops.pause_job, forty.engine.ops.resume_job):
        with pytest.raises(TransitionRefused, match="the job is cancelled"):
            await steer(job.id, actor=OLGA, reason=REASON)
    told = [(action.verb, action.outcome) for _, action in await forty.engine.ops.actions(limit=4)]
    refused = [("resume-job", "refused"), ("pause-job", "refused"), ("cancel-job", "refused")]
    assert told == [*refused, ("cancel-job", "applied")]


async def test_failures_are_retried_as_they_are_now(forty: Forty) -> None:
    job = await started(forty.engine, canary=0, stop_after=40)
    await forty.engine.suspend(forty.ids[3], actor=OLGA, reason=REASON)  # outdated, and then there is nothing to do
    forty.engine._core.policy = not_these("a00005", "a00006")
    await forty.engine.run_jobs()
    assert await outcomes(forty, job.id) == {
        "applied": [n for n in range(40) if n not in {3, 5, 6}],
        "outdated": [3],
        "refused": [5, 6],
    }
    forty.engine._core.policy = None
    again = await forty.engine.ops.retry_job(job.id, actor=OLGA, reason="they are free now")
    assert (again.retries, again.total, again.reason) == (job.id, 2, "they are free now")
    await forty.engine.run_jobs()
    assert (await forty.engine.ops.job(again.id)).applied == 2
    assert transitions(forty.file, "suspend") == dict.fromkeys(forty.ids, 1)
    with pytest.raises(TransitionRefused, match="nothing to do"):
        await forty.engine.ops.retry_job(again.id, actor=OLGA, reason=REASON)


async def test_a_job_under_way_is_not_retried(forty: Forty) -> None:
    job = await started(forty.engine)
    with pytest.raises(TransitionRefused, match="waiting"):
        await forty.engine.ops.retry_job(job.id, actor=OLGA, reason=REASON)


async def test_a_plan_is_started_once(forty: Forty) -> None:
    plan = await plan_of(forty.engine, "remind")
    assert (await forty.engine.ops.start_bulk(plan)).id == plan.id
    with pytest.raises(PlanOutdated, match="started before"):
        await forty.engine.ops.start_bulk(plan)
    await forty.engine.run_jobs()
    reminded = "SELECT count(*) FROM grantflow_outbox WHERE name = 'installation.reminded'"
    assert rows(forty.file, reminded) == [(40,)]


async def test_a_plan_without_rows_is_no_job(forty: Forty) -> None:
    with pytest.raises(TransitionRefused, match="nothing to do"):
        await started(forty.engine, "disconnect")
    assert await forty.engine.ops.jobs() == ()


async def test_a_job_is_not_run_before_all_its_rows_are_written(
    forty: Forty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grantflow._bulk._CHUNK", 15)
    plan, transact, seen = await plan_of(forty.engine), forty.engine._core.store.transact, 0

    async def interrupted(load: Any, work: Any) -> Any:
        nonlocal seen
        seen += load.job is not None
        if seen == 3:  # the job, fifteen rows, and then the process is no more
            raise KeyboardInterrupt
        return await transact(load, work)

    monkeypatch.setattr(forty.engine._core.store, "transact", interrupted)
    with pytest.raises(KeyboardInterrupt):
        await forty.engine.ops.start_bulk(plan)
    monkeypatch.setattr(forty.engine._core.store, "transact", transact)
    half = await forty.engine.ops.job(plan.id)
    assert (half.state, len(await forty.engine.ops.job_items(plan.id))) == (JobState.PREPARING, 15)
    assert (await forty.engine.run_jobs()).jobs == ()
    assert (await forty.engine.ops.job(plan.id)).state is JobState.PREPARING, "its maker may still be at it"
    async with opened(forty.file, LEASE + timedelta(seconds=1)) as later:
        assert (await later.run_jobs()).applied == 0
        ended = await later.ops.job(plan.id)
    assert (ended.state, ended.why) == (JobState.CANCELLED, "whoever made it never wrote all its rows")
    assert transitions(forty.file, "suspend") == {}


async def test_the_rows_of_a_large_job_are_all_written(forty: Forty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grantflow._bulk._CHUNK", 7)
    job = await started(forty.engine)
    assert [item.ordinal for item in await forty.engine.ops.job_items(job.id)] == [*range(40)]
    assert [item.ordinal for item in await forty.engine.ops.job_items(job.id, after=36)] == [37, 38, 39]
    assert len(await forty.engine.ops.job_items(job.id, limit=9)) == 9


async def test_jobs_run_in_the_order_they_were_made_or_one_alone(forty: Forty) -> None:
    first, second = await started(forty.engine, "remind"), await started(forty.engine)
    assert [job.id for job in await forty.engine.ops.jobs()] == [second.id, first.id]
    assert [job.id for job in await forty.engine.ops.jobs(before=second.id)] == [first.id]
    assert (await forty.engine.run_jobs(job=second.id)).jobs == (second.id,)
    assert (await forty.engine.ops.job(first.id)).state is JobState.WAITING
    assert (await forty.engine.run_jobs()).jobs == (first.id,)


async def test_a_budget_ends_a_call_and_the_next_one_goes_on(forty: Forty) -> None:
    job = await started(forty.engine, canary=4)
    clock: Any = forty.engine._core.clock
    await forty.engine.run_jobs(
        budget=timedelta(seconds=1), progress=lambda *_: clock.advance(timedelta(seconds=2)) and None
    )
    half = await forty.engine.ops.job(job.id)
    assert (half.state, half.applied, half.running) == (JobState.RUNNING, 4, False), "the lease was given back"
    await forty.engine.run_jobs()
    assert (await forty.engine.ops.job(job.id)).applied == 40


async def test_who_is_told_to_stop_gives_the_job_back(forty: Forty) -> None:
    job = await started(forty.engine, canary=4)
    ended: list[bool] = []
    await forty.engine.run_jobs(progress=after_rows(4, lambda: ended.append(True)), stop=lambda: bool(ended))
    half = await forty.engine.ops.job(job.id)
    assert (half.applied, half.running) == (4, False)


async def test_who_is_cancelled_gives_the_job_back(forty: Forty) -> None:
    job = await started(forty.engine, canary=4)

    def end() -> None:
        task.cancel()

    task = asyncio.create_task(forty.engine.run_jobs(progress=after_rows(4, end)))
    with pytest.raises(asyncio.CancelledError):
        await task
    half = await forty.engine.ops.job(job.id)
    assert (half.pending > 0, half.running) == (True, False), "nobody waits for a lease to run out"
    await forty.engine.run_jobs()
    assert transitions(forty.file, "suspend") == dict.fromkeys(forty.ids, 1)


async def test_the_scheduler_runs_what_was_queued(forty: Forty) -> None:
    job = await started(forty.engine)
    await run_duty(forty.engine, "jobs")
    assert (await forty.engine.ops.job(job.id)).state is JobState.DONE


async def test_a_hostile_reason_is_data(forty: Forty) -> None:
    plan = (await plan_of(forty.engine)).confirmed(HOSTILE)
    job = await forty.engine.ops.start_bulk(plan)
    await forty.engine.run_jobs()
    assert (await forty.engine.ops.job(job.id)).reason == HOSTILE
    [last] = await forty.engine.history(forty.ids[0], limit=1)
    assert last.reason == HOSTILE


async def test_a_short_reason_or_another_actor_starts_nothing(forty: Forty) -> None:
    plan = await plan_of(forty.engine)
    with pytest.raises(BadInput, match="8 characters"):
        await forty.engine.ops.start_bulk(plan.confirmed("short"))
    with pytest.raises(PermissionDenied):
        await forty.engine.ops.start_bulk(replace(plan, actor=Actor.user("mallory")))
    assert await forty.engine.ops.jobs() == ()


async def test_unknown_jobs_and_outcomes_are_told_apart(forty: Forty) -> None:
    with pytest.raises(NotFound):
        await forty.engine.ops.job("nothing")
    with pytest.raises(NotFound):
        await forty.engine.ops.pause_job("nothing", actor=OLGA, reason=REASON)
    job = await started(forty.engine)
    with pytest.raises(BadInput, match="no outcome"):
        await forty.engine.ops.job_items(job.id, outcome="bogus")
    with pytest.raises(BadInput, match="ordinal"):
        await forty.engine.ops.job_items(job.id, after="x")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(BadInput, match="before"):
        await forty.engine.ops.jobs(before="\ud800")
    with pytest.raises(BadInput):
        await forty.engine.ops.jobs(limit=0)


async def test_rows_that_were_set_aside_are_repaired_together(forty: Forty) -> None:
    for name in forty.ids[:12]:
        rows(forty.file, "UPDATE grantflow_installation SET state = 'bogus' WHERE public_id = ?", name)
        with pytest.raises(Quarantined):
            await forty.engine.suspend(name, actor=OLGA, reason=REASON)
    plan = await plan_of(forty.engine, "repair", "is:quarantined")
    assert (plan.count, plan.targets) == (12, {"unauthorized": 12})
    await forty.engine.ops.start_bulk(plan)
    assert (await forty.engine.run_jobs()).applied == 12
    assert rows(forty.file, "SELECT count(*) FROM grantflow_quarantine") == [(0,)]
    assert not (await forty.engine.get(forty.ids[0])).quarantined


async def test_grants_of_a_foreign_server_are_probed_together(tmp_path: Path) -> None:
    bob, server = Actor.agent("bob"), ForeignServer()
    accounts = [f"p{n}" for n in range(4)]
    keys = KeyRing.parse(KeyRing.new_key())
    async with opened(tmp_path / "p.db", directory=People({bob: accounts}), keys=keys, http=server) as engine:
        await engine.apps.register(server.app("crm"))
        for account in accounts:
            await engine.apps.install("crm", account, actor=Actor.system())
            await grant(engine, server, "crm", account, actor=bob)
        server.alive.clear()  # one of them lives on
        server.faults = []
        job = await started(engine, "probe", "app:crm", canary=1)
        before = len(server.asked)
        await engine.run_jobs()
        done = await engine.ops.job(job.id)
        assert len(server.asked) == before + 4
        assert (done.state, done.applied) == (JobState.DONE, 4), "a probe that hears of a death has its answer"
        details = {item.detail.split(":")[0] for item in await engine.ops.job_items(job.id)}
        assert details == {"dead"}
        assert (await engine.counts()).by_state == {"refresh-expired": 4}


async def test_a_server_that_does_not_answer_stops_the_probes(tmp_path: Path) -> None:
    bob, server = Actor.agent("bob"), ForeignServer()
    accounts = [f"p{n}" for n in range(8)]
    keys = KeyRing.parse(KeyRing.new_key())
    async with opened(tmp_path / "p.db", directory=People({bob: accounts}), keys=keys, http=server) as engine:
        await engine.apps.register(server.app("crm"))
        for account in accounts:
            await engine.apps.install("crm", account, actor=Actor.system())
            await grant(engine, server, "crm", account, actor=bob)
        job = await started(engine, "probe", "app:crm", canary=2)
        server.faults = [server.says(503) for _ in range(20)]
        before = len(server.asked)
        await engine.run_jobs()
        stopped = await engine.ops.job(job.id)
        assert (stopped.state, stopped.failed, stopped.pending) == (JobState.STOPPED, 2, 6)
        assert len(server.asked) == before + 2, "nobody is asked beyond the canary"


async def test_a_job_has_the_rows_of_its_filter_alone(forty: Forty) -> None:
    job = await started(forty.engine, filter=f"{EVERY} account:a0000*")
    assert job.total == 10
