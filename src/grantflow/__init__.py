"""grantflow: the life of every OAuth app installation as an explicit, persisted state machine.

async with Engine.open("sqlite:///grants.db", directory=accounts_of) as engine: ...
"""

from grantflow import errors
from grantflow._app import App, AppKind, Lifetime, LifetimePolicy, Version
from grantflow._clock import SystemClock
from grantflow._config import Settings
from grantflow._engine import Engine
from grantflow._ids import new_pkce
from grantflow._keys import KeyRing
from grantflow._machines import Definition, Proof, definitions, prove, waiting
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
from grantflow._ops import SweepPreview
from grantflow._secret import Secret
from grantflow.errors import GrantflowError
from grantflow_machines import Actor, ActorKind

__version__ = "0.1.0"

__all__ = [
    "Account",
    "Actor",
    "ActorKind",
    "App",
    "AppAccount",
    "AppKind",
    "Attempt",
    "Authenticated",
    "ClientCredentials",
    "ConsentForm",
    "Counts",
    "Definition",
    "Engine",
    "Explanation",
    "GrantflowError",
    "Guidance",
    "Held",
    "Installation",
    "KeyRing",
    "Lifetime",
    "LifetimePolicy",
    "Matches",
    "Notice",
    "Obstacle",
    "OperatorAction",
    "Page",
    "Plan",
    "PlannedMove",
    "Prompt",
    "Proof",
    "Refusal",
    "Returned",
    "Secret",
    "Sent",
    "Settings",
    "Suspension",
    "SweepPreview",
    "SweepReport",
    "SystemClock",
    "Tokens",
    "TransitionRecord",
    "Version",
    "Window",
    "WindowAccount",
    "__version__",
    "definitions",
    "errors",
    "new_pkce",
    "prove",
    "waiting",
]
