"""What every dialog that changes something shares: a reason, what is typed, F9, and a fence around what it saw.

Cancel has the keyboard, enter never confirms, and F9 works neither in the first moments nor on ground that moved.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, cast

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.css.query import NoMatches
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from grantflow.errors import DatabaseError, GrantflowError
from grantflow_tui._base import BAD, DIM, TITLE, said
from grantflow_tui._field import Field, TypesFirst
from grantflow_tui._hanging import Hanging
from grantflow_tui._keys import on
from grantflow_tui._text import clean

if TYPE_CHECKING:
    from grantflow import Engine
    from grantflow_machines import Actor
    from grantflow_tui._acting import Acting
    from grantflow_tui._look import Look

MIN_REASON = 8
GUARD_SECONDS = 0.3
"""Keys typed ahead of the dialog do not reach Apply."""
WATCH_SECONDS = 1.0


class ActionDialog(ModalScreen[str | None], TypesFirst[str | None]):
    """A change about to be made; dismissed with what was done, or with nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        on("leave", "cancel"),
        on("apply", "apply"),
        on("copy_line", "copy_command"),
    ]
    DEFAULT_CSS = """
    ActionDialog { align: center middle; }
    ActionDialog #box { width: 78; max-width: 100%; height: auto; max-height: 100%;
        border: round $warning; padding: 0 1; }
    ActionDialog.-outdated #box { border: round $error; }
    ActionDialog.-ascii #box { border: ascii $warning; }
    ActionDialog Static { height: auto; }
    ActionDialog #planned { height: auto; max-height: 8; }
    ActionDialog.-tall #planned { max-height: 20; }
    ActionDialog Input { margin-bottom: 0; }
    ActionDialog .off { display: none; }
    ActionDialog #ends { height: auto; }
    ActionDialog #cancel { margin-right: 2; }
    ActionDialog #apply { width: 1fr; }
    """
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012 - textual declares it so
        (0, "-low"),
        (34, "-tall"),
    ]
    needs_write = True
    needs_plan = True
    indent = 11
    """Where the long lines of the plan go on."""

    def __init__(self) -> None:
        super().__init__()
        self.outdated = False
        self.busy = False
        self._watching = False
        self._opened = 0.0

    # -- what a dialog is about -----------------------------------------------------------------
    @abstractmethod
    def title_line(self) -> str:
        """The first line."""

    def top(self) -> ComposeResult:
        """What stands above the plan."""
        yield from ()

    def planned(self) -> Text:
        """The plan, or what there is to say before there is one."""
        return Text()

    def has_plan(self) -> bool:
        """Whether a plan was made that may be applied."""
        return True

    def blocked(self) -> str | None:
        """What else forbids it."""
        return None

    def to_type(self) -> str | None:
        """What is typed by hand."""
        return None

    @abstractmethod
    def command(self) -> str:
        """The command line that does the same."""

    async def make_plan(self, reason: str) -> None:
        """Read what would happen; changes nothing."""

    @abstractmethod
    async def carry_out(self, reason: str) -> str | None:
        """Do it; returns what was done, in words."""

    async def moved(self) -> str | None:
        """What changed since the dialog saw it, or None; asked every second, and before it is carried out."""
        return None

    # -- the frame ------------------------------------------------------------------------------
    @property
    def acting(self) -> Acting:
        """The app, by its own type."""
        return cast("Acting", self.app)

    @property
    def look(self) -> Look:
        """How states look."""
        return self.acting.look

    @property
    def engine(self) -> Engine:
        """The engine; dialogs open only over an open database."""
        return self.acting.opened_engine()

    @property
    def actor(self) -> Actor:
        """Who acts."""
        return self.acting.operator()

    def compose(self) -> ComposeResult:
        """Title, plan, reason, what is typed, and the way out."""
        with Vertical(id="box"):
            yield Static(Text(self.title_line(), style=TITLE), markup=False)
            yield from self.top()
            with VerticalScroll(id="planned", can_focus=False):
                yield Hanging("", id="plan", indent=self.indent)
            makes = "; enter makes the plan" if self.needs_plan else ""
            yield Static(f"Reason, at least {MIN_REASON} characters{makes}", markup=False)
            yield Field(self.acting.writing.reason, id="reason", compact=True, max_length=500)
            yield Static("", id="typing", markup=False)
            yield Field(id="typed", compact=True)
            yield Static("", id="say", markup=False)
            with Horizontal(id="ends"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Static("", id="apply", markup=False)

    def on_mount(self) -> None:
        """The harmless way out has the keyboard; a reason given before makes the plan at once."""
        self._opened = self.acting.now_monotonic()
        self.set_class(self.look.ascii, "-ascii")
        self.query_one("#cancel", Button).focus()
        self.show()
        self.set_interval(WATCH_SECONDS, self._look_again)
        if self.needs_plan and len(self.reason) >= MIN_REASON:
            self.run_worker(self.plan_now(), group="plan")

    @property
    def reason(self) -> str:
        """Why, as typed."""
        return self.query_one("#reason", Input).value.strip()

    @property
    def typed(self) -> str:
        """What was typed to confirm."""
        return self.query_one("#typed", Input).value.strip()

    def obstacle(self) -> str | None:
        """Why Apply is off, or None when it is on."""
        if self.outdated:
            return "it changed under this dialog: esc, look again, and open it anew"
        why = self.acting.why_read_only(mode=self.needs_write) or self.blocked()
        if why is not None:
            return why
        if len(self.reason) < MIN_REASON:
            return f"the reason has {len(self.reason)} of {MIN_REASON} characters"
        if self.needs_plan and not self.has_plan():
            return "no plan yet: enter in the reason makes it"
        if self.to_type() not in {None, self.typed}:
            return f"{self.to_type()} is not typed yet"
        return None

    # -- the plan -------------------------------------------------------------------------------
    def on_input_changed(self) -> None:
        """What Apply still waits for."""
        self.show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the reason makes the plan; nowhere does it confirm."""
        if event.input.id == "reason" and len(self.reason) >= MIN_REASON and not self.outdated:
            self.run_worker(self.plan_now(), group="plan")

    async def plan_now(self) -> None:
        """Make the plan; whoever asked for it with enter is led on to what is typed next."""
        if self.busy:
            return
        self.busy = True
        try:
            if self.needs_plan:
                self.say("")
                await self.make_plan(self.reason)
            if self.to_type() is not None and not self.outdated and isinstance(self.focused, Field):
                self.show()
                self.query_one("#typed", Input).focus()
        except NoMatches:
            return  # the dialog went away meanwhile
        except GrantflowError as error:
            self.say(said(error))
        finally:
            self.busy = False
            self.show()

    # -- the fence ------------------------------------------------------------------------------
    def _look_again(self) -> None:
        if not self.busy and not self.outdated and not self._watching:
            self.run_worker(self.check(), group="watch")

    async def check(self) -> None:
        """Ask the database once more whether the ground still is what the dialog saw."""
        self._watching = True
        try:
            what = await self.moved()
        except DatabaseError as error:
            self.acting.failed(said(error))
        except GrantflowError as error:
            self.lapse(said(error))
        except NoMatches:
            return  # the dialog went away meanwhile
        else:
            self.acting.answered()
            if what is not None:
                self.lapse(what)
        finally:
            self._watching = False
        self.show()

    def lapse(self, what: str) -> None:
        """The ground moved: nothing is written from here on."""
        self.outdated = True
        self.set_class(True, "-outdated")
        self.say(f"OUTDATED, nothing was written: {clean(what)}")
        self.show()

    # -- applying it ----------------------------------------------------------------------------
    def action_apply(self) -> None:
        """F9."""
        if self.busy or self.acting.now_monotonic() - self._opened < GUARD_SECONDS:
            return
        why = self.obstacle()
        if why is not None:
            self.say(f"not applied: {why}")
            return
        self.busy = True
        self.run_worker(self._apply(self.reason), group="apply")

    async def _apply(self, reason: str) -> None:
        try:
            what = await self.moved()
            if what is not None:
                self.lapse(what)
                return
            done = await self.carry_out(reason)
        except GrantflowError as error:
            self.say(said(error))
        else:
            if done is not None:
                self.dismiss(done)
        finally:
            self.busy = False

    def on_button_pressed(self) -> None:
        """The only button is Cancel."""
        self.dismiss(None)

    def action_cancel(self) -> None:
        """Leave without a change."""
        self.dismiss(None)

    def action_copy_command(self) -> None:
        """Put the command line on the clipboard."""
        line = self.command()
        self.app.copy_to_clipboard(line)
        self.say(f"copied: {line}", bad=False)

    # -- drawing --------------------------------------------------------------------------------
    def say(self, message: str, *, bad: bool = True) -> None:
        """Say something above the buttons."""
        for place in self.query("#say").results(Static):
            place.update(Text(message, style=BAD if bad else Style()))

    def show(self) -> None:
        """Draw what changes while somebody types."""
        try:
            place, plan = self.query_one("#apply", Static), self.query_one("#plan", Hanging)
            typing, typed = self.query_one("#typing", Static), self.query_one("#typed", Input)
            why, wanted = self.obstacle(), self.to_type()
        except NoMatches:
            return  # it is going away, part by part
        apply = Text("F9 Apply", style=Style(bold=True, reverse=True) if why is None else DIM)
        if why is not None:
            apply.append(f"  off: {why}")
        place.update(apply)
        plan.draw(self.planned())
        typing.update(Text(f"Type to confirm: {wanted}"))
        for one in (typing, typed):
            one.set_class(wanted is None, "off")
