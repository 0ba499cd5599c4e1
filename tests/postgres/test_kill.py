"""Kill -9 before and after every call to the server: all of a verb is there or nothing, and it can go on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.faults.verbs import VERBS, Prepared, prepare
from tests.postgres.copying import copy
from tests.postgres.outside import Outside
from tests.postgres.test_verbs import called, projection

QUICK = ("send",)
CALLS = ("fetch", "fetchmany", "execute")
"""Methods of a connection that go to the server."""
WRITING = [name for name, verb in VERBS.items() if verb.writes and not (verb.creates or verb.damage or verb.several)]
"""Verbs of one transaction each: what they leave is all or nothing."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Prepared]:
    """The world all verbs start from, as a SQLite file."""
    file = tmp_path_factory.mktemp("kill") / "template.db"
    return file, asyncio.run(prepare(file))


def in_a_fork(
    work: Callable[[], Awaitable[object]], number: int = 0, moment: str = "", methods: tuple[str, ...] = CALLS
) -> tuple[int, int]:
    """Run it in a child that dies at one of its calls; returns the exit status and how many calls were made."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            made = _deadly(number, moment, methods)
            asyncio.run(work())  # type: ignore[arg-type]
            os.write(writing, str(made()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        calls = int(said.read() or 0)
    return os.waitpid(child, 0)[1], calls


def _deadly(number: int, moment: str, methods: tuple[str, ...]) -> Callable[[], int]:
    made = 0

    def around(original: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def call(self: object, *arguments: Any, **named: Any) -> object:
            nonlocal made
            made += 1
            mine = made == number
            if mine and moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = await original(self, *arguments, **named)
            if mine:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    for name in methods:
        setattr(asyncpg.Connection, name, around(getattr(asyncpg.Connection, name)))
    return lambda: made


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in WRITING]
)
def test_killed_at_every_call(prepared: tuple[Path, Prepared], url: str, name: str) -> None:
    template, known = prepared
    seen: set[str] = set()
    number, points = 0, 0
    before = _look(url, template)
    status, calls = in_a_fork(lambda: called(url, name, known))
    assert (status, calls > 3) == (0, True)
    after = _look(url)
    assert after != before
    left = after
    while number < calls:
        number += 1
        for moment in ("before", "after"):
            if left != before:
                left = _look(url, template)
            status, _ = in_a_fork(lambda: called(url, name, known), number, moment)
            if status != signal.SIGKILL:
                continue
            points += 1
            left = _look(url)
            assert left in {before, after}, f"half a transaction is there, killed {moment} call {number}"
            seen.add(left)
            if left == before and number % 4 == 0:
                assert in_a_fork(lambda: called(url, name, known))[0] == 0
                left = _look(url)
                assert left == after, f"it could not go on after it was killed {moment} call {number}"
    assert points > calls
    assert seen == {before, after}


def _look(url: str, template: Path | None = None) -> str:
    """What is there, after everybody else is gone; with a template, as it was in the beginning."""
    outside = Outside(url)
    try:
        outside.alone()
        if template is not None:
            outside.clear()
            copy(template, outside)
        outside.close_gaps()
        return json.dumps(projection(outside))
    finally:
        outside.close()


def test_the_quick_ones_are_verbs_of_one_transaction() -> None:
    assert set(QUICK) <= set(WRITING)
