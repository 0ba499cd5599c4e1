"""What an app may not be registered with: other grants than the code, parameters of ours, addresses without TLS."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from grantflow import App
from grantflow.errors import ConfigurationError
from grantflow.testing import ForeignServer

PLAIN: dict[str, Any] = {
    "key": "crm",
    "kind": "agent",
    "name": "CRM",
    "mode": "client",
    "redirect_uris": ["https://app.example/callback"],
    "versions": [{"name": "1.0", "required": ["tickets.read"]}],
    "server": {
        "issuer": "https://as.example",
        "authorization_endpoint": "https://as.example/authorize",
        "token_endpoint": "https://as.example/token",
    },
}
ENDPOINTS = ("issuer", "authorization_endpoint", "token_endpoint", "revocation_endpoint")


def test_the_plain_app_is_in_order() -> None:
    assert App.from_mapping(PLAIN).server is not None


@pytest.mark.parametrize("field", ["grant_type", "grant_types", "response_type", "response_types", "username"])
@pytest.mark.parametrize("where", ["app", "server"])
def test_no_other_grant_than_the_code_can_be_asked_for(field: str, where: str) -> None:
    more = {field: "password"}
    data = PLAIN | more if where == "app" else PLAIN | {"server": PLAIN["server"] | more}
    with pytest.raises(ConfigurationError):
        App.from_mapping(data)


@pytest.mark.parametrize("name", ["response_type", "redirect_uri", "state", "code_challenge", "client_id", "scope"])
def test_an_extra_parameter_may_not_turn_the_request_into_another(name: str) -> None:
    app = ForeignServer().app("crm")
    assert app.server is not None
    with pytest.raises(ConfigurationError):
        replace(app, server=replace(app.server, extra=((name, "token"),)))


@pytest.mark.parametrize("field", ENDPOINTS)
@pytest.mark.parametrize(
    "uri",
    [
        "http://as.example/x", "ftp://as.example/x", "//as.example/x", "http://127.0.0.1.evil.example/x",
        "http://localhost@as.example/x", "https://as.example/x#part", "as.example",
    ],
)  # fmt: skip
def test_an_endpoint_without_tls_is_refused_rfc_6749_3_1_2_1(field: str, uri: str) -> None:
    with pytest.raises(ConfigurationError):
        App.from_mapping(PLAIN | {"server": PLAIN["server"] | {field: uri}})


@pytest.mark.parametrize("field", ENDPOINTS)
@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:9"])
def test_on_loopback_there_is_nobody_to_listen(field: str, host: str) -> None:
    assert App.from_mapping(PLAIN | {"server": PLAIN["server"] | {field: f"http://{host}/x"}})


@pytest.mark.parametrize("uri", ["http://app.example/callback", "javascript:alert(1)", "https://app.example/#x", ""])
def test_a_redirect_uri_without_tls_is_refused_too(uri: str) -> None:
    with pytest.raises(ConfigurationError):
        App.from_mapping(PLAIN | {"redirect_uris": [uri]})
