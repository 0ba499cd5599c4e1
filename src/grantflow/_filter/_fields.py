"""The field tables of the filter language, which are also its help: one of installations, one of the audit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

from grantflow_machines import CHARTS, Grant

INDEX = "grantflow_installation_"
EXPIRING = 7 * 86_400_000_000
"""How near a deadline is for `is:expiring`, in microseconds."""

STUCK = 3_600_000_000
"""How long a state waits for an attempt before it is stuck, in microseconds: attempts themselves end much earlier."""


class Declared(Protocol):
    """What a chart declares of one of its states."""

    @property
    def value(self) -> Any: ...
    @property
    def grant(self) -> Grant: ...
    @property
    def final(self) -> bool: ...
    @property
    def waits_for_attempt(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class States:
    """The kinds and states of the charts in use, and what a filter asks of a state."""

    kinds: tuple[str, ...]
    names: tuple[str, ...]
    live: frozenset[str]
    final: frozenset[str]
    waiting: frozenset[str]
    granted: frozenset[str]
    """With a grant, alive or dead."""

    @classmethod
    def of(cls, charts: Mapping[str, Iterable[Declared]]) -> States:
        """Of the states of every chart, by kind."""
        every = {str(state.value): state for states in charts.values() for state in states}
        return cls(
            tuple(charts),
            tuple(every),
            frozenset(name for name, state in every.items() if state.grant is Grant.LIVE),
            frozenset(name for name, state in every.items() if state.final),
            frozenset(name for name, state in every.items() if state.waits_for_attempt),
            frozenset(name for name, state in every.items() if state.grant is not Grant.NONE),
        )


SHIPPED = States.of({kind: chart.states for kind, chart in CHARTS.items()})


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
    """One word behind `is:` or `has:`."""

    name: str
    meaning: str
    index: str | None


_FLAGS = (
    Flag("overdue", "its due time has passed and no sweep has written it yet", INDEX + "due"),
    Flag("suspended", "it was suspended itself, not only its account", INDEX + "suspended"),
    Flag("forced", "its last transition was forced", INDEX + "forced"),
    Flag("quarantined", "it cannot be understood and is set aside", INDEX + "quarantined"),
    Flag("expiring", "its grant is live and ends within 7 days", INDEX + "due"),
    Flag("stuck", "it has waited for an attempt for an hour or longer", INDEX + "state"),
    Flag("any", "uninstalled ones too", None),
)
FLAGS = MappingProxyType({flag.name: flag for flag in _FLAGS})
MARKED = "marked"
"""The word behind `is:` that only a console knows: it passes the ids it means."""
_HAS = (Flag("failure", "its renewals fail (client mode)", "grantflow_token_set_failing"),)
HAS = MappingProxyType({flag.name: flag for flag in _HAS})

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
    Field("expires", _EXPIRES_MEANS, "ahead", "expires:7d..30d", INDEX + "due"),
    Field("entered", "how long ago it entered its state", "ago", "entered:<3h", INDEX + "entered"),
    Field("created", "how long ago it was installed", "ago", "created:2026-08-01"),
    Field("version", "how many transitions it has seen", "number", "version:>100"),
    Field("is", ", ".join((*FLAGS, f"{MARKED} (console)")), "flag", "is:overdue", INDEX + "due"),
    Field("has", "failure: its renewals fail (client mode)", "flag", "has:failure", HAS["failure"].index),
    Field("run", "a sweep that moved it", "text", "run:0198c0de*", "grantflow_transition_run"),
    Field("incident", "cause of an open incident of its app, * for any", "text", "incident:*", INDEX + "app"),
    Field("scope", "+ a granted scope, ? one it must have and waits for, ?* any", "scope", "scope:?crm.read"),
    Field("sort", _SORT_MEANS, "sort", "sort:-entered", INDEX + "due"),
)
FIELDS = MappingProxyType({field.name: field for field in _FIELDS})

SORTS = MappingProxyType(
    {"id": "pk", "expires": "deadline_at", "entered": "entered_at", "account": "account"},
)
"""Sort → column; ties are in the order of installation."""


_OUTCOMES = ("applied", "previewed", "refused", "started")
_AUDIT = (
    Field("actor", "who, for example operator:maria", "text", "actor:operator:maria"),
    Field("verb", "what was done, tried or previewed", "text", "verb:force"),
    Field("outcome", ", ".join(_OUTCOMES), "name", "outcome:refused"),
    Field("target", "what it was about", "text", "target:crm-*"),
    Field("at", "how long ago", "ago", "at:<24h", "grantflow_action"),
    Field("reason", "the reason that was given", "text", "reason:OPS-312*"),
)


@dataclass(frozen=True, slots=True)
class Table:
    """What one list can be filtered by."""

    fields: Mapping[str, Field]
    word: Field
    names: Mapping[str, tuple[str, ...]]
    """Fields that know all their values."""
    sorts: Mapping[str, str]

    def of(self, states: States) -> Table:
        """The table of other charts than the shipped ones."""
        if states is SHIPPED or "state" not in self.names:
            return self
        return replace(self, names=MappingProxyType({"state": states.names, "kind": states.kinds}))


INSTALLATIONS = Table(FIELDS, WORD, MappingProxyType({"state": SHIPPED.names, "kind": SHIPPED.kinds}), SORTS)
AUDIT = Table(
    MappingProxyType({field.name: field for field in _AUDIT}),
    Field("word", "a word alone: the beginning of a target", "word", "0198c0de"),
    MappingProxyType({"outcome": _OUTCOMES}),
    MappingProxyType({}),
)
TABLES = MappingProxyType({"installations": INSTALLATIONS, "audit": AUDIT})


def help_rows(table: str = "installations") -> tuple[Field, ...]:
    """The field table of `installations` or of the `audit`, in the order of the help."""
    chosen = TABLES[table]
    return (chosen.word, *chosen.fields.values())
