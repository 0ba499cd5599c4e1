"""The field table of the filter language, which is also its help."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from grantflow_machines import CHARTS, Grant

INDEX = "grantflow_installation_"
EXPIRING = 7 * 86_400_000_000
"""How near a deadline is for `is:expiring`, in microseconds."""

STATES = {str(state.value): state for chart in CHARTS.values() for state in chart.states}
LIVE_STATES = frozenset(name for name, state in STATES.items() if state.grant is Grant.LIVE)
FINAL_STATES = frozenset(name for name, state in STATES.items() if state.final)


@dataclass(frozen=True, slots=True)
class Field:
    """One row of the field table, which is also the help."""

    name: str
    meaning: str
    kind: str
    example: str
    index: str | None = None
    """The index that answers it."""

    @property
    def cost(self) -> str:
        """`index` or `scan`: what finding the matching rows takes."""
        return "scan" if self.index is None else "index"


@dataclass(frozen=True, slots=True)
class Flag:
    """One word behind `is:`."""

    name: str
    meaning: str
    index: str | None


_FLAGS = (
    Flag("overdue", "its due time has passed and no sweep has written it yet", INDEX + "due"),
    Flag("suspended", "it was suspended itself, not only its account", INDEX + "suspended"),
    Flag("forced", "its last transition was forced", INDEX + "forced"),
    Flag("quarantined", "it cannot be understood and is set aside", INDEX + "quarantined"),
    Flag("expiring", "its grant is live and ends within 7 days", INDEX + "deadline"),
    Flag("any", "uninstalled ones too", None),
)
FLAGS = MappingProxyType({flag.name: flag for flag in _FLAGS})

_WORD_MEANS = "a word alone: the beginning of an account, or at least 8 characters of an id"
WORD = Field("word", _WORD_MEANS, "word", "acme", INDEX + "account")

_EXPIRES_MEANS = "when the grant ends; live grants only, unless a state is named"
_SORT_MEANS = (
    "the order, backwards behind a minus: id (oldest first), account, entered, expires (leaves out what has no end)"
)
_FIELDS = (
    Field("id", "id of the installation", "text", "id:0198c0de*", "sqlite_autoindex_grantflow_installation_1"),
    Field("app", "key of the app", "text", "app:crm-*", INDEX + "app"),
    Field("kind", "kind of the app", "name", "kind:agent", INDEX + "app"),
    Field("account", "the account", "text", "account:acme", INDEX + "account"),
    Field("subject", "whom it belongs to", "text", "subject:agent:42", INDEX + "subject"),
    Field("label", "label of the installation", "text", "label:laptop"),
    Field("state", "the stored state", "name", "state:active,reauthorizing", INDEX + "state"),
    Field("reason", "why the grant is dead", "text", "reason:revoked", INDEX + "reason"),
    Field("expires", _EXPIRES_MEANS, "ahead", "expires:7d..30d", INDEX + "deadline"),
    Field("entered", "how long ago it entered its state", "ago", "entered:<3h", INDEX + "entered"),
    Field("created", "how long ago it was installed", "ago", "created:2026-08-01"),
    Field("version", "how many transitions it has seen", "number", "version:>100"),
    Field("is", ", ".join(FLAGS), "flag", "is:overdue", INDEX + "due"),
    Field("scope", "a granted scope", "scope", "scope:+crm.read"),
    Field("sort", _SORT_MEANS, "sort", "sort:-entered", INDEX + "deadline"),
)
FIELDS = MappingProxyType({field.name: field for field in _FIELDS})

SORTS = MappingProxyType(
    {"id": "pk", "expires": "deadline_at", "entered": "entered_at", "account": "account"},
)
"""Sort → column; ties are in the order of installation."""


def help_rows() -> tuple[Field, ...]:
    """The field table in the order of the help."""
    return (WORD, *FIELDS.values())
