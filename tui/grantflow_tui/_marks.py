"""What an operator marked: installations by their ids, or everything that matches a filter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Marks:
    """Marks outlive filters, windows and refreshes: they are ids, never places in a list."""

    ids: dict[str, None] = field(default_factory=dict)
    everything: str | None = None
    """The filter whose matches are all marked; single marks are then given up."""
    anchor: str | None = None
    """Where `v` began a range."""
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

    def toggle(self, installation_id: str) -> None:
        """Mark one, or take its mark away; it is where a range may begin."""
        self.everything = None
        if installation_id in self.ids:
            del self.ids[installation_id]
        else:
            self.ids[installation_id] = None
        self.anchor = installation_id

    def stretch(self, order: Sequence[str], to: str) -> bool:
        """Mark everything between the anchor and a row; False where the anchor is out of reach."""
        if self.anchor not in order or to not in order:
            return False
        first, last = sorted((order.index(self.anchor), order.index(to)))
        self.everything = None
        self.ids.update(dict.fromkeys(order[first : last + 1]))
        self.anchor = None
        return True

    def all_of(self, query: str) -> None:
        """Mark whatever matches."""
        self.clear()
        self.everything = query

    def clear(self) -> None:
        """No marks."""
        self.ids.clear()
        self.everything = self.anchor = None
        self.hidden = 0
