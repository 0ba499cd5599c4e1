"""What an operator marked: installations by their ids, or everything that matches a filter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Marks:
    """Marks outlive filters, windows and refreshes: they are ids, never places in a list."""

    ids: dict[str, None] = field(default_factory=dict)
    everything: str | None = None
    """The filter whose matches are all marked; single marks are then given up."""
    anchor: tuple[str, str] | None = None
    """Where `v` began a range: an id, and its place in the order."""
    hidden: int = 0
    """Marked ones the filter on screen does not show."""

    def __contains__(self, installation_id: object) -> bool:
        return installation_id in self.ids

    def __len__(self) -> int:
        return len(self.ids)

    def __bool__(self) -> bool:
        return bool(self.ids) or self.everything is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def toggle(self, installation_id: str, place: str = "") -> None:
        """Mark one, or take its mark away; it is where a range may begin."""
        self.everything = None
        if installation_id in self.ids:
            del self.ids[installation_id]
        else:
            self.ids[installation_id] = None
        self.anchor = (installation_id, place)

    def stretch(self, ids: Iterable[str]) -> None:
        """Mark a whole range; it is over then."""
        self.everything = self.anchor = None
        self.ids.update(dict.fromkeys(ids))

    def all_of(self, query: str) -> None:
        """Mark whatever matches."""
        self.clear()
        self.everything = query

    def clear(self) -> None:
        """No marks."""
        self.ids.clear()
        self.everything = self.anchor = None
        self.hidden = 0
