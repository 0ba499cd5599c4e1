"""What the browser brings back: read without trust, and never answered before its state is known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from grantflow._app import Server
from grantflow._secret import Secret
from grantflow.errors import BadCallback

MAX_QUERY = 16 * 1024
_MOST = {"state": 4096, "code": 4096, "error": 200, "iss": 4096}
_ONCE = {*_MOST, "error_description", "error_uri"}
_VISIBLE = re.compile(r"[\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class Callback:
    """An authorization response (RFC 6749 §4.1.2, RFC 9207 §2): a code or an error, never both.

    Descriptions and links of the server are not kept: they are neither matched nor shown.
    """

    state: str
    code: Secret | None
    error: str | None
    iss: str | None


def parse_callback(query: str | Mapping[str, str | Sequence[str]]) -> Callback:
    """Read the query of a redirect; give the raw one where you can, a mapping may hide a repeated parameter.

    Raises:
        BadCallback: it is too large, not text, repeats a parameter of the protocol (RFC 6749 §3.1), has no state, or
            has not exactly one of code and error.
    """
    found: dict[str, str] = {}
    seen: set[str] = set()
    try:
        for name, value in _pairs(query):
            if name not in _ONCE:
                continue  # unknown parameters are ignored (RFC 6749 §4.1.2)
            if name in seen:
                raise BadCallback
            seen.add(name)
            if value and name in _MOST:  # one without a value counts as omitted (RFC 6749 §3.1)
                if len(value) > _MOST[name] or not _VISIBLE.fullmatch(value):
                    raise BadCallback
                found[name] = value
    except (ValueError, TypeError, AttributeError):
        raise BadCallback from None
    state, code, error = found.get("state"), found.get("code"), found.get("error")
    if state is None or (code is None) == (error is None):
        raise BadCallback
    return Callback(state, None if code is None else Secret(code), error, found.get("iss"))


def check_issuer(server: Server, iss: str | None) -> bool:
    """Whether the response comes from the expected server, by plain string comparison (RFC 9207 §2.4)."""
    return not server.sends_iss if iss is None else iss == server.issuer


def _pairs(query: object) -> Iterator[tuple[str, str]]:
    if isinstance(query, str):
        if len(query) > MAX_QUERY or len(query.encode()) > MAX_QUERY:
            raise BadCallback
        query = query.removeprefix("?").partition("#")[0]
        yield from parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=200)
        return
    if not isinstance(query, Mapping):
        raise BadCallback
    left = MAX_QUERY
    for name, values in query.items():
        for value in [values] if isinstance(values, str) else values:
            if not isinstance(name, str) or not isinstance(value, str):
                raise BadCallback
            left -= len(name) + len(value)
            if left < 0:
                raise BadCallback
            yield name, value
