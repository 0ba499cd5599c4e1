"""The filter language: one parser for the console, the command line and bulk work.

A filter is a list of terms that must all hold: `['-'] field op value | bareword`, with the operators
`:` `=` `!=` `<` `<=` `>` `>=`. `:` takes lists, ranges and a trailing `*`; `=` takes the text as it stands.
"""

from grantflow._filter._fields import (
    AUDIT,
    EXPIRING,
    FIELDS,
    FLAGS,
    HAS,
    INSTALLATIONS,
    SHIPPED,
    SORTS,
    STUCK,
    TABLES,
    WORD,
    Field,
    Flag,
    States,
    Table,
    help_rows,
)
from grantflow._filter._jump import landing
from grantflow._filter._parse import MAX_LENGTH, MAX_TERMS, MAX_VALUES, duration, parse, quoted, terms_of, with_term
from grantflow._filter._query import AWAITING, Exact, Prefix, Query, Span, Term, Value, id_start
from grantflow._filter._suggest import Typed, known_words, typed

__all__ = [
    "AUDIT",
    "AWAITING",
    "EXPIRING",
    "FIELDS",
    "FLAGS",
    "HAS",
    "INSTALLATIONS",
    "MAX_LENGTH",
    "MAX_TERMS",
    "MAX_VALUES",
    "SHIPPED",
    "SORTS",
    "STUCK",
    "TABLES",
    "WORD",
    "Exact",
    "Field",
    "Flag",
    "Prefix",
    "Query",
    "Span",
    "States",
    "Table",
    "Term",
    "Typed",
    "Value",
    "duration",
    "help_rows",
    "id_start",
    "known_words",
    "landing",
    "parse",
    "quoted",
    "terms_of",
    "typed",
    "with_term",
]
