"""The filter language: one parser for the console, the command line and bulk work.

A filter is a list of terms that must all hold: `['-'] field op value | bareword`, with the operators
`:` `=` `!=` `<` `<=` `>` `>=`. `:` takes lists, ranges and a trailing `*`; `=` takes the text as it stands.
"""

from grantflow._filter._fields import (
    EXPIRING,
    FIELDS,
    FINAL_STATES,
    FLAGS,
    LIVE_STATES,
    SORTS,
    WORD,
    Field,
    Flag,
    help_rows,
)
from grantflow._filter._parse import MAX_LENGTH, MAX_TERMS, MAX_VALUES, duration, parse, quoted, with_term
from grantflow._filter._query import Exact, Prefix, Query, Span, Term, Value, id_start

__all__ = [
    "EXPIRING",
    "FIELDS",
    "FINAL_STATES",
    "FLAGS",
    "LIVE_STATES",
    "MAX_LENGTH",
    "MAX_TERMS",
    "MAX_VALUES",
    "SORTS",
    "WORD",
    "Exact",
    "Field",
    "Flag",
    "Prefix",
    "Query",
    "Span",
    "Term",
    "Value",
    "duration",
    "help_rows",
    "id_start",
    "parse",
    "quoted",
    "with_term",
]
