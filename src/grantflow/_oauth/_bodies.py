"""Bodies of foreign servers: whatever comes, it is a flat set of names and values or it is None."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from grantflow._ports import HttpResponse

MAX_BODY = 1 << 20
_FORM = "application/x-www-form-urlencoded"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_URL = re.compile(r"[\x21-\x7e]{1,2048}")


def members(response: HttpResponse) -> dict[str, Any] | None:
    """The members of a JSON object (or of a form, where the answer says it is one); None for anything else.

    A name that comes twice makes the whole body unreadable (RFC 6749 §3.2, §5.1). Objects further inside are left as
    tuples, which nothing here reads.
    """
    if len(response.body) > MAX_BODY:
        return None
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        text = response.body.decode("utf-8-sig")
        pairs = (
            tuple(parse_qsl(text.strip(), errors="strict", max_num_fields=200))
            if kind == _FORM
            else json.loads(text, object_pairs_hook=tuple, parse_int=_number)
        )
    except (ValueError, RecursionError):
        return None
    if not isinstance(pairs, tuple):
        return None
    found: dict[str, Any] = dict(pairs)
    return found if len(found) == len(pairs) else None


def header(headers: Mapping[str, str], name: str) -> str:
    """One header without the blanks around it; empty where it is missing."""
    return headers.get(name, "").strip()


def secure_url(value: object) -> bool:
    """Whether it is an absolute https URL, or http on loopback, with neither a fragment nor a user in it."""
    if not isinstance(value, str) or not _URL.fullmatch(value) or "#" in value:
        return False
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc or "\\" in value:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)


def _number(digits: str) -> float:
    return int(digits) if len(digits) < 20 else math.inf
