"""A filter that was understood, and places in its order."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Protocol

from grantflow._filter._fields import FIELDS, SHIPPED, SORTS, WORD, States
from grantflow.errors import BadInput

AWAITING = "awaiting"
"""The kind of a scope that is required and not granted."""
_NARROW = frozenset(("id", "account", "subject"))
_CATALOGUED = frozenset(("state", "kind", "app", "incident"))
_MAX_CURSOR = 8_000
_LAST = (1 << 62) - 1
_ID_START = re.compile(r"[0-9a-f]{8}[0-9a-f-]{0,28}")


@dataclass(frozen=True, slots=True)
class Exact:
    """The text itself; `kind` only where a subject's kind was given, or for a scope that is awaited."""

    text: str
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Prefix:
    """Everything that begins with the text."""

    text: str
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers or instants from `low` up to, not including, `high`; None is open."""

    low: int | None
    high: int | None


Value = Exact | Prefix | Span


@dataclass(frozen=True, slots=True)
class Term:
    """One condition; its values are alternatives that do not overlap."""

    field: str
    op: str
    values: tuple[Value, ...]
    negated: bool
    position: int


class _Sortable(Protocol):
    @property
    def pk(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Query:
    """A filter that was understood; relative times are already instants."""

    text: str
    terms: tuple[Term, ...] = ()
    sort: str = "id"
    descending: bool = False
    states: States = SHIPPED

    def scans(self) -> tuple[str, ...]:
        """Fields of the terms that no index answers.

        None of them where another term leaves only a handful of rows to look at.
        """
        narrow = any(
            term.field in _NARROW and not term.negated and all(isinstance(v, Exact) for v in term.values)
            for term in self.terms
        )
        found = (term.field for term in self.terms if not narrow and not _indexed(term))
        return tuple(dict.fromkeys(found))

    def shows(self, state: str) -> bool:
        """Whether rows in this state can match.

        Tombstones are shown only when a state or `is:any` asks for them; where deadlines are asked for, a
        grant that is already dead does not count unless a state is named.
        """
        asked = False
        for term in self.terms:
            if term.field == "state":
                if (Exact(state) in term.values) is term.negated:
                    return False
                asked = asked or not term.negated
            asked = asked or (term.field == "is" and Exact("any") in term.values)
            if term.field == "is" and not term.negated and term.values == (Exact("stuck"),):
                if state not in self.states.waiting:
                    return False
                asked = True
        if asked:
            return True
        if self.sort == "expires" or any(term.field == "expires" for term in self.terms):
            return state in self.states.live
        return state not in self.states.final

    def cursor(self, row: _Sortable) -> str:
        """The opaque place of a row in this order, for the page after or before it."""
        return self._cursor(getattr(row, SORTS[self.sort]), row.pk)

    def before(self, value: int | str) -> str:
        """The place just before everything that has this sort value."""
        if not self.descending:
            return self._cursor(value, value - 1 if self.sort == "id" and isinstance(value, int) else -1)
        if isinstance(value, str):
            return self._cursor(f"{value}\U0010ffff", _LAST)
        return self._cursor(value, value + 1 if self.sort == "id" else _LAST)

    def _cursor(self, value: int | str, pk: int) -> str:
        text = json.dumps([self.sort, value, pk], separators=(",", ":"), ensure_ascii=False)
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    def place(self, cursor: str) -> tuple[int | str, int]:
        """(sort value, key) of a cursor; raises BadInput when it was not made for this order."""
        try:
            if len(cursor) > _MAX_CURSOR:
                raise ValueError
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            sort, value, pk = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True).decode())
            if isinstance(value, str):
                value.encode()
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            msg = "the cursor cannot be read"
            raise BadInput(msg, hint="pass the next_after of the page before, unchanged") from error
        kind = str if self.sort == "account" else int
        readable = type(value) is kind and _fits(pk) and (kind is str or _fits(value))
        if sort != self.sort or not readable:
            msg = "the cursor belongs to another order"
            raise BadInput(msg, hint="start without a cursor after changing the filter's sort")
        return value, pk


def _fits(value: object) -> bool:
    return type(value) is int and -(1 << 62) < value < 1 << 62


def _indexed(term: Term) -> bool:
    if term.field in _CATALOGUED:
        return True  # few enough to be looked up first, so that even their negation is a list
    if term.negated:
        return False
    if term.field == "is":
        return len(term.values) == 1 or Exact("any") in term.values
    return term.field == WORD.name or FIELDS[term.field].cost == "index"


def id_start(text: str) -> str | None:
    """The text as the beginning of an id, or None when no id begins like that or too many do."""
    lowered = text.lower()
    return lowered if _ID_START.fullmatch(lowered) else None
