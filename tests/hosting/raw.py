"""A request as bytes on the wire may carry it: nothing encoded, nothing checked on the way."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import ASGIApp, Message


@dataclass
class Answer:
    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str:
        return ", ".join(value.decode() for known, value in self.headers if known == name.encode())


async def ask(
    app: ASGIApp,
    method: str,
    path: str,
    query: bytes = b"",
    body: bytes = b"",
    *,
    scheme: str = "https",
    **headers: bytes | str,
) -> Answer:
    """Send it and keep what comes; an exception of the app goes through. `scheme` is what the server sees."""
    answer, told = Answer(), {name.replace("_", "-"): value for name, value in headers.items()}
    encoded = [(k.encode(), v.encode("latin-1") if isinstance(v, str) else v) for k, v in told.items()]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": scheme,
        "path": path, "raw_path": path.encode("utf-8", "surrogatepass"), "query_string": query, "root_path": "",
        "headers": encoded, "client": ("127.0.0.1", 1), "server": ("platform.example", 443), "state": {},
    }  # fmt: skip

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], tuple(message["headers"])
        answer.body += message.get("body", b"")

    await app(scope, receive, send)
    return answer
