"""What token and revocation endpoints answer: the word in the body decides, then the status, never a description."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

from grantflow._oauth._bodies import header, members
from grantflow._ports import HttpResponse
from grantflow._secret import Secret

_SECOND = 1_000_000
_CENTURY = 100 * 365 * 86_400
_DAY = 86_400
_TOKEN = re.compile(r"[\x20-\x7e]{1,65536}")  # RFC 6749 appendix A.12, A.17
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 §3.3
_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")


TOKEN_TYPE = "token-type"  # noqa: S105 - a word, no secret
"""Our word for a token of a type that is not understood, and so must not be used (RFC 6749 §7.1)."""
MALFORMED = "malformed_token"
"""Our word for a token that cannot be one; whether the server spent the one before, nobody knows."""


class AnswerClass(StrEnum):
    """What an answer means for a grant."""

    OK = "ok"
    DEAD = "dead"
    """The grant is gone, for whatever reason."""
    MISCONFIGURED = "misconfigured"
    """The client itself is refused: a matter of the app, not of the grant."""
    INTERACTION = "interaction"
    """Only a person at the authorization endpoint can go on."""
    REFUSED = "refused"
    TRANSIENT = "transient"
    """Nothing is known; the same request may fare better later."""


_WORDS = {
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """One answer of a token endpoint (RFC 6749 §5); tokens are there when it is OK.

    Where their type alone is wrong they are there too: to be given back, or to renew with, never to be used.
    """

    answer: AnswerClass
    error: str | None = None
    """The server's word, or ours, in printable ASCII: for logs, never matched."""
    status: int
    retry_after: float | None = None
    access_token: Secret | None = None
    refresh_token: Secret | None = None
    token_type: str = ""
    scopes: frozenset[str] | None = None
    """What was granted; None where the answer does not say, which means: what was asked for (RFC 6749 §5.1)."""
    access_expires_at: int | None = None
    refresh_expires_at: int | None = None
    authorization_expires_at: int | None = None
    id_token: Secret | None = None
    raw_keys: tuple[str, ...] = ()
    """Names of what stood in the answer, without values."""


def read_token_answer(response: HttpResponse, now: int) -> TokenAnswer:
    """Classify and read one answer; never raises, whatever the server sends (RFC 6749 §5.1, §5.2)."""
    found, status, retry = members(response), response.status, _retry_after(response, now)
    keys = tuple(sorted(name for name in found or () if _NAME.fullmatch(name)))[:50]

    def failed(answer: AnswerClass, error: str | None, token_type: str = "") -> TokenAnswer:
        return TokenAnswer(
            answer=answer,
            error=error,
            status=status,
            retry_after=retry,
            token_type=token_type,
            raw_keys=keys,
        )

    if found is None:
        return failed(AnswerClass.TRANSIENT, None)
    if found.get("error"):
        return failed(*_classified(found["error"], status))
    access, refresh = found.get("access_token"), found.get("refresh_token") or ""
    if not 200 <= status < 300 or not isinstance(access, str) or not access:
        return failed(AnswerClass.TRANSIENT, None)
    kind = found.get("token_type") or ""
    if not isinstance(kind, str) or kind.lower() not in {"", "bearer"}:  # RFC 6749 §7.1
        return replace(
            failed(AnswerClass.MISCONFIGURED, TOKEN_TYPE, _printable(kind)),
            access_token=Secret(access) if _readable(access) else None,
            refresh_token=Secret(refresh) if _readable(refresh) else None,
        )
    if not _TOKEN.fullmatch(access) or not (refresh == "" or _readable(refresh)):
        return failed(AnswerClass.TRANSIENT, MALFORMED, kind)
    return TokenAnswer(
        answer=AnswerClass.OK,
        status=status,
        retry_after=retry,
        access_token=Secret(access),
        refresh_token=Secret(refresh) if refresh else None,
        token_type=kind,
        scopes=_scopes(found.get("scope")),
        access_expires_at=_instant(found.get("expires_in"), now),
        refresh_expires_at=_lasting(
            found, now, "refresh_token_expires_in", "refresh_expires_in", "refresh_token_timeout"
        ),
        authorization_expires_at=_lasting(found, now, "authorization_expires_in"),
        id_token=Secret(found["id_token"]) if _readable(found.get("id_token")) else None,
        raw_keys=keys,
    )


def read_revocation_answer(response: HttpResponse, now: int) -> tuple[bool, AnswerClass, float | None]:
    """Whether nothing is left to do, why, and the seconds to wait before another try (RFC 7009 §2.2)."""
    found, status, retry = members(response), response.status, _retry_after(response, now)
    word = (found or {}).get("error")
    if not word:
        done = 200 <= status < 300
        return done, AnswerClass.OK if done else AnswerClass.TRANSIENT, retry
    if word in ("unsupported_token_type", "invalid_token", "invalid_grant"):  # RFC 7009 §2.2.1; it is gone already
        return True, AnswerClass.OK, retry
    return False, _classified(word, status)[0], retry


def _classified(word: object, status: int) -> tuple[AnswerClass, str | None]:
    if not isinstance(word, str):
        return AnswerClass.TRANSIENT, None
    known = _WORDS.get(word)
    if known is None:  # a word of no specification does not outweigh a server in trouble
        known = AnswerClass.TRANSIENT if status == 429 or status >= 500 else AnswerClass.REFUSED
    return known, error_word(word)


def error_word(word: str) -> str:
    """An error code as it may be shown and kept: a word of a specification's shape, never a text with secrets."""
    return word if _WORD.fullmatch(word) else "unrecognised"


_WORD = re.compile(r"[a-z][a-z_]{1,39}")


def _printable(text: object) -> str:
    return "".join(char for char in text[:400] if " " <= char <= "~")[:80] if isinstance(text, str) else ""


def _readable(token: object) -> bool:
    return isinstance(token, str) and _TOKEN.fullmatch(token) is not None


def _scopes(value: object) -> frozenset[str] | None:
    if isinstance(value, str):
        value = value.strip().split(None if " " in value.strip() else ",")
    if not isinstance(value, list) or not any(value):
        return None
    named = (item.strip() for item in value if isinstance(item, str))
    return frozenset(item for item in named if _SCOPE.fullmatch(item))


def _instant(seconds: object, now: int) -> int | None:
    if isinstance(seconds, str) and _SECONDS.fullmatch(seconds.strip()):
        seconds = float(seconds)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    if not math.isfinite(seconds) or not 0 <= seconds <= _CENTURY:
        return None
    return now + int(seconds * _SECOND)


def _lasting(found: Mapping[str, Any], now: int, *names: str) -> int | None:
    """The first lifetime that can be read; zero is how some servers say that there is none."""
    instants = (_instant(found.get(name), now) for name in names)
    return next((instant for instant in instants if instant is not None and instant > now), None)


def _retry_after(response: HttpResponse, now: int) -> float | None:
    """Seconds from now, at most a day (RFC 9110 §10.2.3)."""
    text = header(response.headers, "retry-after")[:200]
    if text and text.isascii() and text.isdigit():
        return min(float(text), float(_DAY))
    try:
        date = parsedate_to_datetime(text)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return min(max(date.timestamp() - now / _SECOND, 0.0), float(_DAY))
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None
