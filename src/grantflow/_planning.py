"""A verb on many rows, looked at before anybody does it: `carry_out` on snapshots; nothing is locked or written."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from grantflow._bulk_model import BulkPlan, BulkRefusal, BulkRow
from grantflow._core import Core
from grantflow._filter import Query
from grantflow._ids import new_id
from grantflow._model import PlannedMove
from grantflow._rows import InstallationRow, Load, Snapshot, TransitionRow
from grantflow._verbs import REPAIR, Order, carry_out
from grantflow.errors import BadInput, DatabaseError, GrantflowError

_PAGE = 200
_SAMPLE = 20
_REASONS = 20
"""Different reasons of refusal that are told apart."""
UNREADABLE = "the row cannot be read"


@dataclass(frozen=True, slots=True)
class Brakes:
    """When a job stops by itself."""

    canary: int
    stop_after: int
    stop_share: float

    def __post_init__(self) -> None:
        """Raise BadInput for what makes no sense."""
        whole = all(type(number) is int for number in (self.canary, self.stop_after))
        whole = whole and type(self.stop_share) in {int, float}
        if not whole or not 0 <= self.canary <= 1_000 or self.stop_after < 1 or not 0 <= self.stop_share <= 1:
            msg = "canary lies between 0 and 1,000, stop_after is at least 1, stop_share lies between 0 and 1"
            raise BadInput(msg)


@dataclass(slots=True)
class _Made:
    """A plan in the making."""

    rows: list[BulkRow] = field(default_factory=list)
    refusals: list[BulkRefusal] = field(default_factory=list)
    sample: list[PlannedMove] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    targets: Counter[str] = field(default_factory=Counter)
    irreversible: int = 0
    fingerprints: set[str] = field(default_factory=set)


def version_of(row: InstallationRow) -> int:
    """The version that is compared later; a damaged one is no number, and then only `repair` goes on."""
    return row.version if type(row.version) is int else -1


async def trail_for(core: Core, order: Order, found: Snapshot) -> list[TransitionRow]:
    """The newest transition of a row, where the verb looks at it."""
    if order.verb != REPAIR or found.installation is None:
        return []
    return await core.store.history(found.installation.pk, 1, None)


async def matching(core: Core, query: Query, limit: int) -> AsyncIterator[tuple[str, Snapshot | None]]:
    """Every match once, in the query's order, page by page; raises BadInput when there are more than `limit`."""
    now, after, seen = core.now(), None, set[str]()
    while True:
        page = await core.store.find(query, now, after=after, limit=_PAGE, back=False)
        if not page:
            return
        after = query.cursor(page[-1].installation)
        rows = [found.installation for found in page if found.installation.public_id not in seen]
        seen.update(row.public_id for row in rows)
        if len(seen) > limit:
            raise too_many(limit)
        for row, found in zip(rows, await core.store.snapshots([row.pk for row in rows]), strict=True):
            yield row.public_id, found


def too_many(limit: int) -> BadInput:
    """More match than the operator allowed.

    >>> str(too_many(10_000))
    'more than 10,000 installations match'
    """
    msg = f"more than {limit:,} installations match"
    return BadInput(msg, hint="narrow the filter, or raise the limit")


async def named(core: Core, names: Sequence[str]) -> AsyncIterator[tuple[str, Snapshot | None]]:
    """Rows by their ids."""
    for name in names:
        try:
            yield name, await core.store.load(Load(installation=name))
        except (GrantflowError, ValueError, TypeError, LookupError) as error:
            if isinstance(error, DatabaseError) and type(error) is not DatabaseError:
                raise  # busy: nothing is wrong with this row
            yield name, None


async def planned(
    core: Core,
    order: Order,
    matches: AsyncIterator[tuple[str, Snapshot | None]],
    brakes: Brakes,
    *,
    text: str,
    retries: str | None = None,
) -> BulkPlan:
    """The frozen plan of a verb on these rows."""
    made = _Made()
    async for name, found in matches:
        try:
            _look(core, made, name, found, order, [] if found is None else await trail_for(core, order, found))
        except DatabaseError:
            raise
        except GrantflowError as error:
            made.refusals.append(BulkRefusal(name, str(error)[:300]))
        except (ValueError, TypeError, LookupError, OverflowError):
            made.refusals.append(BulkRefusal(name, UNREADABLE))
    return BulkPlan(
        id=new_id(core.now()),
        verb=order.verb,
        to=order.to,
        filter=text,
        actor=order.actor,
        reason=order.reason,
        count=len(made.rows),
        states=dict(made.states.most_common()),
        targets=dict(made.targets.most_common()),
        irreversible=made.irreversible,
        refused=_by_reason(made.refusals),
        sample=tuple(made.sample),
        canary=brakes.canary,
        stop_after=brakes.stop_after,
        stop_share=brakes.stop_share,
        fingerprints=tuple(sorted(made.fingerprints)),
        without_side_effects=order.quiet,
        retries=retries,
        rows=tuple(made.rows),
        refusals=tuple(made.refusals),
    )


def _look(
    core: Core, made: _Made, name: str, found: Snapshot | None, order: Order, trail: list[TransitionRow]
) -> None:
    if found is None or found.installation is None or found.app is None:
        made.refusals.append(BulkRefusal(name, UNREADABLE))
        return
    version, fingerprint = version_of(found.installation), core.definition(found.app.kind).fingerprint
    done = carry_out(core, found, order, trail)
    made.rows.append(BulkRow(name, version))
    made.fingerprints.add(fingerprint)
    made.states[done.source] += 1
    made.targets[done.target] += 1
    made.irreversible += done.irreversible
    if len(made.sample) < _SAMPLE:
        made.sample.append(PlannedMove(name, version, done.source, done.target, done.effects, done.irreversible))


def _by_reason(refusals: Sequence[BulkRefusal]) -> dict[str, int]:
    counted = Counter(one.why for one in refusals)
    told = dict(counted.most_common(_REASONS))
    rest = counted.total() - sum(told.values())
    return {**told, "for other reasons": rest} if rest else told
