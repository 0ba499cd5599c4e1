"""What token and revocation endpoints answer, and what it means for a grant."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantflow._oauth import AnswerClass, TokenAnswer, read_revocation_answer, read_token_answer
from grantflow._ports import HttpResponse
from tests.oauth.foreign import FORM, NOW, SECOND, answer

TOKEN = {"access_token": "at", "token_type": "Bearer"}
CLASSES = {
    "invalid_grant": AnswerClass.DEAD,
    "invalid_client": AnswerClass.MISCONFIGURED,
    "unauthorized_client": AnswerClass.MISCONFIGURED,
    "unsupported_grant_type": AnswerClass.MISCONFIGURED,
    "invalid_scope": AnswerClass.MISCONFIGURED,
    "invalid_target": AnswerClass.MISCONFIGURED,
    "interaction_required": AnswerClass.INTERACTION,
    "consent_required": AnswerClass.INTERACTION,
    "login_required": AnswerClass.INTERACTION,
    "account_selection_required": AnswerClass.INTERACTION,
    "invalid_request": AnswerClass.REFUSED,
    "access_denied": AnswerClass.REFUSED,
    "temporarily_unavailable": AnswerClass.TRANSIENT,
    "server_error": AnswerClass.TRANSIENT,
    "slow_down": AnswerClass.TRANSIENT,
}


def read(body: object = None, status: int = 200, **headers: str) -> TokenAnswer:
    return read_token_answer(answer(TOKEN if body is None else body, status, **headers), NOW)


def held(found: TokenAnswer) -> list[str | None]:
    return [
        None if secret is None else secret.value
        for secret in (found.access_token, found.refresh_token, found.id_token)
    ]


def test_an_answer_with_a_token_is_ok_and_read_whole_rfc_6749_5_1() -> None:
    found = read(
        TOKEN
        | {"refresh_token": "rt", "expires_in": 3600, "scope": "a b", "id_token": "e.y.J", "extra": {"deep": [1]}}
        | {"refresh_token_expires_in": 86_400, "authorization_expires_in": 172_800}
    )
    assert (found.answer, found.error, found.status, found.retry_after) == (AnswerClass.OK, None, 200, None)
    assert held(found) == ["at", "rt", "e.y.J"]
    assert (found.token_type, found.scopes) == ("Bearer", frozenset({"a", "b"}))
    assert found.access_expires_at == NOW + 3600 * SECOND
    assert found.refresh_expires_at == NOW + 86_400 * SECOND
    assert found.authorization_expires_at == NOW + 172_800 * SECOND
    assert found.raw_keys == tuple(sorted(found.raw_keys))
    assert {"access_token", "extra"} < set(found.raw_keys)


def test_what_an_answer_does_not_say_is_none() -> None:
    found = read({"access_token": "at"})
    assert found.answer is AnswerClass.OK
    assert (found.token_type, found.scopes, held(found)) == ("", None, ["at", None, None])
    assert found.access_expires_at is found.refresh_expires_at is found.authorization_expires_at is None


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 429, 500, 503])
@pytest.mark.parametrize("beside", [{}, TOKEN | {"error_description": "invalid_grant expired"}])
@pytest.mark.parametrize(("error", "meaning"), CLASSES.items())
def test_the_word_in_the_body_decides_before_the_status_and_before_a_token(
    error: str, meaning: AnswerClass, beside: dict[str, Any], status: int
) -> None:
    found = read({"error": error} | beside, status)
    assert (found.answer, found.error, held(found)) == (meaning, error, [None, None, None])


def test_a_description_is_never_matched() -> None:
    assert read({"error_description": "invalid_grant"}, 400).answer is AnswerClass.TRANSIENT
    assert read({"error": "x", "error_description": "invalid_grant"}, 400).answer is AnswerClass.REFUSED
    assert read({"error": "Invalid_Grant"}, 400).answer is AnswerClass.REFUSED


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (200, AnswerClass.REFUSED),
        (400, AnswerClass.REFUSED),
        (429, AnswerClass.TRANSIENT),
        (500, AnswerClass.TRANSIENT),
    ],
)
def test_a_word_of_no_specification_does_not_outweigh_a_server_in_trouble(status: int, meaning: AnswerClass) -> None:
    found = read({"error": "Internal Server Error"}, status)
    assert (found.answer, found.error) == (meaning, "unrecognised")


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        *((error, "unrecognised") for error in ("a\x1b[2J\nb\u202e", "e" * 500, "\ud800", "äö", "a secret 0815")),
        ("a_word_of_its_own", "a_word_of_its_own"),
    ],
)
def test_only_a_word_of_the_shape_that_codes_have_is_shown(error: str, shown: str) -> None:
    found = read({"error": error}, 400)
    assert (found.answer, found.error) == (AnswerClass.REFUSED, shown)


@pytest.mark.parametrize("error", [{"code": 400}, 7, True, ["invalid_grant"]])
def test_an_error_that_is_no_word_is_transient(error: object) -> None:
    found = read(TOKEN | {"error": error})
    assert (found.answer, found.error, found.access_token) == (AnswerClass.TRANSIENT, None, None)


@pytest.mark.parametrize("error", [None, "", False])
def test_an_empty_error_is_none(error: object) -> None:
    assert read(TOKEN | {"error": error}).answer is AnswerClass.OK


@pytest.mark.parametrize("status", [199, 301, 302, 307, 400, 401, 404, 429, 500, 503])
def test_a_token_with_another_status_than_success_is_none(status: int) -> None:
    found = read(TOKEN, status)
    assert (found.answer, found.status, found.access_token) == (AnswerClass.TRANSIENT, status, None)


UNREADABLE = {
    "nothing": b"",
    "a page": b"<html>maintenance</html>",
    "neither token nor error": b'{"ok": true}',
    "a token that is empty": b'{"access_token": ""}',
    "a token that is a number": b'{"access_token": 7}',
    "a token that is null": b'{"access_token": null}',
    "a list": b'[{"access_token": "at"}]',
    "a list of pairs": b'[["access_token", "at"]]',
    "a word": b'"access_token"',
    "null": b"null",
    "a member that comes twice": b'{"access_token": "at", "access_token": "other"}',
    "an error that comes twice": b'{"error": "invalid_grant", "error": "x"}',
    "deep nesting": b'{"access_token": "at", "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep objects": b'{"a":' * 100_000,
    "half a document": b'{"access_token": "at", "exp',
    "not UTF-8": b'{"access_token": "\xff"}',
    "UTF-16": '{"access_token": "at"}'.encode("utf-16"),
    "NUL": b"\0" * 100,
    "a form without its type": b"access_token=at",
    "too large": b'{"access_token": "at", "x": "' + b"x" * (1 << 20) + b'"}',
    "large with an error": b'{"error": "invalid_grant", "x": "' + b"x" * (1 << 20) + b'"}',
}


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_transient_at_any_status(body: bytes, status: int) -> None:
    found = read(body, status)
    assert (found.answer, found.error, held(found)) == (AnswerClass.TRANSIENT, None, [None, None, None])


@pytest.mark.parametrize(
    "change",
    [
        {"access_token": "a" * 65_537},
        {"access_token": "a\nb"},
        {"access_token": "a\n"},
        {"access_token": "a\0"},
        {"access_token": "ä"},
        {"access_token": "\ud800"},
        {"refresh_token": "r" * 65_537},
        {"refresh_token": "r\x7f"},
        {"refresh_token": 7},
        {"refresh_token": ["rt"]},
    ],
)
def test_a_token_that_cannot_be_sent_back_is_malformed(change: dict[str, Any]) -> None:
    found = read(TOKEN | {"refresh_token": "rt"} | change)
    assert (found.answer, found.error, held(found)) == (AnswerClass.TRANSIENT, "malformed_token", [None, None, None])


def test_the_longest_token_is_accepted() -> None:
    assert held(read(TOKEN | {"access_token": "a" * 65_536, "refresh_token": None}))[:2] == ["a" * 65_536, None]


@pytest.mark.parametrize("kind", ["bearer", "Bearer", "BEARER", "", None])
def test_bearer_is_written_in_any_case(kind: str | None) -> None:
    found = read(TOKEN | {"token_type": kind})
    assert (found.answer, found.token_type) == (AnswerClass.OK, kind or "")


@pytest.mark.parametrize("kind", ["mac", "DPoP", "N_A", "bearer ", 7, ["bearer"]])
def test_a_token_of_an_unknown_type_is_not_used_rfc_6749_7_1(kind: object) -> None:
    found = read(TOKEN | {"token_type": kind})
    assert (found.answer, found.error) == (AnswerClass.MISCONFIGURED, "token-type")
    assert found.token_type == (kind if isinstance(kind, str) else "")
    assert held(found)[:2] == ["at", None], "to be given back"
    assert held(read(TOKEN | {"token_type": kind, "refresh_token": "rt"}))[:2] == ["at", "rt"], "to renew with"
    assert held(read(TOKEN | {"token_type": kind, "refresh_token": "\n"}))[:2] == ["at", None]


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("a b", {"a", "b"}),
        ("  a   b ", {"a", "b"}),
        ("a", {"a"}),
        ("a,b", {"a", "b"}),
        ("a, b", {"a,", "b"}),
        (["a", "b"], {"a", "b"}),
        (["a", 7, None, "b"], {"a", "b"}),
        ("https://x.example/a openid", {"https://x.example/a", "openid"}),
        ('a b"c d\\e ä \x00', {"a"}),
        ("\ud800", set()),
        ("", None),
        ("  ", None),
        (",", None),
        ([], None),
        ([""], None),
        (None, None),
        (7, None),
        ({"a": 1}, None),
    ],
)
def test_scopes_are_read_as_servers_write_them_rfc_6749_3_3(scope: object, scopes: set[str] | None) -> None:
    assert read(TOKEN | {"scope": scope}).scopes == scopes


@pytest.mark.parametrize(
    ("seconds", "micro"),
    [
        ("3600", 3600 * SECOND),
        ("0", 0),
        ("1.5", 1_500_000),
        ('"3600"', 3600 * SECOND),
        ('" 3600 "', 3600 * SECOND),
        ('"1.5"', 1_500_000),
        ("3155760000", None),
        ("3153600000", 3_153_600_000 * SECOND),
        *((junk, None) for junk in ("-1", '"-1"', "true", "false", "null", "NaN", "Infinity", "-Infinity", "1e400")),
        *(
            (junk, None)
            for junk in ("9" * 30, "9" * 5000, '"' + "9" * 5000 + '"', '""', '"soon"', '"1e3"', "[1]", "{}")
        ),
        *((junk, None) for junk in ('"NaN"', '"٣"', '"1_0"', '"0x10"')),
    ],
)
def test_lifetimes_count_from_now_and_absurd_ones_are_unknown(seconds: str, micro: int | None) -> None:
    found = read(b'{"access_token": "at", "expires_in": ' + seconds.encode() + b"}")
    assert found.answer is AnswerClass.OK
    assert found.access_expires_at == (None if micro is None else NOW + micro)


@pytest.mark.parametrize("name", ["refresh_token_expires_in", "refresh_expires_in", "refresh_token_timeout"])
def test_the_life_of_a_refresh_token_has_three_names_and_zero_means_none(name: str) -> None:
    assert read(TOKEN | {name: "60"}).refresh_expires_at == NOW + 60 * SECOND
    assert read(TOKEN | {name: 0}).refresh_expires_at is None
    assert read(TOKEN | {name: -1}).refresh_expires_at is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("99999999", 86_400.0),
        ("9" * 150, 86_400.0),
        ("Tue, 24 Nov 2026 00:02:00 GMT", 120.0),
        ("Tue, 24 Nov 2026 00:02:00 -0000", 120.0),
        ("Mon, 23 Nov 2026 00:00:00 GMT", 0.0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 86_400.0),
        *((junk, None) for junk in ("", "-5", "1.5", "soon", "²", "٣", "Tue, 99 Nov 2026", "nan", "\0", "1, 2")),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 86_400.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_a_day(text: str, seconds: float | None) -> None:
    assert read({}, 503, retry_after=text).retry_after == seconds
    assert read_revocation_answer(answer({}, 503, retry_after=text), NOW) == (False, AnswerClass.TRANSIENT, seconds)


def test_a_form_is_read_when_the_server_says_it_is_one() -> None:
    form = {"access_token": "at", "scope": "repo,gist", "token_type": "bearer", "expires_in": "28800", "x": ""}
    found = read(urlencode(form).encode(), content_type=FORM + "; charset=utf-8")
    assert (found.answer, held(found)[0], found.scopes) == (AnswerClass.OK, "at", frozenset({"repo", "gist"}))
    assert found.access_expires_at == NOW + 28_800 * SECOND
    assert read(b"error=invalid_grant&error_description=x", content_type=FORM).answer is AnswerClass.DEAD


@pytest.mark.parametrize("body", [b"access_token=a&access_token=b", b"access_token=%ff", b"\xff", b"a=1&" * 300, b""])
def test_a_form_that_is_odd_is_transient(body: bytes) -> None:
    assert read(body, content_type=FORM).answer is AnswerClass.TRANSIENT


def test_names_are_kept_and_nothing_that_may_be_a_value() -> None:
    found = read(b"gho_T0KENT0KENT0KENT0KENT0KENT0KENT0KEN", content_type=FORM)
    assert found.raw_keys == ()
    assert read({"error": "x", "a b": 1, "\ud800": 1, "k" * 41: 1, "ok": 1}, 400).raw_keys == ("error", "ok")


def test_the_repr_of_an_answer_shows_no_secret() -> None:
    body = {"access_token": "C4NARY1", "refresh_token": "C4NARY2", "id_token": "C4NARY3", "other": "C4NARY4"}
    response = answer(body, set_cookie="C4NARY5")
    for found in (read(body), read(body | {"token_type": "mac"}), read(body | {"error": "invalid_grant"}), response):
        assert "C4NARY" not in f"{found!r} {found}"


@pytest.mark.parametrize(
    ("body", "status", "done", "meaning"),
    [
        (b"", 200, True, AnswerClass.OK),
        (b"", 204, True, AnswerClass.OK),
        (b"{}", 200, True, AnswerClass.OK),
        (b"<html>", 200, True, AnswerClass.OK),
        (b"", 429, False, AnswerClass.TRANSIENT),
        (b"", 500, False, AnswerClass.TRANSIENT),
        (b"", 503, False, AnswerClass.TRANSIENT),
        (b"", 302, False, AnswerClass.TRANSIENT),
        (b"<html>", 404, False, AnswerClass.TRANSIENT),
        (b'{"error": "unsupported_token_type"}', 400, True, AnswerClass.OK),
        (b'{"error": "unsupported_token_type"}', 503, True, AnswerClass.OK),
        (b'{"error": "invalid_token"}', 400, True, AnswerClass.OK),
        (b'{"error": "invalid_grant"}', 400, True, AnswerClass.OK),
        (b'{"error": "invalid_client"}', 401, False, AnswerClass.MISCONFIGURED),
        (b'{"error": "invalid_client"}', 200, False, AnswerClass.MISCONFIGURED),
        (b'{"error": "invalid_request"}', 400, False, AnswerClass.REFUSED),
        (b'{"error": "temporarily_unavailable"}', 400, False, AnswerClass.TRANSIENT),
        (b'{"error": ["invalid_token"]}', 400, False, AnswerClass.TRANSIENT),
    ],
)
def test_a_revocation_is_done_when_nothing_is_left_to_revoke_rfc_7009_2_2(
    body: bytes, status: int, done: bool, meaning: AnswerClass
) -> None:
    assert read_revocation_answer(answer(body, status), NOW) == (done, meaning, None)


NAMES = [*TOKEN, "refresh_token", "id_token", "error", "scope", "expires_in", "refresh_expires_in"]
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=9),
    st.text(st.characters(categories=["Cs"]), max_size=2),
    st.sampled_from([*CLASSES, "Bearer", "at", "3600"]),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)
documents = st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=3)), values, max_size=8)
spoiled = st.tuples(documents.map(json.dumps), st.integers(0, 200), st.text('{}[]",:\\\0', max_size=3)).map(
    lambda parts: (parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]).encode()
)
bodies = st.one_of(st.binary(), documents.map(lambda found: json.dumps(found).encode()), spoiled)
headers = st.dictionaries(
    st.sampled_from(["content-type", "retry-after", "location"]),
    st.one_of(st.text(max_size=30), st.just(FORM), st.integers().map(str), st.text("0123456789-: ,GMTADJanFeb")),
)


@given(st.builds(HttpResponse, st.integers(100, 599), headers, bodies), st.integers(0, 1 << 53))
def test_any_answer_of_any_shape_is_classified_and_always_the_same_way(response: HttpResponse, now: int) -> None:
    found, again = read_token_answer(response, now), read_token_answer(response, now)
    assert (found.answer, held(found), found.scopes) == (again.answer, held(again), again.scopes)
    assert (found.access_token is not None) == (found.answer is AnswerClass.OK)
    assert found.error is None or (found.error.isascii() and found.error.isprintable() and len(found.error) <= 80)
    assert found.retry_after is None or 0 <= found.retry_after <= 86_400
    assert read_revocation_answer(response, now) == read_revocation_answer(response, now)


@given(documents, st.sampled_from(sorted(CLASSES)), st.integers(100, 599))
def test_whatever_stands_beside_it_a_known_word_decides(beside: dict[str, Any], error: str, status: int) -> None:
    assert read(beside | {"error": error}, status).answer is CLASSES[error]
