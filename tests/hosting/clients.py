"""Three OAuth clients that others wrote, driven alike: each asks, reads answers and names errors in its own way."""

from __future__ import annotations

import asyncio
import io
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import httpx2
import requests
from authlib.integrations.base_client.errors import OAuthError  # type: ignore[import-untyped]
from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]
from oauthlib.oauth2 import WebApplicationClient  # type: ignore[import-untyped]
from oauthlib.oauth2.rfc6749.errors import OAuth2Error  # type: ignore[import-untyped]
from requests.adapters import BaseAdapter
from requests_oauthlib import OAuth2Session  # type: ignore[import-untyped]
from starlette.types import ASGIApp

from grantflow.testing import SECRET
from tests.hosting.raw import ask
from tests.hosting.world import CALLBACK, ORIGIN, World

APP, SCOPES = "external-app", "tickets.read tickets.write"
AUTHORIZE, TOKEN, REVOKE = (f"{ORIGIN}/oauth/v2/{name}" for name in ("authorize", "token", "revoke"))
REFUSALS = (OAuthError, OAuth2Error)
"""What the clients raise; `.error` is the code of the RFC."""


class Client(Protocol):
    """What a test asks of each; whatever is refused raises one of REFUSALS."""

    def begin(self, scope: str = SCOPES) -> str:
        """The address of an authorization-code request with PKCE."""

    async def fetch(self, answer: str, *, verifier: str = "", redirect_uri: str = CALLBACK) -> dict[str, Any]:
        """Read the response URL and exchange its code; a verifier takes the place of the right one."""

    async def refresh(self, token: str, scope: str = SCOPES) -> dict[str, Any]:
        """A new pair."""

    async def revoke(self, token: str) -> int:
        """Give it back; the status."""

    async def call(self) -> int:
        """The REST API with the token it holds; the status."""


class Authlib:
    """Authlib's `AsyncOAuth2Client`."""

    def __init__(self, world: World, **changes: Any) -> None:
        values: dict[str, Any] = {
            "client_id": APP,
            "client_secret": SECRET,
            "redirect_uri": CALLBACK,
            "code_challenge_method": "S256",
            "transport": httpx2.ASGITransport(world),
        }
        self.http = AsyncOAuth2Client(**(values | changes))
        self.verifier, self.state = "v" * 64, ""

    def begin(self, scope: str = SCOPES) -> str:
        self.http.scope = scope
        url, self.state = self.http.create_authorization_url(AUTHORIZE, code_verifier=self.verifier)
        return str(url)

    async def fetch(self, answer: str, *, verifier: str = "", redirect_uri: str = CALLBACK) -> dict[str, Any]:
        self.http.redirect_uri = redirect_uri
        told = dict(parse_qsl(urlsplit(answer).query))
        if "error" in told:  # it does not look there itself, and would ask for a token without a code
            raise OAuthError(told["error"])
        found = await self.http.fetch_token(
            TOKEN, authorization_response=answer, state=self.state, code_verifier=verifier or self.verifier
        )
        return dict(found)

    async def refresh(self, token: str, scope: str = SCOPES) -> dict[str, Any]:
        self.http.scope = scope
        return dict(await self.http.refresh_token(TOKEN, refresh_token=token))

    async def revoke(self, token: str) -> int:
        answer = await self.http.revoke_token(REVOKE, token=token, token_type_hint="refresh_token")
        return int(answer.status_code)

    async def call(self) -> int:
        return int((await self.http.get(f"{ORIGIN}/api/tickets")).status_code)


class Wire(BaseAdapter):
    """Carries the requests of a blocking client to the platform, on a loop of their own."""

    def __init__(self, platform: ASGIApp) -> None:
        super().__init__()
        self.platform = platform

    def send(self, request: requests.PreparedRequest, *settings: Any, **more: Any) -> requests.Response:
        parts = urlsplit(str(request.url))
        body = (request.body or "").encode() if isinstance(request.body, str | None) else request.body
        assert isinstance(body, bytes)
        headers: dict[str, Any] = {name.lower(): value for name, value in request.headers.items()}
        told = asyncio.run(ask(self.platform, str(request.method), parts.path, parts.query.encode(), body, **headers))
        answer = requests.Response()
        answer.status_code, answer.url, answer.request = told.status, str(request.url), request
        answer.headers.update({name.decode(): value.decode("latin-1") for name, value in told.headers})
        answer.raw = io.BytesIO(told.body)
        return answer

    def close(self) -> None:
        """Nothing is held."""


class RequestsOAuthlib:
    """requests-oauthlib's `OAuth2Session`, which makes state and verifier itself, and blocks."""

    def __init__(self, world: World) -> None:
        self.http = OAuth2Session(APP, redirect_uri=CALLBACK, scope=SCOPES.split(), pkce="S256")
        self.http.mount("https://", Wire(world))
        self.auth = requests.auth.HTTPBasicAuth(APP, SECRET)

    def begin(self, scope: str = SCOPES) -> str:
        self.http.scope = scope.split()
        return str(self.http.authorization_url(AUTHORIZE)[0])

    async def fetch(self, answer: str, *, verifier: str = "", redirect_uri: str = CALLBACK) -> dict[str, Any]:
        self.http.redirect_uri = redirect_uri
        self.http._code_verifier = verifier or self.http._code_verifier
        found = await asyncio.to_thread(
            self.http.fetch_token, TOKEN, authorization_response=answer, auth=self.auth, include_client_id=False
        )
        return dict(found)

    async def refresh(self, token: str, scope: str = SCOPES) -> dict[str, Any]:
        self.http.scope = scope.split()
        found = await asyncio.to_thread(self.http.refresh_token, TOKEN, refresh_token=token, auth=self.auth)
        return dict(found)

    async def revoke(self, token: str) -> int:
        url, headers, body = self.http._client.prepare_token_revocation_request(REVOKE, token, "refresh_token")
        answer = await asyncio.to_thread(
            self.http.post, url, data=body, headers=headers, auth=self.auth, withhold_token=True
        )
        return int(answer.status_code)

    async def call(self) -> int:
        return int((await asyncio.to_thread(self.http.get, f"{ORIGIN}/api/tickets")).status_code)


class Oauthlib:
    """oauthlib's `WebApplicationClient`, which sends nothing itself."""

    def __init__(self, world: World) -> None:
        self.world, self.http = world, WebApplicationClient(APP)
        self.verifier = self.http.create_code_verifier(64)

    def begin(self, scope: str = SCOPES) -> str:
        challenge = self.http.create_code_challenge(self.verifier, "S256")
        return str(
            self.http.prepare_request_uri(
                AUTHORIZE,
                CALLBACK,
                scope.split(),
                "the state",
                code_challenge=challenge,
                code_challenge_method="S256",
            )
        )

    async def fetch(self, answer: str, *, verifier: str = "", redirect_uri: str = CALLBACK) -> dict[str, Any]:
        told = self.http.parse_request_uri_response(answer, state="the state")
        assert told["iss"] == ORIGIN
        body = self.http.prepare_request_body(
            code=told["code"], redirect_uri=redirect_uri, code_verifier=verifier or self.verifier
        )
        return dict(self.http.parse_request_body_response((await self.post(TOKEN, body)).text))

    async def refresh(self, token: str, scope: str = SCOPES) -> dict[str, Any]:
        body = self.http.prepare_refresh_body(refresh_token=token, scope=scope.split())
        return dict(self.http.parse_request_body_response((await self.post(TOKEN, body)).text))

    async def revoke(self, token: str) -> int:
        url, _, body = self.http.prepare_token_revocation_request(REVOKE, token, "refresh_token")
        return (await self.post(url, body)).status_code

    async def call(self) -> int:
        url, headers, _ = self.http.add_token(f"{ORIGIN}/api/tickets", headers={})
        async with self.world.http() as http:
            return (await http.get(url, headers=headers)).status_code

    async def post(self, url: str, body: str) -> httpx2.Response:
        async with self.world.http() as http:
            return await http.post(url, data=dict(parse_qsl(body)), auth=(APP, SECRET))


CLIENTS: dict[str, type[Authlib | RequestsOAuthlib | Oauthlib]] = {
    "authlib": Authlib,
    "requests-oauthlib": RequestsOAuthlib,
    "oauthlib": Oauthlib,
}
