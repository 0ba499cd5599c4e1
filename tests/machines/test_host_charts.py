"""Hosts bring their own charts, and never change the shipped ones."""

from __future__ import annotations

import pytest
from statemachine import Event, State

from grantflow._compile import compile_chart
from grantflow._decide import Accepted, Refused, decide
from grantflow._prove import prove, waiting
from grantflow_machines import (
    CHARTS,
    Actor,
    ActorKind,
    InstallationLifecycle,
    LifecycleChart,
    edges,
    event,
    mermaid,
    table,
)
from tests.machines.host_charts import ApprovedInstallation, PartnerInstallation, plain_state
from tests.machines.situations import situation

SHIPPED: tuple[type[LifecycleChart], ...] = (InstallationLifecycle, *CHARTS.values())


def test_a_chart_declared_in_full_is_compiled_and_proved() -> None:
    definition = compile_chart(ApprovedInstallation)
    proof = prove(definition)
    assert proof.ok, proof.mismatches
    assert waiting(definition) == ()
    assert "consented --> pending_approval: exchange_ok" in mermaid(ApprovedInstallation)
    assert "| pending-approval | approve | an admin of the account |" in table(ApprovedInstallation)


def test_a_chart_declared_in_full_is_decided_like_a_shipped_one() -> None:
    definition = compile_chart(ApprovedInstallation)
    admin = Actor(ActorKind.ADMIN, "maria")
    facts = situation(admin, is_account_admin=True)
    accepted = decide(definition, "pending-approval", "approve", facts)
    assert accepted == Accepted("active", definition.events["approve"])
    own = situation(Actor(ActorKind.ADMIN, "ann"), is_account_admin=True)
    refused = decide(definition, "pending-approval", "approve", own)
    assert isinstance(refused, Refused)
    assert refused.why == "refused unless the approver is not the person who asked"


def test_a_kind_of_its_own_overrides_guards_only() -> None:
    definition = compile_chart(PartnerInstallation)
    shipped = compile_chart(CHARTS["agent"])
    assert [(key, [a.names for a in cell]) for key, cell in definition.cells.items()] == [
        (key, [a.names for a in cell]) for key, cell in shipped.cells.items()
    ]
    assert prove(definition).ok
    partner = situation(Actor.app("crm"))
    assert isinstance(decide(definition, "unauthorized", "authorize", partner), Accepted)
    assert isinstance(decide(shipped, "unauthorized", "authorize", partner), Refused)


def test_an_inherited_event_cannot_be_redrawn_and_the_shipped_charts_stay_whole() -> None:
    """Why a host declares such a chart in full, on InstallationGuards and LifecycleChart.

    In python-statemachine an arrow belongs to the state it leaves, and a subclass shares the states of its
    base: drawing `exchange_ok` anew neither replaces the inherited arrow (it is tried first and wins) nor
    stays in the subclass (the base, and all other subclasses, get the new arrow too). LifecycleChart
    therefore takes such arrows back and refuses the class.
    """
    before = [edges(chart) for chart in SHIPPED]

    with pytest.raises(TypeError, match="WithApproval draws arrows from inherited states"):

        class WithApproval(InstallationLifecycle):
            pending_approval: State = plain_state("pending-approval")
            exchange_ok: Event = event(
                InstallationLifecycle.consented.to(pending_approval), says="Waits.", role="by_engine"
            )
            approve = pending_approval.to(InstallationLifecycle.active)

    assert [edges(chart) for chart in SHIPPED] == before


def test_arrows_without_an_event_of_their_own_are_taken_back_too() -> None:
    before = [edges(chart) for chart in SHIPPED]

    with pytest.raises(TypeError, match="declare states and events in full"):

        class WithShortcut(InstallationLifecycle):
            shortcut = InstallationLifecycle.unauthorized.to(InstallationLifecycle.active)

    assert [edges(chart) for chart in SHIPPED] == before


def test_compiling_and_proving_a_host_chart_changes_no_shipped_chart() -> None:
    before = [compile_chart.__wrapped__(chart) for chart in SHIPPED]
    prove(compile_chart(ApprovedInstallation))
    assert [compile_chart.__wrapped__(chart) for chart in SHIPPED] == before
