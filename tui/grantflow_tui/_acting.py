"""The acting half of the console app: write mode, the ground it stands on, and the dialogs that change something."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import App
from textual.binding import BindingType
from textual.screen import Screen

from grantflow.errors import GrantflowError
from grantflow_tui._base import ConsoleScreen, said
from grantflow_tui._blast import MAX_BULK
from grantflow_tui._look import Look
from grantflow_tui._text import clean, lasting
from grantflow_tui._writing import Ground, Writing

if TYPE_CHECKING:
    from grantflow import Definition, Engine, Installation
    from grantflow_machines import Actor, LifecycleChart
    from grantflow_tui._deeds import Deed, Offer
    from grantflow_tui._plan_dialog import Targets

_SILENT_AFTER = timedelta(seconds=40)
"""A scheduler beats every ten seconds; one this old is not at work."""


def _definitions(charts: Mapping[str, type[LifecycleChart]] | None) -> Mapping[str, Definition]:
    """Compiled behind the first picture."""
    from grantflow import charts_from_env, definitions

    return definitions(charts or charts_from_env())


class Acting(App[None]):
    """What the dialogs ask of the app."""

    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(
        self,
        *,
        actor: Actor | None,
        write: bool,
        ascii_only: bool,
        charts: Mapping[str, type[LifecycleChart]] | None = None,
        max_bulk: int = MAX_BULK,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._monotonic = monotonic
        self.look = Look(partial(_definitions, charts), ascii_only=ascii_only)
        self.writing = Writing(self.now_monotonic, actor)
        self.ground = Ground(self.now_monotonic)
        self.engine: Engine | None = None
        self.max_bulk = max_bulk
        self.running: dict[str, str] = {}
        """Jobs this console runs itself, and what they do."""
        self.launched: str | None = None
        """The job that was made last: screen 5 opens on it."""
        if write and actor is not None:
            self.writing.begin()

    def now_monotonic(self) -> float:
        """Seconds on a clock nobody can set back."""
        return self._monotonic()

    @property
    def actor(self) -> Actor | None:
        """Whose name is on every change."""
        return self.writing.actor

    @property
    def writable(self) -> bool:
        """Whether this is WRITE mode."""
        return self.writing.on

    def opened_engine(self) -> Engine:
        """The engine; raises before it is open."""
        if self.engine is None:
            msg = "the database is not open yet"
            raise RuntimeError(msg)
        return self.engine

    def operator(self) -> Actor:
        """Who acts; raises where nobody does."""
        if self.actor is None:
            msg = "nobody acts here"
            raise RuntimeError(msg)
        return self.actor

    def refresh_headers(self) -> None:
        """Draw the headers of all visible screens anew."""
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen):
                screen.refresh_header()

    def tell(self, message: str, *, bad: bool = False) -> None:
        """Say something on the screen that is on top."""
        if isinstance(self.screen, ConsoleScreen):
            self.screen.tell(message, bad=bad)

    # -- the ground -----------------------------------------------------------------------------
    def answered(self) -> None:
        """The database answered a read."""
        self.ground.answered()

    def failed(self, says: str) -> None:
        """The database did not answer."""
        self.ground.failed(says)
        self.refresh_headers()

    def why_read_only(self, *, mode: bool = True) -> str | None:
        """Why nothing can be changed now, or None; without `mode` the ground alone is looked at."""
        return (self.writing.why_not() if mode else None) or self.ground.why_not()

    async def feel_ground(self) -> None:
        """A small read while the screen stands still, so that a lost database is known before anybody acts."""
        try:
            await self.opened_engine().ops.paused()
        except GrantflowError as error:
            self.failed(said(error))
            self.tell(self.ground.banner(), bad=True)
        else:
            if self.ground.lost:
                self.tell("the database answers again")
            self.answered()

    # -- write mode -----------------------------------------------------------------------------
    async def action_ask_to_write(self) -> None:
        """W: WRITE mode for fifteen minutes, with a reason; in WRITE mode it ends it."""
        if self.writing.on:
            self.writing.end()
            self.tell("READ mode: nothing is changed")
            self.refresh_headers()
        elif self.actor is None or self.engine is None:
            self.tell(self.writing.why_not() or "the database is not open yet", bad=True)
        else:
            from grantflow_tui._deed_dialog import DeedDialog

            await self.open_dialog(DeedDialog(self._write_mode(), needs_write=False))

    def _write_mode(self) -> Deed:
        from grantflow_tui._deeds import Deed

        async def does(engine: Engine, actor: Actor, reason: str) -> str:
            await engine.ops.admit("console", "write mode", actor=actor, reason=reason)
            self.writing.begin(reason)
            return "WRITE mode for 15 minutes"

        async def sees(engine: Engine) -> object:
            return await engine.ops.paused() and None

        return Deed(
            "Write mode",
            "Dialogs may change something for 15 minutes; they begin with this reason. W ends it sooner.",
            does,
            sees,
        )

    # -- dialogs --------------------------------------------------------------------------------
    def open_force(self, installation_id: str) -> None:
        """Open the force dialog, or say why not."""
        if self._may_act():
            self.run_worker(self._open_force(installation_id), group="dialog", exclusive=True)

    async def _open_force(self, installation_id: str) -> None:
        from grantflow_tui._force import ForceDialog

        if (seen := await self._seen(installation_id)) is not None:
            await self.open_dialog(ForceDialog(seen))

    def open_verbs(self, targets: Targets, installation_id: str | None = None) -> None:
        """Open the menu of verbs, for the row with this id or for many."""
        if self._may_act():
            self.run_worker(self._open_verbs(targets, installation_id), group="dialog", exclusive=True)

    async def _open_verbs(self, targets: Targets, installation_id: str | None) -> None:
        from grantflow_tui._deeds import for_many, for_one
        from grantflow_tui._menu import VerbMenu

        screen = self.screen
        if installation_id is None:
            offers = for_many(self.look)
        else:
            seen = await self._seen(installation_id)
            if seen is None:
                return
            targets = replace(targets, seen=seen)
            try:
                offers = await for_one(self.opened_engine(), self.look, seen, self.operator())
            except GrantflowError as error:
                self.tell(said(error), bad=True)
                return
        if self.screen is not screen:
            return

        async def chosen(offer: Offer | None) -> None:
            self.refresh_headers()
            if offer is not None:
                await self._open_offer(offer, targets)

        await self.push_screen(VerbMenu(targets.title(), offers, ascii_only=self.look.ascii), chosen)
        self.refresh_headers()

    async def _open_offer(self, offer: Offer, targets: Targets) -> None:
        from grantflow_tui._deed_dialog import DeedDialog
        from grantflow_tui._force import ForceDialog
        from grantflow_tui._plan_dialog import PlanDialog

        if offer.deed is not None:
            await self.open_dialog(DeedDialog(offer.deed))
        elif offer.verb == "force" and targets.seen is not None:
            await self.open_dialog(ForceDialog(targets.seen))
        else:
            await self.open_dialog(PlanDialog(offer, targets))

    def open_deed(self, deed: Deed) -> None:
        """Open the dialog of a deed, or say why not."""
        from grantflow_tui._deed_dialog import DeedDialog

        if self._may_act():
            self.call_later(self.open_dialog, DeedDialog(deed))

    async def open_dialog(self, dialog: Screen[str | None]) -> None:
        """Push a dialog; what it did is said when it closes."""
        await self.push_screen(dialog, self._done)
        self.refresh_headers()

    async def _seen(self, installation_id: str) -> Installation | None:
        screen = self.screen
        try:
            seen = await self.opened_engine().get(installation_id)
        except GrantflowError as error:
            self.tell(said(error), bad=True)
            return None
        return seen if self.screen is screen else None

    def _may_act(self) -> bool:
        why = self.why_read_only()
        if why is not None:
            self.tell(why, bad=True)
        return why is None and self.engine is not None and isinstance(self.screen, ConsoleScreen)

    def _done(self, what: str | None) -> None:
        """A dialog is closed; what it did is said where it was opened."""
        if what is not None:
            if isinstance(self.screen, ConsoleScreen):
                self.screen.acted()
            self.tell(clean(what))
        self.refresh_headers()

    # -- jobs -----------------------------------------------------------------------------------
    async def scheduler_at_work(self) -> bool:
        """Whether a scheduler that runs jobs said so lately."""
        beats = await self.opened_engine().ops.heartbeats()
        return any(beat.kind == "scheduler" and beat.age <= _SILENT_AFTER for beat in beats)

    async def launch(self, job: str, what: str) -> str:
        """Leave a job to the scheduler, or run it here where none is at work; returns which, in words."""
        self.launched = job
        if await self.scheduler_at_work():
            return f"{what}: the scheduler runs it · 5 shows it"
        self.running[job] = what
        self.run_worker(self._run_job(job), group=f"job-{job}")
        return f"{what}: no scheduler is at work, this console runs it · 5 shows it"

    async def _run_job(self, job: str) -> None:
        try:
            await self.opened_engine().run_jobs(job=job, stop=lambda: not self.is_running)
        except GrantflowError as error:
            self.tell(said(error), bad=True)
        finally:
            self.running.pop(job, None)
            if isinstance(self.screen, ConsoleScreen) and not self.screen.pauses:
                self.screen.action_reload()

    # -- the command line -----------------------------------------------------------------------
    def action_copy_command(self) -> None:
        """Y: the command line that shows what is on screen."""
        line = self.screen.command() if isinstance(self.screen, ConsoleScreen) else ""
        if line:
            self.copy_to_clipboard(line)
        self.tell(f"copied: {line}" if line else "no command shows this screen", bad=not line)

    def mode_words(self) -> str:
        """READ or WRITE, and how long."""
        if not self.writing.on:
            return "READ"
        return f"WRITE {lasting(timedelta(seconds=self.writing.left)).split()[0]}"
