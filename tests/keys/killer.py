"""Kill -9 in every batch of a rotation, then run it again: `killer.py FILE BATCH`, a JSON line per kill.

The parent starts no thread and no loop, so that forking is safe.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from grantflow import _rotation
from grantflow._ports import Reseal
from grantflow._store import _writing
from grantflow._store._sql_store import SqlStore
from tests.keys.vault import NEW, OLD, OPERATOR, REASON, opened, plain

MOMENTS = ("before", "half", "written", "committed")


async def rotated(file: Path) -> dict[str, Any]:
    """One whole rotation."""
    async with opened(file, NEW, OLD) as engine:
        return asdict(await engine.ops.rotate_keys(actor=OPERATOR, reason=REASON))


def deadly(number: int, moment: str) -> None:
    """From now on the batch of this number is this process's last."""
    swap, store, seen = _writing.reseal, SqlStore.reseal, 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def inside(conn: Any, changes: Sequence[Reseal], now: int) -> list[Reseal]:
        nonlocal seen
        seen += 1
        if seen != number:
            return swap(conn, changes, now)
        if moment == "before":
            die()
        if moment == "half":
            swap(conn, changes[: max(1, len(changes) // 2)], now)
            die()
        lost = swap(conn, changes, now)
        if moment == "written":
            die()
        return lost

    async def outside(self: SqlStore, changes: Sequence[Reseal], now: int) -> list[Reseal]:
        lost = await store(self, changes, now)
        if moment == "committed" and seen == number:
            die()
        return lost

    _writing.reseal = inside
    SqlStore.reseal = outside  # type: ignore[method-assign]  # in a process that dies


def forked(function: Callable[[], object]) -> tuple[int, Any]:
    """Run in a child; returns its wait status and what it answered."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            os.write(writing, json.dumps(function()).encode())
        except BaseException as error:  # noqa: BLE001 - a child tells and dies, whatever it was
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(3)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        text = pipe.read()
    return os.waitpid(child, 0)[1], json.loads(text) if text else None


def drill(template: Path, file: Path, number: int, moment: str) -> dict[str, Any] | None:
    """One kill and what came of it; None when there is no such batch."""
    for old in file.parent.glob(f"{file.name}*"):
        old.unlink()
    shutil.copy(template, file)
    expected = plain(file, OLD)

    def doomed() -> object:
        deadly(number, moment)
        return asyncio.run(rotated(file))

    status, _ = forked(doomed)
    if status == 0:
        return None
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    openable = plain(file, OLD, NEW) == expected
    _, again = forked(lambda: asyncio.run(rotated(file)))
    whole = plain(file, NEW) == expected
    return {
        "number": number,
        "moment": moment,
        "killed": killed,
        "openable": openable,
        "whole": whole,
        "values": len(expected),
        "again": again,
    }


def main(template: Path, batch: int) -> None:
    """Every batch, every moment."""
    _rotation._BATCH = batch
    number = 0
    while True:
        number += 1
        for moment in MOMENTS:
            found = drill(template, template.with_suffix(".drill"), number, moment)
            if found is None:
                return
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
