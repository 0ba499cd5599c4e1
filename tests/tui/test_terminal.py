"""The console on a real terminal: found, forced, left; and the database says so afterwards."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from grantflow import Engine
from tests.tui.fleet import fleet

_ESCAPES = re.compile(rb"\x1b(?:\[[0-9;?<>=$]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|P[^\x1b]*\x1b\\|.)")
_PATIENCE = 30.0
PROGRAM = """
import sys
from grantflow_tui import run
sys.exit(run(sys.argv[1], write=True, operator="maria", claimed=True))
"""


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, *command: str, size: tuple[int, int] = (36, 120)) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        environment = os.environ | {"TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self._seen = b""

    def wait_for(self, text: str) -> None:
        """Read until the text was painted since the last keys."""
        until = time.monotonic() + _PATIENCE
        while text.encode() not in _ESCAPES.sub(b"", self._seen):
            assert time.monotonic() < until, (
                f"{text!r} never came; last seen: {_ESCAPES.sub(b'', self._seen)[-2000:]!r}"
            )
            self._read(0.1)

    def type(self, keys: str) -> None:
        """Send keys; what is painted from now on is new."""
        self._seen = b""
        os.write(self._master, keys.encode())

    def leave(self) -> int:
        """Wait for the end; returns the exit code."""
        until = time.monotonic() + _PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < until, "it did not end"
            self._read(0.05)
        os.close(self._master)
        return self.process.returncode

    def _read(self, seconds: float) -> None:
        if select.select([self._master], [], [], seconds)[0]:
            try:
                self._seen += os.read(self._master, 65536)
            except OSError:  # the other side is gone
                time.sleep(seconds)


async def test_every_screen_and_the_way_back_on_a_real_terminal(tmp_path: Path) -> None:
    path = tmp_path / "grants.db"
    async with fleet(path, accounts=("acme", "globex"), real_time=True):
        pass
    await asyncio.to_thread(wander, path)
    async with Engine.open(f"sqlite:///{path}") as engine:
        assert await engine.ops.paused() is not None
        done = [
            (action.verb, action.outcome) for _, action in await engine.ops.actions(filter="verb:pause,run-sweep")
        ]
        assert done == [("pause", "applied"), ("run-sweep", "applied")]


def wander(path: Path) -> None:
    """Through all screens, with a sweep and a pause on the way."""
    terminal = Terminal(sys.executable, "-c", PROGRAM, f"sqlite:///{path}")
    try:
        terminal.wait_for("Changed lately")
        terminal.type("3")
        terminal.wait_for("awaiting")
        terminal.type("4")
        terminal.wait_for("nobody")
        for key, title in (("t", "Sweep now"), ("P", "Pause every scheduler")):
            terminal.type(key)
            terminal.wait_for(title)
            terminal.type("\x1b[Z")  # from Cancel back to the reason
            time.sleep(0.2)
            terminal.type("a drill on a terminal")
            time.sleep(0.5)
            terminal.type("\x1b[20~")
            terminal.wait_for("swept:" if key == "t" else "PAUSED")
        terminal.type("6")
        terminal.wait_for("run-sweep")
        terminal.type("2")
        terminal.wait_for("2 match")
        terminal.type("/acc")
        terminal.wait_for("account:")  # offered
        terminal.type("\t")
        time.sleep(1.0)
        terminal.type("glob*\r")
        terminal.wait_for("1 match")
        terminal.type("[")
        terminal.wait_for("2 match")
        terminal.type("[")
        terminal.wait_for("run-sweep")
        terminal.type(":")
        terminal.wait_for("Search for commands")
        terminal.type("quit")
        time.sleep(1.0)
        terminal.type("\r")
        assert terminal.leave() == 0
    finally:
        if terminal.process.poll() is None:
            terminal.process.kill()


async def test_filter_force_and_quit_on_a_real_terminal(tmp_path: Path) -> None:
    path = tmp_path / "grants.db"
    async with fleet(path, accounts=("acme", "globex"), real_time=True):
        pass
    await asyncio.to_thread(play, path)
    async with Engine.open(f"sqlite:///{path}") as engine:
        states = {found.account: (found.state, found.forced) for found in (await engine.find()).items}
        assert states == {"acme": ("active", False), "globex": ("unauthorized", True)}
        done = [
            (action.outcome, action.actor, action.claimed)
            for _, action in await engine.ops.actions()
            if action.verb == "force"
        ]
        assert done == [("applied", "operator:maria", True), ("previewed", "operator:maria", True)]


def play(path: Path) -> None:
    """What the operator types."""
    terminal = Terminal(sys.executable, "-c", PROGRAM, f"sqlite:///{path}")
    try:
        terminal.wait_for("2 installations")
        terminal.type("2")
        terminal.wait_for("2 match")
        terminal.type("/account:globex\r")
        terminal.wait_for("1 match")
        terminal.type("f")
        terminal.wait_for("Type the account to confirm: globex")
        terminal.type("\t")
        time.sleep(0.2)
        terminal.type("\t")
        time.sleep(0.2)
        terminal.type("support case 4711\r")
        terminal.wait_for("IRREVERSIBLE")
        terminal.type("globex")
        time.sleep(0.4)  # a person cannot be faster than the dialog's guard; a program can
        terminal.type("\x1b[20~")
        terminal.wait_for("forced: now unauthorized")
        terminal.type("q")
        assert terminal.leave() == 0
    finally:
        if terminal.process.poll() is None:
            terminal.process.kill()
