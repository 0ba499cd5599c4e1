"""What a server publishes about itself (RFC 8414)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from grantflow._app import ClientAuth, Server
from grantflow._oauth._bodies import members, secure_url
from grantflow._ports import HttpRequest, HttpResponse
from grantflow.errors import ConfigurationError

_WELL_KNOWN = "/.well-known/oauth-authorization-server"


def metadata_url(issuer: str) -> str:
    """Where the document of an issuer is (RFC 8414 §3.1); raises ConfigurationError for what is no issuer (§2)."""
    if not secure_url(issuer) or "?" in issuer:
        raise ConfigurationError("an issuer must be https (http on loopback), without query and fragment")
    parts = urlsplit(issuer)
    return urlunsplit(parts._replace(path=_WELL_KNOWN + parts.path.removesuffix("/")))


def metadata_request(issuer: str) -> HttpRequest:
    """Ask for the document of an issuer (RFC 8414 §3.1)."""
    return HttpRequest("GET", metadata_url(issuer), {"Accept": "application/json"})


def read_metadata(issuer: str, response: HttpResponse) -> Server:
    """The server a document describes (RFC 8414 §3.2).

    Raises:
        ConfigurationError: it cannot be read, speaks for another issuer (§3.3), or lacks a secure endpoint.
    """
    found = members(response)
    if response.status != 200 or found is None:
        raise ConfigurationError(f"the issuer publishes no metadata that can be read (status {response.status})")
    if found.get("issuer") != issuer:
        raise ConfigurationError("the metadata is that of another issuer (RFC 8414 §3.3)")
    challenges = _names(found, "code_challenge_methods_supported")
    return Server(
        issuer=issuer,
        authorization_endpoint=_endpoint(found, "authorization_endpoint"),
        token_endpoint=_endpoint(found, "token_endpoint"),
        revocation_endpoint=_endpoint(found, "revocation_endpoint") if found.get("revocation_endpoint") else "",
        auth_method=_method(_names(found, "token_endpoint_auth_methods_supported")),
        sends_iss=found.get("authorization_response_iss_parameter_supported") is True,
        pkce=challenges is None or "S256" in challenges,
    )


def _endpoint(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    if not secure_url(value):
        raise ConfigurationError(f"the metadata must give {name} as an https URL (http on loopback)")
    return str(value)


def _names(found: dict[str, Any], name: str) -> list[Any] | None:
    value = found.get(name)
    if value is not None and not isinstance(value, list):
        raise ConfigurationError(f"the metadata must give {name} as a list")
    return value


def _method(offered: list[Any] | None) -> ClientAuth:
    if offered is None:
        return ClientAuth.BASIC  # RFC 8414 §2
    for method in (ClientAuth.BASIC, ClientAuth.POST, ClientAuth.NONE):
        if method.value in offered:
            return method
    raise ConfigurationError("the server accepts none of: " + ", ".join(method.value for method in ClientAuth))
