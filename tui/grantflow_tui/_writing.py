"""Whether the console may change anything now, and why not: the mode, its end, and the ground it stands on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from grantflow_machines import Actor
from grantflow_tui._text import lasting

WRITE_SECONDS = 15 * 60.0
READ_ONLY_AFTER = 30.0
"""Data older than this is no ground to write on."""
_FIRST_WAIT = 2.0
_LONGEST_WAIT = 30.0


@dataclass(slots=True)
class Writing:
    """READ or WRITE, on a clock that nobody can set back."""

    monotonic: Callable[[], float]
    actor: Actor | None
    until: float | None = None
    reason: str = ""
    """Given for write mode; later dialogs begin with it."""

    def begin(self, reason: str = "") -> None:
        """WRITE from now on, for fifteen minutes."""
        self.until, self.reason = self.monotonic() + WRITE_SECONDS, reason

    def end(self) -> None:
        """READ again."""
        self.until, self.reason = None, ""

    @property
    def left(self) -> float:
        """Seconds until it ends by itself."""
        return 0.0 if self.until is None else max(0.0, self.until - self.monotonic())

    @property
    def on(self) -> bool:
        """Whether this is WRITE mode."""
        return self.actor is not None and self.left > 0

    def why_not(self) -> str | None:
        """Why the mode forbids a change, or None."""
        if self.actor is None:
            return "READ mode: a change needs a name; start with --operator NAME"
        if self.until is None:
            return "READ mode: nothing is changed; W asks for write mode"
        if not self.on:
            return "READ mode: write mode ended after 15 minutes; W asks for it again"
        return None


@dataclass(slots=True)
class Ground:
    """How fresh the answers of the database are, and when to ask a lost one again."""

    monotonic: Callable[[], float]
    answered_at: float | None = None
    failures: int = 0
    says: str = ""
    again_at: float = 0.0

    def answered(self) -> None:
        """It answered a read."""
        self.answered_at, self.failures, self.says = self.monotonic(), 0, ""

    def failed(self, says: str) -> None:
        """It did not; every failure waits twice as long, half a minute at most."""
        self.failures, self.says = self.failures + 1, says
        wait = min(_FIRST_WAIT * 2 ** min(self.failures - 1, 10), _LONGEST_WAIT)
        self.again_at = self.monotonic() + wait

    @property
    def lost(self) -> bool:
        """Whether its last answer was a failure."""
        return self.failures > 0

    @property
    def may_ask(self) -> bool:
        """Whether it is time to ask a lost one."""
        return not self.lost or self.monotonic() >= self.again_at

    @property
    def age(self) -> float:
        """Seconds since it last answered."""
        return 0.0 if self.answered_at is None else self.monotonic() - self.answered_at

    def banner(self) -> str:
        """What to say while it is lost."""
        wait = max(0.0, self.again_at - self.monotonic())
        return f"DATABASE LOST, what stands here is old: {self.says} · asked again in {wait:.0f}s · r asks now"

    def why_not(self) -> str | None:
        """Why nothing is changed on this ground, or None."""
        if self.lost:
            return f"the database is lost: {self.says}"
        if self.age > READ_ONLY_AFTER:
            age = lasting(timedelta(seconds=self.age))
            return f"the data is {age} old: nothing is changed on such ground; r refreshes"
        return None
