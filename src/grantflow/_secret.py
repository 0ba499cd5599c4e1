"""A wrapper that keeps secrets out of logs, reprs and tracebacks."""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """A secret for its receiver alone: `.value` reveals it, nothing else does.

    >>> Secret("gfa_x")
    Secret(…)
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    @property
    def value(self) -> str:
        """The secret itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __str__(self) -> NoReturn:
        msg = "a secret is not printed; use .value where it must be sent"
        raise TypeError(msg)

    def __format__(self, spec: str) -> NoReturn:
        str(self)
        raise AssertionError(spec)

    def __reduce__(self) -> NoReturn:
        msg = "a secret is not pickled"
        raise TypeError(msg)
