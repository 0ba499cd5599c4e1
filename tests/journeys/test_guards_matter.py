"""Each guard of the charts, turned to always-yes and to always-no, makes a journey fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path

import pytest

from grantflow._compile import compile_chart
from grantflow_machines import CHARTS, Guard, No
from tests.journeys.stage import Stage, on_stage

Journey = Callable[[Stage], Awaitable[None]]
MODULES = (
    "account_level",
    "agent_level",
    "window",
    "consent_form",
    "credentials",
    "external",
    "expiry",
    "reauthorize",
    "beyond",
    "foreign",
)

FAILS = {
    "account.by_owner:yes": "test_s01_one_admin",
    "account.by_owner:no": "test_s01_one_admin",
    "agent.by_owner:yes": "test_s05_authorize",
    "agent.by_owner:no": "test_s05_authorize",
    "external.by_owner:yes": "test_s19_the_app",
    "external.by_owner:no": "test_s19_the_app",
    "by_attempt_actor:yes": "test_s26_refusing",
    "by_attempt_actor:no": "test_s24_the_user",
    "by_attempt_actor_or_operator:yes": "test_s12_cancel_leaves",
    "by_attempt_actor_or_operator:no": "test_s12_cancel_leaves",
    "by_engine:no": "test_s28_the_code",
    "by_clock:yes": "test_s29_only_the_clock",
    "by_clock:no": "test_s29_a_refresh_token",
    "by_reporter:yes": "test_a_revocation",
    "by_reporter:no": "test_a_revocation",
    "by_operator:no": "test_force",
    "by_remover:yes": "test_uninstall",
    "by_remover:no": "test_uninstall",
    "by_suspender:yes": "test_suspend",
    "by_suspender:no": "test_suspend",
    "in_time:no": "test_s11_picking",
    "attempt_lapsed:yes": "test_s29_only_the_clock",
    "attempt_lapsed:no": "test_s28_the_code",
    "account_choosable:yes": "test_s17_agree",
    "account_choosable:no": "test_s11_picking",
    "at_the_form:yes": "test_s36_reauthorize",
    "at_the_form:no": "test_s24_the_user",
    "scopes_covered:yes": "test_s24_the_user",
    "scopes_covered:no": "test_s24_the_user",
    "another_at_the_form:yes": "test_s12_cancel_leaves",
    "another_at_the_form:no": "test_s12_cancel_of_one",
    "another_consented:yes": "test_s12_cancel_leaves",
    "another_consented:no": "test_s12_cancel_of_one",
    "another_open:yes": "test_s32_an_admin",
    "another_open:no": "test_s32_an_admin",
    "attempt_open:yes": "test_s30_an_expired",
    "attempt_open:no": "test_s30_an_attempt",
    "attempt_consented:no": "test_s28_the_code",
    "same_identity:yes": "test_another_identity",
    "same_identity:no": "test_s28_the_code",
    "callback_proved:no": "test_a_callback_makes",
    "token_set_held:no": "test_a_probe_brings",
    "deadline_passed:yes": "test_s29_a_refresh_token",
    "deadline_passed:no": "test_s29_a_refresh_token",
    "live_token_set:yes": "test_force",
    "live_token_set:no": "test_force",
    "not_vetoed:yes": "test_uninstall",
    "not_vetoed:no": "test_uninstall",
    "not_suspended:yes": "test_suspend",
    "not_suspended:no": "test_suspend",
    "suspended_by_this_side:yes": "test_suspend",
    "suspended_by_this_side:no": "test_suspend",
    "reason_given:no": "test_force",
    "to_unauthorized:yes": "test_force",
    "to_unauthorized:no": "test_force",
    "to_refresh_expired:yes": "test_force",
    "to_refresh_expired:no": "test_force",
    "to_uninstalled:yes": "test_force",
    "to_uninstalled:no": "test_force",
    "to_active:no": "test_force",
}
"""Guard and answer → the journey that notices."""

EXEMPT = {
    "by_engine:yes": "only events of the engine name it, and `send` refuses those before any guard is asked",
    "by_operator:yes": "as by_engine; `engine.ops` asks for an operator itself, so that a refusal is on the record",
    "in_time:yes": "what is due happens first: an attempt whose time is over is closed before the guard is asked",
    "attempt_consented:yes": "a code is found by its hash, and there is none before the consent",
    "callback_proved:yes": "a callback is proved before its event is brought; what fails never gets that far",
    "token_set_held:yes": "a probe asks the server first, and without tokens there is nothing to ask with",
    "reason_given:yes": "`engine.ops` asks for eight characters before it makes a plan",
    "to_active:yes": "the last of force's arrows, tried only for the one target that is left",
}
"""Second locks behind a first one; tests/machines asks each directly."""


def guards() -> dict[str, Guard]:
    """Every guard an arrow names, once; those that the kinds answer differently under the kind's name."""
    named: dict[str, dict[str, Guard]] = {}
    for kind, chart in CHARTS.items():
        for cell in compile_chart(chart).cells.values():
            for alternative in cell:
                for name, guard in zip(alternative.names, alternative.guards, strict=True):
                    named.setdefault(name, {})[kind] = guard
    found = {}
    for name, kinds in named.items():
        if len({id(guard) for guard in kinds.values()}) == 1:
            found[name] = next(iter(kinds.values()))
        else:
            found |= {f"{kind}.{name}": guard for kind, guard in kinds.items()}
    return found


def journeys() -> dict[str, Journey]:
    """Every journey by its name."""
    found: dict[str, Journey] = {}
    for module in MODULES:
        content = vars(import_module(f"tests.journeys.test_{module}"))
        found |= {name: value for name, value in content.items() if name.startswith("test_")}
    return found


def flip(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Make a guard answer always the same."""
    guard, _, answer = name.rpartition(":")
    monkeypatch.setattr(guards()[guard], "check", lambda facts: answer == "yes" or No("turned off"))


async def fails(name: str, folder: Path) -> bool:
    """Whether a journey fails."""
    async with on_stage(folder) as stage:
        try:
            await journeys()[name](stage)
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever makes a test fail
            return True
    return False


def test_every_guard_is_accounted_for() -> None:
    assert {f"{name}:{answer}" for name in guards() for answer in ("yes", "no")} == {*FAILS, *EXEMPT}
    assert not {*FAILS} & {*EXEMPT}


@pytest.mark.parametrize("name", FAILS)
async def test_a_journey_notices_when_a_guard_is_turned(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journey = next(known for known in journeys() if known.startswith(FAILS[name]))
    flip(monkeypatch, name)
    assert await fails(journey, tmp_path)


async def test_an_untouched_journey_goes_through(tmp_path: Path) -> None:
    assert not await fails("test_s28_the_code_becomes_an_access_token", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXEMPT)
async def test_no_journey_notices_an_exempt_one(
    name: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip(monkeypatch, name)
    noticed = [journey for journey in journeys() if await fails(journey, tmp_path_factory.mktemp("exempt"))]
    assert noticed == [], "a journey notices it after all: move it to FAILS"
