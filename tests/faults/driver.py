"""Kill -9 before and after every database call of a verb, in forked children, and look at what is left.

Run as a program: `driver.py FOLDER VERB…`, first with the verb `prepare`; prints one JSON object. With `--first` it
stops at the first broken promise. Nothing here starts a thread or a loop in the
parent, so that forking is safe and cheap. Exit status 1 means that a promise was broken; `broken` says how.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiosqlite

from grantflow import Actor, ClientCredentials, Engine, Settings
from grantflow._store import sqlite as adapter
from grantflow.errors import InvalidGrant
from grantflow.testing import SECRET, ManualClock, People, authorize, consent, sample_app

BOB, PLATFORM, OPERATOR = Actor.agent("bob"), Actor.system(), Actor.operator("olga")
KEY = "agent-app"
REASON = "a drill with kill -9"
PROJECTION = {
    "installation": "SELECT pk, state, version, generation, grant_revoked, deadline_at, due_at, suspended_by "
    "FROM grantflow_installation ORDER BY pk",
    "transition": "SELECT installation_pk, version, source, event, target FROM grantflow_transition ORDER BY 1, 2",
    "attempt": "SELECT pk, installation_pk, step, outcome FROM grantflow_attempt ORDER BY pk",
    "token_set": "SELECT installation_pk, generation FROM grantflow_token_set ORDER BY 1",
    "credential": "SELECT installation_pk, kind, generation, spent_at IS NULL FROM grantflow_credential "
    "ORDER BY 1, 2",
    "outbox": "SELECT installation_pk, name, version FROM grantflow_outbox ORDER BY pk",
    "consent": "SELECT pk, voided_at IS NULL FROM grantflow_consent ORDER BY pk",
    "action": "SELECT verb, outcome FROM grantflow_action ORDER BY pk",
    "count": "SELECT app_pk, state, sum(n) FROM grantflow_count GROUP BY 1, 2 HAVING sum(n) <> 0 ORDER BY 1, 2",
}
Prepared = dict[str, Any]


def projection(conn: sqlite3.Connection) -> str:
    """Everything that may not be half there, as text; chance (ids, hashes) is left out."""
    return json.dumps({name: conn.execute(query).fetchall() for name, query in PROJECTION.items()})


class Calls:
    """Counts database calls of every connection and dies at one of them."""

    def __init__(self, number: int = 0, moment: str = "", *, watch: bool = False) -> None:
        self.made, self.number, self.moment = 0, number, moment
        self.watch, self.states = watch, [""]

    def around(self, call: Callable[[], Any], conn: sqlite3.Connection, text: str) -> Any:
        self.made += 1
        mine = self.made == self.number
        if mine and self.moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = call()
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.watch and text == "COMMIT":
            state = projection(conn)
            if state != self.states[-1]:
                self.states.append(state)
        return result


CALLS = Calls()


class Watched(sqlite3.Connection):
    """A connection whose every call may be the last."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql in PROJECTION.values():
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


setattr(  # noqa: B010 - the adapter keeps its library to itself
    adapter,
    "aiosqlite",
    SimpleNamespace(connect=_watched_connect, Connection=aiosqlite.Connection),
)


SEVERAL_TRANSACTIONS = {"force"}  # the preview is on the record before the plan is carried out


def opened(file: Path, clock: ManualClock) -> Any:
    """An engine whose sweep takes everything in one chunk, so that runs are alike."""
    people = People({BOB: [f"account-{n}" for n in range(4)]})
    settings = Settings(chunk_budget=timedelta(seconds=60))
    return Engine.open(f"sqlite:///{file}", clock=clock, directory=people, settings=settings)


async def prepare(file: Path) -> Prepared:
    """Three working installations, one with an open attempt, and a code that waits to be redeemed."""
    async with opened(file, ManualClock()) as engine:
        await engine.apps.register(sample_app(key=KEY))
        for n in range(4):
            await engine.apps.install(KEY, f"account-{n}", actor=PLATFORM)
        ids = [(await authorize(engine, KEY, f"account-{n}", actor=BOB)).installation for n in range(3)]
        await engine.reauthorize(ids[1], actor=BOB, code_challenge="x" * 43)
        returned, verifier = await consent(engine, KEY, "account-3", actor=BOB)
        client = (await engine.apps.get(KEY)).client_id
        assert returned.code is not None
        return {"ids": ids, "code": returned.code.value, "verifier": verifier, "client": client}


async def send(engine: Engine, known: Prepared) -> object:
    return (await engine.send(known["ids"][0], "disconnect", actor=BOB, idempotency_key="the-same-key")).version


async def force(engine: Engine, known: Prepared) -> object:
    plan = await engine.ops.force(known["ids"][1], to="refresh-expired", actor=OPERATOR, reason=REASON)
    return plan.moves[0].target


async def redeem(engine: Engine, known: Prepared) -> object:
    client = ClientCredentials(known["client"], SECRET)
    return (await engine.ledger.redeem(known["code"], client=client, code_verifier=known["verifier"])).generation


async def sweep(engine: Engine, known: Prepared) -> object:
    return (await engine.sweep()).moved


VERBS: dict[str, Callable[[Engine, Prepared], Awaitable[object]]] = {
    "send": send,
    "force": force,
    "redeem": redeem,
    "sweep": sweep,
}


async def run(verb: str, file: Path, known: Prepared, told: Callable[[object], None]) -> None:
    """One verb on an engine of its own; a result is told before anything else may happen."""
    clock = ManualClock()
    if verb == "sweep":
        clock.advance(timedelta(days=400))
    async with opened(file, clock) as engine:
        told(await VERBS[verb](engine, known))


def forked(function: Callable[[Callable[[object], None]], None]) -> tuple[int, list[Any]]:
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


def invariants(file: Path) -> tuple[str, list[str]]:
    """Reopen as any program would; the projection, and what is wrong."""
    conn = sqlite3.connect(file)
    try:
        wrong = [f"integrity: {text}" for (text,) in conn.execute("PRAGMA integrity_check") if text != "ok"]
        counted: dict[tuple[int, str], int] = {}
        for pk, app, state, version, generation in conn.execute(
            "SELECT pk, app_pk, state, version, generation FROM grantflow_installation"
        ):
            counted[app, state] = counted.get((app, state), 0) + 1
            trail = conn.execute(
                "SELECT version, source, target FROM grantflow_transition WHERE installation_pk=? ORDER BY version",
                (pk,),
            ).fetchall()
            if [step[0] for step in trail] != list(range(1, version + 1)):
                wrong.append(f"{pk}: version {version}, trail {[step[0] for step in trail]}")
            elif trail[-1][2] != state or any(a[2] != b[1] for a, b in pairwise(trail)):
                wrong.append(f"{pk}: {state} is not the fold of its trail")
            tokens = conn.execute(
                "SELECT generation FROM grantflow_token_set WHERE installation_pk=?", (pk,)
            ).fetchall()
            hashes = conn.execute(
                "SELECT generation FROM grantflow_credential WHERE installation_pk=?", (pk,)
            ).fetchall()
            if (len(tokens), len(hashes)) not in {(0, 0), (1, 2)} or {*tokens, *hashes} - {(generation,)}:
                wrong.append(f"{pk}: tokens {tokens} and credentials {hashes} at generation {generation}")
        told = {
            (app, state): n
            for app, state, n in conn.execute("SELECT app_pk, state, sum(n) FROM grantflow_count GROUP BY 1, 2")
            if n
        }
        if told != counted:
            wrong.append(f"counters {told}, rows {counted}")
        loose = conn.execute(
            "SELECT count(*) FROM grantflow_outbox o LEFT JOIN grantflow_transition t "
            "ON t.installation_pk = o.installation_pk AND t.version = o.version WHERE t.pk IS NULL"
        ).fetchone()[0]
        if loose:
            wrong.append(f"{loose} notices without their transition")
        return projection(conn), wrong
    finally:
        conn.close()


def repeated(verb: str, file: Path, known: Prepared, told: Callable[[object], None]) -> None:
    """The caller comes again, as after a crash."""
    try:
        asyncio.run(run(verb, file, known, told))
    except InvalidGrant:  # the code was redeemed before the crash: its grant ends (RFC 6749 §4.1.2)
        told("refused")


def main(folder: Path, verbs: list[str], *, first: bool) -> dict[str, Any]:
    """Every verb, every call, before and after it."""
    template, notes = folder / "template.db", folder / "template.json"
    broken: list[str] = []
    points: dict[str, int] = {}
    if verbs == ["prepare"]:
        notes.write_text(json.dumps(asyncio.run(prepare(template))), encoding="utf-8")
        return {"points": points, "total": 0, "broken": broken}
    known = json.loads(notes.read_text(encoding="utf-8"))
    for verb in verbs:
        file = folder / f"{verb}.db"

        def once(told: Callable[[object], None], number: int = 0, moment: str = "", verb: str = verb) -> None:
            global CALLS  # noqa: PLW0603 - each child has its own
            CALLS = Calls(number, moment, watch=not number)
            asyncio.run(run(verb, folder / f"{verb}.db", known, told))
            if not number:
                told(CALLS.made)
                told(CALLS.states)

        fresh(template, file)
        before, _ = invariants(file)
        status, lines = forked(once)
        assert status == 0, f"{verb} failed in the dry run"
        result, calls, states = lines
        final = invariants(file)[0]
        allowed = [before, *states[1:]] if verb in SEVERAL_TRANSACTIONS else [before, final]
        if len(states) < 2 or final != states[-1]:
            broken.append(f"{verb}: the dry run wrote nothing that was seen")
        for number in range(1, calls + 1):
            for moment in ("before", "after"):
                point = f"{verb} {moment} call {number} of {calls}"
                fresh(template, file)
                status, lines = forked(lambda told, n=number, m=moment: once(told, n, m))  # type: ignore[misc]
                broken.extend(judged(point, status, lines, result, file, allowed, final))
                if first and broken:
                    return {"points": points, "total": number, "broken": broken}
                if verb == "send" or (verb != "force" and number % 5 == 0):
                    status, again = forked(lambda told, v=verb, f=file: repeated(v, f, known, told))  # type: ignore[misc]
                    left, wrong = invariants(file)
                    broken.extend(f"{point}, repeated: {why}" for why in wrong)
                    if status:
                        broken.append(f"{point}: the repetition failed")
                    elif again != ["refused"] and left != final:
                        broken.append(f"{point}: the repetition doubled or lost something")
                    elif verb == "send" and again != [result]:
                        broken.append(f"{point}: the same key answered {again}, not {result}")
        points[verb] = 2 * calls
    return {"points": points, "total": sum(points.values()), "broken": broken}


def judged(
    point: str, status: int, lines: list[Any], result: object, file: Path, allowed: list[str], final: str
) -> list[str]:
    """What one death broke."""
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
        return [f"{point}: this call was never reached (status {status})"]
    left, wrong = invariants(file)
    found = [f"{point}: {why}" for why in wrong]
    if left not in allowed:
        found.append(f"{point}: half a transaction is left")
    if lines and (lines[0] != result or left != final):
        found.append(f"{point}: an acknowledged result is lost")
    return found


def fresh(template: Path, file: Path) -> None:
    """A copy of the prepared database, without a journal."""
    for old in file.parent.glob(f"{file.name}*"):
        old.unlink()
    shutil.copyfile(template, file)


if __name__ == "__main__":
    told = main(Path(sys.argv[1]), [a for a in sys.argv[2:] if a != "--first"], first="--first" in sys.argv)
    sys.stdout.write(json.dumps(told))
    sys.exit(1 if told["broken"] else 0)
