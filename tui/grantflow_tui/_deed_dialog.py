"""The dialog of a change that needs no plan of rows: an app, a job, an attempt, the mode of the console."""

from __future__ import annotations

from rich.text import Text

from grantflow_tui._base import DIM
from grantflow_tui._command import command
from grantflow_tui._deeds import Deed
from grantflow_tui._dialog import ActionDialog


class DeedDialog(ActionDialog):
    """One deed with its reason, done only on what was seen."""

    needs_plan = False
    indent = 0

    def __init__(self, deed: Deed, *, needs_write: bool = True) -> None:
        super().__init__()
        self.deed = deed
        self.needs_write = needs_write
        self._seen: object = None
        self._looked = False

    def title_line(self) -> str:
        """What is about to be done."""
        return self.deed.title

    def planned(self) -> Text:
        """What it means."""
        return Text(self.deed.tells, style=DIM)

    def to_type(self) -> str | None:
        """Where it reaches many, the name of what it reaches."""
        return self.deed.typed

    def blocked(self) -> str | None:
        """Before the first look there is nothing to compare with."""
        return None if self._looked else "still looking"

    def command(self) -> str:
        """The same on the command line."""
        if not self.deed.words:
            return ""
        return command(*self.deed.words, actor=self.actor, reason=self.reason)

    def on_mount(self) -> None:
        """The first look at once."""
        self.run_worker(self.check(), group="watch")

    async def moved(self) -> str | None:
        """What the deed rests on, seen again."""
        now = await self.deed.sees(self.engine)
        if not self._looked:
            self._seen, self._looked = now, True
        return None if now == self._seen else f"it was {shown(self._seen)}, and is {shown(now)}"

    async def carry_out(self, reason: str) -> str | None:
        """Do it."""
        return await self.deed.does(self.engine, self.actor, reason)


def shown(seen: object) -> str:
    """What was seen, in words.

    >>> shown(None), shown([]), shown("maintenance")
    ('nothing', 'nothing', 'maintenance')
    """
    return str(seen) if seen else "nothing"
