"""How much a change reaches, and what an operator types before it may be done."""

from __future__ import annotations

from dataclasses import dataclass

from grantflow_tui._text import named

MAX_BULK = 10_000
"""More rows than this are refused unless the console was started with more."""


@dataclass(frozen=True, slots=True)
class Blast:
    """Rows a change reaches, the account where it is one, and whether the way back is hard."""

    rows: int
    account: str | None = None
    hard: bool = False
    """Forced, or nobody can take it back."""

    def to_type(self) -> str | None:
        """What is typed by hand before F9 works; None where the reason is enough.

        >>> Blast(1, "acme").to_type(), Blast(1, "acme", hard=True).to_type(), Blast(1204).to_type()
        (None, 'acme', '1204')
        """
        if self.rows == 1:
            return named(self.account or "") if self.hard else None
        return str(self.rows)
