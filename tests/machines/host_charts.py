"""Charts as a host would write them."""

from __future__ import annotations

from typing import Any, ClassVar

from statemachine import Event, State

from grantflow_machines import (
    ActorKind,
    Answer,
    Effect,
    Facts,
    Grant,
    InstallationGuards,
    InstallationLifecycle,
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


def plain_state(name: str, **changes: Any) -> LifecycleState:
    """A state whose texts do not matter."""
    columns: dict[str, Any] = {
        "value": name,
        "meaning": f"It is {name}.",
        "who_acts": "nobody",
        "grant": Grant.NONE,
        "severity": Severity.IDLE,
    }
    return LifecycleState(name, **(columns | changes))


class ApprovedInstallation(InstallationGuards, LifecycleChart):
    """A host's own chart: what was consented waits for an approval before it works."""

    title = "app that needs an approval"

    unauthorized: State = plain_state("unauthorized", initial=True)
    consented: State = plain_state("consented", waits_for_attempt=True)
    pending_approval: State = plain_state("pending-approval", waits_for_attempt=True)
    active: State = plain_state("active", grant=Grant.LIVE, functional=True)
    refresh_expired: State = plain_state("refresh-expired", grant=Grant.DEAD)
    uninstalled: State = plain_state("uninstalled", final=True)

    authorize: Event = event(
        unauthorized.to.itself(), says="Opens a window.", role="by_owner", effects=(Effect.OPEN_ATTEMPT,)
    )
    callback_ok: Event = event(
        unauthorized.to(consented, cond=["in_time", "callback_proved"])
        | refresh_expired.to(consented, cond=["in_time", "callback_proved"]),
        says="The person agreed.",
        role="by_engine",
        origin=Origin.ENGINE,
    )
    exchange_ok: Event = event(
        consented.to(pending_approval, cond=["attempt_consented", "same_identity"]),
        says="Tokens are there, the approval is not.",
        role="by_engine",
        origin=Origin.ENGINE,
    )
    approve: Event = event(
        pending_approval.to(active, cond="approver_is_another"),
        says="Somebody else in the account agrees.",
        role="by_approver",
    )
    attempt_expired: Event = event(
        consented.to(unauthorized, cond="attempt_lapsed") | pending_approval.to(unauthorized, cond="attempt_lapsed"),
        says="Nobody came in time.",
        role="by_clock",
    )
    expire: Event = event(
        active.to(consented, cond=["deadline_passed", "another_consented"])
        | active.to(refresh_expired, cond="deadline_passed"),
        says="Time is over; whoever has agreed already goes on.",
        role="by_clock",
    )
    force: Event = event(
        uninstalled.from_(
            unauthorized,
            consented,
            pending_approval,
            active,
            refresh_expired,
            cond=["reason_given", "to_uninstalled"],
        ),
        says="An operator ends it.",
        role="by_operator",
        effects=(Effect.FORCED,),
    )

    timers: ClassVar[tuple[Timer, ...]] = (
        Timer(TimerKind.DEADLINE, "expire"),
        Timer(TimerKind.ATTEMPT, "attempt_expired"),
    )

    to_uninstalled = force_to(uninstalled)

    @role("an admin of the account")
    def by_approver(facts: Facts) -> Answer:
        return facts.actor.kind is ActorKind.ADMIN and facts.is_account_admin

    @guard("the approver is not the person who asked")
    def approver_is_another(facts: Facts) -> Answer:
        return facts.actor.id != facts.subject_id


class PartnerInstallation(InstallationLifecycle):
    """A host's own kind: the shipped chart, another answer to *who may*."""

    title = "app of a partner"

    @role("the partner's own app")
    def by_owner(facts: Facts) -> Answer:
        return facts.actor.kind is ActorKind.APP
