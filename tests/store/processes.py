"""Programs as processes of their own, for tests of several on one database."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def worker(module: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Start a module as a program; it is dead when the block ends."""
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    process = subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line it says; what it complains of where it says nothing."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, process.stderr.read() if process.stderr else ""
    return line


def together(process: subprocess.Popen[str], many: int) -> list[str]:
    """Let the many of a crowd begin at one moment; what each of them says in the end."""
    assert [line_of(process) for _ in range(many)] == ["open"] * many
    assert process.stdin is not None
    process.stdin.write("g" * many)
    process.stdin.flush()
    return [line_of(process) for _ in range(many)]


# --- the side of the programs ------------------------------------------------------------------------
def say(text: str) -> None:
    """One line to the test that waits for it, whole though others speak, too: a pipe takes 64 KiB at once."""
    with Path(__file__).open("rb") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def ready() -> None:
    """Say so, and wait for the start."""
    say("open")
    os.read(0, 1)


def crowd(many: int, work: Callable[[int], Coroutine[object, object, None]]) -> None:
    """So many processes that do the same: forks of this one, because a new interpreter takes longer than the work."""
    import asyncio

    children = []
    for number in range(many):
        child = os.fork()
        if not child:
            code = 1
            try:
                asyncio.run(work(number))
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
