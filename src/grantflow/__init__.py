"""grantflow: the life of every OAuth app installation as an explicit, persisted state machine.

async with Engine.open("sqlite:///grants.db", directory=accounts_of) as engine: ...
"""

from importlib import import_module
from typing import TYPE_CHECKING

from grantflow import errors
from grantflow.errors import GrantflowError

if TYPE_CHECKING:
    from grantflow._app import App, AppKind, ClientAuth, CountsFrom, Lifetime, LifetimePolicy, Server, Version
    from grantflow._bulk_model import BulkPlan, BulkRefusal, BulkRow, Job, JobItem, JobsReport
    from grantflow._calendar import Heartbeat, Outbox, Pause, SweepPreview
    from grantflow._clock import SystemClock
    from grantflow._config import Settings
    from grantflow._doctor import Finding, Health
    from grantflow._engine import Engine
    from grantflow._filter import duration, help_rows
    from grantflow._forecast import Forecast, ForecastSpan
    from grantflow._held import AccessToken, Completed, Granted, Incident, NoticeName, Reported, TokenHealth
    from grantflow._ids import new_pkce
    from grantflow._job_rows import JobOutcome, JobState
    from grantflow._keys import KeyRing
    from grantflow._machines import Definition, Proof, charts_from_env, definitions, prove, waiting
    from grantflow._model import (
        Account,
        AppAccount,
        Attempt,
        Authenticated,
        ClientCredentials,
        ConsentForm,
        Counts,
        Explanation,
        Guidance,
        Held,
        Installation,
        Matches,
        Notice,
        Obstacle,
        OperatorAction,
        Page,
        Plan,
        PlannedMove,
        Prompt,
        Refusal,
        Returned,
        Sent,
        Suspension,
        SweepReport,
        Tokens,
        TransitionRecord,
        Window,
        WindowAccount,
    )
    from grantflow._ops import DatabaseCheck, Probe
    from grantflow._overview import AppOverview, Recent, RecentChange, RecentRun
    from grantflow._ports import Carrier, Forgotten, HttpRequest, HttpResponse
    from grantflow._rotation import KeyCheck, Rotation, Unreadable
    from grantflow._secret import Secret
    from grantflow._sync import SyncEngine
    from grantflow._tokens import RenewalReport
    from grantflow._veto import HttpVeto, http_veto
    from grantflow_machines import Actor, ActorKind

__version__ = "0.1.0"

__all__ = [
    "AccessToken",
    "Account",
    "Actor",
    "ActorKind",
    "App",
    "AppAccount",
    "AppKind",
    "AppOverview",
    "Attempt",
    "Authenticated",
    "BulkPlan",
    "BulkRefusal",
    "BulkRow",
    "Carrier",
    "ClientAuth",
    "ClientCredentials",
    "Completed",
    "ConsentForm",
    "Counts",
    "CountsFrom",
    "DatabaseCheck",
    "Definition",
    "Engine",
    "Explanation",
    "Finding",
    "Forecast",
    "ForecastSpan",
    "Forgotten",
    "Granted",
    "GrantflowError",
    "Guidance",
    "Health",
    "Heartbeat",
    "Held",
    "HttpRequest",
    "HttpResponse",
    "HttpVeto",
    "Incident",
    "Installation",
    "Job",
    "JobItem",
    "JobOutcome",
    "JobState",
    "JobsReport",
    "KeyCheck",
    "KeyRing",
    "Lifetime",
    "LifetimePolicy",
    "Matches",
    "Notice",
    "NoticeName",
    "Obstacle",
    "OperatorAction",
    "Outbox",
    "Page",
    "Pause",
    "Plan",
    "PlannedMove",
    "Probe",
    "Prompt",
    "Proof",
    "Recent",
    "RecentChange",
    "RecentRun",
    "Refusal",
    "RenewalReport",
    "Reported",
    "Returned",
    "Rotation",
    "Secret",
    "Sent",
    "Server",
    "Settings",
    "Suspension",
    "SweepPreview",
    "SweepReport",
    "SyncEngine",
    "SystemClock",
    "TokenHealth",
    "Tokens",
    "TransitionRecord",
    "Unreadable",
    "Version",
    "Window",
    "WindowAccount",
    "__version__",
    "charts_from_env",
    "definitions",
    "duration",
    "errors",
    "help_rows",
    "http_veto",
    "new_pkce",
    "prove",
    "waiting",
]

_HOMES = {
    "grantflow._app": "App AppKind ClientAuth CountsFrom Lifetime LifetimePolicy Server Version",
    "grantflow._bulk_model": "BulkPlan BulkRefusal BulkRow Job JobItem JobsReport",
    "grantflow._calendar": "Heartbeat Outbox Pause SweepPreview",
    "grantflow._clock": "SystemClock",
    "grantflow._config": "Settings",
    "grantflow._doctor": "Finding Health",
    "grantflow._engine": "Engine",
    "grantflow._filter": "duration help_rows",
    "grantflow._forecast": "Forecast ForecastSpan",
    "grantflow._ids": "new_pkce",
    "grantflow._job_rows": "JobOutcome JobState",
    "grantflow._keys": "KeyRing",
    "grantflow._machines": "Definition Proof charts_from_env definitions prove waiting",
    "grantflow._held": "AccessToken Completed Granted Incident NoticeName Reported TokenHealth",
    "grantflow._model": (
        "Account AppAccount Attempt Authenticated ClientCredentials ConsentForm Counts Explanation "
        "Guidance Held Installation Matches Notice Obstacle OperatorAction Page Plan PlannedMove "
        "Prompt Refusal Returned Sent Suspension SweepReport Tokens TransitionRecord Window "
        "WindowAccount"
    ),
    "grantflow._ops": "DatabaseCheck Probe",
    "grantflow._overview": "AppOverview Recent RecentChange RecentRun",
    "grantflow._ports": "Carrier Forgotten HttpRequest HttpResponse",
    "grantflow._rotation": "KeyCheck Rotation Unreadable",
    "grantflow._secret": "Secret",
    "grantflow._sync": "SyncEngine",
    "grantflow._tokens": "RenewalReport",
    "grantflow._veto": "HttpVeto http_veto",
    "grantflow_machines": "Actor ActorKind",
}

if not TYPE_CHECKING:  # a checker reads the imports above, and would take this for "every name exists"

    def __getattr__(name: str) -> object:
        """Load a name where it is first asked for: `grantflow --help` must not wait for the engine."""
        for module, names in _HOMES.items():
            if name in names.split():
                found = getattr(import_module(module), name)
                globals()[name] = found
                return found
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
