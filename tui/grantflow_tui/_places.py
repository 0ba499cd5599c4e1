"""Where the operator has been: back, forward, and the view before this one."""

from __future__ import annotations

from dataclasses import dataclass

MOST = 100


@dataclass(frozen=True, slots=True)
class Place:
    """One view: a screen, its filter, and an installation that is open on top of it."""

    screen: str
    filter: str = ""
    installation: str | None = None


class Places:
    """The history of one session, as a browser keeps it.

    >>> places = Places()
    >>> for name in ("fleet", "apps", "audit"):
    ...     places.visit(Place(name))
    >>> places.step(-1), places.step(-1), places.step(-1)
    (Place(screen='apps', filter='', installation=None), Place(screen='fleet', filter='', installation=None), None)
    """

    def __init__(self) -> None:
        self._been: list[Place] = []
        self._at = -1
        self._before: Place | None = None

    @property
    def here(self) -> Place | None:
        """The view on screen."""
        return self._been[self._at] if self._been else None

    def visit(self, place: Place) -> None:
        """A new view; what lay ahead is forgotten."""
        if place == self.here:
            return
        self._before = self.here
        self._been = [*self._been[: self._at + 1], place][-MOST:]
        self._at = len(self._been) - 1

    def step(self, by: int) -> Place | None:
        """Go back or forward; None at an end."""
        at = self._at + by
        if not 0 <= at < len(self._been):
            return None
        self._before, self._at = self.here, at
        return self.here

    def last(self) -> Place | None:
        """The view before this one, as a new step."""
        before = self._before
        if before is not None:
            self.visit(before)
        return before
