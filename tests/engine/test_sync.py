"""The engine without `await`: every verb, from any thread, with the host's functions plain or async."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from grantflow import (
    Account,
    Actor,
    ClientCredentials,
    Engine,
    Installation,
    Notice,
    Refusal,
    SyncEngine,
    new_pkce,
)
from grantflow.errors import ConfigurationError, DirectoryUnavailable, EngineClosed, NotFound, PermissionDenied
from grantflow.testing import SECRET, ManualClock, sample_app
from tests.engine import sync_stub

BOB, MARIA = Actor.agent("bob"), Actor.admin("maria")


def accounts_of(actor: Actor) -> list[Account]:
    return [Account("acme", "Acme", actor.kind.value)]


@pytest.fixture(name="engine")
def open_engine(tmp_path: Path) -> Iterator[SyncEngine]:
    with opened(tmp_path) as engine:
        yield engine


def opened(folder: Path, **options: Any) -> SyncEngine:
    values: dict[str, Any] = {"directory": accounts_of, "clock": ManualClock()} | options
    engine = SyncEngine.open(f"sqlite:///{folder}/grants.db", **values)
    engine.apps.register(sample_app())
    return engine


def public(thing: object) -> dict[str, Any]:
    return {name: found for name, found in inspect.getmembers(thing, inspect.isroutine) if name[0] != "_"}


async def test_every_public_verb_is_there_with_the_same_signature_and_text(tmp_path: Path) -> None:
    async with Engine.open(f"sqlite:///{tmp_path}/a.db") as original:
        with await asyncio.to_thread(SyncEngine.open, f"sqlite:///{tmp_path}/b.db") as blocking:
            doors = [name for name in vars(original) if name[0] != "_"]
            assert {"apps", "ledger", "ops"} <= set(doors)
            for before, after in [
                (original, blocking),
                *((getattr(original, name), getattr(blocking, name)) for name in doors),
            ]:
                wanted, found = public(before), public(after)
                assert len(wanted) > 5
                assert set(found) - set(wanted) <= {"close"}
                for name, verb in wanted.items():
                    assert not inspect.iscoroutinefunction(found[name])
                    theirs, ours = inspect.signature(verb), inspect.signature(found[name])
                    assert list(theirs.parameters.values()) == list(ours.parameters.values()), name
                    assert found[name].__doc__ if name == "open" else found[name].__doc__ == verb.__doc__


def test_what_a_type_checker_sees_is_made_of_the_classes() -> None:
    assert sync_stub.STUB.read_text(encoding="utf-8") == sync_stub.made(), "python -m tests.engine.sync_stub"


def test_a_whole_journey_without_await(engine: SyncEngine) -> None:
    heard: list[Notice] = []
    leave = engine.subscribe(heard.append)
    engine.apps.install("agent-app", "acme", actor=MARIA)
    verifier, challenge = new_pkce()
    attempt = engine.authorize("agent-app", actor=BOB, code_challenge=challenge)
    assert [account.id for account in engine.window(attempt.id, actor=BOB).accounts] == ["acme"]
    engine.select_account(attempt.id, "acme", actor=BOB)
    returned = engine.agree(attempt.id, actor=BOB)
    assert returned.code is not None
    client = ClientCredentials("agent-app", SECRET)
    tokens = engine.ledger.redeem(returned.code.value, client=client, code_verifier=verifier)
    assert engine.ledger.authenticate(tokens.access_token.value).account == "acme"
    assert engine.find("is:any").items[0].state == "active"
    assert engine.ops.outbox() is not None
    engine.drain_notices()
    assert heard
    leave()
    told = len(heard)
    engine.disconnect(tokens.installation, actor=BOB)
    engine.drain_notices()
    assert len(heard) == told


def test_what_goes_wrong_is_raised_to_the_caller(engine: SyncEngine) -> None:
    with pytest.raises(NotFound):
        engine.apps.get("nobody")
    with pytest.raises(TypeError):
        engine.apps.get()  # type: ignore[call-arg]


@pytest.mark.parametrize("way", ["plain", "async", "object"])
def test_functions_of_the_host_are_plain_or_async(tmp_path: Path, way: str) -> None:
    asked = []

    def directory(actor: Actor) -> list[Account]:
        asked.append("directory")
        return accounts_of(actor)

    def policy(actor: Actor, verb: str, installation: Installation | None) -> bool | Refusal:
        asked.append("policy")
        return Refusal("not today") if verb == "uninstall" else True

    def veto(verb: str, app: str, account: str, actor: Actor) -> str | None:
        asked.append("veto")
        return None

    functions: dict[str, Callable[..., Any]] = {"directory": directory, "policy": policy, "veto": veto}
    made = {name: as_way(function, way) for name, function in functions.items()}
    with opened(tmp_path, **made) as engine:
        engine.apps.install("agent-app", "acme", actor=MARIA)
        with pytest.raises(PermissionDenied, match="not today"):
            engine.apps.uninstall("agent-app", "acme", actor=MARIA)
    assert set(asked) == set(functions)


def as_way(function: Callable[..., Any], way: str) -> Any:
    async def wrapped(*args: Any) -> Any:
        return function(*args)

    class Called:
        async def __call__(self, *args: Any) -> Any:
            return function(*args)

    return {"plain": function, "async": wrapped, "object": Called()}[way]


def test_a_plain_function_may_ask_the_engine_and_sees_the_callers_context(tmp_path: Path) -> None:
    request: ContextVar[str] = ContextVar("request", default="")
    seen = []

    def directory(actor: Actor) -> list[Account]:
        seen.append((request.get(), [app.key for app in engine.apps.list()]))
        return accounts_of(actor)

    with opened(tmp_path, directory=directory) as engine:
        request.set("the host's request")
        engine.accounts(BOB)
    assert seen == [("the host's request", ["agent-app"])]


def test_an_async_function_that_asks_is_told_why_not(tmp_path: Path) -> None:
    raised: list[Exception] = []

    async def directory(actor: Actor) -> list[Account]:
        try:
            engine.apps.list()
        except ConfigurationError as error:
            raised.append(error)
            raise
        return []

    with opened(tmp_path, directory=directory) as engine, pytest.raises(DirectoryUnavailable):
        engine.accounts(BOB)
    [error] = raised
    assert "plain function" in str(getattr(error, "hint", ""))


def test_many_threads_ask_at_once(engine: SyncEngine) -> None:
    engine.apps.install("agent-app", "acme", actor=MARIA)

    def one(number: int) -> str:
        made = engine.install("agent-app", account="acme", actor=Actor.agent(f"agent-{number}"))
        return engine.get(made.id).id

    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(one, range(64)))
    assert len(found) == 64 == engine.counts().total


def test_a_slow_host_stops_nobody_else(tmp_path: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def directory(actor: Actor) -> list[Account]:
        asked.set()
        assert go_on.wait(30)
        return []

    with opened(tmp_path, directory=directory) as engine, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(engine.accounts, BOB)
        assert asked.wait(30)
        assert engine.apps.list()
        assert not slow.done()
        go_on.set()
        assert slow.result(30) == ()


def test_closing_twice_is_safe_and_a_closed_engine_says_so(tmp_path: Path) -> None:
    engine = opened(tmp_path)
    engine.close()
    engine.close()
    with pytest.raises(EngineClosed):
        engine.apps.list()
    with pytest.raises(EngineClosed):
        engine.now()
    assert not [thread for thread in threading.enumerate() if thread.name == "grantflow"]


def test_closing_waits_for_what_is_under_way(tmp_path: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def directory(actor: Actor) -> list[Account]:
        asked.set()
        assert go_on.wait(30)
        return accounts_of(actor)

    engine = opened(tmp_path, directory=directory)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(engine.accounts, BOB)
        assert asked.wait(30)
        closing = pool.submit(engine.close)
        while not engine._thread._closing:  # type: ignore[attr-defined]
            time.sleep(0)
        with pytest.raises(EngineClosed):
            engine.apps.list()
        go_on.set()
        assert [account.id for account in slow.result(30)] == ["acme"]
        closing.result(30)


def test_what_does_not_open_raises_and_leaves_no_thread(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        SyncEngine.open("mysql://nowhere")
    assert not [thread for thread in threading.enumerate() if thread.name == "grantflow"]


def test_ctrl_c_ends_the_verb_and_nothing_goes_on(tmp_path: Path) -> None:
    ended, main = threading.Event(), threading.main_thread().ident
    assert main is not None

    async def directory(actor: Actor) -> list[Account]:
        signal.pthread_kill(main, signal.SIGINT)
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()
        return []

    with opened(tmp_path, directory=directory) as engine:
        with pytest.raises(KeyboardInterrupt):
            engine.accounts(BOB)
        assert ended.is_set()
        assert engine.apps.list(), "the engine goes on"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_child_is_told_and_harms_nothing(tmp_path: Path) -> None:
    script = f"""
import os
import signal
from grantflow import SyncEngine
from grantflow.errors import EngineClosed
engine = SyncEngine.open("sqlite:///{tmp_path}/grants.db")
child = os.fork()
if child == 0:
    code = 1
    try:
        engine.apps.list()
    except EngineClosed as error:
        code = 7 if "fork" in str(error.hint) else 2
    engine.close()
    with SyncEngine.open("sqlite:///{tmp_path}/grants.db") as own:
        own.apps.list()
    os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
engine.apps.list()
print("both well")
"""
    assert run(script) == "both well\n"


def test_an_engine_nobody_closed_does_not_hang_the_exit(tmp_path: Path) -> None:
    assert (
        run(f"from grantflow import SyncEngine\nSyncEngine.open('sqlite:///{tmp_path}/g.db').now()\nprint(1)")
        == "1\n"
    )


def run(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
