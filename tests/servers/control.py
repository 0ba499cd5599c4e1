"""Starts a real OAuth server in a process of its own, and steers it: what the tests use.

Everything blocks, for a few milliseconds; inside a running loop that is fine, or use `asyncio.to_thread`.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack
from urllib.parse import urlsplit

from tests.servers.browser import Browser

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0  # seconds a start may take on a machine that is busy with other things

Kind = Literal["dot", "authlib"]
KINDS: tuple[Kind, ...] = ("dot", "authlib")
FaultKind = Literal[
    "unavailable",  # 503 with Retry-After, an HTML page
    "limited",  # 429 with Retry-After
    "broken",  # 500
    "garbage",  # 200 with an HTML page
    "hangup",  # the connection closes before the server has done anything
    "lost",  # the server does its work, then the connection closes without an answer
    "cut",  # the server does its work, then half of the answer arrives
    "rewrite",  # the server does its work, then `drop` and `change` edit the JSON of the answer
    "slow",  # `seconds` of waiting, `when` = before or after the work
    "hold",  # waits for `release()`, `when` = before or after the work
]


class ServerSettings(TypedDict, total=False):
    """django-oauth-toolkit's names, obeyed by both servers."""

    ACCESS_TOKEN_EXPIRE_SECONDS: int
    REFRESH_TOKEN_EXPIRE_SECONDS: int | None
    ROTATE_REFRESH_TOKEN: bool
    REFRESH_TOKEN_REUSE_PROTECTION: bool
    REFRESH_TOKEN_GRACE_PERIOD_SECONDS: int
    AUTHORIZATION_CODE_EXPIRE_SECONDS: int
    PKCE_REQUIRED: bool
    AUTHORIZATION_RESPONSE_ISS: bool
    SCOPES: dict[str, str]


class FaultOptions(TypedDict, total=False):
    endpoint: Literal["token", "revocation", "authorize", "api"]
    grant: Literal["authorization_code", "refresh_token"]
    when: Literal["before", "after"]
    seconds: float
    retry_after: str | None
    change: Mapping[str, object]
    drop: list[str]


@dataclass(frozen=True)
class ClientInfo:
    client_id: str
    secret: str | None
    redirect_uris: tuple[str, ...]


@dataclass(frozen=True)
class Person:
    name: str
    password: str
    sub: str


@dataclass(frozen=True)
class Endpoints:
    authorization: str
    token: str
    revocation: str
    introspection: str | None
    api: str
    metadata: str


@dataclass(frozen=True)
class Counters:
    outcomes: dict[str, dict[str, int]]
    """Token requests by grant type, then by outcome: `ok`, an error code, a fault, or `ok, lost`."""
    concurrency: int
    """The most refreshes of one and the same grant that were under way together."""
    waiting: int
    """How many requests a `hold` keeps waiting now."""

    def refreshes(self) -> dict[str, int]:
        return self.outcomes.get("refresh_token", {})

    def redemptions(self) -> dict[str, int]:
        return self.outcomes.get("authorization_code", {})


@dataclass(frozen=True)
class Seen:
    """A request as the server saw it: the names of its parameters, never their values."""

    endpoint: str
    method: str
    grant: str | None
    params: list[str]
    auth: Literal["basic", "body", "bearer", "none"]
    client_id: str | None
    outcome: str
    status: int | None


class RealServer:
    def __init__(self, told: Mapping[str, Any], folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.kind: Kind = told["kind"]
        self.issuer: str = told["issuer"]
        self.origin: str = told["origin"]
        self.endpoints = Endpoints(
            authorization=told["authorization"],
            token=told["token"],
            revocation=told["revocation"],
            introspection=told["introspection"],
            api=f"{self.origin}/api/me",
            metadata=f"{self.issuer}/.well-known/oauth-authorization-server",
        )
        self._folder, self._process = folder, process

    def __repr__(self) -> str:
        return f"<{self.kind} at {self.origin}>"

    # --- people and apps -------------------------------------------------------------------------

    def app(
        self, redirect_uris: list[str], *, public: bool = False, client_id: str = "", secret: str = ""
    ) -> ClientInfo:
        client_id = client_id or f"app-{secrets.token_hex(6)}"
        secret = "" if public else secret or secrets.token_urlsafe(24)
        self._steer("app", client_id=client_id, secret=secret, redirect_uris=redirect_uris, public=public)
        return ClientInfo(client_id, secret or None, tuple(redirect_uris))

    def person(self, name: str) -> Person:
        """A new person; several may be called the same."""
        login, password = f"{name}-{secrets.token_hex(4)}", secrets.token_urlsafe(8)
        return Person(login, password, self._steer("person", name=login, password=password)["sub"])

    def consent(self, authorize_url: str, person: Person, *, allow: bool = True) -> str:
        """The server's own pages up to the client's redirect URI, which is returned and not opened."""
        return Browser(self.origin).consent(authorize_url, person.name, person.password, allow=allow)

    def set_secret(self, client_id: str, secret: str) -> None:
        self._steer("secret", client_id=client_id, secret=secret)

    def delete_app(self, client_id: str) -> None:
        self._steer("delete_app", client_id=client_id)

    def forget(self, person: Person, client_id: str) -> None:
        """The person removes the app: all tokens of the two are revoked."""
        self._steer("forget", sub=person.sub, client_id=client_id)

    def live(self, person: Person, client_id: str) -> tuple[int, int]:
        """Access tokens that work, and refresh tokens neither rotated nor revoked (whatever their age)."""
        told = self._steer("live", sub=person.sub, client_id=client_id)
        return told["access"], told["refresh"]

    # --- the server's own fate -------------------------------------------------------------------

    def set(self, **settings: Unpack[ServerSettings]) -> None:
        self._steer("settings", **settings)

    def advance(self, by: timedelta) -> None:
        self._steer("clock", seconds=by.total_seconds())

    def fault(self, kind: FaultKind, times: int = 1, **opts: Unpack[FaultOptions]) -> None:
        """What happens to the next `times` requests to `endpoint` (of `grant`, if given); faults queue up."""
        self._steer("fault", kind=kind, times=times, **opts)

    def release(self, many: int | None = None) -> None:
        """Let go `many` of the requests that `fault("hold")` keeps waiting, or all and those to come."""
        self._steer("release", many=many)

    def wait_for_waiting(self, many: int, seconds: float = 10.0) -> None:
        """Until `many` requests are held."""
        end = time.monotonic() + seconds
        while (now := self.counters().waiting) < many:
            if time.monotonic() > end:
                raise TimeoutError(f"{now} of {many} requests are held")
            time.sleep(0.005)

    def counters(self) -> Counters:
        return Counters(**self._steer("counters"))

    def requests(self, endpoint: str | None = None) -> list[Seen]:
        seen = [Seen(**told) for told in self._steer("requests")["requests"]]
        return [one for one in seen if endpoint in {None, one.endpoint}]

    def reset(self) -> None:
        """The default settings, the machine's clock, no faults, an empty account; people and apps stay."""
        self._steer("reset")

    def stderr(self) -> str:
        return (self._folder / "stderr").read_text()

    def stop(self) -> None:
        """Kill the server, as often as you like."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _steer(self, verb: str, **told: object) -> dict[str, Any]:
        connection = HTTPConnection(urlsplit(self.origin).netloc, timeout=30)
        try:
            connection.request("POST", f"/steer/{verb}", json.dumps(told))
            response = connection.getresponse()
            body: dict[str, Any] = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"{self!r} cannot {verb}: {body['error']}")
        return body


@contextmanager
def started(kind: Kind, **settings: Unpack[ServerSettings]) -> Iterator[RealServer]:
    """A server on a free port of the loopback address, killed at the end whatever happens."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="grantflow-", dir=memory if memory.is_dir() else None))
    try:
        server = start(kind, folder, settings)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def start(kind: Kind, folder: Path, settings: ServerSettings) -> RealServer:
    command = [sys.executable, "-m", f"tests.servers.{kind}_server", "0", str(folder), json.dumps(settings)]
    with (folder / "stderr").open("wb") as errors:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"STOP_WITH_STDIN": "1"},  # so that no server outlives the tests, however they die
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    try:
        readable, _, _ = select.select([process.stdout], [], [], PATIENCE)
        line = process.stdout.readline() if readable else b""
        if not line:
            process.kill()
            raise RuntimeError(f"the {kind} server did not start:\n{(folder / 'stderr').read_text()}")
        return RealServer(json.loads(line), folder, process)
    except BaseException:
        process.kill()
        process.communicate()
        raise
