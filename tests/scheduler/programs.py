"""Programs the scheduler's tests start as processes of their own: `programs.py WHAT DATABASE [NUMBER …]`."""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import time_machine

from grantflow import Actor, Engine, Lifetime, LifetimePolicy, Settings
from grantflow.testing import People, authorize, sample_app
from grantflow_scheduler import run_forever
from tests.scheduler.stage import ANN, APP, OPERATOR, WHY, url_of


def say(text: str) -> None:
    """One line to the test that waits for it."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class OnReady(logging.Handler):
    """Tells the test when the daemon says that it is at work."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line of its log."""
        if record.getMessage().startswith("at work"):
            say("ready")


_travels: list[time_machine.travel] = []


def step(seconds: float) -> None:
    """Step the machine's clock for this process."""
    to = datetime.now(UTC) + timedelta(seconds=seconds)
    if _travels:
        _travels.pop().stop()
    _travels.append(time_machine.travel(to, tick=True))
    _travels[-1].start()


def daemon(database: str, interval: float, ahead: float = 0.0) -> int:
    """`grantflow scheduler run`; a number of seconds on standard input steps the machine's clock for it."""

    def listen() -> None:
        for line in sys.stdin:
            step(float(line))
            say("stepped")

    if ahead:
        step(ahead)
    log = logging.getLogger("grantflow.scheduler")
    log.setLevel(logging.INFO)
    log.addHandler(OnReady())
    log.addHandler(logging.StreamHandler())
    threading.Thread(target=listen, daemon=True).start()
    return run_forever(url_of(database), interval=interval)


def release(database: str, ahead: float) -> int:
    """`grantflow sweep --release`, on a machine whose clock is ahead."""
    from grantflow.cli import main as command

    step(ahead)
    say("ready")
    sys.argv = ["grantflow", "--database", database, "sweep", "--release", APP, "--reason", WHY]
    return command()


async def host(database: str, lives: float) -> None:
    """An application: ever new people authorize for a few seconds; some are suspended, some disconnect."""
    people = People({ANN: ["acme"]})
    settings = Settings(attempt_lifetime=timedelta(seconds=lives), code_lifetime=timedelta(seconds=lives))
    async with Engine.open(url_of(database), directory=people, settings=settings) as engine:
        for number in range(4):
            life = Lifetime(LifetimePolicy.FIXED, timedelta(seconds=lives * (number + 1) / 4))
            await engine.apps.register(sample_app("agent", key=f"app-{number}", lifetime=life))
            await engine.apps.install(f"app-{number}", "acme", actor=ANN)
        say("ready")
        for number in itertools.count():
            agent = people.add(Actor.agent(f"agent-{time.time_ns()}"), "acme")
            tokens = await authorize(engine, f"app-{number % 4}", "acme", actor=agent)
            if number % 5 == 0:
                await engine.suspend(tokens.installation, actor=OPERATOR, reason=WHY)
            if number % 7 == 0:
                await engine.disconnect(tokens.installation, actor=agent)
            await asyncio.sleep(0.05)


def main() -> int:
    """What the test asked for."""
    what, database, numbers = sys.argv[1], sys.argv[2], [float(text) for text in sys.argv[3:]]
    if what == "daemon":
        return daemon(database, *numbers)
    if what == "release":
        return release(database, *numbers)
    asyncio.run(host(database, *numbers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
