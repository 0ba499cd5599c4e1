"""A plan is frozen, bounded and honest: it says what the machine would do, and nothing is written but the audit."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from grantflow import Actor, Refusal
from grantflow.errors import BadInput, FilterSyntaxError, PermissionDenied
from tests.jobs.conftest import Forty
from tests.jobs.fleet import EVERY, FILTER, OLGA, REASON, filled, opened, plan_of, rows


def content(forty: Forty) -> list[tuple[object, ...]]:
    names = rows(forty.file, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%action'")
    return [(name, *row) for (name,) in names for row in rows(forty.file, f"SELECT * FROM {name}")]


async def test_a_plan_freezes_ids_and_versions_and_writes_the_audit_alone(forty: Forty) -> None:
    before = content(forty)
    plan = await plan_of(forty.engine)
    assert [row.installation for row in plan.rows] == forty.ids
    assert {row.version for row in plan.rows} == {1}
    assert (plan.count, plan.states, plan.targets) == (40, {"unauthorized": 40}, {"unauthorized": 40})
    assert len(plan.sample) == 20
    assert "sends the notice installation.suspended" in plan.sample[0].effects
    assert content(forty) == before
    [(_, action)] = await forty.engine.ops.actions(limit=1)
    assert (action.verb, action.target, action.outcome) == ("bulk-suspend", FILTER, "previewed")
    with pytest.raises(FrozenInstanceError):
        plan.count = 1  # type: ignore[misc]  # that is the point
    assert forty.ids[30] not in repr(plan), "a plan of many stays short"


async def test_what_the_machine_refuses_is_left_out_with_its_reason(forty: Forty) -> None:
    for name in forty.ids[:3]:
        await forty.engine.suspend(name, actor=OLGA, reason=REASON)
    plan = await plan_of(forty.engine)
    assert plan.count == 37
    [(why, count)] = plan.refused.items()
    assert count == 3
    assert "suspended already" in why
    assert {one.installation for one in plan.refusals} == set(forty.ids[:3])


async def test_force_tells_what_cannot_be_taken_back(forty: Forty) -> None:
    plan = await plan_of(forty.engine, "force", to="uninstalled")
    assert (plan.irreversible, plan.targets) == (40, {"uninstalled": 40})
    kept = await plan_of(forty.engine, "force", to="refresh-expired")
    assert (kept.irreversible, kept.fingerprints) == (0, plan.fingerprints)


async def test_an_event_that_operators_may_not_bring_is_refused_by_the_machine(forty: Forty) -> None:
    plan = await plan_of(forty.engine, "disconnect")
    assert plan.count == 0
    assert sum(plan.refused.values()) == 40


async def test_a_probe_is_for_grants_of_foreign_servers(forty: Forty) -> None:
    plan = await plan_of(forty.engine, "probe")
    assert (plan.count, plan.refused) == (0, {"only grants of foreign servers can be probed": 40})


async def test_pages_meet_every_row_once_in_any_order(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with opened(tmp_path_factory.mktemp("pages") / "g.db") as engine:
        ids = await filled(engine, 450)
        for order in ("", " sort:account", " sort:-entered"):
            plan = await plan_of(engine, filter=EVERY + order)
            assert len(plan.rows) == 450, order
            assert {row.installation for row in plan.rows} == set(ids), order


async def test_a_damaged_row_is_left_out_and_costs_no_other(forty: Forty) -> None:
    rows(forty.file, "UPDATE grantflow_installation SET state = 'bogus' WHERE public_id = ?", forty.ids[0])
    rows(forty.file, "UPDATE grantflow_installation SET due_at = 'soon' WHERE public_id = ?", forty.ids[1])
    plan = await plan_of(forty.engine)
    assert plan.count == 38
    assert {one.installation for one in plan.refusals} <= set(forty.ids[:2])


@pytest.mark.parametrize(
    ("more", "hint"),
    [
        ({"limit": 39}, "narrow"),
        ({"limit": 100_001}, "narrow"),
        ({"limit": 0}, "narrow"),
        ({"filter": ""}, "kind:account"),
        ({"filter": "  sort:account "}, "kind:account"),
        ({"verb": "agree"}, "force, remind, probe, repair"),
        ({"verb": "exchange_ok"}, "force, remind, probe, repair"),
        ({"verb": "force"}, "--to"),
        ({"verb": "force", "to": "nowhere"}, "refresh-expired"),
        ({"to": "unauthorized"}, "--to"),
        ({"without_side_effects": True}, None),
        ({"canary": -1}, None),
        ({"stop_after": 0}, None),
        ({"stop_share": 2.0}, None),
        ({"stop_share": "all"}, None),
        ({"verb": ["force"]}, "force, remind, probe, repair"),
        ({"verb": "force", "to": ["unauthorized"]}, "refresh-expired"),
        ({"filter": None}, None),
    ],
)
async def test_what_makes_no_sense_is_refused_with_a_hint(
    forty: Forty, more: dict[str, object], hint: str | None
) -> None:
    with pytest.raises(BadInput) as refused:
        await plan_of(forty.engine, **{"verb": "suspend", **more})  # type: ignore[arg-type]  # wrong ones too
    assert hint is None or hint in (refused.value.hint or "")
    assert len(rows(forty.file, "SELECT 1 FROM grantflow_action WHERE verb LIKE 'bulk%'")) == 0


@pytest.mark.parametrize("filter_", ["state:'; DROP TABLE x", 'account:"a', "\x1b[2J", "a" * 3_000, "is:x"])
async def test_a_hostile_filter_is_refused_or_finds_nothing(forty: Forty, filter_: str) -> None:
    try:
        plan = await plan_of(forty.engine, filter=filter_)
    except FilterSyntaxError:
        return
    assert plan.count == 0


async def test_a_filter_full_of_quotes_is_data(forty: Forty) -> None:
    plan = await plan_of(forty.engine, filter='account="\'; DELETE FROM grantflow_job; --"')
    assert (plan.count, plan.refused) == (0, {})


@pytest.mark.parametrize("actor", [Actor.admin("maria"), Actor.system(), Actor.user("olga"), Actor.app("crm")])
async def test_only_operators_may_and_a_refusal_is_on_the_record(forty: Forty, actor: Actor) -> None:
    with pytest.raises(PermissionDenied):
        await forty.engine.ops.preview_bulk(FILTER, "suspend", actor=actor, reason=REASON)
    [(_, action)] = await forty.engine.ops.actions(limit=1)
    assert (action.verb, action.outcome, action.actor) == ("bulk-suspend", "refused", str(actor))


async def test_the_policy_may_forbid_bulk_as_such(forty: Forty) -> None:
    forty.engine._core.policy = lambda _, verb, __: Refusal("one by one") if verb.startswith("bulk-") else True
    with pytest.raises(PermissionDenied, match="one by one"):
        await plan_of(forty.engine)


async def test_ids_are_a_plan_of_exactly_those(tmp_path: Path) -> None:
    async with opened(tmp_path / "g.db") as engine:
        names = await filled(engine, 70)
        for chosen, text in ((names[:2], f"id:{names[0]},{names[1]}"), (names, "70 chosen by id")):
            plan = await engine.ops.preview_bulk(chosen, "suspend", actor=OLGA, reason=REASON)
            assert (plan.filter, [row.installation for row in plan.rows]) == (text, chosen)
        twice = await engine.ops.preview_bulk([names[0], names[0], "nobody's"], "suspend", actor=OLGA, reason=REASON)
        assert (twice.count, [one.installation for one in twice.refusals]) == (1, ["nobody's"])
        for wrong in ([], names):
            with pytest.raises(BadInput):
                await engine.ops.preview_bulk(wrong, "suspend", actor=OLGA, reason=REASON, limit=69)
