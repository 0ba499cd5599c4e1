"""An OAuth client of plain urllib: what the servers' own tests ask them with, no grantflow anywhere."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from urllib.request import Request, urlopen

from tests.servers.control import ClientInfo, Person, RealServer

CALLBACK = "https://reports.example/callback"
LOST = (http.client.HTTPException, OSError)


@dataclass
class Reply:
    status: int
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def told(self) -> tuple[int, str | None]:
        return self.status, self.body.get("error")


def fetch(request: Request) -> Reply:
    try:
        with urlopen(request, timeout=30) as answer:
            status, body, headers = answer.status, answer.read(), dict(answer.headers)
    except HTTPError as error:
        with error:
            status, body, headers = error.code, error.read(), dict(error.headers)
    try:
        return Reply(status, json.loads(body), headers)
    except ValueError:
        return Reply(status, {}, headers)


def basic(client_id: str, secret: str) -> str:
    pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


OK, GRANT, CLIENT, REQUEST = (200, None), (400, "invalid_grant"), (401, "invalid_client"), (400, "invalid_request")


class Asker:
    """A client in thirty lines."""

    def __init__(self, server: RealServer, *, public: bool = False, secret: str = "") -> None:
        self.server = server
        self.client: ClientInfo = server.app([CALLBACK], public=public, secret=secret)
        self.person: Person = server.person("una")
        self.verifier = secrets.token_urlsafe(48)

    def url(self, **changed: str) -> str:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")
        asked = {"response_type": "code", "client_id": self.client.client_id, "redirect_uri": CALLBACK}
        asked |= {"state": "st&te", "scope": "read", "code_challenge": challenge, "code_challenge_method": "S256"}
        sent = {name: value for name, value in (asked | changed).items() if value}
        return f"{self.server.endpoints.authorization}?{urlencode(sent)}"

    def back(self, *, allow: bool = True, **changed: str) -> dict[str, str]:
        """The parameters of the callback."""
        url = self.server.consent(self.url(**changed), self.person, allow=allow)
        assert url.startswith(f"{CALLBACK}?")
        return dict(parse_qsl(urlsplit(url).query))

    def post(self, url: str, form: dict[str, str]) -> Reply:
        headers = {}
        if self.client.secret is None:
            form = form | {"client_id": self.client.client_id}
        else:
            headers["Authorization"] = basic(self.client.client_id, self.client.secret)
        return fetch(Request(url, urlencode(form).encode(), headers))

    def form(self, code: str) -> dict[str, str]:
        told = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        return told | {"code_verifier": self.verifier}

    def redeem(self, code: str, **changed: str) -> Reply:
        return self.post(self.server.endpoints.token, self.form(code) | changed)

    def refresh(self, token: str, **more: str) -> Reply:
        return self.post(self.server.endpoints.token, {"grant_type": "refresh_token", "refresh_token": token} | more)

    def revoke(self, token: str) -> Reply:
        return self.post(self.server.endpoints.revocation, {"token": token})

    def tokens(self) -> dict[str, str]:
        answer = self.redeem(self.back()["code"])
        assert answer.status == 200, answer
        return answer.body

    def me(self, access_token: str) -> Reply:
        return fetch(Request(self.server.endpoints.api, headers={"Authorization": f"Bearer {access_token}"}))

    def live(self) -> tuple[int, int]:
        return self.server.live(self.person, self.client.client_id)
