"""oauthlib reads and writes the same protocol: where the two differ, the reason stands in a table here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import product
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from grantflow._ids import s256
from grantflow._oauth import (
    AnswerClass,
    authorization_url,
    check_issuer,
    exchange_request,
    parse_callback,
    read_token_answer,
    refresh_request,
    revocation_request,
)
from grantflow._ports import HttpResponse
from grantflow.errors import BadCallback
from tests.oauth.foreign import FORM, ISSUER, NOW, POST, PUBLIC, REDIRECT, SECOND, SERVER

oauth2 = import_module("oauthlib.oauth2")  # carries no types

BAD = ("bad",)
Read = tuple[Any, ...]
"""("code", code) or ("token", …) or ("error", word) or BAD."""


def differing(
    cases: Iterable[Any],
    ours: Callable[[Any], Read],
    theirs: Callable[[Any], Read],
    reasons: dict[str, Callable[[Any], bool]],
) -> tuple[int, list[str], set[str]]:
    """How many were read by both, the differences without a reason, and the reasons no difference has."""
    count, unexplained, unused = 0, [], set(reasons)
    for case in cases:
        count += 1
        left, right = ours(case), theirs(case)
        if left == right:
            continue
        why = {name for name, applies in reasons.items() if applies(case)}
        unused -= why
        if not why:
            unexplained.append(f"{case}: {left} here, {right} there")
    return count, unexplained, unused


# --- requests ------------------------------------------------------------------------------------------------------

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def form(text: str | bytes) -> dict[str, list[str]]:
    return parse_qs(text if isinstance(text, str) else text.decode(), keep_blank_values=True, strict_parsing=True)


@pytest.mark.parametrize("endpoint", [ISSUER + "/authorize", ISSUER + "/authorize?p=b2c%20x&q=ä"])
@pytest.mark.parametrize("scopes", [[], ["one"], ["a:read", "c", "https://x.example/b"]])
@pytest.mark.parametrize("challenge", [None, CHALLENGE])
@pytest.mark.parametrize("state", ["st", "a b+c/d=&e%20~"])
@pytest.mark.parametrize("nonce", [None, "n-1"])
def test_both_send_people_to_the_same_url(
    endpoint: str, scopes: list[str], challenge: str | None, state: str, nonce: str | None
) -> None:
    server = replace(SERVER, authorization_endpoint=endpoint, extra=(("access_type", "offline"),), resource="urn:x")
    ours = authorization_url(
        server,
        client_id="client id",
        redirect_uri=REDIRECT + "?a=1",
        scopes=scopes,
        state=state,
        challenge=challenge,
        nonce=nonce,
    )
    asked: dict[str, Any] = {"code_challenge": challenge, "code_challenge_method": "S256"} if challenge else {}
    if nonce:
        asked["nonce"] = nonce
    theirs = oauth2.WebApplicationClient("client id").prepare_request_uri(
        endpoint.replace("ä", "%C3%A4"),  # oauthlib wants it encoded
        redirect_uri=REDIRECT + "?a=1",
        scope=scopes,
        state=state,
        access_type="offline",
        resource="urn:x",
        **asked,
    )
    assert form(urlsplit(ours).query) == form(urlsplit(theirs).query)
    assert urlsplit(ours)._replace(query="") == urlsplit(theirs)._replace(query="")


def test_both_make_the_same_challenge() -> None:
    assert oauth2.WebApplicationClient("c").create_code_challenge(VERIFIER, "S256") == s256(VERIFIER) == CHALLENGE


@pytest.mark.parametrize("code", ["abc", "4/0A+b%c d=&~"])
@pytest.mark.parametrize("verifier", [None, VERIFIER])
def test_both_send_the_same_exchange(code: str, verifier: str | None) -> None:
    client = oauth2.WebApplicationClient("client")
    theirs = client.prepare_request_body(code=code, redirect_uri=REDIRECT, code_verifier=verifier)
    ours = exchange_request(SERVER, PUBLIC, code=code, redirect_uri=REDIRECT, verifier=verifier)
    assert form(ours.body) == form(theirs)
    theirs = client.prepare_request_body(
        code=code, redirect_uri=REDIRECT, code_verifier=verifier, client_secret="s3cret", resource="urn:x"
    )
    ours = exchange_request(
        replace(SERVER, resource="urn:x"), POST, code=code, redirect_uri=REDIRECT, verifier=verifier
    )
    assert form(ours.body) == form(theirs)


@pytest.mark.parametrize("token", ["rt", "r+t/%= &~"])
def test_both_send_the_same_refresh_but_only_oauthlib_names_a_scope(token: str) -> None:
    client = oauth2.WebApplicationClient("client", scope=["a", "b"])
    theirs = form(client.prepare_refresh_body(refresh_token=token, client_id="client"))
    assert theirs.pop("scope") == ["a b"]
    assert form(refresh_request(SERVER, PUBLIC, refresh_token=token).body) == theirs


@pytest.mark.parametrize("hint", ["refresh_token", "access_token", ""])
def test_both_send_the_same_revocation(hint: str) -> None:
    _, headers, body = oauth2.WebApplicationClient("client").prepare_token_revocation_request(
        SERVER.revocation_endpoint, "t+k", token_type_hint=hint, client_id="client"
    )
    ours = revocation_request(SERVER, PUBLIC, token="t+k", hint=hint)
    assert form(ours.body) == form(body)
    assert headers.items() <= ours.headers.items()


# --- callbacks -----------------------------------------------------------------------------------------------------

STATE = "st-1"
CALLBACK_REASONS: dict[str, Callable[[str], bool]] = {
    # Both at once is no answer of the protocol (RFC 6749 §4.1.2): oauthlib takes the error.
    "code and error": lambda query: "code" in parse_qs(query) and "error" in parse_qs(query),
    # No parameter may come twice (RFC 6749 §3.1): oauthlib takes the last one.
    "repeated": lambda query: any(
        len(values) > 1
        for name, values in parse_qs(query, keep_blank_values=True).items()
        if name in {"state", "code", "error", "iss"}
    ),
    # Only visible ASCII is allowed (RFC 6749 appendix A): oauthlib takes anything, and mends what is not UTF-8.
    "not visible": lambda query: (
        not all(value.isascii() and value.isprintable() for values in parse_qs(query).values() for value in values)
    ),
    # oauthlib knows no limit.
    "too long": lambda query: len(query) > 4096,
    # oauthlib does not know RFC 9207.
    "issuer": lambda query: parse_qs(query).get("iss", [ISSUER]) != [ISSUER],
}


def callbacks() -> Iterable[str]:
    states = [None, STATE, "other", "", STATE.upper()]
    codes = [None, "abc", "", "4/0A+b c=&", "a\0", "ä", "c" * 5000]
    errors = [None, "access_denied", "invalid_scope", "own_error", "temporarily_unavailable", ""]
    issuers = [None, ISSUER, "https://evil.example"]
    for state, code, error, iss in product(states, codes, errors, issuers):
        given = {"state": state, "code": code, "error": error, "iss": iss, "error_description": "d", "x": "y"}
        yield urlencode({name: value for name, value in given.items() if value is not None})
    good = f"state={STATE}&code=abc"
    yield from (good + "&" + again for again in ("code=abc", "code=d", f"state={STATE}", "x=1&x=2", "scope=a+b"))
    yield from ("", "x", "=", "&&&", f"code&state={STATE}", f"state={STATE}&code=%ff", f"state={STATE};code=abc")
    yield from (
        f"{good}&error",
        f"{good}#x",
        f"state={STATE}&code=%zz",
        f"state={STATE}&error=e&error=f",
        f"?{good}"[1:],
    )


def our_callback(query: str) -> Read:
    try:
        found = parse_callback(query)
    except BadCallback:
        return BAD
    if found.state != STATE or not check_issuer(SERVER, found.iss):
        return BAD
    return ("code", found.code.value) if found.code else ("error", found.error)


def their_callback(query: str) -> Read:
    client = oauth2.WebApplicationClient("client")
    try:
        return ("code", client.parse_request_uri_response(f"{REDIRECT}?{query}", state=STATE)["code"])
    except (oauth2.MismatchingStateError, oauth2.MissingCodeError):
        return BAD
    except oauth2.OAuth2Error as error:
        return ("error", error.error)


def test_both_read_the_same_callbacks_but_for_the_table() -> None:
    count, unexplained, unused = differing(callbacks(), our_callback, their_callback, CALLBACK_REASONS)
    assert count >= 100
    assert unexplained == []
    assert unused == set()


# --- answers -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One answer of a token endpoint."""

    status: int
    body: str
    kind: str = "application/json"

    def get(self, name: str) -> Any:
        """A member of the JSON object, if it is one."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return None
        return found.get(name) if isinstance(found, dict) else None

    def has(self, name: str) -> bool:
        return f'"{name}":' in self.body


def odd_token(value: Any) -> bool:
    return not isinstance(value, str) or not value or not (value.isascii() and value.isprintable())


ANSWER_REASONS: dict[str, Callable[[Case], bool]] = {
    # oauthlib never sees the status: a token in a failure is a token to it.
    "status": lambda case: not 200 <= case.status < 300 and "access_token" in case.body and not case.get("error"),
    # An empty error is no error here; to oauthlib the name alone counts.
    "empty error": lambda case: case.has("error") and not case.get("error"),
    # An error that is no text is unreadable here; oauthlib hands it on as it is.
    "error that is no word": lambda case: bool(case.get("error")) and not isinstance(case.get("error"), str),
    # A word is cleaned before it is kept; oauthlib hands it on as it is.
    "error that is not printable": lambda case: not str(case.get("error")).isprintable(),
    # A token of an unknown type must not be used (RFC 6749 §7.1): oauthlib looks at the type when it uses one.
    "type": lambda case: bool(case.get("token_type")) and str(case.get("token_type")).lower() != "bearer",
    # A token is visible ASCII and not empty (RFC 6749 appendix A.12): oauthlib takes anything.
    "odd token": lambda case: case.has("access_token") and odd_token(case.get("access_token")),
    "odd refresh token": lambda case: case.has("refresh_token") and odd_token(case.get("refresh_token")),
    # A member that comes twice makes the answer unreadable; oauthlib takes the last one.
    "repeated": lambda case: case.body.count('"access_token":') > 1,
    # Zero seconds have passed already; oauthlib takes them for no lifetime.
    "zero lifetime": lambda case: type(case.get("expires_in")) is int and case.get("expires_in") == 0,
    # Lifetimes that cannot be are unknown here: oauthlib takes negative ones and booleans, or crashes.
    "odd lifetime": lambda case: (
        (case.has("expires_in") and type(case.get("expires_in")) is not int)
        or (case.get("expires_in") or 0) < 0
        or (case.get("expires_in") or 0) > 10**10
    ),
    # Commas part scopes where no space does; oauthlib knows spaces alone (RFC 6749 §3.3), and an empty scope is one.
    "odd scope": lambda case: (
        (case.has("scope") and (not isinstance(case.get("scope"), str) or not case.get("scope")))
        or "," in str(case.get("scope"))
    ),
    # A form is read where the content type says so; oauthlib takes whatever is no JSON for one.
    "form": lambda case: case.kind != FORM and case.body.startswith("access_token="),
    "error form": lambda case: case.kind != FORM and case.body.startswith("error="),
}


def answers() -> Iterable[Case]:
    token = {"access_token": "at", "token_type": "Bearer"}
    changes: list[dict[str, Any]] = [
        {},
        {"refresh_token": "rt", "expires_in": 3600, "scope": "a b"},
        *({"expires_in": value} for value in (0, 60, "60", 60.0, "60.5", -1, True, None, "soon", 10**12, "")),
        *({"scope": value} for value in ("a", "b a", "a,b", "", None, ["a", "b"])),
        *({"token_type": value} for value in ("bearer", "BEARER", "mac", "DPoP", "", None)),
        *({"access_token": value} for value in ("", None, 7, "a\nb", "ä", ["at"])),
        *({"refresh_token": value} for value in ("", None, 7, "r\0")),
        *(
            {"error": value}
            for value in ("invalid_grant", "invalid_client", "invalid_scope", "own_error", "slow_down")
        ),
        *({"error": value} for value in ("", None, 7, {"code": 400}, "a\x1bb")),
        {"id_token": "e.y.J", "unknown": {"deep": [1]}},
    ]
    bodies = [json.dumps(token | change) for change in changes]
    without = {k: v for change in changes[-12:] for k, v in change.items() if k == "unknown"}
    bodies += [
        json.dumps(without | {"error": word}) for word in ("invalid_grant", "invalid_request", "consent_required")
    ]
    bodies += [
        json.dumps({"ok": True}),
        "{}",
        "[]",
        "null",
        "7",
        '"x"',
        "",
        "<html>",
        "{",
        '{"access_token":"a"',
        "NaN",
    ]
    bodies.append('{"access_token": "a", "access_token": "b"}')
    for status, body in product((200, 400, 429, 500), bodies):
        yield Case(status, body)
    for status, kind, body in product(
        (200, 400),
        ("text/plain", FORM, FORM + "; charset=utf-8"),
        ("access_token=at&scope=a+b&expires_in=60&token_type=bearer", "error=bad_verification_code", "x=y"),
    ):
        yield Case(status, body, kind if kind == "text/plain" else FORM)


def our_answer(case: Case) -> Read:
    response = HttpResponse(case.status, {"content-type": case.kind}, case.body.encode())
    found = read_token_answer(response, NOW)
    if found.answer is AnswerClass.OK:
        assert found.access_token is not None
        lasts = None if found.access_expires_at is None else (found.access_expires_at - NOW) // SECOND
        refresh = found.refresh_token.value if found.refresh_token else None
        return ("token", found.access_token.value, refresh, lasts, found.scopes)
    return BAD if found.error in {None, "malformed_token"} else ("error", found.error)


def their_answer(case: Case) -> Read:
    try:
        found = oauth2.WebApplicationClient("client").parse_request_body_response(case.body)
    except oauth2.MissingTokenError:
        return BAD
    except oauth2.OAuth2Error as error:
        return ("error", error.error)
    except (TypeError, AttributeError, ValueError, OverflowError):
        return BAD  # crashes on what is no object, or no number
    scopes = frozenset(found.scopes) if found.get("scope") is not None else None
    return ("token", found["access_token"], found.get("refresh_token"), found.get("expires_in"), scopes)


def test_both_read_the_same_answers_but_for_the_table() -> None:
    count, unexplained, unused = differing(answers(), our_answer, their_answer, ANSWER_REASONS)
    assert count >= 100
    assert unexplained == []
    assert unused == set()


def test_a_difference_without_a_reason_and_a_reason_without_a_difference_are_both_found() -> None:
    reasons: dict[str, Callable[[str], bool]] = {"never": lambda query: False}
    assert differing([f"state={STATE}&code=c&error=e"], our_callback, their_callback, reasons) == (
        1,
        [f"state={STATE}&code=c&error=e: ('bad',) here, ('error', 'e') there"],
        {"never"},
    )
