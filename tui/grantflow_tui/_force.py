"""The force dialog: every target with what it skips, the plan and its effects, a reason, the account, and F9."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input
from textual.widgets.option_list import Option

from grantflow import Plan
from grantflow.errors import PlanOutdated
from grantflow_tui._base import DIM
from grantflow_tui._choices import Choices
from grantflow_tui._command import command
from grantflow_tui._dialog import MIN_REASON, ActionDialog
from grantflow_tui._plan_dialog import Targets, changed, finished
from grantflow_tui._text import clean, named, short_id
from grantflow_tui._ways import FORCE, Way, ways, what_if

if TYPE_CHECKING:
    from grantflow import BulkPlan, Definition, Installation, PlannedMove


class ForceDialog(ActionDialog):
    """Moves one installation into another state."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "choose(-1)", show=False),
        Binding("down", "choose(1)", show=False),
    ]
    DEFAULT_CSS = """
    ForceDialog #box { width: 96; }
    ForceDialog #targets { height: auto; max-height: 6; border: none; padding: 0; }
    """

    def __init__(self, seen: Installation) -> None:
        super().__init__()
        self.seen = seen
        self.plan: Plan | BulkPlan | None = None
        self.ways: list[Way] = []
        self._known = False

    @property
    def definition(self) -> Definition | None:
        """The chart of the row."""
        found: Definition | None = self.look.definitions.get(self.seen.kind)
        return found

    def title_line(self) -> str:
        """Whom it is about, and what was seen."""
        seen = self.seen
        where = f"{clean(seen.app)} · {named(seen.account)}"
        return f"Force {short_id(seen.id, 18)} · {where} · seen at version {seen.version}"

    def top(self) -> ComposeResult:
        """The targets."""
        yield Choices(id="targets", markup=False, compact=True)

    def on_mount(self) -> None:
        """The targets are asked of the engine."""
        self.run_worker(self._find_ways(), group="ways")

    async def _find_ways(self) -> None:
        definition = self.definition
        if definition is not None:
            self.ways = await ways(self.engine, definition, self.seen, self.actor)
        targets = self.query_one("#targets", Choices)
        lines = [Option(way.line(self.seen.state, self.look), id=way.id, disabled=not way.open) for way in self.ways]
        targets.add_options(lines)
        first = next((at for at, way in enumerate(self.ways) if way.open and way.event == FORCE), None)
        targets.highlighted = first
        self._known = True
        self.show()
        if len(self.reason) >= MIN_REASON:
            await self.plan_now()

    @property
    def way(self) -> Way | None:
        """What is chosen."""
        found = self.query_one("#targets", Choices).highlighted
        return None if found is None or not self.ways[found].open else self.ways[found]

    @property
    def target(self) -> str | None:
        """The state that is chosen."""
        return None if self.way is None else self.way.target

    def has_plan(self) -> bool:
        """A plan of what is chosen."""
        return self.plan is not None

    def blocked(self) -> str | None:
        """There must be somewhere to go."""
        if not self._known:
            return "still looking"
        return "nothing can be forced from here" if self.way is None else None

    def to_type(self) -> str | None:
        """The account, always."""
        return named(self.seen.account)

    def command(self) -> str:
        """The same on the command line."""
        way = self.way
        verb, to = (FORCE, None) if way is None else (way.event, way.target if way.event == FORCE else None)
        return command(*Targets(self.seen).command(verb, to), actor=self.actor, reason=self.reason)

    # -- choosing -------------------------------------------------------------------------------
    def on_option_list_option_highlighted(self) -> None:
        """Another target needs another plan."""
        self.plan = None
        self.show()

    def on_option_list_option_selected(self) -> None:
        """Choosing a target leads on to the reason."""
        self.query_one("#reason", Input).focus()

    def action_choose(self, by: int) -> None:
        """Choose a target while another field has the keyboard."""
        targets = self.query_one("#targets", Choices)
        (targets.action_cursor_down if by > 0 else targets.action_cursor_up)()

    # -- plan and deed --------------------------------------------------------------------------
    async def make_plan(self, reason: str) -> None:
        """What it would do; the plan of an event that is allowed is a bulk plan of one row."""
        way, ops = self.way, self.engine.ops
        if way is None:
            return
        plan: Plan | BulkPlan
        if way.event == FORCE:
            plan = await ops.preview_force(self.seen.id, to=way.target, actor=self.actor, reason=reason)
        else:
            plan = await ops.preview_bulk([self.seen.id], way.event, actor=self.actor, reason=reason)
        if way != self.way:
            return
        moves = moves_of(plan)
        if any(move.version != self.seen.version or move.source != self.seen.state for move in moves):
            self.lapse(await changed(self.engine, self.seen) or "the plan saw another version")
            return
        self.plan = plan if moves else None

    async def moved(self) -> str | None:
        """Whether the row stands where it was seen."""
        return await changed(self.engine, self.seen)

    async def carry_out(self, reason: str) -> str | None:
        """Apply the plan, or run the event through the machine."""
        plan = self.plan
        assert plan is not None
        try:
            if isinstance(plan, Plan):
                await self.engine.ops.apply(plan.confirmed(reason))
                return f"forced: now {plan.moves[0].target}"
            job = await self.engine.ops.start_bulk(plan.confirmed(reason))
            return await finished(self.engine, job.id, plan.verb)
        except PlanOutdated as error:
            self.lapse(str(error))
            return None

    def lapse(self, what: str) -> None:
        """There is no plan any more."""
        self.plan = None
        super().lapse(what)

    def planned(self) -> Text:
        """The plan, or what the chosen state means."""
        if self.plan is not None:
            out = Text()
            for move in moves_of(self.plan):
                out.append_text(what_if(move, self.definition, self.look))
            return out
        info = self.look.states.get(self.target or "")
        return Text("" if info is None else f"  {'means':<9}{info.meaning} Who acts: {info.who_acts}.", style=DIM)


def moves_of(plan: Plan | BulkPlan) -> tuple[PlannedMove, ...]:
    """The rows of either kind of plan."""
    return plan.moves if isinstance(plan, Plan) else plan.sample
