"""What a server publishes about itself (RFC 8414)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantflow._app import ClientAuth, Server
from grantflow._oauth import metadata_request, metadata_url, read_metadata
from grantflow._ports import HttpResponse
from grantflow.errors import ConfigurationError
from tests.oauth.foreign import ISSUER, answer

DOCUMENT: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": ISSUER + "/authorize",
    "token_endpoint": ISSUER + "/token",
}
NO_ISSUERS: list[Any] = [
    *("", "as.example", "http://as.example", "ftp://as.example", "https://", "https:///x", "https://as.example?"),
    *("https://as.example?a=1", "https://as.example#", "https://as.example/#a", "https://u:p@as.example"),
    *(
        "https://[as",
        "https://as.example:port",
        "https://as.example:99999",
        "https://as example",
        "https://ä.example",
    ),
    *("https://as.example\n", "https://as.example\0", "\ud800", "https://evil\\@as.example", "x" * 3000, None, 7),
]


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        (ISSUER, "https://as.example/.well-known/oauth-authorization-server"),
        (ISSUER + "/", "https://as.example/.well-known/oauth-authorization-server"),
        (ISSUER + "/a/b", "https://as.example/.well-known/oauth-authorization-server/a/b"),
        (ISSUER + "/a/", "https://as.example/.well-known/oauth-authorization-server/a"),
        ("https://as.example:8443/a", "https://as.example:8443/.well-known/oauth-authorization-server/a"),
        ("http://localhost:9/x", "http://localhost:9/.well-known/oauth-authorization-server/x"),
        ("http://[::1]:9", "http://[::1]:9/.well-known/oauth-authorization-server"),
    ],
)
def test_the_well_known_part_goes_before_the_path_rfc_8414_3_1(issuer: str, url: str) -> None:
    assert metadata_url(issuer) == url
    request = metadata_request(issuer)
    assert (request.method, request.url, request.body) == ("GET", url, b"")


@pytest.mark.parametrize("issuer", NO_ISSUERS)
def test_an_issuer_that_is_none_is_a_configuration_error(issuer: Any) -> None:
    with pytest.raises(ConfigurationError):
        metadata_url(issuer)


def test_a_short_document_gives_a_server_with_the_defaults_of_rfc_8414_2() -> None:
    assert read_metadata(ISSUER, answer(DOCUMENT)) == Server(
        issuer=ISSUER,
        authorization_endpoint=ISSUER + "/authorize",
        token_endpoint=ISSUER + "/token",
        auth_method=ClientAuth.BASIC,
        sends_iss=False,
        pkce=True,
    )


def test_a_full_document_is_read() -> None:
    full = DOCUMENT | {
        "revocation_endpoint": ISSUER + "/revoke",
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_post"],
        "authorization_response_iss_parameter_supported": True,
        "code_challenge_methods_supported": ["plain", "S256"],
        "nested": {"a": [{"b": 1}]},
    }
    found = read_metadata(ISSUER, answer(full))
    assert found.revocation_endpoint == ISSUER + "/revoke"
    assert (found.auth_method, found.sends_iss, found.pkce) == (ClientAuth.POST, True, True)


@pytest.mark.parametrize(
    ("offered", "method"),
    [
        (["none", "client_secret_post", "client_secret_basic"], ClientAuth.BASIC),
        (["none", "client_secret_post"], ClientAuth.POST),
        (["tls_client_auth", "none"], ClientAuth.NONE),
        (None, ClientAuth.BASIC),
    ],
)
def test_basic_is_preferred_then_post_then_none(offered: list[str] | None, method: ClientAuth) -> None:
    document = DOCUMENT | {"token_endpoint_auth_methods_supported": offered}
    assert read_metadata(ISSUER, answer(document)).auth_method is method


@pytest.mark.parametrize(("methods", "pkce"), [(["plain"], False), ([], False), (["S256"], True), (None, True)])
def test_pkce_is_off_only_where_s256_is_not_among_the_methods(methods: list[str] | None, pkce: bool) -> None:
    assert read_metadata(ISSUER, answer(DOCUMENT | {"code_challenge_methods_supported": methods})).pkce is pkce


REFUSED: dict[str, HttpResponse] = {
    "another issuer (RFC 8414 §3.3)": answer(DOCUMENT | {"issuer": "https://evil.example"}),
    "an issuer that differs by a slash": answer(DOCUMENT | {"issuer": ISSUER + "/"}),
    "an issuer in capitals": answer(DOCUMENT | {"issuer": ISSUER.upper()}),
    "no issuer": answer({k: v for k, v in DOCUMENT.items() if k != "issuer"}),
    "no token endpoint": answer({k: v for k, v in DOCUMENT.items() if k != "token_endpoint"}),
    "no authorization endpoint": answer({k: v for k, v in DOCUMENT.items() if k != "authorization_endpoint"}),
    "an http endpoint": answer(DOCUMENT | {"token_endpoint": "http://as.example/token"}),
    "an http revocation endpoint": answer(DOCUMENT | {"revocation_endpoint": "http://as.example/revoke"}),
    "an endpoint with a fragment (RFC 6749 §3.1)": answer(DOCUMENT | {"token_endpoint": ISSUER + "/t#x"}),
    "an endpoint that is a list": answer(DOCUMENT | {"token_endpoint": [ISSUER]}),
    "a method we do not speak": answer(DOCUMENT | {"token_endpoint_auth_methods_supported": ["private_key_jwt"]}),
    "methods that are no list": answer(DOCUMENT | {"token_endpoint_auth_methods_supported": "none"}),
    "challenges that are no list": answer(DOCUMENT | {"code_challenge_methods_supported": "S256"}),
    "a member that comes twice": answer(b'{"issuer": "https://as.example", ' + answer(DOCUMENT).body[1:]),
    "404": answer(DOCUMENT, 404),
    "302": answer(DOCUMENT, 302, location="https://evil.example"),
    "too large": answer(DOCUMENT | {"x": "x" * (1 << 20)}),
    "no JSON": answer(b"<html>"),
    "a list": answer([DOCUMENT]),
    "deep": answer(b"[" * 100_000),
    "not UTF-8": answer(b"\xff\xfe{}"),
}


@pytest.mark.parametrize("response", REFUSED.values(), ids=REFUSED)
def test_a_document_that_is_not_in_order_is_a_configuration_error(response: HttpResponse) -> None:
    with pytest.raises(ConfigurationError):
        read_metadata(ISSUER, response)


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.just(ISSUER)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)
NAMES = [
    *DOCUMENT,
    "revocation_endpoint",
    "token_endpoint_auth_methods_supported",
    "code_challenge_methods_supported",
]
documents = st.dictionaries(st.sampled_from(NAMES), values).map(lambda odd: answer(DOCUMENT | odd))


@given(st.one_of(documents, values.map(answer), st.binary().map(answer)))
def test_any_document_gives_a_server_or_a_configuration_error(response: HttpResponse) -> None:
    with suppress(ConfigurationError):
        assert read_metadata(ISSUER, response).issuer == ISSUER


@given(st.one_of(st.text(), st.text("htps:/.@[]?#a1\\", max_size=30).map("https://".__add__)))
def test_any_text_is_an_issuer_or_a_configuration_error(issuer: str) -> None:
    with suppress(ConfigurationError):
        assert metadata_url(issuer).startswith(("https://", "http://"))
