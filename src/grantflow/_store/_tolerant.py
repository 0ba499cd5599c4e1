"""Reading where a stored text is none: one spoiled cell must not stop the statement that meets it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
_NO_TEXT = "Could not decode"


def tolerant(conn: Any, read: Callable[Concatenate[Any, P], T], *args: P.args, **more: P.kwargs) -> T:
    """Read; bytes that are no UTF-8 come back as surrogates.

    Looking at every text in Python makes a row twice as dear, so that is done only for a read that met one.
    """
    try:
        return read(conn, *args, **more)
    except sqlite3.OperationalError as error:
        if not str(error).startswith(_NO_TEXT):
            raise
    conn.text_factory = _readable
    try:
        return read(conn, *args, **more)
    finally:
        conn.text_factory = str


def _readable(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
