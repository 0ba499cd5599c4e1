"""What a client sends: people to the authorization endpoint, itself to the token and revocation endpoints."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from grantflow._app import ClientAuth, Server, scope_text
from grantflow._ports import HttpRequest
from grantflow._secret import Secret
from grantflow.errors import ConfigurationError

_OURS = frozenset(
    {
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "redirect_uri",
        "request",  # would replace all the others (RFC 9101 §5)
        "request_uri",
        "resource",
        "response_type",
        "scope",
        "state",
    }
)


@dataclass(frozen=True, slots=True)
class ClientProof:
    """Who the client is and how it shows it (RFC 6749 §2.3); without a secret it is public, whatever the method."""

    client_id: str
    secret: Secret | None
    method: ClientAuth


def authorization_url(
    server: Server,
    *,
    client_id: str,
    redirect_uri: str,
    scopes: Iterable[str],
    state: str,
    challenge: str | None,
    nonce: str | None = None,
) -> str:
    """Where to send people (RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 8707 §2); no parameter appears twice (§3.1)."""
    values: dict[str, str] = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": scope_text(frozenset(scopes)),
        "state": state,
        "code_challenge": challenge or "",
        "code_challenge_method": "S256" if challenge else "",
        "nonce": nonce or "",
        "resource": server.resource,
    }
    extra = {name: value for name, value in server.extra if name not in _OURS}
    try:
        parts = urlsplit(server.authorization_endpoint)
    except ValueError:
        raise ConfigurationError("the authorization endpoint is not a URL") from None
    kept = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name not in _OURS and name not in extra
    ]
    query = [*kept, *extra.items(), *((name, value) for name, value in values.items() if value)]
    return urlunsplit(parts._replace(query=urlencode(query), fragment=""))


def exchange_request(
    server: Server, proof: ClientProof, *, code: str, redirect_uri: str, verifier: str | None
) -> HttpRequest:
    """Trade a code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5)."""
    return _post(
        server.token_endpoint,
        proof,
        grant_type="authorization_code",
        code=code,
        redirect_uri=redirect_uri,
        code_verifier=verifier or "",
        resource=server.resource,
    )


def refresh_request(server: Server, proof: ClientProof, *, refresh_token: str) -> HttpRequest:
    """Ask for a fresh access token with the scopes of the grant as they are (RFC 6749 §6, RFC 8707 §2.2)."""
    return _post(
        server.token_endpoint,
        proof,
        grant_type="refresh_token",
        refresh_token=refresh_token,
        resource=server.resource,
    )


def revocation_request(server: Server, proof: ClientProof, *, token: str, hint: str) -> HttpRequest:
    """Give a token back (RFC 7009 §2.1); raises ConfigurationError where the server has no endpoint for that."""
    if not server.revocation_endpoint:
        raise ConfigurationError("the server offers no revocation endpoint")
    return _post(server.revocation_endpoint, proof, token=token, token_type_hint=hint)


def _post(url: str, proof: ClientProof, **values: str) -> HttpRequest:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    body = {name: value for name, value in values.items() if value}
    if proof.secret is None or proof.method is ClientAuth.NONE:
        body["client_id"] = proof.client_id
    elif proof.method is ClientAuth.POST:
        body |= {"client_id": proof.client_id, "client_secret": proof.secret.value}
    else:
        # RFC 6749 §2.3.1; a space as %20 and never as +, which not every server takes back.
        pair = f"{quote(proof.client_id, safe='')}:{quote(proof.secret.value, safe='')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode("ascii")).decode("ascii")
    return HttpRequest("POST", url, headers, urlencode(body).encode("ascii"))
