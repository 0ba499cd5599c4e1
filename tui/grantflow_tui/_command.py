"""The command line that does what the console is about to do, or shows what it shows."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from grantflow_tui._text import clean

if TYPE_CHECKING:
    from grantflow_machines import Actor

WHY = "why it is done"
"""Stands for a reason that is not typed yet."""


def command(*words: str, actor: Actor | None = None, reason: str | None = None) -> str:
    """A `grantflow` command as a shell takes it; `reason=""` leaves a place for one.

    >>> command("list", "state:active app:crm-*")
    "grantflow list 'state:active app:crm-*'"
    """
    parts = ["grantflow", *(clean(word) for word in words)]
    if actor is not None and reason is not None and actor.claimed:
        parts += ["--operator", clean(actor.id)]
    if reason is not None:
        parts += ["--reason", clean(reason) or WHY]
    return shlex.join(parts)
