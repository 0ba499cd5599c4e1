"""A foreign authorization server in memory."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from grantflow._app import App, Server
from grantflow._ids import s256
from grantflow._ports import HttpRequest, HttpResponse
from grantflow.errors import NoAnswer
from grantflow.testing._people import SECRET, sample_app


class ForeignServer:
    """An authorization server in memory, as an engine's `http=`: codes, rotation, revocation, and faults on demand.

    It knows no people: `back(url)` is what the browser brings back when the person agrees, `back(url, cancel=True)`
    when not.

    >>> server = ForeignServer()
    >>> server.app("crm").server.issuer
    'https://server.example'
    """

    def __init__(self, issuer: str = "https://server.example", *, rotates: bool = True) -> None:
        self.server = Server(
            issuer=issuer,
            authorization_endpoint=f"{issuer}/authorize",
            token_endpoint=f"{issuer}/token",
            revocation_endpoint=f"{issuer}/revoke",
            sends_iss=True,
        )
        self.rotates = rotates
        self.secret = SECRET
        self.expires_in = 3600
        self.token_type = "Bearer"  # noqa: S105 - the type of a token
        self.person = "somebody"
        """Whom an `identify` of a test may answer with."""
        self.faults: list[HttpResponse | Exception] = []
        """Answered or raised, one for each coming request, in place of an answer."""
        self.lost: int = 0
        """Coming requests that are carried out and whose answer is lost."""
        self.asked: list[dict[str, str]] = []
        """Parameters of every request that came, secrets included."""
        self._codes: dict[str, tuple[str, str, str]] = {}
        self.alive: dict[str, str] = {}
        """Refresh token → scopes."""
        self._roots: dict[str, str] = {}
        self._made = 0

    def app(self, key: str = "crm", kind: str = "agent", **changes: Any) -> App:
        """An app in client mode at this server."""
        return sample_app(kind, key, mode="client", server=self.server, secret_hashes=(), **changes).with_secret(
            SECRET
        )

    def back(self, authorize_url: str, *, cancel: bool = False) -> str:
        """The query of the callback."""
        asked = dict(parse_qsl(urlsplit(authorize_url).query))
        if cancel:
            return urlencode({"error": "access_denied", "state": asked["state"], "iss": self.server.issuer})
        code = self._new("code")
        self._codes[code] = (asked["redirect_uri"], asked.get("code_challenge", ""), asked.get("scope", ""))
        return urlencode({"code": code, "state": asked["state"], "iss": self.server.issuer})

    def _new(self, what: str) -> str:
        self._made += 1
        return f"{what}-of-the-foreign-server-{self._made}"

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """What Engine.open takes as `http`."""
        form = dict(parse_qsl(request.body.decode()))
        self.asked.append(form)
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, Exception):
                raise fault
            return fault
        answer = self._answer(request, form)
        if self.lost:
            self.lost -= 1
            raise NoAnswer
        return answer

    def _answer(self, request: HttpRequest, form: dict[str, str]) -> HttpResponse:
        proof = base64.b64decode(request.headers.get("Authorization", "Basic ").removeprefix("Basic ")).decode()
        if unquote_plus(proof.partition(":")[2]) != self.secret:
            return self.says(401, error="invalid_client")
        if request.url == self.server.revocation_endpoint:
            self.alive.pop(form.get("token", ""), None)
            return self.says(200)
        if form.get("grant_type") == "authorization_code":
            uri, challenge, scopes = self._codes.pop(form.get("code", ""), ("", "", ""))
            if uri != form.get("redirect_uri") or challenge != s256(form.get("code_verifier", "")):
                return self.says(400, error="invalid_grant")
            return self._tokens(scopes, form["code"])
        if form.get("refresh_token") not in self.alive:
            return self.says(400, error="invalid_grant")
        scopes = self.alive[form["refresh_token"]]
        if self.rotates:
            self.alive.pop(form["refresh_token"])
            return self._tokens(scopes, self._roots.pop(form["refresh_token"], ""))
        return self._gives(access_token=self._new("access"))

    def withdraw(self, code: str) -> bool:
        """Forget the grant that a code has made: its next renewal is refused; returns whether it was alive."""
        held = [refresh for refresh, root in self._roots.items() if root == code and refresh in self.alive]
        for refresh in held:
            self.alive.pop(refresh)
        return bool(held)

    def _tokens(self, scopes: str, code: str) -> HttpResponse:
        refresh = self._new("refresh")
        self.alive[refresh] = scopes
        self._roots[refresh] = code
        return self._gives(access_token=self._new("access"), refresh_token=refresh)

    def _gives(self, **tokens: str) -> HttpResponse:
        return self.says(200, None, **{"token_type": self.token_type, "expires_in": self.expires_in, **tokens})

    @staticmethod
    def says(status: int, headers: Mapping[str, str] | None = None, **body: object) -> HttpResponse:
        """An answer, for `faults`."""
        known = {"content-type": "application/json", **(headers or {})}
        return HttpResponse(status, known, json.dumps(body).encode())
