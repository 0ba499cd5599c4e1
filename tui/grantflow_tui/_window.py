"""The part of the fleet the list holds: one keyset window, moved by the places of its own rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from grantflow import Engine, Installation, Matches, Page

WINDOW = 200
"""Rows held at once, whatever the fleet counts."""
MARGIN = 50
"""So near to an edge of the window the next part is fetched."""


Spot = tuple[str, str]
"""A row by its id, and its place in the order."""
_STRIDE = 1_000


class Finder(Protocol):
    """Who is asked for rows."""

    async def find(self, filter: str = "", *, after: str | None = None, limit: int = 100, back: bool = False) -> Page:  # noqa: A002 - as the engine's
        """See Engine.find."""
        ...


@dataclass(frozen=True, slots=True)
class Marked:
    """The engine as a list with marks asks it: `is:marked` means those."""

    engine: Engine
    marks: Collection[str]

    async def find(self, filter: str = "", *, after: str | None = None, limit: int = 100, back: bool = False) -> Page:  # noqa: A002 - as the engine's
        """See Engine.find."""
        return await self.engine.find(filter, after=after, limit=limit, back=back, marked=self.marks)

    async def count(self, filter: str = "") -> Matches:  # noqa: A002 - as the engine's
        """See Engine.count."""
        return await self.engine.count(filter, marked=self.marks)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in the filter's order; `anchor` is the place just before the first, None at the beginning."""

    filter: str
    items: tuple[Installation, ...] = ()
    places: tuple[str, ...] = field(default=(), repr=False)
    anchor: str | None = None
    at_end: bool = True

    @property
    def at_start(self) -> bool:
        """Whether nothing comes before the first row."""
        return self.anchor is None

    def index(self, installation_id: str | None) -> int | None:
        """Where a row stands in the window."""
        return next((at for at, item in enumerate(self.items) if item.id == installation_id), None)


async def from_start(engine: Finder, query: str) -> Rows:
    """The beginning of the matches."""
    return await _after(engine, query, None)


async def again(engine: Finder, rows: Rows) -> Rows:
    """The same window, read anew; the end of the matches where nothing is left of it."""
    found = await _after(engine, rows.filter, rows.anchor)
    return found if found.items or found.at_start else await from_end(engine, rows.filter)


async def onward(engine: Finder, rows: Rows, keep: int) -> Rows:
    """A window that begins at row `keep` of this one."""
    if keep <= 0:
        return await again(engine, rows)
    return await _after(engine, rows.filter, rows.places[keep - 1])


async def backward(engine: Finder, rows: Rows, keep: int) -> Rows:
    """A window that ends before row `keep` of this one."""
    return await _before(engine, rows.filter, rows.places[min(keep, len(rows.places) - 1)], at_end=False)


async def from_place(engine: Finder, query: str, place: str) -> Rows:
    """The matches from a place on; the end of them where nothing follows it."""
    found = await _after(engine, query, place)
    return found if found.items else await from_end(engine, query)


async def between(engine: Finder, query: str, one: Spot, other: Spot, most: int) -> list[str] | None:
    """Ids from one row up to another, whichever comes first; None where more than `most` lie between."""
    if one[0] == other[0]:
        return [one[0]]
    for (start, place), end in ((one, other[0]), (other, one[0])):
        ids, after = [start], place or None
        while after is not None and len(ids) < most:
            page = await engine.find(query, after=after, limit=_STRIDE)
            found = [item.id for item in page.items]
            if end in found:
                ids += found[: found.index(end) + 1]
                return ids if len(ids) <= most else None
            ids, after = ids + found, page.next_after
    return None


async def from_end(engine: Finder, query: str) -> Rows:
    """The end of the matches."""
    return await _before(engine, query, None, at_end=True)


async def _after(engine: Finder, query: str, anchor: str | None) -> Rows:
    page = await engine.find(query, after=anchor, limit=WINDOW)
    return Rows(query, page.items, page.places, anchor, page.next_after is None)


async def _before(engine: Finder, query: str, place: str | None, *, at_end: bool) -> Rows:
    page = await engine.find(query, after=place, limit=WINDOW, back=True)
    if len(page.items) < WINDOW:
        return await from_start(engine, query) if not at_end else Rows(query, page.items, page.places, None, at_end)
    return Rows(query, page.items[1:], page.places[1:], page.places[0], at_end)
