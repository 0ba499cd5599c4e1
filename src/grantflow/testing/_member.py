"""One installation as the fleet believes it to be, by arithmetic of its own: the engine is measured against it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from grantflow._app import App, LifetimePolicy
from grantflow._config import Settings
from grantflow._secret import Secret
from grantflow_machines import Actor


class Standing(StrEnum):
    """What became of a member's grant."""

    NONE = "none"
    LIVE = "live"
    DEAD = "dead"
    GONE = "gone"
    """Uninstalled: the row is a tombstone."""


@dataclass(slots=True, eq=False)
class Member:
    """One installation of a fleet, whose it is, and what must be true of it."""

    app: App
    account: str
    owner: Actor
    label: str = "default"
    id: str = ""
    """Empty before its first installation; another one after each reinstallation."""
    standing: Standing = Standing.NONE
    deadline: datetime | None = None
    ended_at: datetime | None = None
    told_at: datetime | None = None
    """When its people are to be told next."""
    warned: bool = False
    """Whether its people know that the grant will end."""
    suspended: bool = False
    whole: bool = False
    """Whether it was granted the optional scopes, too."""
    refused_at: datetime | None = None
    """Since when the foreign server refuses to renew it."""
    issued_at: datetime | None = None
    refresh: Secret | None = field(default=None, repr=False)
    code: str = field(default="", repr=False)
    """What the grant was made from at the foreign server."""

    def usable(self, now: datetime) -> bool:
        """Whether the app may work now."""
        return (
            self.standing is Standing.LIVE and not self.suspended and (self.deadline is None or now < self.deadline)
        )

    def granted(self, now: datetime, settings: Settings) -> None:
        """A person authorized: a new grant, whatever was before it."""
        self.standing, self.issued_at, self.ended_at, self.refused_at = Standing.LIVE, now, None, None
        self.deadline = self._deadline(now)
        self.plan(now, settings)

    def renewed(self, now: datetime, settings: Settings) -> None:
        """The app renewed its tokens; only a sliding life is longer for it."""
        if self.app.lifetime.policy is LifetimePolicy.SLIDING:
            self.deadline = self._deadline(now)
            self.plan(now, settings)

    def died(self, now: datetime, settings: Settings) -> None:
        """The grant is dead."""
        self.standing, self.ended_at, self.refused_at, self.refresh = Standing.DEAD, now, None, None
        self.plan(now, settings)

    def left(self, standing: Standing) -> None:
        """The grant was given back, or the whole installation."""
        self.standing, self.deadline, self.ended_at, self.told_at = standing, None, None, None
        self.warned, self.whole, self.refused_at, self.refresh = False, False, None, None
        if standing is Standing.GONE:
            self.suspended = False

    def due(self, now: datetime) -> bool:
        """Whether a sweep must end the grant now."""
        return self.standing is Standing.LIVE and self.deadline is not None and self.deadline <= now

    def told(self, now: datetime, settings: Settings) -> None:
        """Its people were told; the next time is another span."""
        warned = self.standing is Standing.LIVE
        self._next(now, settings)
        self.warned = warned

    def plan(self, now: datetime, settings: Settings) -> None:
        """A new cause: nobody was told of it yet."""
        self.warned = False
        self._next(now, settings)

    def _next(self, now: datetime, settings: Settings) -> None:
        moments: list[datetime] = []
        if self.standing is Standing.LIVE and self.deadline is not None:
            moments = [self.deadline - before for before in settings.warn_before]
        elif self.standing is Standing.DEAD and self.ended_at is not None:
            moments = [self.ended_at + after for after in settings.remind_after]
        self.told_at = min((moment for moment in moments if moment > now), default=None)

    def _deadline(self, now: datetime) -> datetime | None:
        lifetime = self.app.lifetime
        length: timedelta = lifetime.length
        if lifetime.policy in {LifetimePolicy.FIXED, LifetimePolicy.SLIDING}:
            return now + length
        return None
