"""A guard for a host's REST API: whom an access token speaks for, or 401 with guidance. Source: S-18, S-28, S-31."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from grantflow import Engine
from grantflow.errors import Conflict, DatabaseError, GrantflowError, Quarantined, Unauthorized


def protect(engine: Engine, *, scopes: Iterable[str] = (), realm: str = "api") -> Callable[[ASGIApp], ASGIApp]:
    """ASGI middleware for a REST API under grantflow's access tokens (RFC 6750).

        api.mount("/api", hosting.protect(engine, scopes=["tickets.read"])(rest))

    A request behind it finds the grant as `request.state.grant`. A dead grant is answered 401 with the guidance as
    JSON, a missing scope 403; without a token the 401 says only how to come (RFC 6750 §3.1). Websockets
    are guarded, too.

    Args:
        engine: The engine whose ledger gave the tokens.
        scopes: What every request needs.
        realm: Named in WWW-Authenticate; letters, digits and dashes.
    """
    needed = tuple(scopes)

    def around(app: ASGIApp) -> ASGIApp:
        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                await app(scope, receive, send)
                return
            refusal = await _refusal(engine, HTTPConnection(scope), needed, realm)
            if refusal is None:
                await app(scope, receive, send)
            elif scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": ""})
            else:
                await refusal(scope, receive, send)

        return guarded

    return around


async def _refusal(engine: Engine, asked: HTTPConnection, needed: tuple[str, ...], realm: str) -> Response | None:
    header = asked.headers.getlist("authorization")
    kind, _, token = (header[0] if header else "").partition(" ")
    if len(header) > 1:
        return _answer(400, realm, "invalid_request")
    if kind.lower() != "bearer":
        return _answer(401, realm)
    try:
        grant = await engine.ledger.authenticate(token.strip())
    except Unauthorized as error:
        guidance = None if error.guidance is None else error.guidance.as_dict()
        return _answer(401, realm, "invalid_token", message=str(error), guidance=guidance)
    except Quarantined:
        return _answer(401, realm, "invalid_token")
    except (DatabaseError, Conflict) as error:
        return _later(error)
    missing = [scope for scope in needed if scope not in grant.scopes]
    if missing:
        return _answer(403, realm, "insufficient_scope", scope=" ".join(needed))
    asked.state.grant = grant
    return None


def _answer(
    status: int,
    realm: str,
    error: str | None = None,
    *,
    message: str | None = None,
    guidance: dict[str, object] | None = None,
    scope: str | None = None,
) -> Response:
    said = {"realm": realm, "error": error, "scope": scope}
    challenge = "Bearer " + ", ".join(f'{name}="{value}"' for name, value in said.items() if value)
    body: dict[str, object] = {"error": error or "unauthorized"}
    body |= {name: value for name, value in (("message", message), ("guidance", guidance), ("scope", scope)) if value}
    return JSONResponse(body, status, {"WWW-Authenticate": challenge, "Cache-Control": "no-store"})


def _later(error: GrantflowError) -> Response:
    return JSONResponse({"error": error.code}, 503, {"Retry-After": "1", "Cache-Control": "no-store"})
