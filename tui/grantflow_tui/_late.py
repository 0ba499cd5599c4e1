"""Screens and dialogs that the first picture does not need: loaded behind it, or by whoever is faster."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from textual.screen import Screen

    from grantflow_tui._apps import AppsScreen
    from grantflow_tui._audit import AuditScreen
    from grantflow_tui._browse import BrowseScreen
    from grantflow_tui._detail import DetailScreen
    from grantflow_tui._help import HelpScreen
    from grantflow_tui._jobs import JobsScreen
    from grantflow_tui._look import Look
    from grantflow_tui._palette import Commands, NameDialog
    from grantflow_tui._sweeps import SweepsScreen

_REST = ("browse", "detail", "jobs", "apps", "sweeps", "audit", "help", "palette", "menu", "force", "plan_dialog")


def load() -> None:
    """Load them all; for a thread, once the database is open."""
    for name in _REST:
        import_module(f"grantflow_tui._{name}")


def installations() -> BrowseScreen:
    """Screen 2."""
    from grantflow_tui._browse import BrowseScreen

    return BrowseScreen()


def lists_installations(screen: Screen[object]) -> TypeGuard[BrowseScreen]:
    """Whether it is screen 2."""
    from grantflow_tui._browse import BrowseScreen

    return isinstance(screen, BrowseScreen)


def apps() -> AppsScreen:
    """Screen 3."""
    from grantflow_tui._apps import AppsScreen

    return AppsScreen()


def sweeps() -> SweepsScreen:
    """Screen 4."""
    from grantflow_tui._sweeps import SweepsScreen

    return SweepsScreen()


def jobs() -> JobsScreen:
    """Screen 5."""
    from grantflow_tui._jobs import JobsScreen

    return JobsScreen()


def audit() -> AuditScreen:
    """Screen 6."""
    from grantflow_tui._audit import AuditScreen

    return AuditScreen()


def detail(installation_id: str) -> DetailScreen:
    """One installation."""
    from grantflow_tui._detail import DetailScreen

    return DetailScreen(installation_id)


def help_on(look: Look) -> HelpScreen:
    """Keys, filter, states."""
    from grantflow_tui._help import HelpScreen

    return HelpScreen(look)


def commands() -> type[Commands]:
    """What the palette offers."""
    from grantflow_tui._palette import Commands

    return Commands


def name_dialog(text: str, *, ascii_only: bool) -> NameDialog:
    """Asks for the name of a filter."""
    from grantflow_tui._palette import NameDialog

    return NameDialog(text, ascii_only=ascii_only)
