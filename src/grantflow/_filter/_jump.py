"""Where a jump lands in a filter's order: at a time, at the beginning of an account, or of an id."""

from __future__ import annotations

from grantflow._filter._parse import parse, quoted
from grantflow._filter._query import Query, Span, id_start
from grantflow.errors import BadInput, FilterSyntaxError
from grantflow_machines import Instant

_LANDS = {
    "id": "the beginning of an id, or when it was installed: 0198c0de, 2026-08-01 or 30d",
    "account": "the beginning of an account: acme",
    "expires": "when it ends: 30d or 2026-08-01",
    "entered": "when it entered its state: 3h or 2026-08-01",
}


def landing(query: Query, text: str, now: Instant) -> str | int:
    """The sort value a jump to `text` means: a text for accounts and ids, else an instant.

    Raises BadInput when the order has no such value.
    """
    if query.sort == "account":
        return text
    if query.sort == "id" and (start := id_start(text)) is not None:
        return start
    field = "created" if query.sort == "id" else query.sort
    try:
        span = parse(f"{field}>={quoted(text)}", now).terms[0].values[0]
    except FilterSyntaxError as error:
        msg = f"{text!r} is no place in the order of {query.sort}"
        raise BadInput(msg, hint=f"name {_LANDS[query.sort]}") from error
    assert isinstance(span, Span)
    edge = (span.high or 1) - 1 if span.low is None else span.low
    return _first_id(edge) if query.sort == "id" else edge


def _first_id(at: Instant) -> str:
    """The smallest id of an installation made then (UUIDv7 begins with its milliseconds)."""
    millis = max(at, 0) // 1000
    return f"{millis >> 16:08x}-{millis & 0xFFFF:04x}"
