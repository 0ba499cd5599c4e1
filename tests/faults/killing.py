"""Kill -9 before and after every database call of a verb, in forked children, and look at what is left.

Nothing here starts a thread or a loop in the parent, so that forking is safe and cheap. `driver.py` is the program.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sqlite3
import sys
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiosqlite

from grantflow._store import sqlite as adapter
from grantflow.testing import ManualClock
from tests.faults.oracle import PROJECTION, looked_at, projection
from tests.faults.verbs import VERBS, Prepared, Verb, fresh, opened, prepare, said

if TYPE_CHECKING:
    from collections.abc import Iterator

_OURS = f"grantflow{os.sep}_store{os.sep}"
REPEATED_EVERY = 5
REFUSED = "it was refused to come again"
Told = Callable[[object], None]


class Calls:
    """Counts database calls of every connection and dies at one of them."""

    def __init__(self, number: int = 0, moment: str = "", *, watch: bool = False) -> None:
        self.made, self.number, self.moment = 0, number, moment
        self.watch, self.states = watch, [""]
        self.sites: set[tuple[str, int]] = set()

    def around(self, call: Callable[[], Any], conn: sqlite3.Connection, text: str) -> Any:
        self.made += 1
        mine = self.made == self.number
        if mine and self.moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.watch:
            self.seen(sys._getframe(2))
        try:
            result = call()
        finally:
            if mine:
                os.kill(os.getpid(), signal.SIGKILL)
        if self.watch and text == "COMMIT":
            state = projection(conn)
            if state != self.states[-1]:
                self.states.append(state)
        return result

    def seen(self, frame: FrameType | None) -> None:
        """Note which line of the store makes this call."""
        name = "" if frame is None else frame.f_code.co_filename
        if frame is not None and _OURS in name:
            self.sites.add((name.rpartition(_OURS)[2], frame.f_lineno))


CALLS = Calls()


class Watched(sqlite3.Connection):
    """A connection whose every call may be the last."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql in PROJECTION.values() or "grantflow_count'" in sql:
            return super().execute(sql, *values)
        found: sqlite3.Cursor = CALLS.around(partial(super().execute, sql, *values), self, sql)
        return found

    def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
        found: sqlite3.Cursor = CALLS.around(partial(super().executemany, sql, *values), self, sql)
        return found

    def close(self) -> None:
        CALLS.around(super().close, self, "close")


def _watched_connect(path: Any, **settings: Any) -> Any:
    return aiosqlite.core.connect(path, factory=Watched, **settings)


def watch_every_connection() -> None:
    """From now on, in this process, the adapter opens connections whose every call may be the last."""
    double = SimpleNamespace(connect=_watched_connect, Connection=aiosqlite.Connection)
    setattr(adapter, "aiosqlite", double)  # noqa: B010 - the adapter keeps its library to itself


async def run(verb: Verb, file: Path, known: Prepared, told: Told) -> None:
    """One verb on an engine of its own; a result is told before anything else may happen."""
    clock = ManualClock()
    clock.advance(verb.later)
    async with opened(file, clock) as engine:
        told(said(await verb.call(engine, known)))


def forked(function: Callable[[Told], None]) -> tuple[int, list[Any]]:
    """Run in a child; returns its wait status and what it told, line by line."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)

        def told(what: object) -> None:
            os.write(writing, (json.dumps(what) + "\n").encode())

        try:
            function(told)
        except BaseException as error:  # noqa: BLE001 - a child tells and dies, whatever it was
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(3)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        lines = [json.loads(line) for line in pipe]
    return os.waitpid(child, 0)[1], lines


class Drill:
    """One verb, with the database it starts from."""

    def __init__(self, folder: Path, name: str, known: Prepared) -> None:
        self.name, self.verb, self.known = name, VERBS[name], known
        self.template, self.file = folder / "template.db", folder / f"{name}.db"
        self.broken: list[str] = []

    def set_up(self) -> None:
        """The database as the verb finds it."""
        if self.verb.creates:
            for old in self.file.parent.glob(f"{self.file.name}*"):
                old.unlink()
            return
        fresh(self.template, self.file)
        if self.verb.damage:
            conn = sqlite3.connect(self.file)
            with conn:
                conn.execute(self.verb.damage, (self.known["ids"][0],))
            conn.close()

    def once(self, told: Told, number: int = 0, moment: str = "") -> None:
        """In a child: the verb, with a death on the way."""
        global CALLS  # noqa: PLW0603 - each child has its own
        CALLS = Calls(number, moment, watch=not number)
        asyncio.run(run(self.verb, self.file, self.known, told))
        if not number:
            for fact in (CALLS.made, CALLS.states, sorted(CALLS.sites)):
                told(fact)

    def again(self, told: Told) -> None:
        """In a child: the caller comes again, as after a crash."""
        try:
            asyncio.run(run(self.verb, self.file, self.known, told))
        except self.verb.again:
            told(REFUSED)

    def dry(self) -> list[tuple[str, int]]:
        """Count the calls, and learn what may be left; returns the call sites that were reached."""
        self.set_up()
        before, self.known_wrong = looked_at(self.file)
        status, lines = forked(self.once)
        if status:
            self.broken.append(f"{self.name} failed in the dry run")
            self.calls = 0
            return []
        self.result, self.calls, states, sites = lines
        self.final, left = looked_at(self.file)
        self.allowed = [before, *states[1:]] if self.verb.several else [before, self.final]
        self.broken += [f"{self.name}, unharmed: {why}" for why in left if why not in self.known_wrong]
        if self.verb.writes and not self.verb.creates and (len(states) < 2 or self.final != states[-1]):
            self.broken.append(f"{self.name}: the dry run wrote nothing that was seen")
        if not self.verb.several and len([state for state in states if state not in {"", before}]) > 1:
            self.broken.append(f"{self.name}: more than one transaction")
        return [(str(file), int(line)) for file, line in sites]

    def points(self, every: int) -> Iterator[tuple[int, str]]:
        """Which deaths to die; another share for each verb."""
        chosen = [(number, moment) for number in range(1, self.calls + 1) for moment in ("before", "after")]
        yield from chosen[zlib.crc32(self.name.encode()) % every :: every]

    def die(self, number: int, moment: str) -> None:
        """One death, what it left, and now and then the same call again."""
        at = f"{self.name} {moment} call {number} of {self.calls}"
        self.set_up()
        status, lines = forked(partial(self.once, number=number, moment=moment))
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            self.broken.append(f"{at}: this call was never reached (status {status})")
            return
        left, found = looked_at(self.file)
        self.broken += [f"{at}: {why}" for why in found if why not in self.known_wrong]
        if left not in self.allowed:
            self.broken.append(f"{at}: half a transaction is left")
        if lines and (lines[0] != self.result or left != self.final):
            self.broken.append(f"{at}: an acknowledged result is lost")
        if self.name == "send" or number % REPEATED_EVERY == 0:
            self.repeat(at, committed=left == self.final)

    def repeat(self, at: str, *, committed: bool) -> None:
        """Nothing is doubled by coming again."""
        status, answers = forked(self.again)
        left, found = looked_at(self.file)
        self.broken += [f"{at}, repeated: {why}" for why in found if why not in self.known_wrong]
        if status:
            self.broken.append(f"{at}: the repetition failed")
        elif answers == [REFUSED]:
            if not committed and not self.verb.several:
                self.broken.append(f"{at}: refused though nothing had happened")
        elif not (self.verb.adds or left == self.final):
            self.broken.append(f"{at}: the repetition doubled or lost something")
        elif self.name == "send" and answers != [self.result]:
            self.broken.append(f"{at}: the same key answered {answers}, not {self.result}")


def main(folder: Path, verbs: list[str], *, first: bool, every: int, dry: bool) -> dict[str, Any]:
    """Every verb, every call, before and after it."""
    template, notes = folder / "template.db", folder / "template.json"
    if verbs == ["prepare"]:
        notes.write_text(json.dumps(asyncio.run(prepare(template))), encoding="utf-8")
        return {"points": {}, "total": 0, "broken": looked_at(template)[1]}
    watch_every_connection()
    known = json.loads(notes.read_text(encoding="utf-8"))
    points: dict[str, int] = {}
    broken: list[str] = []
    sites: set[tuple[str, int]] = set()
    for name in [*VERBS] if verbs == ["all"] else verbs:
        drill = Drill(folder, name, known)
        sites.update(drill.dry())
        points[name] = 0
        before = len(drill.broken)
        for number, moment in () if dry else drill.points(every):
            drill.die(number, moment)
            points[name] += 1
            if first and len(drill.broken) > before:
                break
        broken += drill.broken
        points[name] = 2 * drill.calls if dry else points[name]
        if first and broken:
            break
    return {"points": points, "total": sum(points.values()), "broken": broken, "sites": sorted(sites)}


def program(arguments: list[str]) -> int:
    """The command line; prints one JSON object."""
    parser = argparse.ArgumentParser(prog="driver.py")
    parser.add_argument("folder", type=Path)
    parser.add_argument("verbs", nargs="+", help="names of the table, `all`, or `prepare` first of all")
    parser.add_argument("--first", action="store_true", help="stop at the first broken promise")
    parser.add_argument("--dry", action="store_true", help="only count, and tell which call sites were reached")
    parser.add_argument("--every", type=int, default=1, help="take every Nth point")
    asked = parser.parse_args(arguments)
    answer = main(asked.folder, asked.verbs, first=asked.first, every=asked.every, dry=asked.dry)
    sys.stdout.write(json.dumps(answer))
    return 1 if answer["broken"] else 0
