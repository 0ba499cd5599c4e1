"""Every sealed value under the ring's first key: online, in small batches, resumable; and what the keys open.

A batch is read, opened and sealed anew outside any transaction, then swapped in one: a value that somebody else
wrote meanwhile is left alone and looked at again. So at every instant each value is under one key or the other.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from grantflow._core import Core
from grantflow._keys import KeyRing, sealed_list
from grantflow._ports import SEALED_FIELDS, Reseal, SealedIn
from grantflow._sweep import Progress
from grantflow._transition import sealed_place
from grantflow.errors import KeysMissing, Quarantined

_BATCH = 200
_ROUNDS = 5
"""How often all is looked at again while others go on sealing under an older key."""
_DOUBT = 3
"""So many values that do not open, and none that does: it is the key that is wrong, not the values."""
_SHOWN = 1_000


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation of keys did."""

    resealed: int
    """Values that were under another key before."""
    already: int
    """Values that were under the first key when it began."""
    unreadable: int
    """Values under other keys that do not open: damaged, or their key is not here. They were left as they are."""
    by_key: Mapping[str, int]
    """Values under each key id when it ended; an empty id for what is no sealed value."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """One sealed value that does not open."""

    place: str
    """What it is bound to: table, public id and field."""
    key: str | None
    """The id of its key; None for what is no sealed value."""
    why: str


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """What the engine's keys open."""

    opened: int
    unreadable: int
    places: tuple[Unreadable, ...]
    """The first 1,000 of those that do not open."""


@dataclass(slots=True)
class _Value:
    """One column of one row, with the ciphertexts in it."""

    table: SealedIn
    column: str
    pk: int
    place: str
    stored: object
    ciphertexts: list[bytes]

    def replaced(self, ciphertexts: list[bytes]) -> Reseal:
        """The same column with other ciphertexts in it."""
        new: object = ciphertexts[0]
        if self.table is SealedIn.APPS:
            since = (when for _, when in json.loads(str(self.stored)))
            texts = (base64.b64encode(sealed).decode() for sealed in ciphertexts)
            new = json.dumps([list(pair) for pair in zip(texts, since, strict=True)])
        return Reseal(self.table, self.column, self.pk, self.stored, new)


async def _batches(core: Core) -> AsyncIterator[list[_Value]]:
    for table, fields in SEALED_FIELDS.items():
        after = 0
        while rows := await core.store.sealed_batch(table, after, _BATCH):
            after = rows[-1].pk
            yield [
                _value(table, name, row.pk, row.name, stored)
                for row in rows
                for name, stored in zip(fields, row.values, strict=True)
                if stored is not None
            ]


def _value(table: SealedIn, column: str, pk: int, name: str, stored: object) -> _Value:
    place = {
        SealedIn.APPS: f"app/{name}/secret",
        SealedIn.ATTEMPTS: f"attempt/{name}/{column}",
        SealedIn.TOKENS: sealed_place(name, column.removesuffix("_sealed")),
        SealedIn.REVOCATIONS: name,
    }[table]
    if table is SealedIn.APPS:
        ciphertexts = sealed_list(stored)
    else:
        ciphertexts = [stored if isinstance(stored, bytes) else b""]
    return _Value(table, column, pk, place, stored, ciphertexts)


def active_key(core: Core) -> str:
    """The key that values are sealed under, as its source says now; raises KeysMissing without one."""
    core.keys.reload()
    if not core.keys.ids:
        raise KeysMissing
    return core.keys.ids[0]


async def rotate(core: Core, progress: Progress | None = None) -> Rotation:
    """Seal all values under the first key. See Ops.rotate_keys."""
    active = active_key(core)
    before = await core.store.sealed_by_key()
    total, resealed = sum(before.values()), 0
    work = _Work(core, progress, total)
    for _ in range(_ROUNDS):
        await work.once()
        resealed += work.resealed
        if not work.resealed and not work.lost:
            break
    return Rotation(resealed, before.get(active, 0), work.unreadable, await core.store.sealed_by_key())


def _values_in(change: Reseal) -> int:
    """How many values a swap would have sealed anew."""
    if change.new is None:
        return 0
    if change.table is not SealedIn.APPS:
        return 1
    return sum(a != b for a, b in zip(sealed_list(change.old), sealed_list(change.new), strict=True))


@dataclass(slots=True)
class _Work:
    """One look at all values, and what earlier ones taught of the keys."""

    core: Core
    progress: Progress | None
    total: int
    resealed: int = 0
    lost: int = 0
    unreadable: int = 0
    proven: set[str] = field(default_factory=set)
    """Keys that have opened something."""
    doubtful: dict[str, list[Reseal]] = field(default_factory=dict)
    """Values that do not open under a key that has opened nothing yet."""

    async def once(self) -> None:
        seen, self.resealed, self.lost, self.unreadable = 0, 0, 0, 0
        self.doubtful.clear()
        async for values in _batches(self.core):
            changes = [change for value in values for change in self._changes(value)]
            await self._write(changes)
            seen += sum(len(value.ciphertexts) for value in values)
            if self.progress is not None:
                self.progress(seen, max(self.total, seen))
        await self._write([
            change
            for name, changes in self.doubtful.items()
            for change in changes
            if name in self.proven or len(changes) < _DOUBT
        ])  # fmt: skip

    async def _write(self, changes: list[Reseal]) -> None:
        if changes:
            lost = await self.core.store.reseal(changes, self.core.now())
            self.lost += len(lost)
            self.resealed -= sum(_values_in(change) for change in lost)

    def _changes(self, value: _Value) -> list[Reseal]:
        """The swap of one column, or the row set aside."""
        keys, fresh, changes = self.core.keys, list[bytes](), list[Reseal]()
        resealed = 0
        for sealed in value.ciphertexts:
            name = KeyRing.key_id(sealed)
            fresh.append(sealed)
            if name == keys.ids[0]:
                continue
            try:
                fresh[-1] = keys.seal(keys.open(sealed, value.place), value.place)
            except KeysMissing:
                self.unreadable += 1  # the value may be in perfect order: nothing is set aside
            except Quarantined:
                self.unreadable += 1
                changes += self._damaged(value, name)
            else:
                resealed += 1
                self.proven.add(name or "")
        self.resealed += resealed
        return [*changes, value.replaced(fresh)] if resealed else changes

    def _damaged(self, value: _Value, name: str | None) -> list[Reseal]:
        """Set an installation aside whose token does not open; other values are only counted."""
        if value.table is not SealedIn.TOKENS:
            return []
        reason = f"the sealed value in {value.column} does not open"
        change = Reseal(value.table, value.column, value.pk, value.stored, None, reason)
        if name is None or name in self.proven:
            return [change]
        waiting = self.doubtful.setdefault(name, [])
        if len(waiting) < _DOUBT:
            waiting.append(change)
        return []


async def verify(core: Core) -> KeyCheck:
    """Open every value. See Ops.verify_keys."""
    core.keys.reload()
    opened, bad, places = 0, 0, list[Unreadable]()
    async for values in _batches(core):
        for value in values:
            for sealed in value.ciphertexts:
                try:
                    core.keys.open(sealed, value.place)
                except (KeysMissing, Quarantined) as error:
                    bad += 1
                    why = "its key is not here" if isinstance(error, KeysMissing) else "it does not open"
                    if len(places) < _SHOWN:
                        places.append(Unreadable(value.place, KeyRing.key_id(sealed), why))
                else:
                    opened += 1
    return KeyCheck(opened, bad, tuple(places))
