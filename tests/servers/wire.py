"""What both OAuth servers stand on: sockets, planted faults, a movable clock, and an account of every request.

The OAuth is the library's. Here is only what surrounds it: `/steer/VERB` answers the tests, every other path goes
to the WSGI application, and on the way there and back things go wrong as they were asked to.
"""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import threading
import time
import traceback
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

DEFAULTS: dict[str, Any] = {
    "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
    "REFRESH_TOKEN_EXPIRE_SECONDS": 14 * 24 * 3600,
    "ROTATE_REFRESH_TOKEN": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": False,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 60,
    "PKCE_REQUIRED": True,
    "AUTHORIZATION_RESPONSE_ISS": False,
    "SCOPES": {"read": "Read your reports", "write": "Change your reports"},
}
LONGEST_HOLD = 20.0
GARBAGE = b"<!doctype html><title>Down for maintenance</title><p>We will be back soon.</p>"

Environ = dict[str, Any]
Verbs = Mapping[str, Callable[..., dict[str, Any]]]


class Clock:
    """The server's own time: the machine's, moved by the tests."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def clock(self, seconds: float) -> dict[str, Any]:
        self.offset += timedelta(seconds=seconds)
        return {"now": self.now().isoformat()}


@dataclass
class Fault:
    """What goes wrong with the next `times` requests to one endpoint.

    unavailable, limited, broken, garbage, hangup: the server never sees the request.
    lost, cut, rewrite: the server did all its work, the answer suffers. slow, hold: before or after that work.
    """

    kind: str
    times: int = 1
    endpoint: str = "token"
    grant: str | None = None
    when: str = "before"
    seconds: float = 0.3
    retry_after: str | None = "2"
    change: dict[str, Any] = field(default_factory=dict)
    drop: list[str] = field(default_factory=list)


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    cut: bool = False

    @classmethod
    def of(cls, status: int, value: object) -> Answer:
        return cls(status, [("Content-Type", "application/json")], json.dumps(value).encode())

    def value(self) -> dict[str, Any]:
        try:
            told = json.loads(self.body)
        except ValueError:
            return {}
        return told if isinstance(told, dict) else {}


@dataclass
class Call:
    """One request as the account keeps it: names of parameters, never values."""

    endpoint: str
    method: str
    grant: str | None
    params: list[str]
    auth: str
    client_id: str | None
    outcome: str = "pending"
    status: int | None = None


KINDS = ("unavailable", "limited", "broken", "garbage", "hangup", "lost", "cut", "rewrite", "slow", "hold")


class Account:
    """Every request, and how many refreshes of one grant were under way at the same time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.families: dict[str, str] = {}  # refresh token -> the refresh token its grant began with
        self.waiting = 0  # guarded by the gate
        self.forget()

    def forget(self) -> None:
        self.calls: list[Call] = []
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    def enter(self, call: Call, presented: str | None) -> None:
        with self.lock:
            self.calls.append(call)
            if presented is not None:
                family = self.families.setdefault(presented, presented)
                self.under_way[family] += 1
                self.most[family] = max(self.most[family], self.under_way[family])

    def leave(self, presented: str | None) -> None:
        with self.lock:
            if presented is not None:
                self.under_way[self.families[presented]] -= 1

    def learn(self, presented: str | None, issued: str | None) -> None:
        with self.lock:
            if issued is not None:
                self.families.setdefault(issued, self.families[presented] if presented else issued)

    def counters(self) -> dict[str, Any]:
        with self.lock:
            outcomes: dict[str, Counter[str]] = defaultdict(Counter)
            for call in self.calls:
                if call.endpoint == "token":
                    outcomes[call.grant or ""][call.outcome] += 1
            most = max(self.most.values(), default=0)
            return {"outcomes": outcomes, "concurrency": most, "waiting": self.waiting}

    def requests(self) -> dict[str, Any]:
        with self.lock:
            return {"requests": [asdict(call) for call in self.calls]}


class Wire:
    """Stands between the socket and the WSGI application."""

    def __init__(
        self, paths: Mapping[str, str], clock: Clock, verbs: Verbs, app: Callable[..., Iterable[bytes]]
    ) -> None:
        self.paths, self.clock, self.app = paths, clock, app
        self.account = Account()
        self.faults: list[Fault] = []
        self.gate = threading.Condition()
        self.may_pass = float("inf")  # how many held requests the gate lets through
        own: Verbs = {
            "clock": clock.clock,
            "fault": self.fault,
            "release": self.release,
            "counters": self.account.counters,
            "requests": self.account.requests,
        }
        self.verbs = {**own, **verbs, "reset": self.reset}
        self.settings = verbs["settings"]

    # --- steering --------------------------------------------------------------------------------

    def fault(self, **told: Any) -> dict[str, Any]:
        fault = Fault(**told)
        if fault.kind not in KINDS:
            raise ValueError(f"no fault is called {fault.kind}")
        with self.account.lock:
            self.faults.append(fault)
        if fault.kind == "hold":
            with self.gate:
                self.may_pass = 0
        return {}

    def release(self, many: int | None = None) -> dict[str, Any]:
        with self.gate:
            self.may_pass = float("inf") if many is None else self.may_pass + many
            self.gate.notify_all()
        return {}

    def reset(self) -> dict[str, Any]:
        self.release()
        with self.account.lock:
            self.faults.clear()
            self.account.forget()
        self.clock.offset = timedelta(0)
        return self.settings(**DEFAULTS)

    def steer(self, verb: str, body: bytes) -> Answer:
        if verb not in self.verbs:
            return Answer.of(404, {"error": f"no verb is called {verb}"})
        try:
            return Answer.of(200, self.verbs[verb](**json.loads(body or b"{}")))
        except Exception as problem:  # noqa: BLE001  # whatever it was, the test that steered wants to read it
            return Answer.of(500, {"error": "".join(traceback.format_exception(problem))})

    # --- serving ---------------------------------------------------------------------------------

    def serve(self, environ: Environ, body: bytes) -> Answer | None:
        """The answer to one request; None hangs up."""
        path = environ["PATH_INFO"]
        if path.startswith("/steer/"):
            return self.steer(path.removeprefix("/steer/"), body)
        environ["wsgi.input"] = io.BytesIO(body)
        if path not in self.paths:
            return self.ask(environ)
        form = {
            name: values[-1]
            for name, values in parse_qs(body.decode(errors="replace"), keep_blank_values=True).items()
        }
        call = described(self.paths[path], environ, form)
        presented = form.get("refresh_token") if call.grant == "refresh_token" else None
        self.account.enter(call, presented)
        try:
            answer = self.under(self.take(call), call, environ, presented)
        finally:
            self.account.leave(presented)
        call.status = answer.status if answer else None
        return answer

    def take(self, call: Call) -> Fault | None:
        with self.account.lock:
            for fault in self.faults:
                if fault.endpoint == call.endpoint and fault.grant in {None, call.grant}:
                    fault.times -= 1
                    if not fault.times:
                        self.faults.remove(fault)
                    return fault
        return None

    def under(self, fault: Fault | None, call: Call, environ: Environ, presented: str | None) -> Answer | None:
        kind = fault.kind if fault else None
        if fault and kind in KINDS[:5]:
            call.outcome = fault.kind
            return instead(fault)
        if fault and fault.when == "before":
            self.pause(fault)
        answer = self.ask(environ)
        told = answer.value()
        call.outcome = "ok" if answer.status < 400 else str(told.get("error", answer.status))
        if call.endpoint == "token" and answer.status == 200:
            self.account.learn(presented, told.get("refresh_token"))
        if fault and fault.when == "after":
            self.pause(fault)
        if kind == "lost":
            call.outcome += ", lost"
            return None
        if kind == "cut":
            call.outcome += ", cut"
            answer.cut = True
        if fault and kind == "rewrite":
            kept = {name: value for name, value in told.items() if name not in fault.drop}
            answer.body = json.dumps(kept | fault.change).encode()
        return answer

    def pause(self, fault: Fault) -> None:
        if fault.kind == "slow":
            time.sleep(fault.seconds)
        if fault.kind == "hold":
            with self.gate:
                self.account.waiting += 1
                if self.gate.wait_for(lambda: self.may_pass > 0, LONGEST_HOLD):
                    self.may_pass -= 1
                self.account.waiting -= 1

    def ask(self, environ: Environ) -> Answer:
        """What the OAuth library itself answers."""
        begun: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
            begun.append((status, headers))

        parts = self.app(environ, start)
        try:
            body = b"".join(parts)
        finally:
            getattr(parts, "close", lambda: None)()
        status, headers = begun[-1]
        kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
        return Answer(int(status.split()[0]), kept, body)


def described(endpoint: str, environ: Environ, form: Mapping[str, str]) -> Call:
    scheme, _, credentials = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    auth, client_id = ("body" if "client_secret" in form else "none"), form.get("client_id")
    if scheme.lower() == "basic":
        auth, client_id = "basic", None
        with suppress(ValueError):
            client_id = b64decode(credentials).decode().partition(":")[0]
    elif scheme.lower() == "bearer":
        auth = "bearer"
    names = sorted({*form, *parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)})
    return Call(endpoint, environ["REQUEST_METHOD"], form.get("grant_type"), names, auth, client_id)


def instead(fault: Fault) -> Answer | None:
    if fault.kind == "hangup":
        return None
    html = [("Content-Type", "text/html; charset=utf-8")]
    if fault.kind == "garbage":
        return Answer(200, html, GARBAGE)
    if fault.retry_after is not None and fault.kind != "broken":
        html.append(("Retry-After", fault.retry_after))
    return Answer({"unavailable": 503, "limited": 429, "broken": 500}[fault.kind], html, GARBAGE)


# --- sockets -------------------------------------------------------------------------------------


class Listener(ThreadingMixIn, WSGIServer):
    """One thread per connection, connections kept open, on the loopback address only."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    wire: Wire

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.origin = f"http://127.0.0.1:{self.server_port}"

    def server_bind(self) -> None:
        super(HTTPServer, self).server_bind()  # asks no name server for our name
        self.server_name, self.server_port = "127.0.0.1", self.socket.getsockname()[1]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            traceback.print_exc()


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece
    disable_nagle_algorithm = True
    timeout = 60
    server: Listener
    handle = BaseHTTPRequestHandler.handle  # WSGIRequestHandler's own closes after one request

    def do_GET(self) -> None:  # noqa: N802  # http.server calls it so
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environ = self.get_environ()
        environ |= {"wsgi.url_scheme": "http", "wsgi.errors": sys.stderr, "wsgi.version": (1, 0)}
        environ |= {"wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False}
        answer = self.server.wire.serve(environ, body)
        if answer is None:
            self.hang_up()
            return
        self.send_response(answer.status, HTTPStatus(answer.status).phrase)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[: len(answer.body) // 2] if answer.cut else answer.body)
        if answer.cut:
            self.wfile.flush()
            self.hang_up()

    do_POST = do_GET  # noqa: N815  # the same

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name the base class gave it
        """Stderr is for what went wrong."""


def run(listener: Listener, wire: Wire, **told: object) -> None:
    """Say that the server is there, and serve until it is killed or, if asked so, until stdin closes."""
    listener.wire = wire
    if os.environ.get("STOP_WITH_STDIN"):
        threading.Thread(target=stop_with_stdin, daemon=True).start()
    print(json.dumps({"ready": True, "origin": listener.origin, **told}), flush=True)
    listener.serve_forever()


def stop_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def arguments() -> tuple[int, str, dict[str, Any]]:
    """PORT DIR [JSON settings]."""
    if len(sys.argv) not in {3, 4}:
        sys.exit(f"usage: {sys.argv[0]} PORT DIR [JSON settings]")
    return int(sys.argv[1]), sys.argv[2], DEFAULTS | (json.loads(sys.argv[3]) if len(sys.argv) == 4 else {})
