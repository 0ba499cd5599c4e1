"""docs/how-to/postgres.md as it stands: the host's program, and three schedulers of which two are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from grantflow import Actor, Engine
from grantflow.testing import ManualClock, People, authorize, sample_app
from tests.examples.test_readme import blocks
from tests.postgres.outside import Outside

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "postgres.md"
BOB, MARIA = Actor.agent("bob"), Actor.admin("maria")
_COMMAND = "import sys; from grantflow.cli import main; sys.exit(main(sys.argv[1:]))"
ACCOUNTS = [f"account-{n}" for n in range(6)]


def test_the_hosts_program_of_the_page_runs(url: str, tmp_path: Path) -> None:
    (block,) = blocks(PAGE)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "GRANTFLOW_DATABASE": url}
    done = subprocess.run(
        [sys.executable, "-c", block.code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    outside = Outside(url)
    try:
        known = outside.rows("SELECT public_id, state FROM grantflow_installation")
    finally:
        outside.close()
    assert known == [(done.stdout.strip(), "active")]
    assert not list(tmp_path.iterdir()), "it wrote a file"


@contextmanager
def scheduler(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """`grantflow scheduler run`, as a process."""
    process = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, "--database", url, "scheduler", "run", "--interval", "0.2"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_three_schedulers_two_of_them_killed_bring_every_row_once(url: str) -> None:
    outside = Outside(url)
    try:
        asyncio.run(_ended_long_ago(url))
        with ExitStack() as stack:
            workers = [stack.enter_context(scheduler(url)) for _ in range(3)]
            until = time.monotonic() + 40
            while outside.rows("SELECT count(*) FROM grantflow_beat") < [(3,)]:
                assert time.monotonic() < until, "they never began"
                time.sleep(0.05)
            for worker in workers[:2]:
                worker.send_signal(signal.SIGKILL)
            states = "SELECT state, count(*) FROM grantflow_installation GROUP BY 1"
            while outside.rows(states) != [("refresh-expired", len(ACCOUNTS))]:
                assert time.monotonic() < until, outside.rows(states)
                time.sleep(0.05)
            workers[2].send_signal(signal.SIGTERM)
            assert workers[2].wait(10) in {0, 130, -signal.SIGTERM}
        ended = "SELECT count(*), count(DISTINCT installation_pk) FROM grantflow_transition WHERE target = $1"
        assert outside.rows(ended, "refresh-expired") == [(len(ACCOUNTS), len(ACCOUNTS))]
    finally:
        outside.close()


async def _ended_long_ago(url: str) -> None:
    """Grants that are due for whoever looks now."""
    people = People({BOB: ACCOUNTS, MARIA: ACCOUNTS})
    async with Engine.open(url, directory=people, clock=ManualClock(datetime(2020, 1, 1, tzinfo=UTC))) as engine:
        await engine.apps.register(sample_app())
        for account in ACCOUNTS:
            await engine.apps.install("agent-app", account, actor=MARIA)
            await authorize(engine, "agent-app", account, actor=BOB)
