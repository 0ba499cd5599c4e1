"""Screens and dialogs that the first picture does not need: loaded behind it, or by whoever is faster."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.screen import Screen

    from grantflow_tui._apps import AppsScreen
    from grantflow_tui._audit import AuditScreen
    from grantflow_tui._browse import BrowseScreen
    from grantflow_tui._detail import DetailScreen
    from grantflow_tui._help import HelpScreen
    from grantflow_tui._jobs import JobsScreen
    from grantflow_tui._keys import Keymap
    from grantflow_tui._look import Look
    from grantflow_tui._palette import Commands, LineDialog
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


def help_on(look: Look, keymap: Keymap, own: Sequence[str], more_keys: Sequence[tuple[str, str]]) -> HelpScreen:
    """Keys, filter, states."""
    from grantflow_tui._help import HelpScreen

    return HelpScreen(look, keymap, own, more_keys)


def commands() -> type[Commands]:
    """What the palette offers."""
    from grantflow_tui._palette import Commands

    return Commands


def line_dialog(title: str, about: str, asks: str, *, longest: int, ascii_only: bool) -> LineDialog:
    """Asks for a line of text."""
    from grantflow_tui._palette import LineDialog

    return LineDialog(title, about, asks, longest=longest, ascii_only=ascii_only)
