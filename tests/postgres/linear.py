"""Whether what several processes saw of one row can have happened one after the other, at single moments.

Every step that was taken carries the version it made, so the order of the steps is known; what is left to ask is
whether that order agrees with the clock. A read, and a refusal, must fit between two steps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Op:
    """What one process did to one row, between two moments of a clock that all of them share."""

    process: int
    row: str
    what: str
    """`read` saw a version and its state; `took` made them; `lost` was told that the version it had seen is over."""
    began: float
    ended: float
    version: int
    state: str


def violations(ops: Iterable[Op], first: tuple[int, str]) -> list[str]:
    """What cannot have been so, in words; every row began at version and state `first`."""
    rows: dict[str, list[Op]] = defaultdict(list)
    for op in ops:
        rows[op.row].append(op)
    return [f"{row}: {found}" for row, mine in sorted(rows.items()) for found in _of_row(mine, first)]


def _of_row(ops: Sequence[Op], first: tuple[int, str]) -> Iterator[str]:
    states = {first[0]: first[1]}
    took = sorted((op for op in ops if op.what == "took"), key=lambda op: op.version)
    for op in took:
        if op.version in states:
            yield f"version {op.version} was made twice, by process {op.process} the second time"
        elif op.version - 1 not in states:
            yield f"version {op.version} was made before version {op.version - 1}"
        states[op.version] = op.state
    for op in ops:
        if op.what == "read" and states.get(op.version) != op.state:
            yield f"process {op.process} read {op.state} as version {op.version}, which is {states.get(op.version)}"
    placed = sorted((op for op in ops if op.what != "lost"), key=lambda op: op.ended)
    yield from _against_the_clock(placed)
    yield from _lost_to_nobody([op for op in ops if op.what == "lost"], placed, first[0])


def _against_the_clock(placed: Sequence[Op]) -> Iterator[str]:
    """Nobody sees an older version than somebody who was through before, and a step is newer than that."""
    before, newest = 0, -1
    for op in sorted(placed, key=lambda op: op.began):
        while before < len(placed) and placed[before].ended < op.began:
            newest = max(newest, placed[before].version)
            before += 1
        if op.version < newest or (op.what == "took" and op.version == newest):
            yield f"process {op.process} {op.what} version {op.version} after version {newest} had been seen"


def _lost_to_nobody(lost: Sequence[Op], placed: Sequence[Op], first: int) -> Iterator[str]:
    """Whoever was refused was so because there was a moment at which another version was the one."""
    for op in lost:
        earliest = max((other.version for other in placed if other.ended < op.began), default=first)
        latest = max((other.version for other in placed if other.began < op.ended), default=first)
        if earliest == latest == op.version:
            yield f"process {op.process} lost version {op.version} to nobody"
