"""An external app, built elsewhere: it authorizes at a platform's hosted pages with PKCE and calls its REST API.

It knows nothing of grantflow, only OAuth. Run `grantflow serve` and beside it
`uvicorn examples.external_app:app --port 8001`, be Uma at http://localhost:8000, then open
http://127.0.0.1:8001/connect and http://127.0.0.1:8001/report.
"""

import base64
import hashlib
import os
import secrets
from typing import Any
from urllib.parse import urlencode

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

PLATFORM = os.environ.get("PLATFORM", "http://localhost:8000")
CLIENT, CALLBACK = "report-hub", "http://127.0.0.1:8001/callback"
TRANSPORT: httpx2.AsyncBaseTransport | None = None
BEGUN: dict[str, str] = {}  # state → verifier, until the person is back; a real app keeps it in its session
TOKENS: dict[str, Any] = {}  # a real app keeps them by its own user, and encrypted


async def ask(method: str, path: str, **values: Any) -> httpx2.Response:
    """One request to the platform."""
    async with httpx2.AsyncClient(transport=TRANSPORT, base_url=PLATFORM) as http:
        return await http.request(method, path, **values)


async def connect(request: Request) -> Response:
    """Send the user to the platform's window."""
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    BEGUN[state] = verifier
    asked = {
        "response_type": "code", "client_id": CLIENT, "redirect_uri": CALLBACK, "state": state,
        "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    answer = RedirectResponse(f"{PLATFORM}/oauth/v2/authorize?{urlencode(asked)}", 303)
    answer.set_cookie("state", state, httponly=True, samesite="lax")
    return answer


async def callback(request: Request) -> Response:
    """The user is back: the answer must be ours (state, this browser) and this platform's (iss, RFC 9207)."""
    told, state = request.query_params, request.query_params.get("state", "")
    verifier = BEGUN.pop(state, None) if secrets.compare_digest(state, request.cookies.get("state", "")) else None
    if verifier is None or told.get("iss") != PLATFORM:
        return JSONResponse({"error": "this answer belongs to no request of ours"}, 400)
    if "code" not in told:
        return JSONResponse({"connected": False, "why": told.get("error")})
    form = {
        "grant_type": "authorization_code", "client_id": CLIENT, "redirect_uri": CALLBACK,
        "code": told["code"], "code_verifier": verifier,
    }  # fmt: skip
    return await keep(await ask("POST", "/oauth/v2/token", data=form), {"connected": True})


async def keep(answer: httpx2.Response, told: dict[str, Any]) -> Response:
    """Take a new token pair; without one the user has to connect again."""
    if answer.status_code != 200:
        TOKENS.clear()
        return JSONResponse({"connected": False, "why": answer.json().get("error")}, 502)
    TOKENS.update(answer.json())
    return JSONResponse(told)


async def called() -> httpx2.Response:
    """The REST call itself."""
    return await ask("GET", "/api/reports", headers={"Authorization": f"Bearer {TOKENS.get('access_token', '')}"})


async def report(request: Request) -> Response:
    """A REST call; after a 401 the refresh token is tried once, then the user hears how to connect again."""
    answer = await called()
    if answer.status_code == 401 and TOKENS:
        form = {"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": TOKENS["refresh_token"]}
        if (await keep(await ask("POST", "/oauth/v2/token", data=form), {})).status_code == 200:
            answer = await called()
    return JSONResponse(answer.json(), answer.status_code)


app = Starlette(routes=[Route("/connect", connect), Route("/callback", callback), Route("/report", report)])
