"""The dark and the light theme: a class of states is drawn by name, and the theme says what colour that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.color import Color
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from textual.theme import Theme

from grantflow_machines import Severity

_NAMES: Mapping[Severity, str] = {
    Severity.IDLE: "white",
    Severity.PENDING: "blue",
    Severity.OK: "green",
    Severity.WARN: "yellow",
    Severity.BAD: "red",
}
"""What the console writes: a terminal's own names, which the theme in force turns into colours."""


@dataclass(frozen=True, slots=True)
class Palette:
    """A theme's colours; `surface` lies under dialogs, `quiet` is for what is off or not typed yet."""

    name: str
    dark: bool
    background: str
    surface: str
    foreground: str
    quiet: str
    classes: Mapping[Severity, str]

    @property
    def theme_name(self) -> str:
        """What textual calls it."""
        return f"grantflow-{self.name}"

    def theme(self) -> Theme:
        """For the parts textual draws: borders, fields, buttons."""
        colours = self.classes
        return Theme(
            self.theme_name,
            primary=colours[Severity.PENDING],
            secondary=colours[Severity.IDLE],
            accent=colours[Severity.PENDING],
            success=colours[Severity.OK],
            warning=colours[Severity.WARN],
            error=colours[Severity.BAD],
            foreground=self.foreground,
            background=self.background,
            surface=self.surface,
            dark=self.dark,
            variables={
                "text-muted": self.quiet,
                "text-disabled": self.quiet,
                "block-cursor-foreground": self.background,
                "block-cursor-background": self.foreground,
                "block-cursor-blurred-foreground": self.background,
                "block-cursor-blurred-background": self.foreground,
            },
        )

    def terminal(self) -> TerminalTheme:
        """What a terminal's names mean."""
        order = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
        known = {name: self.classes[severity] for severity, name in _NAMES.items()}
        known |= {"black": self.background, "magenta": known["red"], "cyan": known["blue"]}
        colours = [_rgb(known[name]) for name in order]
        return TerminalTheme(_rgb(self.background), _rgb(self.foreground), colours, colours)


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = Color.parse(colour).get_truecolor()
    return red, green, blue


DARK = Palette(
    "dark",
    dark=True,
    background="#0C0C0C",
    surface="#16171A",
    foreground="#D9D9D9",
    quiet="#979797",
    classes={
        Severity.IDLE: "#C9CAC9",
        Severity.PENDING: "#1A93CF",
        Severity.OK: "#1CFD91",
        Severity.WARN: "#D3A81A",
        Severity.BAD: "#D2616F",
    },
)
LIGHT = Palette(
    "light",
    dark=False,
    background="#FAFAF8",
    surface="#FFFFFF",
    foreground="#1B1B1B",
    quiet="#5E5E5E",
    classes={
        Severity.IDLE: "#464547",
        Severity.PENDING: "#143975",
        Severity.OK: "#246C41",
        Severity.WARN: "#7D6919",
        Severity.BAD: "#661D0C",
    },
)
PALETTES: Mapping[str, Palette] = {palette.name: palette for palette in (DARK, LIGHT)}


def tint(severity: Severity, *, bold: bool | None = None) -> Style:
    """The style of a class, whatever theme is in force."""
    return Style(color=_NAMES[severity], bold=bold)
