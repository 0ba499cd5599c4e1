"""Due work in fair chunks, behind a brake. It has no clock and no rules of its own: every row goes through the
write path, so a sweep, a reader and a preview give the same verdict. Source: S-29 … S-31.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from grantflow._clock import maybe_datetime, span
from grantflow._controls import BRAKE, apps_in
from grantflow._controls import held as held_control
from grantflow._controls import released as released_control
from grantflow._core import Core
from grantflow._ids import new_id
from grantflow._model import Held, SweepReport
from grantflow._rows import Change, ControlRow, Load, Snapshot
from grantflow._transition import SUPERSEDED
from grantflow.errors import TransitionRefused
from grantflow_machines import Instant, TimerKind

_READ = 1_000_000
"""Keys that are read at once, eight bytes each; the more, the fewer pages are written twice."""
_CHUNK = 2_000


@dataclass(slots=True)
class Brake:
    """What the last sweep believed, so that the next one notices a step of the clock or a flood."""

    last_wall: Instant | None = None
    last_monotonic: float = 0.0
    stepped: bool = False
    forecast: Counter[int] | None = None
    """Deadlines known to fall before `forecast_until`, per app; None before the first sweep."""
    forecast_until: Instant = 0

    def look(self, core: Core, now: Instant) -> None:
        """Compare wall and monotonic time since the last sweep."""
        monotonic = core.clock.monotonic()
        if self.last_wall is not None:
            ahead = (now - self.last_wall) - int((monotonic - self.last_monotonic) * 1_000_000)
            if ahead > span(core.settings.brake_step):
                self.stepped = True
        self.last_wall, self.last_monotonic = now, monotonic

    def committed(self, change: Change) -> None:
        """After-commit hook: a deadline that this process wrote is no surprise."""
        row = change.installation
        if self.forecast is None or row is None or row.deadline_at is None or change.tokens is None:
            return
        if row.deadline_at <= self.forecast_until:
            self.forecast[row.app_pk] += 1


Progress = Callable[[int, int], None]


async def held_apps(core: Core, brake: Brake, now: Instant) -> tuple[Held, ...]:
    """Apps whose expiries must wait for an operator: too many at once, against what was to be expected.

    What one process holds, all of them hold, also after a restart, while the flood lasts and nobody releases it.
    """
    due = [entry for entry in await core.store.due_by_app(now) if entry[2] > core.settings.brake_count]
    if not due:  # as nearly always; an expiry on time waits for nothing else
        return ()
    controls = await core.store.controls()
    released, known = apps_in(controls, "released"), apps_in(controls, "held")
    active = _live(core, await core.store.counts(), {row.key: row.kind for row in await core.store.apps()})
    found = []
    for pk, key, count in due:
        if key in released:
            continue
        beyond = count - (brake.forecast[pk] if brake.forecast is not None else 0)
        rows = active.get(key, 0)
        flood = _flood(core, beyond, rows)
        if key in known and _flood(core, count, rows):
            found.append(Held(key, count, rows, known[key].reason))
        elif flood and brake.stepped:
            found.append(Held(key, count, rows, "the clock stepped forward and many grants would expire at once"))
        elif flood and brake.forecast is not None and now <= brake.forecast_until:
            found.append(Held(key, count, rows, "more grants would expire at once than the forecast said"))
    return tuple(found)


def _flood(core: Core, count: int, active: int) -> bool:
    return count > core.settings.brake_count and count > core.settings.brake_share * max(active, 1)


def _live(core: Core, counts: list[tuple[str, str, int]], kinds: dict[str, str]) -> dict[str, int]:
    active: Counter[str] = Counter()
    for key, state, count in counts:
        kind = kinds.get(key)
        if kind not in core.charts:  # the app's own row is damaged: the brake of the others goes on
            continue
        info = core.definition(kind).states.get(state)
        if info is not None and info.functional:
            active[key] += count
    return active


async def _remember(core: Core, held: tuple[Held, ...], now: Instant) -> None:
    """Write down what is held now, for every process."""
    known = apps_in(await core.store.controls(), "held")
    new = [ControlRow(held_control(one.app), now, BRAKE, one.why) for one in held if one.app not in known]
    if new:
        await core.transact(Load(), lambda _: Change(set_controls=new))


async def _let_go(core: Core, held: tuple[Held, ...], now: Instant) -> None:
    """Forget holds that are over, and releases whose rows are through."""
    controls = await core.store.controls()
    known, released = apps_in(controls, "held"), apps_in(controls, "released")
    mine, meanwhile = {one.app for one in held}, core.now()
    gone = [app for app, row in known.items() if app not in mine and not now < row.at <= meanwhile]
    over = [held_control(app) for app in gone]  # but for what another process has begun to hold since we looked
    if released:
        still = {key for _, key, count in await core.store.due_by_app(now) if count}
        over += [released_control(app) for app in released if app not in still]
    if over:
        await core.transact(Load(), lambda _: Change(drop_controls=over))


async def sweep(
    core: Core,
    brake: Brake,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> SweepReport:
    """Bring every timer that is due, at most `limit` rows. See Engine.sweep."""
    core.believe_clock()
    now, started = core.now(), core.clock.monotonic()
    brake.look(core, now)
    run_id = new_id(now)
    asked = _READ if limit is None else min(_READ, limit)
    first = await core.store.due(now, asked)
    few = len(first) < asked and len(first) <= core.settings.brake_count  # as nearly always: no app can have too many
    held = () if few else await held_apps(core, brake, now)
    waiting: set[int] = set()
    if held:
        await _remember(core, held, now)
        aside = {name: pk for pk, name, _ in await core.store.due_by_app(now)}
        waiting = {aside[entry.app] for entry in held if entry.app in aside}
    total = _Total()
    due = None if held else first
    left = limit
    stopped = stop if stop is not None else _never
    while (left is None or left > 0) and not stopped():
        if due is None:
            due = await core.store.due(now, asked, waiting)
        pks = [pk for pk in due if pk not in total.stuck] if total.stuck else due
        if not pks:
            break
        skipped = total.skipped
        for start in range(0, len(pks), _CHUNK):
            await _chunk(core, list(pks[start : start + _CHUNK]), now, run_id, total, stopped)
            if progress is not None:
                progress(total.seen, len(pks))
        if left is not None:
            left -= len(pks) - (total.skipped - skipped)
        if len(due) < asked:
            break
        due, asked = None, (_READ if left is None else min(_READ, left)) + len(total.stuck)
    total.attempts += await core.store.close_lapsed_attempts(now, _lapsed_outcome(core))
    await _let_go(core, held, now)
    if not held:
        brake.stepped = False
        brake.forecast_until = now + 2 * span(core.settings.brake_step)
        expected = await core.store.due_by_app(brake.forecast_until)
        brake.forecast = Counter({pk: count for pk, _, count in expected})
    upcoming = await core.store.next_due(now if held or total.stuck else None)
    seconds = core.clock.monotonic() - started
    return SweepReport(
        run_id=run_id,
        seen=total.seen,
        moved=total.moved,
        attempts_closed=total.attempts,
        skipped=total.skipped,
        quarantined=total.quarantined,
        held=held,
        seconds=seconds,
        next_due_at=maybe_datetime(upcoming),
    )


def _never() -> bool:
    return False


def _lapsed_outcome(core: Core) -> str:
    """What the charts call an attempt whose time ran out; one that has no row yet is closed by the same word."""
    for kind in core.charts:
        definition = core.definition(kind)
        event = definition.timer(TimerKind.ATTEMPT)
        if event is not None and (outcome := definition.events[event].outcome) is not None:
            return outcome
    return SUPERSEDED


@dataclass(slots=True)
class _Total:
    seen: int = 0
    moved: int = 0
    attempts: int = 0
    skipped: int = 0
    quarantined: int = 0
    stuck: set[int] = field(default_factory=set)


async def _chunk(
    core: Core, pks: list[int], now: Instant, run_id: str, total: _Total, stopped: Callable[[], bool]
) -> None:
    def work(snapshot: Snapshot) -> Change:
        draft = core.draft(snapshot, run_id=run_id, settle=False)
        if not draft.settle():
            msg = "nothing is due"
            raise TransitionRefused(msg)
        return draft.change

    budget = core.settings.chunk_budget.total_seconds()
    waiting: list[int] = list(pks)
    while waiting and not stopped():
        done = await core.store.sweep_chunk(waiting, now, work, budget)
        taken = len(waiting) - len(done.left)
        total.seen += taken
        total.moved += sum(
            change.before != change.installation.state for change in done.changes if change.installation
        )
        total.attempts += sum(len(change.changed_attempts) for change in done.changes)
        total.skipped += done.skipped
        total.quarantined += done.quarantined
        if done.skipped:
            total.stuck.update(waiting[:taken])
        for change in done.changes:
            for hook in core.after_commit:
                hook(change)
        waiting = list(done.left)
