"""What is wrong, and the command that mends it: for the command line, the console and a host's health page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from grantflow._app import App
from grantflow._clock import span, to_datetime
from grantflow._controls import PAUSED
from grantflow._core import Core
from grantflow._filter import parse
from grantflow._rows import AppRow, app_damage
from grantflow._sweep import Brake, held_apps
from grantflow._upkeep import broken_promises
from grantflow.errors import ConfigurationError
from grantflow_machines import Instant

_BOUND = 10_001
_LATE = timedelta(minutes=5)
_AHEAD = timedelta(minutes=1)
_SILENT = timedelta(minutes=1)
"""A process at work says so every few seconds."""


class Health(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    health: Health
    says: str
    mend: str | None = None
    """The exact command, or what to do; None where nothing has to be done."""


async def diagnose(core: Core, brake: Brake, *, thorough: bool = False) -> tuple[Finding, ...]:
    """Look at everything that can go wrong quietly; `thorough` reads the whole database for damage."""
    checks: list[Callable[[Core], Awaitable[list[Finding]]]] = [
        _database, _clock, _keys, _apps, _quarantine, _incidents, _outbox, _operation,
    ]  # fmt: skip
    found = [finding for check in checks for finding in await check(core)]
    found += await _due(core, brake)
    if thorough:
        damage = await core.store.check()
        says = "; ".join(damage)[:500] or "no damage found"
        mend = "restore a copy of the file" if damage else None
        found.append(Finding("integrity", Health.WRONG if damage else Health.OK, says, mend))
        found.append(await _invariants(core))
    return tuple(found)


async def _invariants(core: Core) -> Finding:
    broken = await broken_promises(core, 20)
    if not broken:
        return Finding("invariants", Health.OK, "every row keeps those of its chart, every counter is right")
    counted = all(" beside its counter" in one for one in broken)
    mend = "grantflow db recount --reason TEXT" if counted else "grantflow history ID tells what happened to a row"
    return Finding("invariants", Health.WRONG, "; ".join(broken)[:500], mend)


async def _database(core: Core) -> list[Finding]:
    pragmas = core.store.pragmas()
    says = ", ".join(f"{name} {value}" for name, value in sorted(pragmas.items()))
    cheap = pragmas.get("synchronous") == "1" or pragmas.get("synchronous_commit") == "off"
    mend = "open the engine with Settings(synchronous='FULL') where a power loss must lose nothing" if cheap else None
    return [Finding("database", Health.NOTE if cheap else Health.OK, says, mend)]


async def _clock(core: Core) -> list[Finding]:
    latest, now = await core.store.latest(), core.now()
    if latest is not None and latest > now + span(_AHEAD):
        ahead = timedelta(microseconds=latest - now)
        says = f"the database was written {ahead} in the future of this clock"
        return [Finding("clock", Health.WRONG, says, "set this machine's clock; nothing expires early meanwhile")]
    return [Finding("clock", Health.OK, f"{to_datetime(now).isoformat(timespec='seconds')}, behind no written row")]


async def _keys(core: Core) -> list[Finding]:
    used = await core.store.sealed_by_key()
    missing = {name: count for name, count in used.items() if name not in core.keys.ids}
    if missing:
        told = ", ".join(f"{count:,} under {name or 'no key'}" for name, count in sorted(missing.items()))
        says = f"sealed values that this ring does not open: {told}"
        mend = "add the key to GRANTFLOW_KEYS; then grantflow keys verify"
        return [Finding("keys", Health.WRONG if core.keys.ids else Health.NOTE, says, mend)]
    says = ", ".join(f"{count:,} under {name}" for name, count in sorted(used.items())) or "nothing is sealed"
    old = set(used) - set(core.keys.ids[:1])
    advice = "grantflow keys rotate --reason TEXT" if old else None
    return [Finding("keys", Health.NOTE if old else Health.OK, says, advice)]


async def _apps(core: Core) -> list[Finding]:
    rows = await core.store.apps()
    spoiled = [(str(row.key), why) for row in rows if (why := _spoiled(core, row)) is not None]
    if not spoiled:
        return [Finding("apps", Health.OK, f"{len(rows):,} can be read")]
    mend = "restore the row from a copy of the file, or register the app again"
    return [Finding("apps", Health.WRONG, f"{key}: {why}", mend) for key, why in spoiled]


def _spoiled(core: Core, row: AppRow) -> str | None:
    try:
        core.definition(row.kind)
        App.from_document(row.document)
    except ConfigurationError as error:
        return str(error)
    return app_damage(row)


async def _quarantine(core: Core) -> list[Finding]:
    now = core.now()
    aside = await core.store.count(parse("is:quarantined", now), now, _BOUND)
    if not aside:
        return [Finding("quarantine", Health.OK, "no row is set aside")]
    return [Finding("quarantine", Health.WRONG, f"{aside:,} set aside", "grantflow list is:quarantined")]


async def _incidents(core: Core) -> list[Finding]:
    rows = await core.store.incidents(100, closed=False)
    if not rows:
        return [Finding("incidents", Health.OK, "no app has one")]
    return [
        Finding(
            "incidents",
            Health.WRONG,
            f"{app}: {row.cause} since {to_datetime(row.opened_at).isoformat(timespec='seconds')}; {row.detail}; "
            f"probed {row.probes} times",
            f"mend the app at its server, then grantflow apps resume {app} --reason TEXT",
        )
        for app, row in rows
    ]


async def _outbox(core: Core) -> list[Finding]:
    notice, notices, revocation, revocations, dead = await core.store.outbox()
    mend = {
        "notices": "run a host that subscribes: engine.subscribe(...)",
        "revocations": "run a host or grantflow scheduler run; each is tried for most of a day",
    }
    lost = await core.store.lost_revocations()
    given_up = [
        Finding("revocations", Health.NOTE, f"{lost:,} tokens could not be given back", "revoke them at their server")
    ]
    letters = [
        Finding("notices", Health.WRONG, f"{dead:,} notices were given up", "grantflow notices retry --reason TEXT")
    ]
    shared = await core.store.shared_revocations()
    kept = Finding("revocations", Health.OK, f"{shared:,} wait while another installation may hold the same grant")
    return [
        *(given_up if lost else []),
        *(letters if dead else []),
        *([kept] if shared else []),
        _waiting("notices", notice, notices, core.now(), mend["notices"]),
        _waiting("revocations", revocation, revocations, core.now(), mend["revocations"]),
    ]


def _waiting(name: str, oldest: Instant | None, count: int, now: Instant, mend: str) -> Finding:
    if oldest is None:
        return Finding(name, Health.OK, "nothing waits")
    late = now - oldest > span(_LATE)
    says = f"{count:,} wait, the oldest since {to_datetime(oldest).isoformat(timespec='seconds')}"
    return Finding(name, Health.WRONG if late else Health.OK, says, mend if late else None)


async def _operation(core: Core) -> list[Finding]:
    """Who is at work, and what an operator or the brake has stopped."""
    now, found = core.now(), []
    for row in await core.store.controls():
        if row.name == PAUSED:
            says = f"paused by {row.by} since {_to_the_second(row.at)}: {row.reason}"
            found.append(Finding("scheduler", Health.WRONG, says, "grantflow scheduler resume --reason TEXT"))
    beats = await core.store.beats()
    if not beats:
        says = "no process says that it is at work; expiry holds for readers, but nothing is written or renewed"
        return [*found, Finding("scheduler", Health.NOTE, says, "grantflow scheduler run")]
    for beat in beats:
        silent = now - beat.at > span(_SILENT)
        says = f"{beat.kind} on {beat.host}, process {beat.pid}, last heard {_to_the_second(beat.at)}"
        alive = any(now - other.at <= span(_SILENT) for other in beats)
        health = Health.OK if not silent else Health.NOTE if alive else Health.WRONG
        found.append(Finding("scheduler", health, says, "grantflow scheduler run" if silent else None))
    return found


def _to_the_second(instant: Instant) -> str:
    return to_datetime(instant).isoformat(timespec="seconds")


async def _due(core: Core, brake: Brake) -> list[Finding]:
    now = core.now()
    late = await core.store.overdue(now - span(_LATE), _BOUND)
    shown = "10,000+" if late == _BOUND else f"{late:,}"
    found = [
        Finding("overdue", Health.WRONG, f"{shown} rows are due since more than five minutes", "grantflow sweep")
        if late
        else Finding("overdue", Health.OK, "nothing is due since long")
    ]
    found += [
        Finding(
            "sweep",
            Health.WRONG,
            f"{held.app}: {held.due:,} held: {held.why}",
            f"grantflow sweep --dry-run; then grantflow sweep --release {held.app} --reason TEXT",
        )
        for held in await held_apps(core, brake, now)
    ]
    return found
