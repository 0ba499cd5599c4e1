"""What is wrong, and the command that mends it: for the command line, the console and a host's health page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from grantflow._app import App
from grantflow._clock import WRONG_CLOCK, span, to_datetime
from grantflow._controls import PAUSED
from grantflow._core import Core
from grantflow._filter import parse
from grantflow._rotation import verify
from grantflow._rows import AppRow, BeatRow, app_damage
from grantflow._sweep import Brake, held_apps
from grantflow._upkeep import SILENT_AFTER, broken_promises
from grantflow.errors import ClockSkewed, ConfigurationError
from grantflow_machines import Instant

_BOUND = 10_001
_LATE = timedelta(minutes=5)
_AHEAD = timedelta(minutes=1)
_APART = timedelta(seconds=1)
_NAMED = 5
"""Rows that are named one by one."""
_SYNCHRONOUS = {"0": "OFF", "1": "NORMAL", "2": "FULL", "3": "EXTRA"}


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
        _database, _lock, _clock, _keys, _apps, _quarantine, _incidents, _outbox, _operation,
    ]  # fmt: skip
    found = [finding for check in checks for finding in await check(core)]
    found += await _due(core, brake)
    if thorough:
        damage = await core.store.check()
        says = "; ".join(damage)[:500] or "no damage found"
        mend = "restore a copy of the file" if damage else None
        found.append(Finding("integrity", Health.WRONG if damage else Health.OK, says, mend))
        found += [await _invariants(core), await _sealed(core)]
    return tuple(found)


async def _invariants(core: Core) -> Finding:
    broken = await broken_promises(core, 20)
    if not broken:
        return Finding("invariants", Health.OK, "every row keeps those of its chart, every counter is right")
    counted = all(" beside its counter" in one for one in broken)
    mend = "grantflow db recount --reason TEXT" if counted else "look at each of them: grantflow history ID"
    return Finding("invariants", Health.WRONG, "; ".join(broken)[:500], mend)


async def _sealed(core: Core) -> Finding:
    if not core.keys.ids:
        return Finding("keys", Health.OK, "no key is here: what is sealed was not opened")
    checked = await verify(core)
    if not checked.unreadable:
        return Finding("keys", Health.OK, f"all {checked.opened:,} sealed values open")
    first = checked.places[0]
    says = f"{checked.unreadable:,} sealed values cannot be read, among them {first.place}: {first.why}"
    mend = "see which: grantflow keys verify; then add the key, or let those people authorize again"
    return Finding("keys", Health.WRONG, says, mend)


async def _database(core: Core) -> list[Finding]:
    pragmas = core.store.pragmas()
    if "server_version" in pragmas:
        says = ", ".join(f"{name} {value}" for name, value in pragmas.items())
        return [_lasting(says, cheap=pragmas.get("synchronous_commit") == "off")]
    says = (
        f"SQLite {pragmas.get('sqlite')}, journal mode {pragmas.get('journal_mode', '').upper()}, "
        f"synchronous {_SYNCHRONOUS.get(pragmas.get('synchronous', ''), 'unknown')}, "
        f"foreign keys {'on' if pragmas.get('foreign_keys') == '1' else 'off'}"
    )
    return [_lasting(says, cheap=pragmas.get("synchronous") == "1")]


def _lasting(says: str, *, cheap: bool) -> Finding:
    mend = "open the engine with Settings(synchronous='FULL') where a power loss must lose nothing" if cheap else None
    return Finding("database", Health.NOTE if cheap else Health.OK, says, mend)


async def _lock(core: Core) -> list[Finding]:
    pragmas = core.store.pragmas()
    if "lock_file" not in pragmas:
        return []
    name, local = pragmas["lock_file"], "keep both on a local disk, never on a network file system (NFS, SMB)"
    if name == "not needed":
        says = "not needed: this SQLite guards the file by itself; keep it on a local disk, never on NFS or SMB"
    else:
        says = (
            f"{name}: SQLite {pragmas.get('sqlite')} can damage a file when two processes write to it in the same "
            f"moment, so whoever writes holds this file first; {local}"
        )
    return [Finding("lock file", Health.OK, says)]


async def _clock(core: Core) -> list[Finding]:
    latest, now = await core.store.latest(), core.now()
    if latest is not None and latest > now + span(_AHEAD):
        ahead = timedelta(microseconds=latest - now)
        says = f"the last row was written {ahead} ahead of this machine's clock"
        return [Finding("clock", Health.WRONG, says, "set this machine's clock; nothing expires early meanwhile")]
    return [Finding("clock", Health.OK, f"{_to_the_second(now)}, no row was written later"), *_skew(core)]


def _skew(core: Core) -> list[Finding]:
    skew = core.skew
    if skew is None:
        return []
    says = f"this machine's is {skew.total_seconds():+.3f} s off the database's, which the engine goes by"
    if abs(skew) > WRONG_CLOCK:
        says += "; time moves nothing here until they agree"
        return [Finding("clock skew", Health.WRONG, says, ClockSkewed.hint)]
    if abs(skew) > _APART:
        return [Finding("clock skew", Health.NOTE, says, "run a time service on this machine")]
    return [Finding("clock skew", Health.OK, says)]


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
        return [Finding("apps", Health.OK, f"all {len(rows):,} can be read")]
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
    rows = await core.store.find(parse("is:quarantined", now), now, after=None, limit=_NAMED, back=False)
    named = [
        Finding("quarantine", Health.WRONG, f"{name} is set aside", f"grantflow repair {name} --reason TEXT")
        for name in (row.installation.public_id for row in rows)
    ]
    if aside > len(named):
        says = f"{aside - len(named):,} more are set aside"
        named.append(Finding("quarantine", Health.WRONG, says, "see all of them: grantflow list is:quarantined"))
    return named


async def _incidents(core: Core) -> list[Finding]:
    rows = await core.store.incidents(100, closed=False)
    if not rows:
        return [Finding("incidents", Health.OK, "no app has one")]
    return [
        Finding(
            "incidents",
            Health.WRONG,
            f"{app}: {row.cause} since {_to_the_second(row.opened_at)}; {row.detail}; "
            f"asked again {row.probes} times; mend the app at its server first",
            f"grantflow apps resume {app} --reason TEXT",
        )
        for app, row in rows
    ]


async def _outbox(core: Core) -> list[Finding]:
    notice, notices, revocation, revocations, dead = await core.store.outbox()
    mend = {
        "notices": "run a host that subscribes: engine.subscribe(...)",
        "revocations": "grantflow scheduler run",
    }
    lost = await core.store.lost_revocations()
    given_up = [
        Finding("revocations", Health.NOTE, f"{lost:,} could not be given back", "revoke them at their server")
    ]
    letters = [Finding("notices", Health.WRONG, f"{dead:,} were given up", "grantflow notices retry --reason TEXT")]
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
    says = f"{count:,} wait, the oldest since {_to_the_second(oldest)}"
    return Finding(name, Health.WRONG if late else Health.OK, says, mend if late else None)


async def _operation(core: Core) -> list[Finding]:
    """Who is at work, and what an operator or the brake has stopped."""
    now, found = core.now(), []
    for row in await core.store.controls():
        if row.name == PAUSED:
            says = f"paused by {row.by} since {_to_the_second(row.at)}: {row.reason}"
            found.append(Finding("scheduler", Health.WRONG, says, "grantflow scheduler resume --reason TEXT"))
    beats = await core.store.beats()
    alive = [beat for beat in beats if now - beat.at <= span(SILENT_AFTER)]
    if not beats:
        says = "no process says that it is at work; grants still end on time for whoever asks, but nobody is warned"
        return [*found, Finding("scheduler", Health.NOTE, says, "grantflow scheduler run")]
    if not alive:
        says = f"nobody is at work any more; the last was {_named(beats[0])}"
        return [*found, Finding("scheduler", Health.WRONG, says, "grantflow scheduler run")]
    for beat in beats:
        if beat not in alive:
            says = f"{_named(beat)}, was killed or hangs; others are at work"
            found.append(Finding("scheduler", Health.NOTE, says))
        elif beat.note:
            found.append(Finding("scheduler", Health.NOTE, f"{_named(beat)}; it says: {beat.note}"))
        else:
            found.append(Finding("scheduler", Health.OK, _named(beat)))
    return found


def _named(beat: BeatRow) -> str:
    return f"{beat.kind} on {beat.host}, process {beat.pid}, last heard {_to_the_second(beat.at)}"


def _to_the_second(instant: Instant) -> str:
    return to_datetime(instant).isoformat(timespec="seconds")


async def _due(core: Core, brake: Brake) -> list[Finding]:
    now, held = core.now(), await held_apps(core, brake, core.now())
    late = await core.store.overdue(now - span(_LATE), _BOUND)
    behind_brake = {one.app for one in held}
    kept = sum(count for _, app, count in await core.store.due_by_app(now - span(_LATE)) if app in behind_brake)
    shown = "10,000+" if late == _BOUND else f"{late - kept:,}"
    found = [
        Finding("overdue", Health.WRONG, f"{shown} overdue for more than five minutes", "grantflow sweep")
        if late > kept
        else Finding("overdue", Health.OK, "no sweep is late")
    ]
    found += [
        Finding(
            "sweep",
            Health.WRONG,
            f"{one.app}: {one.due:,} of {one.active:,} are held: {one.why}; grantflow sweep --dry-run shows them",
            f"grantflow sweep --release {one.app} --reason TEXT",
        )
        for one in held
    ]
    return found
