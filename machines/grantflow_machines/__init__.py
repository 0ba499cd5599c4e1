"""Pure definitions of the lifecycle: charts, guards, timers, catalog, rendering. No I/O, no clock."""

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
