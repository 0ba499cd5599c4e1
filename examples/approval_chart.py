"""A host's own chart: what an agent connected works only when an admin of the account has approved it.

It is declared in full: an arrow belongs to the state it leaves, so a shipped chart cannot be redrawn from outside.
`approval_step.py` lets it live.
"""

from typing import Any

import grantflow_machines as gm
from grantflow_machines import Effect, Facts, Grant, No, Origin, Severity, TimerKind, event

ACCOUNT = ["in_time", "account_choosable"]


def state(
    value: str, meaning: str, who_acts: str, grant: Grant, severity: Severity, **more: Any
) -> gm.LifecycleState:
    """A state with what people read about it."""
    name = value.replace("-", " ").capitalize()
    return gm.LifecycleState(
        name, value=value, meaning=meaning, who_acts=who_acts, grant=grant, severity=severity, **more
    )


class Approved(gm.InstallationGuards, gm.LifecycleChart):
    """From the window to an approval, and from there to work."""

    title = "app that needs an approval"

    new = state("unauthorized", "There is no grant.", "the agent", Grant.NONE, Severity.IDLE, initial=True)
    chosen = state(
        "account-selected", "A form is open.", "the agent", Grant.NONE, Severity.PENDING, waits_for_attempt=True
    )
    consented = state(
        "consented", "The agent agreed.", "the app", Grant.NONE, Severity.PENDING, waits_for_attempt=True
    )
    pending = state("pending-approval", "Tokens that do not work yet.", "an admin", Grant.LIVE, Severity.PENDING)
    active = state("active", "It works.", "nobody", Grant.LIVE, Severity.OK, functional=True)
    ended = state("refresh-expired", "The grant is dead.", "the agent", Grant.DEAD, Severity.BAD)
    off = state("uninstalled", "A tombstone.", "nobody", Grant.NONE, Severity.IDLE, final=True)

    authorize = event(
        new.to.itself() | ended.to.itself(), says="Opens a window.", role="by_owner", effects=(Effect.OPEN_ATTEMPT,)
    )
    select_account = event(
        new.to(chosen, cond=ACCOUNT) | ended.to(chosen, cond=ACCOUNT),
        says="Fixes the account.", role="by_attempt_actor", effects=(Effect.CHOOSE_ACCOUNT,),
    )  # fmt: skip
    agree = event(
        chosen.to(consented, cond=["in_time", "at_the_form", "account_choosable", "scopes_covered"]),
        says="Consents to the form.", role="by_attempt_actor", effects=(Effect.RECORD_CONSENT,),
    )  # fmt: skip
    exchange_ok = event(
        consented.to(pending, cond=["attempt_consented", "same_identity"]), says="Tokens, but no approval yet.",
        role="by_engine", origin=Origin.ENGINE, effects=(Effect.REPLACE_TOKENS,), outcome="completed",
    )  # fmt: skip
    approve = event(
        pending.to(active, cond="approver_is_another"), says="Somebody else approves.", role="by_approver"
    )
    attempt_expired = event(
        chosen.to(new, cond="attempt_lapsed") | consented.to(new, cond="attempt_lapsed"),
        says="Nobody came in time.", role="by_clock", effects=(Effect.CLOSE_ATTEMPT,), outcome="expired",
    )  # fmt: skip
    expire = event(
        pending.to(ended, cond="deadline_passed") | active.to(ended, cond="deadline_passed"),
        says="The grant's time is over.", role="by_clock", reason="time", notice="installation.expired",
    )  # fmt: skip
    force = event(
        off.from_(new, chosen, consented, pending, active, ended, cond=["reason_given", "to_off"]),
        says="An operator ends it.", role="by_operator", origin=Origin.ENGINE,
        effects=(Effect.CLOSE_ALL_ATTEMPTS, Effect.FORCED), outcome="superseded",
    )  # fmt: skip

    timers = (gm.Timer(TimerKind.DEADLINE, "expire"), gm.Timer(TimerKind.ATTEMPT, "attempt_expired"))
    to_off = gm.force_to(off)

    @gm.role("an agent")
    def by_owner(facts: Facts) -> bool:
        return facts.actor.kind is gm.ActorKind.AGENT

    @gm.role("an admin of the account")
    def by_approver(facts: Facts) -> bool:
        return facts.actor.kind is gm.ActorKind.ADMIN and facts.is_account_admin

    @gm.guard("the approver is not the person who asked")
    def approver_is_another(facts: Facts) -> bool | No:
        return facts.actor.id != facts.subject_id or No("nobody approves their own connection")


CHARTS: dict[str, type[gm.LifecycleChart]] = {**gm.CHARTS, "agent": Approved}
"""For `Engine.open(charts=…)`, and as GRANTFLOW_CHARTS=approval_chart:CHARTS for the command line."""
