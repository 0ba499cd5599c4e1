"""Whatever a host hands over as a text or a mapping: a result or an error of ours, and nothing written on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from grantflow import Actor, App, ClientCredentials, Engine, GrantflowError
from grantflow.testing import SECRET, ManualClock
from tests.faults.oracle import looked_at
from tests.faults.verbs import BOB, CHALLENGE, KEY, MARIA, OPERATOR, PLATFORM, REASON, fresh, opened

FEW, MANY = 12, 200
LONGEST = 1_000
SPECIAL = ["", " ", "\0", "\ud800", "a\udfff", "%", "_", "'; --", "client:", "a" * 70_000, "\x1b[2J", "🦀" * 300, KEY]
TEXTS = st.one_of(
    st.sampled_from(SPECIAL), st.text(max_size=40), st.text(alphabet="\0\ud800%:\"'()<>=. a1", max_size=12)
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=8) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
NUMBERS = st.integers() | st.sampled_from([0, -1, 2**63, 2**64, 10**400, 1, 1000])
PAYLOADS = st.dictionaries(
    st.sampled_from(["attempt", "account", "scopes", "veto", "state", "\ud800"]), JUNK, max_size=4
)
Call = Callable[[Engine, dict[str, Any], Any], Awaitable[object]]


def _client(known: dict[str, Any]) -> ClientCredentials:
    return ClientCredentials(known["client"], SECRET)


def _whole(known: dict[str, Any], x: Any, what: str) -> ClientCredentials:
    return ClientCredentials(x, SECRET) if what == "id" else ClientCredentials(known["client"], x)


TEXT_ARGUMENTS: dict[str, Call] = {
    "get": lambda e, k, x: e.get(x),
    "get account": lambda e, k, x: e.get(KEY, account=x, subject=BOB),
    "get subject": lambda e, k, x: e.get(KEY, account="account-0", subject=x),
    "get label": lambda e, k, x: e.get(KEY, account="account-0", subject=BOB, label=x),
    "history": lambda e, k, x: e.history(x),
    "attempts": lambda e, k, x: e.attempts(x),
    "machine": lambda e, k, x: e.machine(x),
    "guidance": lambda e, k, x: e.guidance(x, viewer=BOB),
    "guidance account": lambda e, k, x: e.guidance(KEY, viewer=BOB, account=x),
    "guidance subject": lambda e, k, x: e.guidance(KEY, viewer=BOB, account="account-0", subject=x),
    "explain": lambda e, k, x: e.explain(x, "suspend", actor=BOB),
    "explain event": lambda e, k, x: e.explain(k["ids"][0], x, actor=BOB),
    "find": lambda e, k, x: e.find(x),
    "find after": lambda e, k, x: e.find(after=x),
    "count": lambda e, k, x: e.count(x),
    "authorize": lambda e, k, x: e.authorize(x, actor=BOB, code_challenge=CHALLENGE),
    "authorize account": lambda e, k, x: e.authorize(KEY, actor=BOB, account=x, code_challenge=CHALLENGE),
    "authorize subject": lambda e, k, x: e.authorize(KEY, actor=BOB, subject=x, code_challenge=CHALLENGE),
    "authorize label": lambda e, k, x: e.authorize(KEY, actor=BOB, label=x, code_challenge=CHALLENGE),
    "authorize entry_point": lambda e, k, x: e.authorize(KEY, actor=BOB, entry_point=x, code_challenge=CHALLENGE),
    "authorize redirect_uri": lambda e, k, x: e.authorize(KEY, actor=BOB, redirect_uri=x, code_challenge=CHALLENGE),
    "authorize scope": lambda e, k, x: e.authorize(KEY, actor=BOB, scope=x, code_challenge=CHALLENGE),
    "authorize state": lambda e, k, x: e.authorize(KEY, actor=BOB, state=x, code_challenge=CHALLENGE),
    "authorize code_challenge": lambda e, k, x: e.authorize(KEY, actor=BOB, code_challenge=x),
    "reauthorize": lambda e, k, x: e.reauthorize(x, actor=BOB, code_challenge=CHALLENGE),
    "window": lambda e, k, x: e.window(x, actor=BOB),
    "form": lambda e, k, x: e.form(x, actor=BOB),
    "select_account": lambda e, k, x: e.select_account(x, "account-7", actor=BOB),
    "select_account account": lambda e, k, x: e.select_account(k["loose"][0], x, actor=BOB),
    "agree": lambda e, k, x: e.agree(x, actor=BOB),
    "agree scopes": lambda e, k, x: e.agree(k["form"], actor=BOB, scopes=x),
    "agree scope": lambda e, k, x: e.agree(k["form"], actor=BOB, scopes=[x]),
    "cancel": lambda e, k, x: e.cancel(x, actor=BOB),
    "refuse": lambda e, k, x: e.refuse(x, actor=BOB),
    "install": lambda e, k, x: e.install(x, account="account-0", actor=MARIA),
    "install account": lambda e, k, x: e.install(KEY, account=x, actor=MARIA),
    "install subject": lambda e, k, x: e.install(KEY, account="account-0", actor=MARIA, subject=x),
    "install label": lambda e, k, x: e.install(KEY, account="account-0", actor=BOB, label=x),
    "send": lambda e, k, x: e.send(x, "suspend", actor=PLATFORM),
    "send event": lambda e, k, x: e.send(k["ids"][0], x, actor=BOB),
    "send reason": lambda e, k, x: e.send(k["ids"][0], "suspend", actor=PLATFORM, reason=x),
    "send idempotency_key": lambda e, k, x: e.send(k["ids"][0], "suspend", actor=PLATFORM, idempotency_key=x),
    "send account": lambda e, k, x: e.send(KEY, "suspend", actor=PLATFORM, account=x, subject=BOB),
    "suspend reason": lambda e, k, x: e.suspend(k["ids"][2], actor=PLATFORM, reason=x),
    "unsuspend": lambda e, k, x: e.unsuspend(x, actor=PLATFORM),
    "disconnect": lambda e, k, x: e.disconnect(x, actor=BOB),
    "uninstall": lambda e, k, x: e.uninstall(x, actor=PLATFORM),
    "begin client_id": lambda e, k, x: e.ledger.begin(client_id=x, actor=BOB, code_challenge=CHALLENGE),
    "begin method": lambda e, k, x: e.ledger.begin(
        client_id=k["client"], actor=BOB, code_challenge=CHALLENGE, code_challenge_method=x
    ),
    "begin response_type": lambda e, k, x: e.ledger.begin(
        client_id=k["client"], actor=BOB, code_challenge=CHALLENGE, response_type=x
    ),
    "redeem": lambda e, k, x: e.ledger.redeem(x, client=_client(k)),
    "redeem verifier": lambda e, k, x: e.ledger.redeem(k["code"], client=_client(k), code_verifier=x),
    "redeem redirect_uri": lambda e, k, x: e.ledger.redeem(k["code"], client=_client(k), redirect_uri=x),
    "redeem client": lambda e, k, x: e.ledger.redeem(k["code"], client=_whole(k, x, "id")),
    "redeem secret": lambda e, k, x: e.ledger.redeem(k["code"], client=_whole(k, x, "secret")),
    "renew": lambda e, k, x: e.ledger.renew(x, client=_client(k)),
    "revoke": lambda e, k, x: e.ledger.revoke(x, client=_client(k)),
    "authenticate": lambda e, k, x: e.ledger.authenticate(x),
    "force": lambda e, k, x: e.ops.force(x, to="unauthorized", actor=OPERATOR, reason=REASON),
    "force to": lambda e, k, x: e.ops.force(k["ids"][0], to=x, actor=OPERATOR, reason=REASON),
    "force reason": lambda e, k, x: e.ops.preview_force(k["ids"][0], to="unauthorized", actor=OPERATOR, reason=x),
    "cancel_attempt": lambda e, k, x: e.ops.cancel_attempt(x, actor=OPERATOR, reason=REASON),
    "release_sweep": lambda e, k, x: e.ops.release_sweep(x, actor=OPERATOR, reason=REASON),
    "release_sweep by a stranger": lambda e, k, x: e.ops.release_sweep(x, actor=BOB, reason=REASON),
    "admit": lambda e, k, x: e.ops.admit(x, KEY, actor=BOB),
    "admit target": lambda e, k, x: e.ops.admit("register", x, actor=BOB),
    "admit about": lambda e, k, x: e.ops.admit("register", KEY, actor=BOB, about=x),
    "apps.get": lambda e, k, x: e.apps.get(x),
    "apps.on_account": lambda e, k, x: e.apps.on_account(x, "account-0"),
    "apps.on_account account": lambda e, k, x: e.apps.on_account(KEY, x),
    "apps.install": lambda e, k, x: e.apps.install(x, "account-0", actor=PLATFORM),
    "apps.install account": lambda e, k, x: e.apps.install(KEY, x, actor=PLATFORM),
    "apps.uninstall": lambda e, k, x: e.apps.uninstall(x, "account-9", actor=PLATFORM),
    "apps.uninstall account": lambda e, k, x: e.apps.uninstall(KEY, x, actor=PLATFORM),
    "apps.upgrade": lambda e, k, x: e.apps.upgrade(KEY, "account-0", x, actor=PLATFORM),
    "apps.suspend": lambda e, k, x: e.apps.suspend(KEY, x, actor=PLATFORM, reason=REASON),
    "apps.suspend reason": lambda e, k, x: e.apps.suspend(KEY, "account-0", actor=PLATFORM, reason=x),
    "apps.hold": lambda e, k, x: e.apps.hold(x, actor=OPERATOR, reason=REASON),
    "apps.hold reason": lambda e, k, x: e.apps.hold(KEY, actor=OPERATOR, reason=x),
    "apps.release reason": lambda e, k, x: e.apps.release(KEY, actor=OPERATOR, reason=x),
}
"""One argument per line; everything else about the call is in order."""
OTHER_ARGUMENTS: dict[str, tuple[st.SearchStrategy[Any], Call]] = {
    "send payload": (PAYLOADS, lambda e, k, x: e.send(k["ids"][1], "cancel", actor=BOB, payload=x)),
    "send payload select": (PAYLOADS, lambda e, k, x: e.send(k["ids"][1], "select_account", actor=BOB, payload=x)),
    "explain payload": (PAYLOADS, lambda e, k, x: e.explain(k["ids"][1], "agree", actor=BOB, payload=x)),
    "find limit": (NUMBERS, lambda e, k, x: e.find(limit=x)),
    "history limit": (NUMBERS, lambda e, k, x: e.history(k["ids"][0], limit=x)),
    "history before": (NUMBERS, lambda e, k, x: e.history(k["ids"][0], before=x)),
    "attempts limit": (NUMBERS, lambda e, k, x: e.attempts(k["ids"][1], limit=x)),
    "actions limit": (NUMBERS, lambda e, k, x: e.ops.actions(limit=x)),
    "actions before": (NUMBERS, lambda e, k, x: e.ops.actions(before=x)),
    "sweep limit": (NUMBERS, lambda e, k, x: e.sweep(limit=x)),
    "horizon spans": (st.integers(-5, 400), lambda e, k, x: e.horizon(spans=x)),
    "a person's id": (TEXTS, lambda e, k, x: e.authorize(KEY, actor=Actor.agent(x), code_challenge=CHALLENGE)),
    "an operator's id": (TEXTS, lambda e, k, x: e.apps.hold(KEY, actor=Actor.operator(x), reason=REASON)),
}
ARGUMENTS: dict[str, tuple[st.SearchStrategy[Any], Call]] = {
    **{name: (TEXTS, call) for name, call in TEXT_ARGUMENTS.items()},
    **{f"{name}, of any type": (JUNK, call) for name, call in TEXT_ARGUMENTS.items()},
    **OTHER_ARGUMENTS,
}


def drawn(
    folder: Path, known: dict[str, Any], name: str, how_many: int, values: st.SearchStrategy[Any] | None = None
) -> list[str]:
    """What came out of one argument that is neither a result nor an error of ours."""
    strategy, call = ARGUMENTS[name]
    found: list[str] = []

    async def tell(engine: Engine, value: Any) -> None:
        try:
            await call(engine, known, value)
        except GrantflowError as error:
            if len(str(error)) > LONGEST:
                found.append(f"{value!r:.60}: the message repeats what was sent")
        except Exception as error:  # noqa: BLE001 - what the test is looking for
            found.append(f"{value!r:.60}: {type(error).__name__}: {error}"[:200])

    file = folder / "arguments.db"
    fresh(folder / "template.db", file)
    with asyncio.Runner() as runner:
        engines = opened(file, ManualClock(), synchronous="NORMAL")
        engine = runner.run(engines.__aenter__())

        @settings(max_examples=how_many, phases=[Phase.generate], database=None, suppress_health_check=[*HealthCheck])
        @given(strategy if values is None else values)
        def run(value: Any) -> None:
            runner.run(tell(engine, value))

        try:
            run()
            for value in SPECIAL:
                if name in TEXT_ARGUMENTS and values is None:
                    runner.run(tell(engine, value))
        finally:
            runner.run(engines.__aexit__(None, None, None))
    return list(dict.fromkeys(found + looked_at(file)[1]))


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_argument_gives_a_result_or_an_error_of_ours(folder: Path, known: dict[str, Any], name: str) -> None:
    assert drawn(folder, known, name, FEW) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_argument_gives_a_result_or_an_error_of_ours_many_times(
    folder: Path, known: dict[str, Any], name: str
) -> None:
    assert drawn(folder, known, name, MANY) == []


@pytest.mark.parametrize("text", SPECIAL)
def test_an_app_in_a_file_that_is_not_there_is_an_error_of_ours(text: str) -> None:
    with pytest.raises(GrantflowError):
        App.from_toml(text)
