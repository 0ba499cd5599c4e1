"""Programs the store's tests start as processes of their own: `worker.py WHAT FILE …`."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sys
from pathlib import Path

from grantflow import Actor, Engine, Settings
from grantflow._rows import Load
from grantflow._store import open_store
from grantflow._store import sqlite as _sqlite  # before the rights to read the library are given up
from grantflow.errors import GrantflowError
from grantflow.testing import sample_app
from tests.store.builders import NOW, moving
from tests.store.processes import say


async def writes(file: Path, installation: str, times: int) -> None:
    """Move one installation many times, a few at once."""
    store = await open_store(f"sqlite:///{file}", Settings(), NOW)
    try:
        for start in range(0, times, 5):
            await asyncio.gather(
                *(
                    store.transact(Load(installation=installation), moving(f"s{n % 3}"))
                    for n in range(start, start + 5)
                )
            )
    finally:
        await store.close()


def holds(file: Path) -> None:
    """Hold the write lock until the test closes standard input."""
    with Path(f"{file}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        say("held")
        sys.stdin.read()


async def unclosed(file: Path) -> None:
    """End without ever leaving the engine's block."""
    engine = await Engine.open(f"sqlite:///{file}").__aenter__()
    await engine.apps.register(sample_app())
    say("open")


async def waits(file: Path) -> None:
    """Work for ever, until Ctrl-C."""
    async with Engine.open(f"sqlite:///{file}") as engine:
        await engine.apps.register(sample_app())
        say("open")
        while True:
            await engine.apps.install("agent-app", "acme", actor=Actor.system())


async def unprivileged(file: Path) -> None:
    """Try to use a file that this user may not write."""
    assert _sqlite.path_of(f"sqlite:///{file}") == file
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        async with Engine.open(f"sqlite:///{file}") as engine:
            await engine.apps.register(sample_app(key="another-app"))
    except GrantflowError as error:
        say(f"{type(error).__name__}: {error} ({error.hint})")
    else:
        say("written")


if __name__ == "__main__":
    what, file = sys.argv[1], Path(sys.argv[2])
    if what == "holds":
        holds(file)
    elif what == "writes":
        asyncio.run(writes(file, sys.argv[3], int(sys.argv[4])))
    else:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run({"unclosed": unclosed, "waits": waits, "unprivileged": unprivileged}[what](file))
