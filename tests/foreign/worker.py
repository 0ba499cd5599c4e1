"""A process with an engine of its own on a database that others use too: `worker.py URL`.

Each line of JSON names what to do and gets one line back. Keys come from the environment; the clock stands where it
is told.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from grantflow import Engine, KeyRing
from grantflow.errors import BadCallback, GrantflowError
from grantflow.testing import ManualClock, People
from tests.foreign.world import QUICK, UNA, World, identify

ROOT = Path(__file__).parents[2]


async def tokens(engine: Engine, told: dict[str, Any]) -> list[object]:
    """So many tasks want an access token at once; what each of them got."""

    async def one() -> object:
        try:
            return (await engine.access_token(told["installation"])).generation
        except GrantflowError as error:
            return type(error).__name__

    return await asyncio.gather(*(one() for _ in range(told["tasks"])))


async def report(engine: Engine, told: dict[str, Any]) -> object:
    """The API has answered 401 about a generation."""
    done = await engine.report(told["installation"], status=401, generation=told["generation"])
    return [done.outcome, None if done.token is None else done.token.generation]


async def complete(engine: Engine, told: dict[str, Any]) -> object:
    """A callback has come to this process."""
    try:
        return (await engine.complete(told["query"], cookies=told["cookies"])).outcome
    except BadCallback as error:
        return error.why


VERBS = {"tokens": tokens, "report": report, "complete": complete}


async def main() -> None:
    clock = ManualClock(datetime.now(UTC))
    async with Engine.open(
        sys.argv[1],
        keys=KeyRing.from_env(),
        directory=People({UNA: ["acme", "bolt"]}),
        identify=identify,
        clock=clock,
        settings=QUICK,
    ) as engine:
        print(json.dumps("ready"), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            told = json.loads(line)
            clock.step(datetime.fromisoformat(told["now"]) - clock.now())
            print(json.dumps(await VERBS[told["verb"]](engine, told)), flush=True)


# --- the side that tells ------------------------------------------------------------------------------
class Crew:
    """Several such processes."""

    def __init__(self, world: World, processes: list[subprocess.Popen[str]]) -> None:
        self.world, self.processes = world, processes

    async def all(self, verb: str, **told: object) -> list[Any]:
        """All do the same at the same time; what each of them answered."""
        line = json.dumps({"verb": verb, "now": self.world.engine.now().isoformat(), **told})
        for process in self.processes:
            assert process.stdin is not None
            print(line, file=process.stdin, flush=True)
        return await self.answers()

    async def answers(self) -> list[Any]:
        async with asyncio.timeout(60):
            return await asyncio.gather(*(asyncio.to_thread(answer, process) for process in self.processes))


def answer(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def started(command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdin=pipe, stdout=pipe)


@asynccontextmanager
async def crew(world: World, many: int) -> AsyncIterator[Crew]:
    command = [sys.executable, "-m", "tests.foreign.worker", world.url]
    environment = os.environ | {"GRANTFLOW_KEYS": world.keys}
    processes = [started(command, environment) for _ in range(many)]
    try:
        made = Crew(world, processes)
        assert await made.answers() == ["ready"] * many
        yield made
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        codes = await asyncio.gather(*(asyncio.to_thread(process.wait, 20) for process in processes))
        assert codes == [0] * many
    finally:
        for process in processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()


if __name__ == "__main__":
    asyncio.run(main())
