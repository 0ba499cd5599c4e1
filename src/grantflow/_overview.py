"""What an operator looks at first: what changed lately, and how the apps stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from grantflow._app import App
from grantflow._clock import span, to_datetime
from grantflow._core import Core
from grantflow._filter import quoted
from grantflow._ports import Moved
from grantflow._rows import AppRow
from grantflow.errors import ConfigurationError

SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class RecentChange:
    """Installations of one app that came into the state they are in, lately."""

    app: str
    state: str
    reason: str | None
    """Why the grant is dead."""
    run: str | None
    """The sweep that did all of it."""
    count: int
    since: datetime
    until: datetime
    filter: str
    """Shows those installations."""


@dataclass(frozen=True, slots=True)
class RecentRun:
    """What one sweep wrote, lately."""

    run: str
    written: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Recent:
    """What the last transitions led to, the largest groups first, and the latest sweeps that wrote something."""

    changes: tuple[RecentChange, ...]
    runs: tuple[RecentRun, ...]


@dataclass(frozen=True, slots=True)
class AppOverview:
    """How one app stands."""

    app: str
    kind: str
    mode: str
    """`host` or `client`; empty where the app cannot be read."""
    installed: int
    """Installations, tombstones left out."""
    working: int
    """Those in a state in which the app works."""
    expiring: int
    """Live grants that end within 30 days."""
    latest: str
    """The newest version."""
    held: str | None
    """Why an operator stopped it."""
    incident: str | None
    """The cause of its open incident."""


async def recent(core: Core, look_back: int, limit: int, within: timedelta) -> Recent:
    """See Ops.recent_changes."""
    moved, ran = await core.store.recent(look_back, limit, core.now() - span(within))
    changes = tuple(
        RecentChange(
            one.app,
            one.target,
            one.reason,
            one.run,
            one.count,
            to_datetime(one.first),
            to_datetime(one.last),
            _filter(one),
        )
        for one in moved
    )
    return Recent(changes, tuple(RecentRun(r.run, r.count, to_datetime(r.first), to_datetime(r.last)) for r in ran))


def _filter(one: Moved) -> str:
    terms = [f"state={quoted(one.target)}", f"app={quoted(one.app)}"]
    if one.reason is not None:
        terms.append(f"reason={quoted(one.reason)}")
    if one.run is not None:
        terms.append(f"run={quoted(one.run)}")
    else:
        since = to_datetime(one.first).isoformat().replace("+00:00", "Z")
        terms.append(f"entered:>={since}")
    return " ".join(terms)


async def apps(core: Core) -> tuple[AppOverview, ...]:
    """See Ops.app_overview."""
    counts: dict[str, dict[str, int]] = {}
    for key, state, count in await core.store.counts():
        counts.setdefault(key, {})[state] = count
    expiring = {key: count for _, key, count in await core.store.due_by_app(core.now() + span(SOON))}
    incidents = {key: row.cause for key, row in await core.store.incidents(1_000, closed=False)}
    return tuple(
        _app(core, row, counts.get(row.key, {}), expiring.get(row.key, 0), incidents.get(row.key))
        for row in await core.store.apps()
    )


def _app(core: Core, row: AppRow, counts: Mapping[str, int], expiring: int, incident: str | None) -> AppOverview:
    states = core.definition(row.kind).states if row.kind in core.charts else {}
    known = {name: count for name, count in counts.items() if name not in states or not states[name].final}
    working = sum(count for name, count in known.items() if name in states and states[name].functional)
    try:
        app = App.from_document(row.document)
        mode, latest = app.mode, app.latest.name
    except ConfigurationError:
        mode = latest = ""
    return AppOverview(
        str(row.key),
        str(row.kind),
        mode,
        sum(known.values()),
        working,
        expiring,
        latest,
        None if row.held_by is None else row.held_reason or "",
        incident,
    )
