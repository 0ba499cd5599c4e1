"""Pure definitions of the lifecycle: charts, guards, timers, catalog, rendering. No I/O, no clock."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grantflow_machines._base import (
        Effect,
        EventRule,
        Grant,
        Guard,
        LifecycleChart,
        LifecycleState,
        Origin,
        Severity,
        Timer,
        TimerKind,
        event,
        force_to,
        guard,
        role,
    )
    from grantflow_machines._edges import Edge, edges, guard_of
    from grantflow_machines._facts import (
        Actor,
        ActorKind,
        Answer,
        AttemptFacts,
        Facts,
        Instant,
        No,
        Step,
    )
    from grantflow_machines._guards import InstallationGuards
    from grantflow_machines._kinds import CHARTS, AccountInstallation, AgentInstallation, ExternalInstallation
    from grantflow_machines._lifecycle import InstallationLifecycle
    from grantflow_machines._render import event_rows, events_table, mermaid, readme, states_table, table

__all__ = [
    "CHARTS",
    "AccountInstallation",
    "Actor",
    "ActorKind",
    "AgentInstallation",
    "Answer",
    "AttemptFacts",
    "Edge",
    "Effect",
    "EventRule",
    "ExternalInstallation",
    "Facts",
    "Grant",
    "Guard",
    "InstallationGuards",
    "InstallationLifecycle",
    "Instant",
    "LifecycleChart",
    "LifecycleState",
    "No",
    "Origin",
    "Severity",
    "Step",
    "Timer",
    "TimerKind",
    "edges",
    "event",
    "event_rows",
    "events_table",
    "force_to",
    "guard",
    "guard_of",
    "mermaid",
    "readme",
    "role",
    "states_table",
    "table",
]

_HOMES = {
    "grantflow_machines._base": (
        "Effect EventRule Grant Guard LifecycleChart LifecycleState Origin Severity Timer TimerKind event "
        "force_to guard role"
    ),
    "grantflow_machines._edges": "Edge edges guard_of",
    "grantflow_machines._facts": "Actor ActorKind Answer AttemptFacts Facts Instant No Step",
    "grantflow_machines._guards": "InstallationGuards",
    "grantflow_machines._kinds": "CHARTS AccountInstallation AgentInstallation ExternalInstallation",
    "grantflow_machines._lifecycle": "InstallationLifecycle",
    "grantflow_machines._render": "event_rows events_table mermaid readme states_table table",
}

if not TYPE_CHECKING:  # a checker reads the imports above, and would take this for "every name exists"

    def __getattr__(name: str) -> object:
        """Load a name where it is first asked for: who names an actor need not wait for the charts."""
        for module, names in _HOMES.items():
            if name in names.split():
                found = getattr(import_module(module), name)
                globals()[name] = found
                return found
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
