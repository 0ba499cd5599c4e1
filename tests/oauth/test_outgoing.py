"""What a client sends: every parameter once, secrets where they belong."""

from __future__ import annotations

import base64
from dataclasses import replace
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantflow import new_pkce
from grantflow._app import ClientAuth
from grantflow._oauth import (
    ClientProof,
    authorization_url,
    exchange_request,
    refresh_request,
    revocation_request,
)
from grantflow._ports import HttpRequest
from grantflow._secret import Secret
from grantflow.errors import ConfigurationError
from tests.oauth.foreign import BASIC, FORM, POST, PUBLIC, REDIRECT, SERVER


def asked(url: str) -> dict[str, str]:
    """Its parameters, none of which comes twice (RFC 6749 §3.1)."""
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def sent(request: HttpRequest) -> dict[str, str]:
    """The body of a request, none of whose parameters comes twice."""
    return {name: value for name, (value,) in parse_qs(request.body.decode(), strict_parsing=True).items()}


def url(server: object = SERVER, **changes: object) -> str:
    values: dict[str, object] = {
        "client_id": "client",
        "redirect_uri": REDIRECT,
        "scopes": ["b", "a"],
        "state": "st",
        "challenge": "c" * 43,
    }
    return authorization_url(server, **(values | changes))  # type: ignore[arg-type]


def test_the_authorization_request_has_the_parameters_of_rfc_6749_and_pkce_s256() -> None:
    assert url().startswith("https://as.example/authorize?response_type=code&")
    assert asked(url(nonce="n")) == {
        "response_type": "code",
        "client_id": "client",
        "redirect_uri": REDIRECT,
        "scope": "a b",
        "state": "st",
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
        "nonce": "n",
    }


def test_what_is_not_asked_for_is_left_out() -> None:
    assert asked(url(scopes=[], challenge=None)) == {
        "response_type": "code",
        "client_id": "client",
        "redirect_uri": REDIRECT,
        "state": "st",
    }


def test_scopes_are_sorted_and_named_once() -> None:
    assert asked(url(scopes=iter(["z", "a", "z", "m"])))["scope"] == "a m z"


def test_the_query_of_the_endpoint_is_kept_and_its_fragment_is_not() -> None:
    server = replace(SERVER, authorization_endpoint="https://as.example/authorize?p=b2c%20x&q=&p=2#top")
    found = url(server)
    assert "#" not in found
    assert parse_qs(urlsplit(found).query, keep_blank_values=True)["p"] == ["b2c x", "2"]
    assert parse_qs(urlsplit(found).query, keep_blank_values=True)["q"] == [""]


@pytest.mark.parametrize(
    "name",
    [
        *("response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method"),
        *("nonce", "resource", "request", "request_uri"),
    ],
)
@pytest.mark.parametrize("challenge", [None, "c" * 43])
def test_neither_extra_parameters_nor_the_endpoint_override_ours(name: str, challenge: str | None) -> None:
    server = replace(
        SERVER,
        authorization_endpoint=f"https://as.example/authorize?{name}=evil",
        extra=((name, "evil"), ("access_type", "offline")),
    )
    assert asked(url(server, challenge=challenge)) == asked(url(challenge=challenge)) | {"access_type": "offline"}


def test_an_extra_parameter_replaces_one_of_the_endpoints_query() -> None:
    server = replace(
        SERVER, authorization_endpoint="https://as.example/authorize?prompt=login", extra=(("prompt", "consent"),)
    )
    assert asked(url(server))["prompt"] == "consent"


def test_the_resource_goes_with_every_request_for_tokens_rfc_8707() -> None:
    server = replace(SERVER, resource="https://api.example/v1")
    assert asked(url(server))["resource"] == server.resource
    exchange = exchange_request(server, BASIC, code="c", redirect_uri=REDIRECT, verifier=None)
    assert sent(exchange)["resource"] == server.resource
    assert sent(refresh_request(server, BASIC, refresh_token="r"))["resource"] == server.resource
    assert "resource" not in sent(revocation_request(server, BASIC, token="t", hint="refresh_token"))


def test_an_endpoint_that_is_no_url_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError):
        url(replace(SERVER, authorization_endpoint="https://[as.example/"))


def test_the_exchange_has_the_parameters_of_rfc_6749_and_the_verifier_of_rfc_7636() -> None:
    verifier = new_pkce()[0]
    request = exchange_request(SERVER, BASIC, code="a+b/c =", redirect_uri=REDIRECT, verifier=verifier)
    assert (request.method, request.url) == ("POST", "https://as.example/token")
    assert (request.headers["Content-Type"], request.headers["Accept"]) == (FORM, "application/json")
    assert sent(request) == {
        "grant_type": "authorization_code",
        "code": "a+b/c =",
        "redirect_uri": REDIRECT,
        "code_verifier": verifier,
    }
    without = exchange_request(SERVER, BASIC, code="c", redirect_uri=REDIRECT, verifier=None)
    assert "code_verifier" not in sent(without)


def test_a_refresh_never_names_a_scope() -> None:
    request = refresh_request(SERVER, BASIC, refresh_token="r")
    assert sent(request) == {"grant_type": "refresh_token", "refresh_token": "r"}


def test_the_revocation_names_the_token_and_its_kind_rfc_7009() -> None:
    request = revocation_request(SERVER, BASIC, token="t", hint="refresh_token")
    assert request.url == "https://as.example/revoke"
    assert sent(request) == {"token": "t", "token_type_hint": "refresh_token"}
    assert sent(revocation_request(SERVER, BASIC, token="t", hint="")) == {"token": "t"}


def test_without_a_revocation_endpoint_there_is_no_revocation() -> None:
    with pytest.raises(ConfigurationError):
        revocation_request(replace(SERVER, revocation_endpoint=""), BASIC, token="t", hint="")


def test_basic_encodes_id_and_secret_as_a_form_would_before_base64_rfc_6749_2_3_1() -> None:
    proof = ClientProof("a b:c", Secret("p%:ä+/"), ClientAuth.BASIC)
    request = refresh_request(SERVER, proof, refresh_token="r")
    scheme, _, text = request.headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(text) == b"a%20b%3Ac:p%25%3A%C3%A4%2B%2F"
    assert "client_id" not in sent(request)


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"), min_size=1))
def test_basic_can_be_read_back_whatever_the_secret(client_id: str, secret: str) -> None:
    request = refresh_request(SERVER, ClientProof(client_id, Secret(secret), ClientAuth.BASIC), refresh_token="r")
    pair = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode().split(":")
    assert [unquote_plus(part) for part in pair] == [client_id, secret]


def test_post_puts_id_and_secret_into_the_body() -> None:
    request = refresh_request(SERVER, POST, refresh_token="r")
    assert "Authorization" not in request.headers
    assert sent(request).items() >= {"client_id": "client", "client_secret": "s3cret"}.items()


@pytest.mark.parametrize(
    "proof",
    [PUBLIC, ClientProof("client", None, ClientAuth.BASIC), ClientProof("client", Secret("s"), ClientAuth.NONE)],
)
def test_a_public_client_names_itself_in_the_body_rfc_6749_3_2_1(proof: ClientProof) -> None:
    request = exchange_request(SERVER, proof, code="c", redirect_uri=REDIRECT, verifier=None)
    assert "Authorization" not in request.headers
    assert sent(request)["client_id"] == "client"
    assert "client_secret" not in sent(request)


@pytest.mark.parametrize("proof", [BASIC, POST])
def test_no_repr_and_no_url_shows_a_secret(proof: ClientProof) -> None:
    canaries = ["s3cret", "CODE", "VERIFIER", "REFRESH", "TOKEN", base64.b64encode(b"client:s3cret").decode()]
    for request in (
        exchange_request(SERVER, proof, code="CODE", redirect_uri=REDIRECT, verifier="VERIFIER"),
        refresh_request(SERVER, proof, refresh_token="REFRESH"),
        revocation_request(SERVER, proof, token="TOKEN", hint="refresh_token"),
    ):
        shown = f"{request!r} {request} {request.url} {proof!r} {proof}"
        assert not [canary for canary in canaries if canary in shown]
