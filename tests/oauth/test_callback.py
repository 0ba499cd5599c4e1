"""What the browser brings back: read, or refused as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantflow._oauth import Callback, check_issuer, parse_callback
from grantflow.errors import BadCallback
from tests.oauth.foreign import ISSUER, SERVER

NAMES = ["state", "code", "error", "iss", "error_description", "error_uri", "scope", "x"]


def read(query: Any) -> tuple[str, str | None, str | None, str | None]:
    found = parse_callback(query)
    return found.state, found.code.value if found.code else None, found.error, found.iss


@pytest.mark.parametrize(
    "query",
    [
        "code=c%2Bd&state=s",
        "?code=c%2Bd&state=s",
        "state=s&unknown=1&code=c%2Bd&scope=a+b&unknown=2&authuser=0",
        "state=s&code=c%2Bd&error=",
        "state=s&code=c%2Bd#code=e",
        {"state": "s", "code": "c+d"},
        {"state": ["s"], "code": ("c+d",), "error": [], "x": ["1", "2"]},
    ],
)
def test_a_code_and_a_state_are_read_and_the_unknown_is_ignored(query: Any) -> None:
    assert read(query) == ("s", "c+d", None, None)


def test_an_error_is_read_and_its_description_is_not_kept() -> None:
    query = "error=access_denied&state=s&iss=https%3A%2F%2Fas.example&error_description=DESCRIBED&error_uri=LINKED"
    assert read(query) == ("s", None, "access_denied", ISSUER)
    shown = repr(parse_callback(query))
    assert "DESCRIBED" not in shown
    assert "LINKED" not in shown


REFUSED: dict[str, Any] = {
    "nothing": "",
    "no state": "code=c",
    "a state without a value": "code=c&state=",
    "no code and no error": "state=s",
    "a code without a value": "state=s&code=",
    "code and error": "state=s&code=c&error=access_denied",
    "two states (RFC 6749 §3.1)": "state=s&state=s&code=c",
    "two codes": "state=s&code=c&code=d",
    "two codes, one without a value": "state=s&code=c&code=",
    "two errors": "state=s&error=a&error=b",
    "two issuers": "state=s&code=c&iss=a&iss=b",
    "two descriptions": "state=s&error=a&error_description=a&error_description=b",
    "two codes in a mapping": {"state": "s", "code": ["c", "d"]},
    "a long state": "code=c&state=" + "s" * 4097,
    "a long code": "state=s&code=" + "c" * 4097,
    "a long error": "state=s&error=" + "e" * 201,
    "a long query": "state=s&code=c&x=" + "x" * 16_384,
    "a long query of few characters": "state=s&code=c&x=" + "ä" * 8192,
    "a long mapping": {"state": "s", "code": "c", "x": "x" * 16_384},
    "a thousand parameters": "state=s&code=c" + "&x=1" * 1000,
    "invalid UTF-8": "state=s&code=%ff%fe",
    "invalid UTF-8 in what is ignored": "state=s&code=c&x=%ff",
    "NUL": "state=s%00&code=c",
    "a newline": "state=s&code=c%0d%0aSet-Cookie:a",
    "a newline at the end": "state=s&code=c%0a",
    "beyond ASCII": "state=s&code=c%C3%A4",
    "lone surrogate": "state=s&code=\ud800",
    "lone surrogate in a mapping": {"state": "\ud800", "code": "c"},
    "control characters in the error": "state=s&error=a%1b[2J",
    "bytes": b"state=s&code=c",
    "bytes in a mapping": {"state": b"s", "code": b"c"},
    "numbers in a mapping": {"state": 1, "code": 2},
    "None in a mapping": {"state": "s", "code": None},
    "a number as name": {1: "x", "state": "s", "code": "c"},
    "None": None,
    "a list": ["state=s"],
}


@pytest.mark.parametrize("query", REFUSED.values(), ids=REFUSED)
def test_what_is_not_in_order_is_malformed(query: Any) -> None:
    with pytest.raises(BadCallback) as caught:
        parse_callback(query)
    assert caught.value.why == "malformed"


@pytest.mark.parametrize(("name", "most"), [("state", 4096), ("code", 4096), ("error", 200)])
def test_limits_are_met_exactly(name: str, most: int) -> None:
    other = "code" if name == "state" else "state"
    assert parse_callback({name: "x" * most, other: "y"})
    with pytest.raises(BadCallback):
        parse_callback({name: "x" * (most + 1), other: "y"})


def test_the_whole_query_may_have_sixteen_kibibytes() -> None:
    query = "state=s&code=c&x="
    assert parse_callback(query + "x" * (16_384 - len(query)))
    with pytest.raises(BadCallback):
        parse_callback(query + "x" * (16_385 - len(query)))


def test_neither_repr_nor_error_shows_the_code() -> None:
    found = parse_callback("state=s&code=C0DE")
    assert "C0DE" not in f"{found!r} {found}"
    with pytest.raises(BadCallback) as caught:
        parse_callback("state=s&code=C0DE&code=C0DE")
    assert "C0DE" not in f"{caught.value!r} {caught.value} {caught.value.__context__!r}"


@pytest.mark.parametrize(
    ("sends", "iss", "right"),
    [
        (True, ISSUER, True),
        (True, None, False),
        (False, None, True),
        (False, ISSUER, True),
        (False, "https://evil.example", False),
        (True, ISSUER + "/", False),
        (True, ISSUER.upper(), False),
        (True, "https://as.example:443", False),
        (True, "", False),
        (False, "", False),
    ],
)
def test_the_issuer_is_compared_as_a_plain_string_rfc_9207(sends: bool, iss: str | None, right: bool) -> None:
    assert check_issuer(replace(SERVER, sends_iss=sends), iss) is right


texts = st.one_of(st.text(max_size=20), st.text(st.characters(categories=["Cs", "Cc"]), max_size=3), st.just("c"))
pairs = st.lists(
    st.tuples(st.sampled_from(NAMES), st.one_of(st.binary(max_size=9), st.text("ab%+&=;#?", max_size=9)))
)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.binary(max_size=9), texts), st.lists, max_leaves=3
)


def outcome(query: Any) -> Callback | None:
    try:
        return parse_callback(query)
    except BadCallback as error:
        return None if error.why == "malformed" else pytest.fail(error.why)


def same_twice(query: Any) -> None:
    first, second = outcome(query), outcome(query)
    assert (first is None) == (second is None)
    if first is not None and second is not None:
        assert (first.state, first.error, first.iss) == (second.state, second.error, second.iss)
        assert (first.code is None) != (first.error is None)


@given(st.one_of(texts, pairs.map(urlencode), st.text("statecodr=&%0f?", max_size=60)))
def test_any_query_is_read_or_malformed(query: str) -> None:
    same_twice(query)


@given(st.dictionaries(st.one_of(st.sampled_from(NAMES), texts), anything, max_size=5))
def test_any_mapping_is_read_or_malformed(query: dict[str, Any]) -> None:
    same_twice(query)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1), st.text("abc", min_size=1))
def test_what_is_in_order_comes_back_as_it_was(state: str, code: str) -> None:
    assert read(urlencode({"state": state, "code": code})) == (state, code, None, None)
    assert read({"state": [state], "code": code}) == (state, code, None, None)
