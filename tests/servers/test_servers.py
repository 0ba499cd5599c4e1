"""The two real servers behave as the client tests rely on: what each grants, and how it refuses."""

from __future__ import annotations

import base64
import http.client
from datetime import timedelta
from urllib.parse import urlencode, urlsplit
from urllib.request import Request

import pytest

from tests.servers.browser import ConsentRefused
from tests.servers.control import ClientInfo, Kind, RealServer
from tests.servers.plain_client import CALLBACK, CLIENT, GRANT, OK, REQUEST, Asker, Reply, basic, fetch

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)


@pytest.mark.parametrize("public", [False, True])
def test_a_code_with_pkce_becomes_tokens(server: RealServer, public: bool) -> None:
    asker = Asker(server, public=public)
    back = asker.back()
    assert back.keys() == {"code", "state"}
    assert back["state"] == "st&te"
    told = asker.redeem(back["code"])
    assert told.body.keys() == {"access_token", "refresh_token", "expires_in", "token_type", "scope"}
    assert (told.body["scope"], told.body["expires_in"], told.body["token_type"]) == ("read", 3600, "Bearer")
    assert told.headers["Cache-Control"] == "no-store"
    assert asker.me(told.body["access_token"]).body == {"sub": asker.person.sub}
    assert asker.refresh(told.body["refresh_token"]).told == OK


def test_what_a_code_is_refused_for(server: RealServer) -> None:
    asker, dot = Asker(server), server.kind == "dot"
    code = asker.back()["code"]
    assert asker.redeem(code, code_verifier="x" * 64).told == GRANT
    assert asker.redeem(code, code_verifier="short").told == (GRANT if dot else REQUEST)
    assert asker.redeem(code, redirect_uri=CALLBACK + "/").told == (REQUEST if dot else GRANT)
    assert asker.redeem("nonsense").told == GRANT
    assert asker.redeem(code, grant_type="telepathy").told == (400, "unsupported_grant_type")
    assert Asker(server).redeem(code).told == GRANT, "another client's code"
    tokens = asker.redeem(code)
    assert tokens.told == OK, "no refusal used the code up"
    assert asker.redeem(code).told == GRANT, "a code works once"
    assert asker.me(tokens.body["access_token"]).status == 200, "neither server ends the grant for it"
    late = asker.back()["code"]
    server.advance(timedelta(seconds=60))
    assert asker.redeem(late).told == GRANT


def test_how_a_client_is_refused(server: RealServer) -> None:
    asker, dot = Asker(server), server.kind == "dot"
    url, name, form = server.endpoints.token, asker.client.client_id, asker.form("any")
    scheme = "Bearer " if dot else "Basic "

    def ask(header: str | None = None, **body: str) -> Reply:
        return fetch(Request(url, urlencode(form | body).encode(), {"Authorization": header} if header else {}))

    for wrong in (
        ask(basic(name, "wrong")),
        ask(client_id=name, client_secret="wrong"),
        ask(client_id=name),
        ask(basic("nobody", "wrong")),
    ):
        assert wrong.told == CLIENT
        assert wrong.headers["WWW-Authenticate"].startswith(f'{scheme}error="invalid_client"')
    unknown = ask(client_id="nobody", client_secret="wrong")
    assert unknown.told == (CLIENT if dot else (400, "invalid_client"))
    assert ("WWW-Authenticate" in unknown.headers) is dot


def test_a_changed_secret_refuses_the_client_and_leaves_its_tokens(server: RealServer) -> None:
    asker = Asker(server)
    tokens = asker.tokens()
    server.set_secret(asker.client.client_id, "a new one")
    assert asker.refresh(tokens["refresh_token"]).told == CLIENT
    assert asker.me(tokens["access_token"]).status == 200
    asker.client = ClientInfo(asker.client.client_id, "a new one", asker.client.redirect_uris)
    assert asker.refresh(tokens["refresh_token"]).told == OK


def test_only_a_percent_encoded_secret_reaches_both_servers(server: RealServer) -> None:
    asker = Asker(server, secret="a b+c%2Fd:e/f&ü")
    tokens = asker.tokens()
    raw = base64.b64encode(f"{asker.client.client_id}:{asker.client.secret}".encode()).decode()
    form = urlencode({"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}).encode()
    assert fetch(Request(server.endpoints.token, form, {"Authorization": f"Basic {raw}"})).told == CLIENT
    plus = f"{asker.client.client_id}:{urlencode({'': asker.client.secret})[1:]}"
    header = {"Authorization": "Basic " + base64.b64encode(plus.encode()).decode()}
    spaces_as_plus = fetch(Request(server.endpoints.token, form, header))
    assert spaces_as_plus.told == (OK if server.kind == "dot" else CLIENT)


def test_a_refresh_rotates(server: RealServer) -> None:
    asker = Asker(server)
    first = asker.tokens()
    second = asker.refresh(first["refresh_token"])
    assert second.told == OK
    assert second.body["refresh_token"] != first["refresh_token"]
    assert second.body["scope"] == "read"
    assert asker.me(second.body["access_token"]).status == 200
    old_access_token = asker.me(first["access_token"]).status
    assert old_access_token == (401 if server.kind == "dot" else 200), "DOT ends it with its refresh token"
    assert asker.refresh(second.body["refresh_token"], scope="read write").told == (400, "invalid_scope")
    assert asker.refresh(second.body["refresh_token"], scope="read").told == OK


def test_without_rotation_the_refresh_token_stays(server: RealServer) -> None:
    server.set(ROTATE_REFRESH_TOKEN=False)
    asker = Asker(server)
    first = asker.tokens()
    for _ in range(2):
        again = asker.refresh(first["refresh_token"])
        assert again.told == OK
        same = first["refresh_token"] if server.kind == "dot" else None
        assert again.body.get("refresh_token") == same, "DOT repeats it, Authlib leaves it out"


@pytest.mark.parametrize("protection", [False, True])
@pytest.mark.parametrize("grace", [0, 30])
def test_a_rotated_refresh_token_that_returns(server: RealServer, protection: bool, grace: int) -> None:
    server.set(REFRESH_TOKEN_REUSE_PROTECTION=protection, REFRESH_TOKEN_GRACE_PERIOD_SECONDS=grace)
    asker = Asker(server)
    first = asker.tokens()
    second = asker.refresh(first["refresh_token"]).body
    if grace:
        repeated = asker.refresh(first["refresh_token"])
        assert repeated.told == OK
        same = repeated.body["refresh_token"] == second["refresh_token"]
        assert same is (server.kind == "dot"), "DOT repeats its answer, the other gives a second pair"
        server.advance(timedelta(seconds=grace + 1))
    assert asker.refresh(first["refresh_token"]).told == GRANT
    after = asker.refresh(second["refresh_token"]).told
    assert after == (GRANT if protection else OK)
    if protection:
        assert asker.me(second["access_token"]).status == 401
        assert asker.live() == (0, 0)


def test_grace_covers_the_latest_rotation_only_at_dot(server: RealServer) -> None:
    server.set(REFRESH_TOKEN_REUSE_PROTECTION=True, REFRESH_TOKEN_GRACE_PERIOD_SECONDS=300)
    asker = Asker(server)
    first = asker.tokens()
    second = asker.refresh(first["refresh_token"]).body
    third = asker.refresh(second["refresh_token"]).body
    older = asker.refresh(first["refresh_token"]).told
    assert older == (GRANT if server.kind == "dot" else OK)
    assert asker.refresh(third["refresh_token"]).told == older


def test_a_refresh_token_expires(server: RealServer) -> None:
    asker = Asker(server)
    life = 14 * DAY + (HOUR if server.kind == "dot" else 0 * DAY)  # DOT counts from the access token's end
    spare, tokens = asker.tokens(), asker.tokens()
    server.advance(HOUR)
    assert asker.me(tokens["access_token"]).status == 401
    server.advance(life - HOUR - 60 * SECOND)
    renewed = asker.refresh(tokens["refresh_token"])
    assert renewed.told == OK
    server.advance(61 * SECOND)
    assert asker.refresh(spare["refresh_token"]).told == GRANT
    assert asker.refresh(renewed.body["refresh_token"]).told == OK, "each rotation begins the count anew"


def test_a_year_passes(server: RealServer) -> None:
    server.set(REFRESH_TOKEN_EXPIRE_SECONDS=None)
    asker = Asker(server)
    tokens = asker.tokens()
    server.advance(365 * DAY)
    assert asker.refresh(tokens["refresh_token"]).told == OK
    assert asker.back().keys() == {"code", "state"}, "and people can still log in"


def test_a_deleted_app_is_an_unknown_client(server: RealServer) -> None:
    asker = Asker(server)
    tokens = asker.tokens()
    server.delete_app(asker.client.client_id)
    assert asker.refresh(tokens["refresh_token"]).told == CLIENT
    assert asker.revoke(tokens["refresh_token"]).told == CLIENT
    assert asker.me(tokens["access_token"]).status == 401
    with pytest.raises(ConsentRefused) as page:
        asker.back()
    assert page.value.status == 400


def test_a_person_forgets_the_app(server: RealServer) -> None:
    asker = Asker(server)
    tokens, others = asker.tokens(), Asker(server).tokens()
    assert asker.live() == (1, 1)
    server.forget(asker.person, asker.client.client_id)
    assert asker.live() == (0, 0)
    assert asker.refresh(tokens["refresh_token"]).told == GRANT
    refused = asker.me(tokens["access_token"])
    assert refused.status == 401
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
    assert asker.me(others["access_token"]).status == 200
    assert asker.redeem(asker.back()["code"]).told == OK, "and may come back"


@pytest.mark.parametrize("grace", [0, 300])
def test_a_client_revokes(server: RealServer, grace: int) -> None:
    server.set(REFRESH_TOKEN_GRACE_PERIOD_SECONDS=grace)
    asker = Asker(server)
    tokens = asker.tokens()
    assert Asker(server).revoke(tokens["refresh_token"]).told == (OK if server.kind == "dot" else GRANT)
    assert asker.me(tokens["access_token"]).status == 200, "another client changes nothing"
    for _ in range(2):
        assert asker.revoke(tokens["refresh_token"]).told == OK
    assert asker.revoke("nonsense").told == OK
    assert asker.refresh(tokens["refresh_token"]).told == GRANT
    assert asker.me(tokens["access_token"]).status == 401


def test_a_person_cancels(server: RealServer) -> None:
    asker = Asker(server)
    back = asker.back(allow=False)
    assert (back["error"], back["state"]) == ("access_denied", "st&te")
    assert "code" not in back
    assert asker.live() == (0, 0)


def test_what_comes_back_when_the_request_itself_is_wrong(server: RealServer) -> None:
    asker, dot = Asker(server), server.kind == "dot"
    assert asker.back(scope="fly")["error"] == "invalid_scope"
    kind_of_answer = asker.back(response_type="token")["error"]
    assert kind_of_answer == ("unauthorized_client" if dot else "unsupported_response_type")
    for wrong in (asker.url(client_id="nobody"), asker.url(redirect_uri="https://elsewhere.example/")):
        with pytest.raises(ConsentRefused) as page:
            server.consent(wrong, asker.person)
        assert page.value.status == 400, "never sent anywhere"
    without = asker.back(code_challenge="", code_challenge_method="")
    assert without.get("error") == ("invalid_request" if dot else None), "Authlib asks it of public clients only"


def test_who_answers_the_authorization_request(server: RealServer) -> None:
    server.set(AUTHORIZATION_RESPONSE_ISS=True)
    asker = Asker(server)
    assert asker.back()["iss"] == server.issuer
    cancelled = asker.back(allow=False).get("iss")
    assert cancelled == (None if server.kind == "dot" else server.issuer), "DOT leaves it out of refusals"
    assert fetch(Request(server.endpoints.metadata)).body["authorization_response_iss_parameter_supported"]


def test_the_metadata_names_the_endpoints(server: RealServer) -> None:
    told = fetch(Request(server.endpoints.metadata)).body
    assert told["issuer"] == server.issuer
    assert told["authorization_endpoint"] == server.endpoints.authorization
    assert told["token_endpoint"] == server.endpoints.token
    assert told["revocation_endpoint"] == server.endpoints.revocation
    assert "S256" in told["code_challenge_methods_supported"]
    assert urlsplit(server.origin).hostname == "127.0.0.1"


def test_pkce_may_be_left_to_the_client(server: RealServer) -> None:
    asker = Asker(server, public=True)
    server.set(PKCE_REQUIRED=False)
    code = asker.back(code_challenge="", code_challenge_method="")["code"]
    form = asker.form(code)
    del form["code_verifier"]
    assert asker.post(server.endpoints.token, form).told == OK


def test_scopes_may_change(server: RealServer) -> None:
    server.set(SCOPES={"read": "Read", "fly": "Fly"})
    asker = Asker(server)
    assert asker.redeem(asker.back(scope="fly")["code"]).body["scope"] == "fly"
    assert asker.back(scope="write")["error"] == "invalid_scope"
    assert fetch(Request(server.endpoints.metadata)).body["scopes_supported"] in (["fly", "read"], ["read", "fly"])


def test_dot_also_introspects(servers: dict[Kind, RealServer]) -> None:
    asker = Asker(servers["dot"])
    tokens = asker.tokens()
    assert servers["dot"].endpoints.introspection is not None
    told = asker.post(servers["dot"].endpoints.introspection, {"token": tokens["access_token"]}).body
    assert (told["active"], told["client_id"], told["scope"]) == (True, asker.client.client_id, "read")


def test_a_connection_serves_more_than_one_request(server: RealServer) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.origin).netloc, timeout=30)
    try:
        sockets = set()
        for _ in range(3):
            connection.request("POST", urlsplit(server.endpoints.token).path, "grant_type=refresh_token")
            with connection.getresponse() as answer:
                answer.read()
            sockets.add(connection.sock.getsockname() if connection.sock else None)
        assert len(sockets) == 1
        assert None not in sockets
    finally:
        connection.close()
