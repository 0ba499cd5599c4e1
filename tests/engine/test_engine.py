"""The front door: opening, replays, policies, notices, detached machines, a host's own chart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from statemachine.exceptions import TransitionNotAllowed

from grantflow import (
    Actor,
    AppKind,
    ClientCredentials,
    Engine,
    Installation,
    KeyRing,
    Notice,
    Refusal,
    Version,
    definitions,
)
from grantflow.errors import (
    BadInput,
    ConfigurationError,
    Conflict,
    DatabaseError,
    EngineOnly,
    InvalidClient,
    InvalidGrant,
    KeysMissing,
    NotFound,
    PermissionDenied,
    TransitionRefused,
    UnknownEvent,
)
from grantflow.testing import ManualClock, People, authorize, consent, sample_app, throwaway_engine
from grantflow_machines import CHARTS, AgentInstallation

ANN, BOB, OPERATOR = Actor.admin("ann"), Actor.agent("bob"), Actor.operator("maria")
PEOPLE = People({ANN: ["acme"], BOB: ["acme"]})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def engine(clock: ManualClock) -> AsyncIterator[Engine]:
    async with throwaway_engine(directory=PEOPLE, clock=clock) as opened:
        await opened.apps.register(sample_app("agent"))
        await opened.apps.install("agent-app", "acme", actor=ANN)
        yield opened


@pytest.fixture
async def active(engine: Engine) -> str:
    return (await authorize(engine, "agent-app", "acme", actor=BOB)).installation


async def test_the_same_key_answers_with_the_first_result(engine: Engine, active: str) -> None:
    first = await engine.send(active, "suspend", actor=OPERATOR, reason="odd calls", idempotency_key="k1")
    again = await engine.send(active, "suspend", actor=OPERATOR, reason="odd calls", idempotency_key="k1")
    assert (first.replayed, again.replayed) == (False, True)
    assert (again.version, again.target) == (first.version, first.target)
    assert len(await engine.history(active)) == first.version
    with pytest.raises(Conflict, match="already used for suspend"):
        await engine.send(active, "unsuspend", actor=OPERATOR, idempotency_key="k1")


async def test_events_of_the_engine_are_refused_from_outside(engine: Engine, active: str) -> None:
    for name, rule in definitions()["agent"].events.items():
        if rule.origin == "engine":
            with pytest.raises(EngineOnly):
                await engine.send(active, name, actor=Actor.system())
    with pytest.raises(UnknownEvent, match="did you mean 'expire'"):
        await engine.send(active, "expyre", actor=Actor.system())
    with pytest.raises(TransitionRefused) as refused:
        await engine.send(active, "expire", actor=Actor.system())
    assert refused.value.explanation is not None
    assert refused.value.explanation.available_at == (await engine.get(active)).expires_at


async def test_a_policy_can_only_forbid() -> None:
    asked: list[tuple[str, str | None]] = []

    def policy(actor: Actor, verb: str, installation: Installation | None) -> bool | Refusal:
        asked.append((verb, None if installation is None else installation.state))
        return Refusal("not on a Friday") if verb == "suspend" else True

    async with throwaway_engine(directory=PEOPLE, policy=policy) as engine:
        await engine.apps.register(sample_app("agent"))
        await engine.apps.install("agent-app", "acme", actor=ANN)
        found = (await authorize(engine, "agent-app", "acme", actor=BOB)).installation
        with pytest.raises(PermissionDenied, match="Friday"):
            await engine.send(found, "suspend", actor=OPERATOR, reason="odd calls")
        with pytest.raises(TransitionRefused):
            await engine.send(found, "disconnect", actor=Actor.agent("eve"))
        await engine.disconnect(found, actor=BOB)
    assert ("suspend", "active") in asked


async def test_a_machine_is_handed_out_detached(engine: Engine, active: str) -> None:
    machine = await engine.machine(active)
    assert [str(state.value) for state in machine.configuration] == ["active"]
    with pytest.raises(TransitionNotAllowed):
        machine.send("reauthorize")
    assert (await engine.get(active)).state == "active"


async def test_notices_come_at_least_once_and_a_failing_subscriber_gets_them_again(
    engine: Engine, clock: ManualClock
) -> None:
    heard: list[Notice] = []
    failures = [ValueError("the host's own bug")]

    async def subscriber(notice: Notice) -> None:
        if failures:
            raise failures.pop()
        heard.append(notice)

    leave = engine.subscribe(subscriber)
    await authorize(engine, "agent-app", "acme", actor=BOB)
    await engine.drain_notices()
    assert await engine.deliver_notices() == 0, "it waits a second before it is tried again"
    clock.advance(timedelta(seconds=1))
    other = engine.subscribe(lambda notice: None)
    await engine.drain_notices()
    assert [notice.name for notice in heard] == ["installation.activated"]
    leave()
    other()


async def test_a_callback_that_fails_does_not_undo_a_write(engine: Engine) -> None:
    def broken(due_at: datetime) -> None:
        raise ValueError(str(due_at))

    leave = engine.on_due_earlier(broken)
    attempt = await engine.authorize("agent-app", actor=BOB, code_challenge="a" * 43)
    leave()
    assert (await engine.window(attempt.id, actor=BOB)).preselected == "acme"


async def test_a_state_needs_keys_and_comes_back_verbatim() -> None:
    async with throwaway_engine(directory=PEOPLE) as bare:
        await bare.apps.register(sample_app("agent"))
        with pytest.raises(KeysMissing):
            await bare.authorize("agent-app", actor=BOB, state="xyz", code_challenge="a" * 43)
    async with throwaway_engine(directory=PEOPLE, keys=KeyRing.parse(KeyRing.new_key())) as engine:
        await engine.apps.register(sample_app("agent"))
        attempt = await engine.authorize("agent-app", actor=BOB, state="a b&c=\u00e9", code_challenge="a" * 43)
        back = await engine.cancel(attempt.id, actor=BOB)
    assert back.redirect_to == "https://app.example/callback?error=access_denied&state=a+b%26c%3D%C3%A9"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://x/y", "grants.db", "sqlite:///a\0b"])
async def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        async with Engine.open(url):
            pass


async def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="folder"):
        async with Engine.open(f"sqlite:///{tmp_path}/no/grants.db"):
            pass


async def test_registering_an_app_again(engine: Engine) -> None:
    app = sample_app("agent")
    assert await engine.apps.register(app) == app
    assert [known.key for known in await engine.apps.list()] == ["agent-app"]
    with pytest.raises(BadInput, match="kind never changes"):
        await engine.apps.register(sample_app("external", key="agent-app"))
    with pytest.raises(BadInput, match="belongs to the app"):
        await engine.apps.register(sample_app("agent", key="thief", client_id="agent-app"))
    with pytest.raises(ConfigurationError, match="no version"):
        await engine.apps.upgrade("agent-app", "acme", "9", actor=ANN)
    with pytest.raises(NotFound):
        await engine.apps.get("nobody")


async def test_a_hosts_own_chart_is_used() -> None:
    class Patient(AgentInstallation):
        """The same life; the clock of attempts is the host's own."""

        title: ClassVar[str] = "patient app"

    async with throwaway_engine(directory=PEOPLE, charts={**CHARTS, "agent": Patient}) as engine:
        await engine.apps.register(sample_app("agent"))
        await engine.apps.install("agent-app", "acme", actor=ANN)
        found = (await authorize(engine, "agent-app", "acme", actor=BOB)).installation
        assert type(await engine.machine(found)) is Patient


async def test_an_account_that_was_taken_off_stops_all_at_once(engine: Engine, active: str) -> None:
    await engine.apps.uninstall("agent-app", "acme", actor=ANN)
    found = await engine.get(active)
    assert (found.state, found.usable) == ("uninstalled", False)
    with pytest.raises(TransitionRefused, match="not installed"):
        await consent(engine, "agent-app", "acme", actor=BOB)
    await engine.apps.install("agent-app", "acme", actor=ANN)
    again = (await authorize(engine, "agent-app", "acme", actor=BOB)).installation
    assert again != active, "a reinstallation is a new row"


async def test_the_account_decides_which_version_asks(engine: Engine, active: str) -> None:
    two = Version("2.0", ("tickets.read", "tickets.write", "calls.read"), ("people.read",))
    app = sample_app("agent")
    await engine.apps.register(replace(app, versions=(*app.versions, two)))
    attempt = await engine.authorize("agent-app", actor=BOB, code_challenge="a" * 43)
    form = await engine.select_account(attempt.id, "acme", actor=BOB)
    assert set(form.approved) == set(app.latest.scopes)
    assert form.awaiting == ()
    await engine.apps.upgrade("agent-app", "acme", "2.0", actor=ANN)
    assert (await engine.get(active)).scopes_missing == ("calls.read",)
    attempt = await engine.authorize("agent-app", actor=BOB, code_challenge="a" * 43)
    form = await engine.select_account(attempt.id, "acme", actor=BOB)
    assert form.awaiting == ("calls.read",)


async def test_wrong_types_at_the_ledger_are_refused_like_wrong_values(engine: Engine) -> None:
    returned, verifier = await consent(engine, "agent-app", "acme", actor=BOB)
    assert returned.code is not None
    code, secret = returned.code.value, "a client secret for tests"
    for wrong in (None, 7, b"x"):
        with pytest.raises(InvalidClient):
            await engine.ledger.redeem(code, client=ClientCredentials("agent-app", wrong), code_verifier=verifier)  # type: ignore[arg-type]  # what a careless host passes
        with pytest.raises(InvalidGrant):
            await engine.ledger.redeem(code, client=ClientCredentials("agent-app", secret), code_verifier=wrong)  # type: ignore[arg-type]  # the same
    done = await engine.ledger.redeem(code, client=ClientCredentials("agent-app", secret), code_verifier=verifier)
    assert done.generation == 1, "nothing of it burnt the code"
    attempt = await engine.authorize("agent-app", actor=BOB, account="acme", code_challenge="a" * 43)
    await engine.select_account(attempt.id, "acme", actor=BOB)
    for scopes in ("tickets.read", 7, [7], ["not registered"]):
        with pytest.raises(BadInput):
            await engine.agree(attempt.id, actor=BOB, scopes=scopes)  # type: ignore[arg-type]  # the same


async def test_kinds_of_people_are_told_apart(engine: Engine, active: str) -> None:
    found = await engine.get(active)
    assert await engine.can_use(found, BOB)
    assert not await engine.can_use(found, Actor.user("bob"))
    assert found.kind == AppKind.AGENT


async def test_a_span_of_the_horizon_holds_what_ends_in_it(engine: Engine, active: str) -> None:
    counted = await engine.horizon(spans=13, length=timedelta(days=30))
    assert [count for _, count in counted] == [0] * 12 + [1]
