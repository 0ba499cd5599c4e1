"""Screen 6, the audit: what operators did, tried and previewed, newest first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from grantflow_machines import Severity
from grantflow_tui._base import BAD, DIM
from grantflow_tui._filtered import FilteredScreen
from grantflow_tui._keys import TAIL
from grantflow_tui._lines import Line, Lines
from grantflow_tui._text import cell, clean, short_id, stamp
from grantflow_tui._themes import tint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grantflow import Engine, OperatorAction

PAGE = 200
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STYLES = {"refused": BAD, "previewed": DIM, "applied": tint(Severity.OK)}
_WIDE = 100


class AuditScreen(FilteredScreen):
    """Operators' actions; the list never holds more than one page."""

    DEFAULT_CSS = """
    AuditScreen #heading { height: 1; }
    AuditScreen Lines { height: 1fr; }
    AuditScreen #about { height: 4; border-top: solid $foreground-muted; }
    """
    twin = ("audit",)
    hints = "{filter} filter · {open} its installation · " + TAIL
    everything = "all actions · actor: verb: outcome: target: at: reason:"

    def __init__(self) -> None:
        super().__init__()
        self._pages: list[int | None] = [None]
        """Keys the pages up to this one begin below."""
        self._actions: Sequence[tuple[int, OperatorAction]] = ()

    def body(self) -> ComposeResult:
        """Filter line, list, and the whole of the action under the cursor."""
        yield from self.filter_line()
        yield Static("", id="heading", markup=False)
        yield Lines(id="actions")
        yield Static("", id="about", markup=False)

    def on_mount(self) -> None:
        """The list has the keyboard."""
        self.set_focus(self.main)

    @property
    def main(self) -> Lines:
        """The list has the keyboard."""
        return self.query_one("#actions", Lines)

    async def load(self, engine: Engine) -> None:
        """The page again."""
        await self._read(engine, self.filter)

    async def found(self, engine: Engine, query: str) -> bool:
        """The newest page."""
        pages, self._pages = self._pages, [None]
        try:
            await self._read(engine, query)
        except BaseException:
            self._pages = pages
            raise
        return bool(self._actions)

    async def _read(self, engine: Engine, query: str) -> None:
        self._actions = await engine.ops.actions(limit=PAGE, before=self._pages[-1], filter=query)
        count = len(self._actions)
        shown = f"page {len(self._pages)} · {count:,}{'+' * (count == PAGE)} action{'s' * (count != 1)}"
        self.query_one("#count", Static).update(shown)
        self._show()

    def on_resize(self) -> None:
        """Columns follow the width."""
        self._show()

    async def on_lines_edge(self, event: Lines.Edge) -> None:
        """Beyond the last line lie older ones, beyond the first newer ones."""
        engine = self.console_app.engine
        if event.by > 0 and len(self._actions) == PAGE:
            self._pages.append(self._actions[-1][0])
        elif event.by < 0 and len(self._pages) > 1:
            self._pages.pop()
        else:
            return
        if engine is not None:
            async with self.turn:
                await self.guarded(lambda: self.load(engine))
            self.main.action_move(-PAGE if event.by > 0 else PAGE)

    def on_lines_chosen(self, event: Lines.Chosen) -> None:
        """All of the action under the cursor."""
        found = next((one for key, one in self._actions if event.line is not None and event.line.key == key), None)
        text = Text(no_wrap=True, overflow="ellipsis")
        if found is not None:
            text.append(f"{stamp(found.at)} {clean(found.actor)}{' (claimed)' * found.claimed} ", style=DIM)
            seen = "" if found.version_seen is None else f" at version {found.version_seen}"
            text.append(f"{clean(found.verb)} {clean(found.target)}{seen}\n")
            text.append(f"why  {clean(found.reason or '-')}\n")
            text.append(f"what {clean(found.detail or '-')}")
        self.query_one("#about", Static).update(text)

    def _show(self) -> None:
        if not self.query("#actions"):
            return
        heading = Text(self._columns("at", "actor", "verb", "outcome", "target", "reason"), style=_HEAD)
        self.query_one("#heading", Static).update(heading)
        lines = [self._line(key, action) for key, action in self._actions]
        self.main.show(lines or [Line(Text("  nothing is on record", style=DIM))])

    def _columns(self, at: str, *rest: str) -> str:
        width = self.size.width
        left = max(20, width - 4 - 20 - 11)
        actor, verb, target = (left * share // 12 for share in (3, 2, 3))
        reason = left - actor - verb - target - 4
        sizes = (20, actor, verb, 10, target, reason)
        return "  " + " ".join(cell(text, size) for text, size in zip((at, *rest), sizes, strict=True))

    def _line(self, key: int, action: OperatorAction) -> Line:
        claimed = " (claimed)" * action.claimed
        known = _ID.fullmatch(action.target)
        target = short_id(action.target, 18) if known else action.target
        values = (f"{action.actor}{claimed}", action.verb, action.outcome, target, action.reason or "")
        text = Text(self._columns(stamp(action.at), *values))
        start = text.plain.find(action.outcome, 22)
        if action.outcome in _STYLES and start >= 0:
            text.stylize(_STYLES[action.outcome], start, start + len(action.outcome))
        return Line(text, installation=action.target if known else None, key=key)


_HEAD = Style(bold=True, dim=True)
