"""What a request carries, read without trust: queries, forms, and the proof that a form is one of ours."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from grantflow import Actor
from grantflow.errors import BadInput

MAX_QUERY = 16 * 1024
MAX_BODY = 64 * 1024
_SEED = re.compile(r"[A-Za-z0-9_-]{43}")


class Forged(BadInput):
    """The form does not come from one of our pages in this browser."""

    code = "forged"


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of a query or form: one without a value counts as omitted (RFC 6749 §3.1)."""

    values: dict[str, list[str]]

    def __getitem__(self, name: str) -> str | None:
        """The first value, or None."""
        return next(iter(self.values.get(name, ())), None)

    def all(self, name: str) -> list[str]:
        """Every value, for the boxes of a form."""
        return self.values.get(name, [])

    def need(self, name: str) -> str:
        """The value; raises BadInput without one."""
        value = self[name]
        if value is None:
            msg = f"{name} is missing"
            raise BadInput(msg)
        return value

    def repeated(self, names: Iterable[str]) -> str | None:
        """A parameter of the protocol that comes more than once, which is an error (RFC 6749 §3.1)."""
        return next((name for name in names if len(self.values.get(name, ())) > 1), None)


def read_query(request: Request) -> Parameters:
    """The query of a request; raises BadInput."""
    raw: bytes = request.scope.get("query_string", b"")
    return _parsed(raw, MAX_QUERY)


async def read_form(request: Request) -> Parameters:
    """The form of a POST; raises BadInput for anything but `application/x-www-form-urlencoded`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        msg = "the body must be application/x-www-form-urlencoded"
        raise BadInput(msg)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            break
    return _parsed(body, MAX_BODY)


def _parsed(raw: bytes, most: int) -> Parameters:
    if len(raw) > most:
        msg = f"more than {most} bytes"
        raise BadInput(msg)
    try:
        pairs = parse_qsl(raw.decode("ascii"), errors="strict", max_num_fields=200)
    except ValueError:
        msg = "the parameters cannot be read"
        raise BadInput(msg) from None
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            msg = "the parameters cannot be read"
            raise BadInput(msg)
        values.setdefault(name, []).append(value)
    return Parameters(values)


# -- forms of our own -----------------------------------------------------------------------------
# A random seed stands in a cookie that only we can set (`__Host-` on https) and no script can read. The token in the
# form is HMAC(seed, person). Another site can send the cookie along but cannot learn the token; a token of another
# browser or another person fits no cookie. Nothing is stored, and any process can check it.


def seed_of(request: Request, name: str) -> str | None:
    """The seed this browser holds."""
    seed = request.cookies.get(name, "")
    return seed if _SEED.fullmatch(seed) else None


def new_seed() -> str:
    """A fresh one."""
    return secrets.token_urlsafe(32)


def form_token(seed: str, person: Iterable[Actor]) -> str:
    """What a form of this browser and this person carries."""
    named = "\n".join(sorted(map(str, person)))
    return hmac.new(seed.encode(), named.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def check_form(request: Request, form: Parameters, cookie: str, person: Iterable[Actor], base_url: str) -> None:
    """Raise Forged unless the form came from one of our pages, in this browser, for this person.

    `Origin: null` is what our own pages send, as they send no referrer; it proves nothing and refutes nothing.
    """
    seed, parts = seed_of(request, cookie), urlsplit(base_url)
    foreign = request.headers.get("sec-fetch-site", "same-origin") != "same-origin"
    origin = request.headers.get("origin", "null")
    if foreign or origin not in ("null", f"{parts.scheme}://{parts.netloc}") or seed is None:
        raise Forged
    if not hmac.compare_digest(form_token(seed, person).encode(), (form["csrf"] or "").encode()):
        raise Forged
