"""What the engine asks of the world: a store, a clock, a carrier. Adapters promise what the docstrings say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from grantflow._clock import FollowedClock
from grantflow._controls import Leader
from grantflow._filter import Query
from grantflow._job_rows import JobItemRow, JobRow
from grantflow._rows import (
    ActionRow,
    AppRow,
    AttemptRow,
    BeatRow,
    Change,
    ControlRow,
    IncidentRow,
    InstallationRow,
    Load,
    OutboxRow,
    ParentRow,
    RevocationRow,
    Snapshot,
    TransitionRow,
)
from grantflow_machines import Instant

Work = Callable[[Snapshot], Change]


class Clock(Protocol):
    """Time, injected everywhere."""

    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never step back."""
        ...


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request to a foreign authorization server; secrets travel in `headers` and `body` alone."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What came back; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


Carrier = Callable[[HttpRequest], Awaitable[HttpResponse]]
"""Sends one request, follows no redirect, and gives up after the engine's HTTP timeout.

Raises NotSent when the connection was never made, so that the request may be sent again, and NoAnswer when it went
out and nothing usable came back. Anything else it raises is taken for NoAnswer.
"""


@dataclass(slots=True)
class Listed:
    """One row of a list with what its view needs."""

    installation: InstallationRow
    app: AppRow
    parent: ParentRow | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Moved:
    """Installations of one app that came into the state they are in, lately."""

    app: str
    target: str
    reason: str | None
    run: str | None
    """The sweep that did all of it."""
    count: int
    first: Instant
    last: Instant


@dataclass(frozen=True, slots=True)
class Ran:
    """What one sweep wrote, lately."""

    run: str
    count: int
    first: Instant
    last: Instant


@dataclass(slots=True)
class ChunkDone:
    """What one chunk of a sweep did, row by row."""

    changes: list[Change]
    skipped: int
    """Rows that were no longer due or that another writer had moved."""
    quarantined: int
    left: Sequence[int]
    """Rows the time budget left for the next chunk."""


@dataclass(frozen=True, slots=True)
class Pending:
    """One notice of the outbox with what its subscribers are told of it."""

    pk: int
    installation: str
    """Its id, or an empty text."""
    app: str
    row: OutboxRow


@dataclass(frozen=True, slots=True)
class Retention:
    """What may go: everything that ended before these instants."""

    tokens: Instant
    delivered: Instant
    attempts: Instant
    beats: Instant


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What one round of retention took away."""

    tokens: int = 0
    """Dead grants whose sealed tokens are gone."""
    notices: int = 0
    revocations: int = 0
    attempts: int = 0
    beats: int = 0
    """Processes that were killed and said nothing for a day."""

    def __add__(self, other: Forgotten) -> Forgotten:
        return Forgotten(*(mine + more for mine, more in zip(astuple(self), astuple(other), strict=True)))

    def __bool__(self) -> bool:
        return any(astuple(self))


@dataclass(frozen=True, slots=True)
class Rules:
    """What the invariants need to know of the charts."""

    known: frozenset[str]
    live: frozenset[str]
    dead: frozenset[str]
    without_grant: frozenset[str]
    waits_for_attempt: frozenset[str]
    """States that end when their attempts do."""


@dataclass(frozen=True, slots=True)
class End:
    """When one live grant ends; None for never."""

    pk: int
    app_pk: int
    at: Instant | None


class SealedIn(StrEnum):
    """Tables that hold ciphertext."""

    APPS = "app"
    ATTEMPTS = "attempt"
    TOKENS = "token_set"
    REVOCATIONS = "revocation"


SEALED_FIELDS = {
    SealedIn.APPS: ("secrets",),
    SealedIn.ATTEMPTS: ("app_state", "sealed"),
    SealedIn.TOKENS: ("access_sealed", "refresh_sealed"),
    SealedIn.REVOCATIONS: ("sealed",),
}


@dataclass(frozen=True, slots=True)
class SealedRow:
    """One row that holds ciphertext."""

    pk: int
    name: str
    """What its places are made of: public id of app, attempt or installation; of a revocation the place itself."""
    values: tuple[object, ...] = field(repr=False)
    """In the order of SEALED_FIELDS; None where there is nothing."""


@dataclass(frozen=True, slots=True)
class Reseal:
    """One sealed value to replace, if it still is what it was."""

    table: SealedIn
    column: str
    pk: int
    old: object = field(repr=False)
    new: object = field(repr=False, default=None)
    """None: the value does not open, and its installation is set aside for `reason`."""
    reason: str = ""


class Store(Protocol):
    """The one place rows live in.

    Every write is one transaction: a `work` function receives what `Load` names, read inside the transaction, and
    returns a Change that is written whole or not at all. `work` is pure and may be run again after a lost race.
    What `work` raises is raised to the caller, and nothing is written.
    """

    async def transact(self, load: Load, work: Work) -> Change:
        """Read, decide, write and commit.

        Returns the change as written: `pk` fields of new rows are filled in. Raises Conflict when the swap
        fails (adapters with several writers run `work` again first), Quarantined for a row that cannot be understood,
        DatabaseError and its leaves for the database.
        """
        ...

    async def sweep_chunk(self, pks: Sequence[int], now: Instant, work: Work, budget: float) -> ChunkDone:
        """Run `work` over rows still due at `now`, in order; others wait for about `budget` seconds at the most.

        It may be one commit or several; a row is in one. While nobody else waits the chunk may go on.

        A row that cannot be understood is quarantined and the others go on; a row whose `work` raises is skipped.
        """
        ...

    async def close_lapsed_attempts(self, now: Instant, outcome: str) -> int:
        """Close open attempts that belong to no installation and whose time is over; returns how many."""
        ...

    async def quarantine(self, pk: int, reason: str, now: Instant) -> None:
        """Set a row aside with a reason; its original text is kept."""
        ...

    async def reseal(self, changes: Sequence[Reseal], now: Instant) -> list[Reseal]:
        """Replace sealed values in one transaction, each compared with its old bytes and swapped.

        Returns those of the changes that found another value, written by somebody else; it is left alone.
        """
        ...

    async def settle_notices(
        self, delivered: Sequence[int], failed: Sequence[tuple[int, int, Instant | None]], now: Instant
    ) -> None:
        """Mark notices as delivered; `failed` names (key, tries, when to try again; None: never)."""
        ...

    async def revive_notices(self) -> int:
        """Dead letters wait to be delivered again; returns how many."""
        ...

    async def beat(self, row: BeatRow, lead: int = 0) -> bool:
        """A process says that it is at work; the row of the same process is replaced.

        With `lead` it asks to lead for so many microseconds of the database's clock: True where nobody else does,
        or where one database has one machine, so that nobody needs to.
        """
        ...

    async def stop_beating(self, process: str) -> None:
        """A process leaves; its row goes, and the lead where it had it."""
        ...

    async def leader(self) -> Leader | None:
        """Who leads at this moment, by the database's clock."""
        ...

    async def forget(self, before: Retention, limit: int) -> Forgotten:
        """Delete and wipe what is older than was asked to keep, at most `limit` rows of each kind."""
        ...

    async def correct_counts(self) -> int:
        """Recount, and correct the counters that are wrong, each once however many do it at a time; how many."""
        ...

    async def load(self, load: Load) -> Snapshot:
        """The same reading as in `transact`, outside a transaction."""
        ...

    async def parents(self, app_pk: int, accounts: Sequence[str]) -> dict[str, ParentRow]:
        """Parents of one app on the named accounts."""
        ...

    async def apps(self) -> list[AppRow]:
        """All apps, by key."""
        ...

    async def find(self, query: Query, now: Instant, *, after: str | None, limit: int, back: bool) -> list[Listed]:
        """Rows that match, in the query's order, at most `limit`, strictly after (or before) a cursor."""
        ...

    async def count(self, query: Query, now: Instant, bound: int) -> int:
        """How many rows match, counted no further than `bound`."""
        ...

    async def first_key(self, start: str) -> int | None:
        """The key of the first row whose id is `start` or comes after it."""
        ...

    async def history(self, pk: int, limit: int, before: int | None) -> list[TransitionRow]:
        """Transitions of one row, newest first, below a version."""
        ...

    async def counts(self) -> list[tuple[str, str, int]]:
        """(app key, stored state, rows) from maintained counters; never reads installation rows."""
        ...

    async def overdue(self, now: Instant, bound: int) -> int:
        """Rows whose due time has passed, from the due index alone, counted no further than `bound`."""
        ...

    async def due(self, now: Instant, limit: int, without: Collection[int] = ()) -> Sequence[int]:
        """Keys of the `limit` rows that have been due longest at `now`, but for those of some apps; ascending."""
        ...

    async def due_by_app(self, now: Instant) -> list[tuple[int, str, int]]:
        """(app pk, app key, rows whose grant deadline has passed) for every app that has any."""
        ...

    async def next_due(self, after: Instant | None) -> Instant | None:
        """The earliest due instant, with `after` the earliest one beyond it."""
        ...

    async def horizon(self, edges: Sequence[Instant], live: Collection[str]) -> list[int]:
        """Rows whose deadline lies in each span between two neighbouring edges; the last edge is excluded."""
        ...

    async def pending_notices(self, now: Instant, limit: int) -> list[Pending]:
        """Notices to deliver now, oldest first; those of an installation in their order."""
        ...

    async def waiting_notices(self, limit: int) -> list[Pending]:
        """Notices that nobody took yet, oldest first, those that wait for another try among them."""
        ...

    async def dead_notices(self, limit: int) -> list[Pending]:
        """Notices that were given up, newest first."""
        ...

    async def next_notice(self) -> Instant | None:
        """The earliest instant a failed delivery waits for."""
        ...

    async def warnings_due(self, now: Instant, limit: int, without: Collection[int] = ()) -> list[tuple[str, int]]:
        """(id, app pk) of installations whose people are to be told something now, earliest first.

        Not those that are due themselves, held by the brake, or of the apps to leave out.
        """
        ...

    async def next_warning(self, after: Instant) -> Instant | None:
        """The earliest later instant at which somebody is to be warned or reminded."""
        ...

    async def controls(self) -> list[ControlRow]:
        """Every switch of the operation."""
        ...

    async def beats(self) -> list[BeatRow]:
        """Processes that said they are at work, the latest word first."""
        ...

    async def broken_promises(self, rules: Rules, limit: int) -> list[str]:
        """What contradicts the invariants, in words; reads everything."""
        ...

    async def ends(self, after: int, limit: int, live: Sequence[str], lifetime: int | None) -> list[End]:
        """Ends of live grants, by key, strictly after a key; with `lifetime` counted anew from the issue."""
        ...

    async def latest(self) -> Instant | None:
        """When the last transition was recorded."""
        ...

    async def outbox(self) -> tuple[Instant | None, int, Instant | None, int, int]:
        """(oldest undelivered notice, how many; oldest open revocation, how many but those of shared grants; dead
        letters).
        """
        ...

    async def lost_revocations(self) -> int:
        """Tokens that no server took back in the end."""
        ...

    async def shared_revocations(self) -> int:
        """Tokens that wait to be given back until no live installation may hold the same grant."""
        ...

    async def due_revocations(self, now: Instant, limit: int) -> list[RevocationRow]:
        """Tokens to give back whose time has come, earliest first."""
        ...

    async def shared(self, row: RevocationRow) -> bool:
        """Whether a live installation may hold the same grant upstream: one of the same app and identity, or, where
        identities are unknown, of the same subject.
        """
        ...

    async def refresh_due(self, now: Instant, limit: int) -> list[tuple[str, int]]:
        """(installation id, app pk) of token sets to be renewed at `now`, earliest first; from an index."""
        ...

    async def next_refresh(self, after: Instant) -> Instant | None:
        """The earliest later instant that a token set or an open incident's probe waits for."""
        ...

    async def incidents(self, limit: int, *, closed: bool) -> list[tuple[str, IncidentRow]]:
        """(app key, incident), newest first; open ones alone unless `closed`."""
        ...

    async def actions(
        self, limit: int, before: int | None, query: Query | None = None
    ) -> list[tuple[int, ActionRow]]:
        """Operator actions that match, newest first, below a key."""
        ...

    async def recent(self, look_back: int, limit: int, since: Instant) -> tuple[list[Moved], list[Ran]]:
        """What the last `look_back` transitions led to since then, the largest groups first; the latest sweeps."""
        ...

    async def values(self, field: str, prefix: str, limit: int) -> list[str]:
        """Values of a field of the filter that begin with a prefix, in order; from an index, no row is counted."""
        ...

    async def attempts(self, pk: int, limit: int) -> list[AttemptRow]:
        """Attempts of one installation, newest first."""
        ...

    async def snapshots(self, pks: Sequence[int]) -> list[Snapshot | None]:
        """What is stored of many rows, in their order; None for one that is gone or cannot be put together."""
        ...

    async def jobs(self, limit: int, before: str | None) -> list[JobRow]:
        """Bulk jobs, newest first, made before the one with this public id."""
        ...

    async def jobs_to_take(self, now: Instant) -> list[str]:
        """Public ids of jobs that nobody is at, oldest first: runnable ones, and ones never written to their end."""
        ...

    async def job_items(self, job_pk: int, outcome: str | None, after: int, limit: int) -> list[JobItemRow]:
        """Rows of a job, by ordinal, strictly after one; with one outcome alone, or all."""
        ...

    async def sealed_batch(self, table: SealedIn, after: int, limit: int) -> list[SealedRow]:
        """Rows of one table that hold ciphertext, by key, strictly after a key."""
        ...

    async def sealed_by_key(self) -> dict[str, int]:
        """How many values each key id has sealed, an empty id for what is no sealed value; reads everything."""
        ...

    @property
    def clock(self) -> FollowedClock | None:
        """The database server's clock; None where the database has none, and this machine's is the measure."""
        ...

    def hint(self, due: Instant) -> None:
        """Tell other processes soon that something is due earlier; it may get lost, and costs no transaction."""
        ...

    def on_hint(self, callback: Callable[[Instant], None]) -> None:
        """Call back with what other processes hint; with 0 when hints may have been missed."""
        ...

    def pragmas(self) -> dict[str, str]:
        """What the writing connection is set to, for tests and reports."""
        ...

    async def check(self) -> list[str]:
        """Every damage the database finds in itself, in its own words; reads everything, so it takes its time."""
        ...

    async def close(self) -> None:
        """Finish what was accepted, then let go of the database; safe to call twice."""
        ...
