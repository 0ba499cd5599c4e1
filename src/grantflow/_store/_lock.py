"""One writing process at a time on SQLite versions whose WAL reset can corrupt a file.

Versions before 3.51.3 (but 3.50.7 and 3.44.6) must never write or checkpoint from two connections at once, so every
process holds an OS lock on `<file>.lock` around BEGIN IMMEDIATE … COMMIT, checkpoint and close.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType

from grantflow.errors import ConfigurationError, DatabaseBusy, DatabaseError, DatabaseReadOnly

_PATIENCE = 0.0005
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def needs_lock(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite has the WAL-reset defect.

    >>> needs_lock((3, 40, 1)), needs_lock((3, 44, 6)), needs_lock((3, 50, 6)), needs_lock((3, 51, 3))
    (True, False, True, False)
    """
    if version >= (3, 51, 3):
        return False
    return not ((3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45))


class FileLock:
    """An exclusive OS lock on a file beside the database; freed by the kernel when the process dies."""

    def __init__(self, database: Path, timeout: float) -> None:
        self._timeout = timeout
        self._fd: int | None = None
        self.path = database.with_name(database.name + ".lock")
        try:
            import fcntl
        except ImportError as error:
            msg = f"SQLite {sqlite3.sqlite_version} needs a file lock that this system does not have"
            raise ConfigurationError(msg, hint="use a Python with SQLite 3.51.3 or newer") from error
        self._flock, self._exclusive, self._free = fcntl.flock, fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_UN
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            kind = DatabaseReadOnly if error.errno in _FORBIDDEN else DatabaseError
            msg = f"cannot open the lock file {self.path.name}: {error.strerror}"
            raise kind(msg) from error

    def __enter__(self) -> None:
        try:
            self._flock(self._handle, self._exclusive)
        except BlockingIOError:
            self._wait()

    def _wait(self) -> None:
        until, pause = time.monotonic() + self._timeout, _PATIENCE
        while True:
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)
            try:
                self._flock(self._handle, self._exclusive)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise DatabaseBusy from None
            else:
                return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flock(self._handle, self._free)

    @property
    def _handle(self) -> int:
        if self._fd is None:
            msg = "the database is closed"
            raise DatabaseError(msg)
        return self._fd

    def close(self) -> None:
        """Let go of the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


@contextmanager
def sole_writer(database: Path, timeout: float) -> Iterator[None]:
    """The lock that everybody who writes to a file holds, where this SQLite needs one."""
    if not needs_lock():
        yield
        return
    with closing(FileLock(database, timeout)) as lock, lock:
        yield
