"""The force dialog: a plan, a reason, the account typed by hand, and F9; enter never confirms."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from grantflow.errors import GrantflowError, PlanOutdated
from grantflow_machines import Actor
from grantflow_tui._base import BAD, DIM, TITLE, said
from grantflow_tui._chart import forceable
from grantflow_tui._field import Field
from grantflow_tui._look import Look
from grantflow_tui._text import clean, named, short_id

if TYPE_CHECKING:
    from grantflow import Definition, Engine, Installation, Plan

MIN_REASON = 8
GUARD_SECONDS = 0.3
"""Keys typed ahead of the dialog do not reach Apply."""


class ForceDialog(ModalScreen[str | None]):
    """Forces one installation into another state.

    | key | does |
    |---|---|
    | up, down | choose the target |
    | tab | next field |
    | enter in the reason | make the plan; changes nothing |
    | F9 | apply, once reason and account are given |
    | esc | cancel |
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", show=False),
        Binding("f9", "apply", show=False),
        Binding("up", "choose(-1)", show=False),
        Binding("down", "choose(1)", show=False),
    ]
    DEFAULT_CSS = """
    ForceDialog { align: center middle; }
    ForceDialog #box { width: 78; max-width: 100%; height: auto; max-height: 100%;
        border: round $warning; padding: 0 1; }
    ForceDialog.-ascii #box { border: ascii $warning; }
    ForceDialog Static { height: auto; }
    ForceDialog #targets { height: auto; max-height: 8; border: none; padding: 0; }
    ForceDialog #planned { height: auto; max-height: 6; }
    ForceDialog Input { margin-bottom: 0; }
    ForceDialog #ends { height: auto; }
    ForceDialog #cancel { margin-right: 2; }
    ForceDialog #apply { width: 1fr; }
    """

    def __init__(
        self, engine: Engine, actor: Actor, look: Look, seen: Installation, monotonic: Callable[[], float]
    ) -> None:
        super().__init__()
        self._engine, self._actor, self._look, self.seen = engine, actor, look, seen
        self._monotonic = monotonic
        self._opened = monotonic()
        self._definition: Definition | None = look.definitions.get(seen.kind)
        self.plan: Plan | None = None
        self.outdated = False
        self._applying = False
        self.set_class(look.ascii, "-ascii")

    def compose(self) -> ComposeResult:
        """Targets, plan, reason, account, and the way out."""
        seen = self.seen
        title = f"Force {short_id(seen.id, 18)} · {clean(seen.app)} · {named(seen.account)} · version {seen.version}"
        with Vertical(id="box"):
            yield Static(Text(title, style=TITLE), markup=False)
            yield OptionList(*self._options(), id="targets", markup=False, compact=True)
            with VerticalScroll(id="planned", can_focus=False):
                yield Static("", id="plan", markup=False)
            yield Static(f"Reason, at least {MIN_REASON} characters; enter makes the plan", markup=False)
            yield Field(id="reason", compact=True, max_length=500)
            yield Static(Text(f"Type the account to confirm: {named(seen.account)}"), markup=False)
            yield Field(id="account", compact=True)
            yield Static("", id="say", markup=False)
            with Horizontal(id="ends"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Static("", id="apply", markup=False)

    def _options(self) -> list[Option]:
        if self._definition is None:
            return []
        reachable = forceable(self._definition, self.seen.state)
        here = self._look.badge(self.seen.state)
        options = []
        for value in self._definition.states:
            text = Text()
            text.append_text(here)
            text.append(f" {self._look.arrow()} ")
            text.append_text(self._look.badge(value))
            if value in reachable:
                text.append("  FORCED", style=BAD)
                options.append(Option(text, id=value))
            elif value != self.seen.state:
                text.append("  not by force", style=DIM)
                options.append(Option(text, id=value, disabled=True))
        return sorted(options, key=lambda option: option.disabled)

    def on_mount(self) -> None:
        """The harmless way out has the keyboard."""
        self._opened = self._monotonic()
        targets = self.query_one("#targets", OptionList)
        if targets.option_count and not targets.get_option_at_index(0).disabled:
            targets.highlighted = 0
        self.query_one("#cancel", Button).focus()
        self._show()

    @property
    def target(self) -> str | None:
        """The state that is chosen."""
        targets = self.query_one("#targets", OptionList)
        if targets.highlighted is None:
            return None
        option = targets.get_option_at_index(targets.highlighted)
        return None if option.disabled else option.id

    @property
    def reason(self) -> str:
        """Why, as typed."""
        return self.query_one("#reason", Input).value.strip()

    def obstacle(self) -> str | None:
        """Why Apply is off, or None when it is on."""
        if self.outdated:
            return "the installation changed under this dialog: esc, look again, and open it anew"
        if self.target is None:
            return "nothing can be forced from here"
        if len(self.reason) < MIN_REASON:
            return f"the reason has {len(self.reason)} of {MIN_REASON} characters"
        if self.plan is None:
            return "no plan yet: enter in the reason makes it"
        if self.query_one("#account", Input).value.strip() != named(self.seen.account):
            return "the account is not typed yet"
        return None

    # -- making the plan ------------------------------------------------------------------------
    def on_option_list_option_highlighted(self) -> None:
        """Another target needs another plan."""
        self.plan = None
        self._show()

    def on_option_list_option_selected(self) -> None:
        """Choosing a target leads on to the reason."""
        self.query_one("#reason", Input).focus()

    def action_choose(self, by: int) -> None:
        """Choose a target while another field has the keyboard."""
        targets = self.query_one("#targets", OptionList)
        (targets.action_cursor_down if by > 0 else targets.action_cursor_up)()

    def on_input_changed(self) -> None:
        """What Apply still waits for."""
        self._show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the reason makes the plan; nowhere does it confirm."""
        if event.input.id == "reason" and len(self.reason) >= MIN_REASON and not self.outdated:
            self.run_worker(self._preview(), group="plan")

    async def _preview(self) -> None:
        target, reason = self.target, self.reason
        if target is None:
            return
        try:
            plan = await self._engine.ops.preview_force(self.seen.id, to=target, actor=self._actor, reason=reason)
        except GrantflowError as error:
            self._say(said(error))
            return
        if target != self.target:
            return
        if any(move.version != self.seen.version or move.source != self.seen.state for move in plan.moves):
            self._moved(f"it is at version {plan.moves[0].version}, {plan.moves[0].source}, not {self.seen.version}")
            return
        self.plan = plan
        self._say("")
        self.query_one("#account", Input).focus()
        self._show()

    # -- applying it ----------------------------------------------------------------------------
    def action_apply(self) -> None:
        """F9."""
        if self._monotonic() - self._opened < GUARD_SECONDS or self._applying:
            return
        why = self.obstacle()
        if why is not None or self.plan is None:
            self._say(f"not applied: {why}")
            return
        self._applying = True
        self.run_worker(self._apply(self.plan.confirmed(self.reason)), group="plan")

    async def _apply(self, plan: Plan) -> None:
        try:
            await self._engine.ops.apply(plan)
        except PlanOutdated as error:
            self._moved(str(error))
        except GrantflowError as error:
            self._say(said(error))
        else:
            self.dismiss(plan.moves[0].target)
        finally:
            self._applying = False

    def _moved(self, detail: str) -> None:
        self.outdated, self.plan = True, None
        self._say(f"OUTDATED, nothing was written: {clean(detail)}")
        self._show()

    def on_button_pressed(self) -> None:
        """The only button is Cancel."""
        self.dismiss(None)

    def action_cancel(self) -> None:
        """Leave without a change."""
        self.dismiss(None)

    # -- drawing --------------------------------------------------------------------------------
    def _say(self, message: str) -> None:
        self.query_one("#say", Static).update(Text(message, style=BAD))

    def _show(self) -> None:
        why = self.obstacle()
        apply = Text("F9 Apply", style=Style(bold=True, reverse=True)) if why is None else Text("F9 Apply", style=DIM)
        if why is not None:
            apply.append(f"  off: {why}")
        self.query_one("#apply", Static).update(apply)
        self.query_one("#plan", Static).update(self._planned())

    def _planned(self) -> Text:
        out = Text()
        if self.plan is None:
            info = self._look.states.get(self.target or "")
            if info is not None:
                out.append(f"What it will be: {info.meaning} Who acts: {info.who_acts}.", style=DIM)
            return out
        for move in self.plan.moves:
            out.append("Plan: ")
            out.append_text(self._look.badge(move.source))
            out.append(f" {self._look.arrow()} ")
            out.append_text(self._look.badge(move.target))
            out.append(f"  v{move.version} {self._look.arrow()} v{move.version + 1}\n")
            for effect in move.effects:
                out.append(f"  - {clean(effect)}\n")
            if move.irreversible:
                out.append("  IRREVERSIBLE: nobody can undo this", style=BAD)
        return out
