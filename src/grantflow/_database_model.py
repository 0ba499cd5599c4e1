"""What callers receive about a database as a whole: how it is upgraded, checked and copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class UpgradeStep:
    """From one version of the schema to the next."""

    version: int
    says: str
    rewrites: Mapping[str, int] = field(default_factory=dict)
    """Tables that are written anew as a whole, with their rows: what takes time."""


@dataclass(frozen=True, slots=True)
class UpgradePlan:
    """What an upgrade would do; nothing is to be done when there are no steps."""

    version: int
    target: int
    steps: tuple[UpgradeStep, ...]
    hosts_may_run: bool
    """Whether hosts of the release that wrote the database may be at work meanwhile, and go on afterwards."""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade did."""

    version: int
    """The version it found."""
    target: int
    steps: tuple[UpgradeStep, ...]
    backup: str | None = None
    """The file that holds the database as it was."""


@dataclass(frozen=True, slots=True)
class DatabaseReport:
    """Everything that was looked at in a database; in order when there are no problems."""

    version: int
    needs: int
    """The version this release is made for."""
    compatible_from: int
    pragmas: Mapping[str, str]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """One table, the same on both sides."""

    name: str
    rows: int
    checksum: str
    """SHA-256 over its rows in the order of their keys."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A finished copy."""

    tables: tuple[CopiedTable, ...]
    rows: int
    resumed: int
    """Rows that an earlier run had brought over."""
