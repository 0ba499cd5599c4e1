"""What a failure looks like at the prompt: a line, a hint and an exit code."""

from __future__ import annotations

import typer

from grantflow import errors
from grantflow.cli._out import clean, moment, say

INTERRUPTED = 130
FAILURE = 1

_CODES: tuple[tuple[type[Exception], int], ...] = (
    (errors.BadInput, 2),
    (errors.ConfigurationError, 2),
    (errors.NotFound, 3),
    (errors.TransitionRefused, 4),
    (errors.Conflict, 5),
    (errors.DatabaseError, 6),
    (errors.PermissionDenied, 7),
    (typer.TyperException, 2),
)


def code_of(error: Exception) -> int:
    """The exit code of an error; 1 for all that have none of their own."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILURE)


def report(error: Exception) -> None:
    """Say what went wrong and what to do about it, without a traceback."""
    message, hint = _told(error)
    say(f"error: {clean(message)}")
    if isinstance(error, errors.FilterSyntaxError):
        for line in error.caret.splitlines():
            say(f"  {line}")
    if hint:
        say(f"hint: {clean(hint)}")


def _told(error: Exception) -> tuple[str, str | None]:
    if isinstance(error, errors.GrantflowError):
        return str(error), error.hint or _from_explanation(error)
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        return error.format_message(), None if context is None else f"{context.command_path} --help"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror, None
    # Foreign messages may repeat values that are nobody's business here.
    return f"unexpected {type(error).__name__}", "GRANTFLOW_DEBUG=1 shows the traceback"


def _from_explanation(error: errors.GrantflowError) -> str | None:
    told = error.explanation if isinstance(error, errors.TransitionRefused) else None
    if told is None:
        return None
    if told.nearest:
        return f"did you mean {told.nearest}?"
    return f"possible from {moment(told.available_at)}" if told.available_at else None
