"""A program on a real terminal: keys go in, and what it paints is waited for."""

from __future__ import annotations

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

_ESCAPES = re.compile(rb"\x1b(?:\[[0-9;?<>=$]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|P[^\x1b]*\x1b\\|.)")
_PATIENCE = 30.0
F9, ESC, TAB, ENTER, DOWN = "\x1b[20~", "\x1b", "\t", "\r", "\x1b[B"


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, *command: str, size: tuple[int, int] = (36, 120)) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        environment = os.environ | {"TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(sys.path)}
        for told in ("COLUMNS", "LINES"):
            environment.pop(told, None)  # the terminal says how large it is
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self._seen = b""
        self.keys = 0
        """Pressed so far, words aside."""

    def wait_for(self, text: str, patience: float = _PATIENCE) -> None:
        """Read until the text was painted since the last keys."""
        until = time.monotonic() + patience
        while text.encode() not in self.painted():
            assert time.monotonic() < until, f"{text!r} never came; last seen: {self.painted()[-2000:]!r}"
            self._read(0.1)

    def painted(self) -> bytes:
        """What was painted since the last keys, without colours and places."""
        return _ESCAPES.sub(b"", self._seen)

    def type(self, keys: str) -> None:
        """Send keys; what is painted from now on is new."""
        self._seen = b""
        os.write(self._master, keys.encode())

    def press(self, *keys: str) -> None:
        """Press keys one after the other, as fast as a person; what is painted from now on is new."""
        self._seen = b""
        for key in keys:
            self.keys += 1
            os.write(self._master, key.encode())
            self.settle()

    def settle(self, quiet: float = 0.15) -> None:
        """Read until nothing was painted for a moment: a person looks before the next key."""
        until, before = time.monotonic() + _PATIENCE, -1
        while len(self._seen) != before and time.monotonic() < until:
            before = len(self._seen)
            self._read(quiet)

    def give_up(self) -> None:
        """End a program that did not end by itself."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            os.close(self._master)

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
