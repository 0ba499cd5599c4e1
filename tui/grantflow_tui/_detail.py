"""One installation: its lifecycle, its clocks, its history, and what may happen next and why not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll

from grantflow_machines import Actor, Severity
from grantflow_tui._base import BAD, DIM, TITLE, ConsoleScreen
from grantflow_tui._chart import draw
from grantflow_tui._command import command
from grantflow_tui._hanging import Hanging
from grantflow_tui._keys import ROWS, moving, on
from grantflow_tui._look import Look
from grantflow_tui._places import Place
from grantflow_tui._plan_dialog import Targets
from grantflow_tui._text import clean, lasting, stamp, until
from grantflow_tui._themes import tint

if TYPE_CHECKING:
    from grantflow import (
        Attempt,
        Definition,
        Engine,
        Explanation,
        Installation,
        TokenHealth,
        TransitionRecord,
    )

_LABEL = 10


@dataclass(frozen=True, slots=True)
class Story:
    """All that is read about one installation."""

    installation: Installation
    definition: Definition | None
    history: tuple[TransitionRecord, ...]
    attempts: tuple[Attempt, ...]
    events: tuple[Explanation, ...]
    asked_as: Actor
    health: TokenHealth | None


async def read(engine: Engine, look: Look, installation_id: str, actor: Actor | None) -> Story:
    """Read one installation's story; events are asked as the operator, or as the system without one."""
    here = await engine.get(installation_id)
    definition = look.definitions.get(here.kind)
    asked = actor or Actor.system()
    events = []
    if definition is not None and here.state in definition.states and here.quarantined is None:
        events = [await engine.explain(here.id, name, actor=asked) for name in definition.outside_events()]
    history = await engine.history(here.id, limit=50)
    attempts, health = await engine.attempts(here.id), await engine.token_health(here.id)
    return Story(here, definition, history, attempts, tuple(events), asked, health)


def lifecycle(story: Story, look: Look) -> Text:
    """The chart with the current state lit."""
    out = _titled("Lifecycle")
    if story.definition is None:
        return out + Text(f"no chart for kind {clean(story.installation.kind)}", style=BAD)
    return _join(out, draw(story.definition, story.installation.state, look))


def facts(story: Story, look: Look, now: datetime) -> Text:
    """Who, what, and the clocks."""
    here = story.installation
    soon = look.expiring(here.state, here.expires_at, now)
    out = _titled("Installation")
    state = look.badge(here.state, expiring=soon)
    if here.overdue:
        state.append(f"  (stored {clean(here.stored_state)}, overdue)", style=BAD)
    _row(out, "state", state)
    info = look.states.get(here.state)
    if info is not None:
        _row(out, "means", info.meaning)
        _row(out, "who acts", info.who_acts)
    _row(out, "id", here.id)
    _row(out, "app", f"{here.app} ({here.kind})")
    _row(out, "account", here.account)
    _row(out, "subject", f"{here.subject_kind}:{here.subject}  label {here.label}")
    _row(out, "usable", "yes" if here.usable else Text("no" + _why_unusable(here), style=BAD))
    if here.reason:
        _row(out, "reason", here.reason)
    if here.quarantined:
        _row(out, "quarantine", Text(clean(here.quarantined), style=BAD))
    _row(out, "version", f"{here.version}  generation {here.generation}{'  FORCED' if here.forced else ''}")
    out.append("\nClocks\n", style=TITLE)
    for name, moment in (
        ("ended" if look.over(here.state) else "expires", look.ends(here)),
        ("due", here.due_at),
        ("warning", here.next_notice_at),
        ("entered", here.entered_at),
        ("installed", here.created_at),
    ):
        _row(out, name, f"{stamp(moment)}  {until(moment, now)}" if moment else "-")
    out.append(f"\nScopes · {len(here.granted)} approved, {len(here.scopes_missing)} awaiting\n", style=TITLE)
    for mark, scopes, style in (("+", here.scopes_missing, BAD), (look.done, here.granted, Style())):
        for scope in scopes:
            out.append(f"{mark} {clean(scope)}\n", style=style)
    _attempts(out, story, now)
    if story.health is not None:
        _health(out, story.health, now)
    return out


def _attempts(out: Text, story: Story, now: datetime) -> None:
    """Who is at it, how far, and how long there is left."""
    still_open = [attempt for attempt in story.attempts if attempt.outcome is None]
    out.append(f"\nOpen attempts · {len(still_open)}\n", style=TITLE)
    for attempt in still_open:
        late = attempt.expires_at <= now
        left = Text(f"{attempt.step}  {clean(attempt.actor)}  ")
        left.append(
            "its time is over" if late else f"{lasting(attempt.expires_at - now)} left", style=BAD if late else ""
        )
        _row(out, attempt.kind, left)


def _health(out: Text, health: TokenHealth, now: datetime) -> None:
    """How the tokens of a foreign server do; nothing of the tokens themselves."""
    out.append("\nTokens\n", style=TITLE)
    _row(out, "generation", str(health.generation))
    for name, moment in (
        ("access", health.access_expires_at),
        ("refresh", health.refresh_expires_at),
        ("grant", health.authorization_expires_at),
        ("renewal", health.refresh_at),
    ):
        _row(out, name, f"{stamp(moment)}  {until(moment, now)}" if moment else "-")
    if not health.renewable:
        _row(out, "renewable", Text("no", style=BAD))
    if health.failing is not None:
        _row(out, "failing", Text(clean(f"{health.failing}, {health.failures} times"), style=BAD))
    if health.unanswered_since is not None:
        _row(out, "unanswered", Text(f"since {stamp(health.unanswered_since)}", style=BAD))
    _row(out, "identity", health.identity or "nobody verified whose grant it is")


def timeline(story: Story, look: Look) -> Text:
    """What happened, newest first; forced lines are marked."""
    out = _titled("Timeline · newest first")
    for record in story.history:
        out.append(f"{stamp(record.at)} v{record.version} ", style=DIM)
        if record.forced:
            out.append("!FORCED ", style=BAD)
        out.append_text(_plain(look.badge(record.target)))
        out.append(f"\n    {clean(record.event)} by {clean(record.actor)}")
        if record.reason:
            out.append(f" · {clean(record.reason)}", style=Style(italic=True))
        out.append("\n")
    return out


def events(story: Story, look: Look) -> Text:
    """What may happen now, and for the rest why not."""
    out = _titled(f"Events from outside · as {clean(story.asked_as)}")
    for found in sorted(story.events, key=lambda found: not found.allowed):
        if found.allowed:
            out.append("yes ", style=tint(Severity.OK, bold=True))
            out.append(f"{clean(found.event)} {look.arrow()} {clean(found.target)}\n")
        else:
            out.append(f"no  {clean(found.event)}", style=DIM)
            out.append(f"  {clean(found.why)}")
            if found.available_at is not None:
                out.append(f" (from {stamp(found.available_at)})")
            out.append("\n")
    return out


def _why_unusable(here: Installation) -> str:
    whys = []
    if here.suspension is not None:
        whys.append(f"suspended by {here.suspension.by}: {here.suspension.why}")
    if here.parent_suspended:
        whys.append("the app is suspended on this account")
    if here.app_held:
        whys.append("the app is held")
    return clean(": " + ", ".join(whys)) if whys else ""


def _row(out: Text, name: str, value: str | Text) -> None:
    out.append(f"{clean(name):<{_LABEL}} ", style=DIM)
    out.append_text(_plain(value) if isinstance(value, Text) else Text(clean(value)))
    out.append("\n")


def _titled(title: str) -> Text:
    """A title whose style ends with it: a text's own style would go on under everything that follows."""
    out = Text()
    return out.append(f"{title}\n", style=TITLE)


def _plain(text: Text) -> Text:
    """The text with its base style as a span, so that it keeps it inside another text."""
    out = Text()
    out.append_text(text)
    return out


def _join(first: Text, second: Text) -> Text:
    out = Text()
    out.append_text(first)
    out.append_text(second)
    return out


class DetailScreen(ConsoleScreen):
    """One installation."""

    BINDINGS: ClassVar[list[BindingType]] = [
        on("leave", "back"),
        Binding("left", "back", show=False),
        on("force", "force"),
        on("verbs", "verbs"),
        on("copy", "copy"),
        *moving("scroll_by", 10, 100_000),
    ]
    DEFAULT_CSS = """
    DetailScreen #scroll { height: 1fr; scrollbar-size-vertical: 1; background: transparent; }
    DetailScreen Static { height: auto; }
    DetailScreen #sides { height: auto; layout: vertical; }
    DetailScreen.-wide #sides { layout: horizontal; }
    DetailScreen #left, DetailScreen #right { height: auto; width: 1fr; }
    DetailScreen.-wide #right { margin-left: 2; }
    DetailScreen #scroll Static { margin-bottom: 1; }
    """
    hints = (
        "{leave} back · {verbs} verbs · {force} force · {copy} copy id · "
        "{refresh} refresh · {down} {up} scroll · {help} help"
    )
    own_keys = (ROWS,)

    def __init__(self, installation_id: str) -> None:
        super().__init__()
        self.installation_id = installation_id
        self.story: Story | None = None

    def body(self) -> ComposeResult:
        """The chart across, then two sides."""
        with VerticalScroll(id="scroll", can_focus=False):
            yield Hanging("opening …", id="lifecycle", indent=6)
            with Container(id="sides"):
                with Vertical(id="left"):
                    yield Hanging("", id="facts", indent=_LABEL + 1)
                with Vertical(id="right"):
                    yield Hanging("", id="timeline", indent=4)
                    yield Hanging("", id="events", indent=6)

    @property
    def place(self) -> Place:
        """The view: this installation on top of the list it was opened from."""
        below = self.app.screen_stack[0]
        under = below.place.filter if isinstance(below, ConsoleScreen) else ""
        return Place(self.app.current_mode, under, self.installation_id)

    async def load(self, engine: Engine) -> None:
        """Read the story anew."""
        app = self.console_app
        story = await read(engine, app.look, self.installation_id, app.actor)
        self.story = story
        now = app.now()
        self.query_one("#lifecycle", Hanging).draw(lifecycle(story, app.look))
        self.query_one("#facts", Hanging).draw(facts(story, app.look, now))
        self.query_one("#timeline", Hanging).draw(timeline(story, app.look))
        self.query_one("#events", Hanging).draw(events(story, app.look))

    def action_scroll_by(self, lines: int) -> None:
        """Scroll without animation."""
        self.query_one("#scroll", VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_back(self) -> None:
        """Back to where it was opened."""
        self.console_app.visited(replace(self.place, installation=None))
        self.app.pop_screen()

    def action_force(self) -> None:
        """Open the force dialog."""
        self.console_app.open_force(self.installation_id)

    def action_verbs(self) -> None:
        """Open the menu of verbs."""
        self.console_app.open_verbs(Targets(), self.installation_id)

    def command(self) -> str:
        """The same on the command line."""
        return command("show", self.installation_id)

    def action_copy(self) -> None:
        """Copy the id."""
        self.console_app.copy_id(self.installation_id)
