"""Keeping a database in order: retention, counters that agree, invariants that hold, who is at work."""

from __future__ import annotations

from datetime import timedelta

from grantflow._clock import span
from grantflow._controls import apps_in
from grantflow._core import Core
from grantflow._ports import Forgotten, Retention, Rules
from grantflow._sweep import Brake
from grantflow_machines import Grant

_ROUND = 200
"""Rows of each kind in one transaction, so that nobody waits long."""
SILENT_AFTER = timedelta(minutes=1)
"""A process at work says so every few seconds; one that said nothing for so long hangs or is gone."""
LEAD_FOR = timedelta(seconds=15)
"""How long a process that fell silent keeps the lead."""
FORGOTTEN_AFTER = timedelta(days=1)
"""After which a process that said nothing is forgotten."""


async def forget(core: Core, brake: Brake) -> Forgotten:
    """Let go of what is kept no longer, in small rounds; nothing while the clock is in doubt. See Engine.forget."""
    core.believe_clock()
    settings, now = core.settings, core.now()
    brake.look(core, now)
    if brake.stepped or apps_in(await core.store.controls(), "held"):
        return Forgotten()
    before = Retention(
        tokens=now - span(settings.keep_dead_tokens),
        delivered=now - span(settings.keep_delivered),
        attempts=now - span(settings.keep_attempts),
        beats=now - span(FORGOTTEN_AFTER),
    )
    total = Forgotten()
    while gone := await core.store.forget(before, _ROUND):
        total += gone
    return total


async def broken_promises(core: Core, limit: int) -> list[str]:
    """What contradicts the invariants of the charts, in words; empty in a database in order."""
    return await core.store.broken_promises(_rules(core), limit)


def _rules(core: Core) -> Rules:
    definitions = [core.definition(kind) for kind in core.charts]
    states = {name: info for definition in definitions for name, info in definition.states.items()}

    def those(grant: Grant) -> frozenset[str]:
        return frozenset(name for name, info in states.items() if info.grant is grant)

    waits = frozenset(name for name, info in states.items() if info.waits_for_attempt)
    return Rules(frozenset(states), those(Grant.LIVE), those(Grant.DEAD), those(Grant.NONE), waits)
