"""Token and revocation endpoint: the ledger's verbs as HTTP. Source: S-18, S-27 … S-30, S-37; RFC 6749, RFC 7009."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote_plus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from grantflow import ClientCredentials, Tokens
from grantflow.errors import (
    BadInput,
    Conflict,
    DatabaseError,
    GrantflowError,
    InvalidClient,
    InvalidGrant,
    OAuthError,
    Quarantined,
)
from grantflow.hosting._site import Site
from grantflow.hosting._web import Parameters, read_form

Answer = Callable[[Site, Parameters, ClientCredentials], Awaitable[Response]]
_ONCE = (
    "grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "client_id", "client_secret",
    "token", "token_type_hint",
)  # fmt: skip


class Refused(BadInput):
    """The request has no grant type of ours."""

    code = "unsupported_grant_type"


async def token(site: Site, request: Request) -> Response:
    """POST /oauth/v2/token (RFC 6749 §3.2)."""
    return await _answered(site, request, _token)


async def revoke(site: Site, request: Request) -> Response:
    """POST /oauth/v2/revoke (RFC 7009 §2); an unknown token is answered like a known one."""
    return await _answered(site, request, _revoke)


async def _answered(site: Site, request: Request, answer: Answer) -> Response:
    """Read form and client, prove the client first, and turn every refusal into its code (RFC 6749 §5.2)."""
    try:
        form = await read_form(request)
        twice = form.repeated(_ONCE)
        if twice is not None:
            msg = f"{twice} comes more than once"
            raise BadInput(msg)
        client = _client_of(request, form)
        await site.engine.ledger.prove(client)
        try:
            return await answer(site, form, client)
        except InvalidClient:  # proved a moment ago: the code or token is another client's
            raise InvalidGrant from None
    except GrantflowError as error:
        return _refusal(error)


def _refusal(error: GrantflowError) -> Response:
    headers, status = {"Cache-Control": "no-store", "Pragma": "no-cache"}, 400
    code = error.code if isinstance(error, OAuthError | Refused) else "invalid_request"
    if isinstance(error, InvalidClient):
        status = 401
        headers["WWW-Authenticate"] = 'Basic realm="oauth"'
    elif isinstance(error, DatabaseError | Conflict):
        status, code = 503, "temporarily_unavailable"
        headers["Retry-After"] = "1"
    elif isinstance(error, Quarantined):
        code = "invalid_grant"
    text = "".join(c for c in str(error) if " " <= c <= "~" and c not in '"\\')
    body: dict[str, Any] = {"error": code, "error_description": text}
    guidance = getattr(error, "guidance", None)
    if guidance is not None:
        body["guidance"] = guidance.as_dict()
    return JSONResponse(body, status, headers)


def _client_of(request: Request, form: Parameters) -> ClientCredentials:
    """Who asks: by header or by form, never both (RFC 6749 §2.3)."""
    header = request.headers.getlist("authorization")
    named, secret = form["client_id"], form["client_secret"]
    if not header:
        if named is None:
            msg = "the client does not say who it is"
            raise InvalidClient(msg)
        return ClientCredentials(named, secret)
    scheme, _, value = header[0].partition(" ")
    if len(header) > 1 or secret is not None:
        msg = "the client proves itself in more than one way"
        raise BadInput(msg)
    try:
        pair = base64.b64decode(value.strip(), validate=True).decode()
        name, colon, password = pair.partition(":")
        client = ClientCredentials(unquote_plus(name, errors="strict"), unquote_plus(password, errors="strict"))
    except (binascii.Error, ValueError):
        raise InvalidClient from None
    if scheme.lower() != "basic" or not colon:
        raise InvalidClient
    if named not in (None, client.client_id):
        msg = "the form names another client than the header"
        raise BadInput(msg)
    return client


async def _token(site: Site, form: Parameters, client: ClientCredentials) -> Response:
    ledger = site.engine.ledger
    match form.need("grant_type"):
        case "authorization_code":
            tokens = await ledger.redeem(
                form.need("code"),
                client=client,
                redirect_uri=form["redirect_uri"],
                code_verifier=form["code_verifier"],
            )
        case "refresh_token":
            tokens = await ledger.renew(form.need("refresh_token"), client=client, scope=form["scope"])
        case _:
            msg = "authorization_code and refresh_token are known here"
            raise Refused(msg)
    return _given(site, tokens)


def _given(site: Site, tokens: Tokens) -> Response:
    body = {
        "access_token": tokens.access_token.value,
        "token_type": "Bearer",
        "expires_in": max(0, int((tokens.expires_at - site.engine.now()).total_seconds())),
        "refresh_token": tokens.refresh_token.value,
        "scope": " ".join(tokens.scopes),
    }
    return JSONResponse(body, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


async def _revoke(site: Site, form: Parameters, client: ClientCredentials) -> Response:
    await site.engine.ledger.revoke(form.need("token"), client=client)
    return Response(status_code=200)
