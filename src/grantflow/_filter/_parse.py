"""Reading a filter, character by character, with a caret for whatever cannot be read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from types import MappingProxyType
from typing import NoReturn

from grantflow._clock import to_instant
from grantflow._filter._fields import FLAGS, HAS, INSTALLATIONS, MARKED, SHIPPED, States, Table
from grantflow._filter._query import AWAITING, Exact, Prefix, Query, Span, Term, Value
from grantflow.errors import BadInput, FilterSyntaxError
from grantflow_machines import Instant

MAX_LENGTH = 2_000
MAX_TERMS = 32
MAX_VALUES = 64

_SUBJECT_KINDS = frozenset(("account", "agent", "user"))
_FLAGS = MappingProxyType({"is": FLAGS, "has": HAS})
_TERM = re.compile(r"(-?)([A-Za-z_]+)(!=|<=|>=|[:=<>])")
_COMPARISON = re.compile(r"[<>]=?")
_DURATION = re.compile(r"([0-9]{1,9})([smhdw])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:.]+(?:[Zz]|[+-][0-9]{2}:[0-9]{2})?")
_NUMBER = re.compile(r"[0-9]{1,15}")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_@/.-]*")
_SECONDS = MappingProxyType({"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800})
_DAY = 86_400_000_000
_LONGEST = timedelta(days=36_500)


def quoted(value: str) -> str:
    r"""A value as it must stand in a filter to be taken literally.

    >>> quoted("acme"), quoted('two "words"')
    ('acme', '"two \\"words\\""')
    """
    if _PLAIN.fullmatch(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def duration(text: str) -> timedelta:
    """A span of time as filters write it: seconds, minutes, hours, days or weeks.

    >>> duration("180d"), duration("12h")
    (datetime.timedelta(days=180), datetime.timedelta(seconds=43200))

    Raises BadInput for everything else, and for more than 36500 days.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        msg = f"{text[:40]!r} is no span of time"
        raise BadInput(msg, hint="write 90s, 30m, 12h, 180d or 2w")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > _LONGEST.total_seconds():
        msg = "a span of time is at most 36500d"
        raise BadInput(msg)
    return timedelta(seconds=seconds)


def with_term(text: str, term: str) -> str:
    """The filter with one more term, once.

    >>> with_term("state:active", "app:crm")
    'state:active app:crm'
    """
    _check(text)
    raw = [token for _, token in _tokens(text)]
    return " ".join(raw if term in raw else [*raw, term])


def terms_of(text: str) -> tuple[str, ...]:
    """The terms as they were written, the sort left out.

    >>> terms_of('state:active "two words" sort:id')
    ('state:active', '"two words"')
    """
    _check(text)
    return tuple(token for _, token in _tokens(text) if not token.lower().startswith(("sort:", "sort=")))


def parse(
    text: str,
    now: Instant,
    table: Table = INSTALLATIONS,
    marked: Collection[str] | None = None,
    states: States = SHIPPED,
) -> Query:
    """Read a filter.

    Args:
        now: What its durations count from.
        marked: The ids that `is:marked` means.
        states: Those of the charts in use.

    Raises FilterSyntaxError, which points at the character, for everything that cannot be read.
    """
    if not isinstance(text, str):
        msg = "a filter is a text"
        raise BadInput(msg)
    _check(text)
    terms: list[Term] = []
    sort: tuple[str, bool] | None = None
    for count, (position, token) in enumerate(_tokens(text)):
        if count == MAX_TERMS:
            _fail(f"a filter has at most {MAX_TERMS} terms", text, position)
        reader = _Reader(text, now, position, token, table.of(states), marked)
        if reader.field != "sort":
            terms.append(reader.term())
        elif sort is not None:
            _fail("there are two sorts", text, position)
        else:
            sort = reader.sort()
    name, descending = sort or ("id", False)
    return Query(text.strip(), tuple(terms), name, descending, states)


def _check(text: str) -> None:
    if len(text) > MAX_LENGTH:
        _fail(f"a filter has at most {MAX_LENGTH:,} characters", text[:MAX_LENGTH], MAX_LENGTH)
    for position, char in enumerate(text):
        if unicodedata.category(char) in {"Cc", "Cs"} and char not in "\t\n\r":
            _fail(f"the character U+{ord(char):04X} cannot be searched for", text, position)


def _fail(message: str, text: str, position: int, hint: str | None = None) -> NoReturn:
    raise FilterSyntaxError(message, text=text, position=position, hint=hint)


def _near(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = get_close_matches(word.lower()[:40], names, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(names)}"


def _tokens(text: str) -> list[tuple[int, str]]:
    """(position, text) between white space outside quotes."""
    found: list[tuple[int, str]] = []
    start, quote, escaped = -1, -1, False
    for position, char in enumerate(text):
        if start < 0 and not char.isspace():
            start = position
        if quote >= 0:
            if char == '"' and not escaped:
                quote = -1
            escaped = char == "\\" and not escaped
        elif char == '"':
            quote, escaped = position, False
        elif char.isspace() and start >= 0:
            found.append((start, text[start:position]))
            start = -1
    if quote >= 0:
        _fail("the quote is never closed", text, quote)
    if start >= 0:
        found.append((start, text[start:]))
    return found


@dataclass(frozen=True, slots=True)
class _Item:
    """One value as it was written."""

    text: str
    position: int
    quoted: bool
    star: bool


class _Reader:
    """Reads one term."""

    def __init__(
        self,
        text: str,
        now: Instant,
        position: int,
        token: str,
        table: Table,
        marked: Collection[str] | None,
    ) -> None:
        self.text, self.now, self.position, self.token = text, now, position, token
        self.table, self.marked = table, marked
        found = _TERM.match(token)
        self.negated = token.startswith("-")
        self.field = table.word.name if found is None else found[2].lower()
        self.op = ":" if found is None else found[3]
        self.rest = int(self.negated) if found is None else found.end()
        if found is not None and self.field not in table.fields:
            hint = f"{_near(self.field, table.fields)}; quote the word to search for it"
            self._fail(f"there is no field {found[2]!r}", found.start(2), hint)
        if self.op == ":" and found is not None:
            ahead = _COMPARISON.match(token, self.rest)
            if ahead is not None:
                self.op, self.rest = ahead[0], ahead.end()
        if self.op == "!=":
            self.op, self.negated = "=", not self.negated

    def _fail(self, message: str, offset: int = 0, hint: str | None = None) -> NoReturn:
        _fail(message, self.text, self.position + offset, hint)

    def _example(self) -> str:
        return f"write {self.table.fields[self.field].example}"

    def term(self) -> Term:
        """The term; barewords are prefixes."""
        word = self.table.word
        kind = word.kind if self.field == word.name else self.table.fields[self.field].kind
        items = self._items()
        if self.field == "is" and len(items) == 1 and items[0].text == MARKED and not items[0].star:
            return self._marks(items[0])
        if self.op not in ":=":
            if kind not in {"ahead", "ago", "number"}:
                self._fail(f"{self.field} cannot be compared with {self.op}", 0, self._example())
            if len(items) > 1:
                self._fail("only one value can be compared with", items[1].position)
        values = [value for item in items for value in self._values(kind, item)]
        return Term(self.field, self.op, _apart(values), self.negated, self.position)

    def _marks(self, item: _Item) -> Term:
        """Marks are ids, as many as there are."""
        if self.marked is None:
            self._fail("only a console knows what is marked", item.position)
        ids = tuple(Exact(name) for name in dict.fromkeys(self.marked))
        return Term("id", ":", ids, self.negated, self.position)

    def sort(self) -> tuple[str, bool]:
        """(sort, descending)."""
        items = self._items()
        if self.negated or self.op not in ":=":
            self._fail("a sort is written with a colon", 0, "write sort:-expires to sort backwards")
        if len(items) > 1:
            self._fail("there is one sort at a time", items[1].position)
        name = items[0].text
        sorts = self.table.sorts
        if name.removeprefix("-") not in sorts or items[0].star:
            self._fail(f"there is no sort {name!r}", items[0].position, _near(name.removeprefix("-"), sorts))
        return name.removeprefix("-"), name.startswith("-")

    def _items(self) -> list[_Item]:
        items, at = [], self.rest
        while True:
            item, at = self._item(at)
            items.append(item)
            if len(items) > MAX_VALUES:
                self._fail(f"a list has at most {MAX_VALUES} values", item.position)
            if at >= len(self.token):
                return items
            at += 1

    def _item(self, at: int) -> tuple[_Item, int]:
        """One value and the offset of what ended it: a comma or the end."""
        token = self.token
        single = self.field == self.table.word.name
        if token.startswith('"', at):
            chars, end = [], at + 1
            while token[end] != '"':
                end += token[end] == "\\"
                chars.append(token[end])
                end += 1
            end += 1
            star = token.startswith("*", end)
            end += star
            if end < len(token) and (single or token[end] != ","):
                self._fail("something follows the closing quote", end)
            item = _Item("".join(chars), at, quoted=True, star=star)
        else:
            comma = -1 if single else token.find(",", at)
            end = len(token) if comma < 0 else comma
            raw = token[at:end]
            if '"' in raw:
                self._fail("a quote stands inside a word", at + raw.index('"'), "quote the whole value")
            star = raw.endswith("*") and self.op == ":"
            item = _Item(raw.removesuffix("*") if star else raw, at, quoted=False, star=star)
            if self.op == ":" and "*" in item.text:
                hint = 'write crm-*, or quote a literal "*"'
                self._fail("only the end can be left open", at + raw.index("*"), hint)
        if not item.text and not item.star and not (item.quoted and self.field == "label"):
            self._fail("a value is missing", min(at, len(token)))
        return item, end

    def _values(self, kind: str, item: _Item) -> list[Value]:
        if kind == "word":
            return [Prefix(item.text)]
        if kind == "text":
            return [self._text(item)]
        if kind == "name":
            return self._names(item)
        if kind == "flag":
            known = _FLAGS[self.field]
            if item.text not in known or item.star:
                self._fail(f"there is no {self.field}:{item.text}", item.position, _near(item.text, known))
            if item.text == "any" and self.negated:
                self._fail("-is:any matches nothing", item.position)
            return [Exact(item.text)]
        if kind == "scope":
            return [self._scope(item)]
        return [self._span(kind, item)]

    def _text(self, item: _Item) -> Value:
        made = Prefix if item.star else Exact
        if self.field == "subject" and not item.quoted:
            kind, colon, rest = item.text.partition(":")
            if colon and kind in _SUBJECT_KINDS and (rest or item.star):
                return made(rest, kind)
        return made(item.text.lower() if self.field == "id" else item.text)

    def _names(self, item: _Item) -> list[Value]:
        known = self.table.names[self.field]
        found: list[Value] = [
            Exact(name) for name in known if name == item.text or (item.star and name.startswith(item.text))
        ]
        if not found:
            self._fail(f"there is no {self.field} {item.text!r}", item.position, _near(item.text, known))
        return found

    def _scope(self, item: _Item) -> Value:
        """A granted scope, or with `?` one that is required and not granted; `?*` is any such one."""
        awaiting = item.text.startswith("?") and not item.quoted
        name = item.text if item.quoted else item.text.removeprefix("?" if awaiting else "+")
        if awaiting and item.star and not name:
            return Prefix("", AWAITING)
        if item.star or not name or any(char.isspace() for char in name):
            self._fail(
                "a scope is given by its whole name", item.position, "write scope:+crm.read or scope:?crm.read"
            )
        return Exact(name, AWAITING if awaiting else None)

    # -- numbers and times ------------------------------------------------------------------------
    def _span(self, kind: str, item: _Item) -> Span:
        first, dots, last = item.text.partition("..")
        if item.star or (dots and (self.op != ":" or not (first or last))):
            self._fail("this is no range", item.position, self._example())
        if not dots:
            return self._compared(kind, item)
        low = self._bounds(kind, first, item.position) if first else None
        high = self._bounds(kind, last, item.position + len(first) + 2) if last else None
        # An age is counted backwards: the larger one is the earlier instant.
        if kind == "ago" and not any(_DATE.match(end) for end in (first, last)):
            low, high = high, low
            span = Span(low[0] + 1 if low else None, high[1] + 1 if high else None)
        else:
            span = Span(low[0] if low else self._floor(kind, last), high[1] if high else None)
        if span.low is not None and span.high is not None and span.low >= span.high:
            self._fail("the range is empty", item.position, "the smaller end comes first")
        return span

    def _floor(self, kind: str, end: str) -> int | None:
        """What lies ahead does not lie in the past."""
        return self.now + 1 if kind == "ahead" and _DURATION.fullmatch(end) else None

    def _compared(self, kind: str, item: _Item) -> Span:
        start, end = self._bounds(kind, item.text, item.position)
        exact, op = start == end, self.op
        if op in ":=":
            if exact:
                hint = f"write {self.field}:<7d, {self.field}:>7d or {self.field}:7d..30d"
                self._fail("a span of time needs a comparison", item.position, hint)
            return Span(start, end)
        if kind == "ago" and _DURATION.fullmatch(item.text):
            op = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}[op]
        after = end + exact  # the first instant that is later
        if op == "<":
            return Span(self._floor(kind, item.text), start)
        if op == "<=":
            return Span(self._floor(kind, item.text), after)
        return Span(after if op == ">" else start, None)

    def _bounds(self, kind: str, text: str, position: int) -> tuple[int, int]:
        """First instant and the one after the last; both the same where a duration leads to one."""
        if kind == "number":
            if _NUMBER.fullmatch(text):
                return int(text), int(text) + 1
            self._fail(f"{text!r} is no number", position, self._example())
        if _DURATION.fullmatch(text):
            try:
                length = duration(text) // timedelta(microseconds=1)
            except BadInput as error:
                self._fail(str(error), position)
            moment = self.now + length if kind == "ahead" else self.now - length
            return moment, moment
        moments = _moment(text)
        if moments is None:
            hint = "write 30m, 7d, 2026-08-01 or 2026-08-01T12:00:00Z"
            self._fail(f"{text!r} is no time", position, hint)
        return moments


def _moment(text: str) -> tuple[int, int] | None:
    """A day, or one instant; without a zone it is UTC."""
    try:
        if _DATE.fullmatch(text):
            start = to_instant(datetime.fromisoformat(text).replace(tzinfo=UTC))
            return start, start + _DAY
        if _MOMENT.fullmatch(text):
            given = datetime.fromisoformat(text.upper())
            start = to_instant(given if given.tzinfo else given.replace(tzinfo=UTC))
            return start, start + 1
    except (ValueError, OverflowError):
        return None
    return None


def _apart(values: Iterable[Value]) -> tuple[Value, ...]:
    """The same alternatives without overlaps, so that no row is met twice."""
    given = list(dict.fromkeys(values))
    merged: list[Span] = []
    for span in sorted((value for value in given if isinstance(value, Span)), key=_low):
        last = merged[-1] if merged else None
        if last is None or (last.high is not None and last.high < _low(span)):
            merged.append(span)
        elif last.high is not None:
            merged[-1] = Span(last.low, None if span.high is None else max(last.high, span.high))
    prefixes = [value for value in given if isinstance(value, Prefix)]

    def covered(value: Exact | Prefix) -> bool:
        return any(
            other != value and value.text.startswith(other.text) and other.kind in {None, value.kind}
            for other in prefixes
        )

    texts = [value for value in given if not isinstance(value, Span) and not covered(value)]
    return (*texts, *merged)


def _low(span: Span) -> int:
    return -1 << 63 if span.low is None else span.low
