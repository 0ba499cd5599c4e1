"""What is wrong, and the command that mends it: for the command line, the console and a host's health page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from grantflow._clock import span, to_datetime
from grantflow._core import Core
from grantflow._filter import parse
from grantflow._sweep import Brake, held_apps
from grantflow_machines import Instant

_BOUND = 10_001
_LATE = timedelta(minutes=5)
_AHEAD = timedelta(minutes=1)


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
        _database, _clock, _keys, _quarantine, _incidents, _outbox,
    ]  # fmt: skip
    found = [finding for check in checks for finding in await check(core)]
    found += await _due(core, brake)
    if thorough:
        damage = await core.store.check()
        says = "; ".join(damage)[:500] or "no damage found"
        mend = "restore a copy of the file" if damage else None
        found.append(Finding("integrity", Health.WRONG if damage else Health.OK, says, mend))
    return tuple(found)


async def _database(core: Core) -> list[Finding]:
    pragmas = core.store.pragmas()
    says = ", ".join(f"{name} {value}" for name, value in sorted(pragmas.items()))
    cheap = pragmas.get("synchronous") == "1"
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
    notice, notices, revocation, revocations = await core.store.outbox()
    mend = {
        "notices": "run a host that subscribes: engine.subscribe(...)",
        "revocations": "run a host or grantflow scheduler run; each is tried for most of a day",
    }
    lost = await core.store.lost_revocations()
    given_up = [
        Finding("revocations", Health.NOTE, f"{lost:,} tokens could not be given back", "revoke them at their server")
    ]
    shared = await core.store.shared_revocations()
    kept = Finding("revocations", Health.OK, f"{shared:,} wait while another installation may hold the same grant")
    return [
        *(given_up if lost else []),
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
        Finding("sweep", Health.WRONG, f"{held.app}: {held.due:,} held: {held.why}", "grantflow sweep --dry-run")
        for held in await held_apps(core, brake, now)
    ]
    return found
