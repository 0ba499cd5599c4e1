"""Completing a filter while it is typed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from grantflow._filter._fields import FLAGS, HAS, INSTALLATIONS, MARKED, SORTS, Table
from grantflow._filter._parse import quoted

_TYPED = re.compile(r"(?P<minus>-?)(?:(?P<field>[A-Za-z_]+)(?P<op>[:=]))?(?P<word>[^\s\":=]*)")
_LAST = re.compile(r"\S*$")
_WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "is": (*FLAGS, MARKED),
        "has": tuple(HAS),
        "sort": (*SORTS, *(f"-{name}" for name in SORTS)),
    }
)


@dataclass(frozen=True, slots=True)
class Typed:
    """What is being typed: everything before it, its field, and its beginning."""

    head: str
    field: str | None
    """None while the name of a field, or a word, is typed."""
    word: str

    def filled(self, values: Iterable[str]) -> tuple[str, ...]:
        """The whole filter with each of the values in its place."""
        signs = "?+" if self.field == "scope" else ""
        sign = self.word[:1] if self.word[:1] in signs else ""
        plain = self.field in {None, "sort"}
        return tuple(self.head + sign + (value if plain else quoted(value)) for value in values)


def typed(text: str, table: Table = INSTALLATIONS) -> Typed | None:
    """The last term of a text, or None where it cannot be completed.

    >>> typed("state:active app:c"), typed("sta")
    (Typed(head='state:active app:', field='app', word='c'), Typed(head='', field=None, word='sta'))
    """
    last = _LAST.search(text)
    assert last is not None
    term, before = last[0], text[: last.start()]
    if before.count('"') % 2:
        return None
    found = _TYPED.fullmatch(term)
    if found is None:
        return None
    field, word = found["field"], found["word"]
    if field is None:
        return Typed(before + found["minus"], None, word)
    if field.lower() not in table.fields:
        return None
    word = word.rpartition(",")[2]
    return Typed(text[: len(text) - len(word)], field.lower(), word)


def known_words(asked: Typed, table: Table = INSTALLATIONS) -> tuple[str, ...] | None:
    """What may stand there, from the tables alone; None where the database must be asked."""
    if asked.field is None:
        return tuple(f"{name}:" for name in table.fields if name.startswith(asked.word.lower())) if asked.word else ()
    known = _WORDS.get(asked.field) or table.names.get(asked.field)
    if known is None:
        return None if "state" in table.names else ()
    return tuple(name for name in known if name.startswith(asked.word))
