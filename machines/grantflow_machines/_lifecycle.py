"""The life of an installation, declared once; the three kinds differ only in who may."""

from __future__ import annotations

from typing import ClassVar

from statemachine import Event, State
from statemachine.transition_list import TransitionList

from grantflow_machines._base import (
    Effect,
    Grant,
    LifecycleChart,
    LifecycleState,
    Origin,
    Severity,
    Timer,
    TimerKind,
    event,
    force_to,
)
from grantflow_machines._guards import InstallationGuards

_ENGINE = Origin.ENGINE
_ENDS_GRANT = (Effect.REVOKE_TOKENS, Effect.VOID_CONSENTS)
_LEAVES = (Effect.CLOSE_ALL_ATTEMPTS, Effect.VOID_CONSENTS)


def _given_up(
    unauthorized: State,
    account_selected: State,
    consented: State,
    active: State,
    refresh_expired: State,
    reauthorizing: State,
    *,
    cond: tuple[str, ...] = (),
) -> TransitionList:
    """An attempt ends without a grant: back to the furthest step among the others."""
    arrows: TransitionList = (
        unauthorized.to.itself(cond=[*cond])
        | account_selected.to.itself(cond=[*cond, "another_at_the_form"])
        | account_selected.to(unauthorized, cond=[*cond])
        | consented.to.itself(cond=[*cond, "another_consented"])
        | consented.to(account_selected, cond=[*cond, "another_at_the_form"])
        | consented.to(unauthorized, cond=[*cond])
        | active.to.itself(cond=[*cond])
        | reauthorizing.to.itself(cond=[*cond, "another_open"])
        | reauthorizing.to(refresh_expired, cond=[*cond])
    )
    return arrows


def _dies(
    active: State, refresh_expired: State, reauthorizing: State, *, cond: tuple[str, ...] = ()
) -> TransitionList:
    """The grant dies; an attempt that is already open goes on."""
    alive = active.to(reauthorizing, cond=[*cond, "attempt_open"])
    arrows: TransitionList = alive | active.to(refresh_expired, cond=[*cond])
    return arrows


class InstallationLifecycle(InstallationGuards, LifecycleChart):
    """From no grant to a live one, through its death, and back.

    Source: S-01 … S-37 in docs/reference/journeys.md.
    """

    unauthorized: State = LifecycleState(
        "Unauthorized",
        value="unauthorized",
        initial=True,
        grant=Grant.NONE,
        severity=Severity.IDLE,
        meaning="There is no grant: nobody has authorized yet, the first attempt was given up, "
        "or the owner disconnected.",
        who_acts="whoever may authorize",
    )
    account_selected: State = LifecycleState(
        "Account selected",
        value="account-selected",
        grant=Grant.NONE,
        severity=Severity.PENDING,
        waits_for_attempt=True,
        meaning="A first attempt has fixed the account; the consent form is open.",
        who_acts="the same person, within the attempt's time",
    )
    consented: State = LifecycleState(
        "Consented",
        value="consented",
        grant=Grant.NONE,
        severity=Severity.PENDING,
        waits_for_attempt=True,
        meaning="The person agreed; the app has not yet exchanged the code for tokens.",
        who_acts="the app",
    )
    active: State = LifecycleState(
        "Active",
        value="active",
        grant=Grant.LIVE,
        severity=Severity.OK,
        functional=True,
        meaning="The grant is live; access tokens are renewed in the background.",
        who_acts="nobody",
    )
    refresh_expired: State = LifecycleState(
        "Refresh expired",
        value="refresh-expired",
        grant=Grant.DEAD,
        severity=Severity.BAD,
        meaning="The grant is dead, whatever killed it, and nobody is at it: every call fails with 401.",
        who_acts="whoever may reauthorize",
    )
    reauthorizing: State = LifecycleState(
        "Reauthorizing",
        value="reauthorizing",
        grant=Grant.DEAD,
        severity=Severity.WARN,
        waits_for_attempt=True,
        meaning="The grant is dead and somebody is authorizing anew.",
        who_acts="the same person, within the attempt's time",
    )
    uninstalled: State = LifecycleState(
        "Uninstalled",
        value="uninstalled",
        final=True,
        grant=Grant.NONE,
        severity=Severity.IDLE,
        meaning="A tombstone: it accepts nothing, and a reinstallation is a new row.",
        who_acts="nobody",
    )

    # -- attempts -------------------------------------------------------------------------------
    authorize: Event = event(
        unauthorized.to.itself() | account_selected.to.itself() | consented.to.itself() | active.to.itself(),
        says="Opens an authorization window; a live grant goes on working beside it.",
        role="by_owner",
        effects=(Effect.OPEN_ATTEMPT,),
    )
    reauthorize: Event = event(
        refresh_expired.to(reauthorizing) | reauthorizing.to.itself(),
        says="Opens an authorization window for a dead grant.",
        role="by_owner",
        effects=(Effect.OPEN_ATTEMPT,),
        notice="reauthorization.started",
    )
    select_account: Event = event(
        unauthorized.to(account_selected, cond=["in_time", "account_choosable"])
        | account_selected.to.itself(cond=["in_time", "account_choosable"])
        | consented.to.itself(cond=["in_time", "account_choosable"])
        | active.to.itself(cond=["in_time", "account_choosable"])
        | reauthorizing.to.itself(cond=["in_time", "account_choosable"]),
        says="Fixes the account the app is installed into.",
        role="by_attempt_actor",
        effects=(Effect.CHOOSE_ACCOUNT,),
    )
    agree: Event = event(
        account_selected.to(consented, cond=["in_time", "at_the_form", "account_choosable", "scopes_covered"])
        | consented.to.itself(cond=["in_time", "at_the_form", "account_choosable", "scopes_covered"])
        | active.to.itself(cond=["in_time", "at_the_form", "account_choosable", "scopes_covered"])
        | reauthorizing.to.itself(cond=["in_time", "at_the_form", "account_choosable", "scopes_covered"]),
        says="Consents to the scopes on the form; a code goes to the app.",
        role="by_attempt_actor",
        effects=(Effect.RECORD_CONSENT,),
    )
    cancel: Event = event(
        _given_up(unauthorized, account_selected, consented, active, refresh_expired, reauthorizing),
        says="Gives the attempt up at the person's wish; no grant is touched.",
        role="by_attempt_actor_or_operator",
        effects=(Effect.CLOSE_ATTEMPT,),
        outcome="cancelled",
    )
    refuse: Event = event(
        _given_up(unauthorized, account_selected, consented, active, refresh_expired, reauthorizing),
        says="Declines the scopes; no grant is touched.",
        role="by_attempt_actor",
        effects=(Effect.CLOSE_ATTEMPT,),
        outcome="refused",
    )
    attempt_expired: Event = event(
        _given_up(
            unauthorized,
            account_selected,
            consented,
            active,
            refresh_expired,
            reauthorizing,
            cond=("attempt_lapsed",),
        ),
        says="The attempt's time ran out; no grant is touched.",
        role="by_clock",
        effects=(Effect.CLOSE_ATTEMPT,),
        outcome="expired",
    )
    attempt_failed: Event = event(
        _given_up(unauthorized, account_selected, consented, active, refresh_expired, reauthorizing),
        says="The exchange failed for good; no grant is touched.",
        role="by_engine",
        origin=_ENGINE,
        effects=(Effect.CLOSE_ATTEMPT,),
        outcome="failed",
        notice="attempt.failed",
    )
    callback_ok: Event = event(
        unauthorized.to(consented, cond=["in_time", "callback_proved"])
        | account_selected.to(consented, cond=["in_time", "callback_proved"])
        | consented.to.itself(cond=["in_time", "callback_proved"])
        | active.to.itself(cond=["in_time", "callback_proved"])
        | reauthorizing.to.itself(cond=["in_time", "callback_proved"]),
        says="A foreign server sent the person back with a code; account and consent are inferred.",
        role="by_engine",
        origin=_ENGINE,
        effects=(Effect.RECORD_CONSENT,),
    )
    exchange_ok: Event = event(
        consented.to(active, cond=["attempt_consented", "same_identity"])
        | active.to.itself(cond=["attempt_consented", "same_identity"])
        | reauthorizing.to(active, cond=["attempt_consented", "same_identity"]),
        says="The app exchanged the code: the whole token set is new, the other attempts are superseded.",
        role="by_engine",
        origin=_ENGINE,
        effects=(Effect.REPLACE_TOKENS,),
        outcome="completed",
        notice="installation.activated",
    )

    # -- the grant dies -------------------------------------------------------------------------
    expire: Event = event(
        _dies(active, refresh_expired, reauthorizing, cond=("deadline_passed",)),
        says="The refresh token's time is over.",
        role="by_clock",
        reason="time",
        notice="installation.expired",
    )
    refresh_dead: Event = event(
        _dies(active, refresh_expired, reauthorizing),
        says="The authorization server will not renew the grant any more.",
        role="by_engine",
        origin=_ENGINE,
        reason="unknown",
        notice="installation.expired",
    )
    api_rejected: Event = event(
        _dies(active, refresh_expired, reauthorizing),
        says="The API rejects even a token that was just renewed.",
        role="by_engine",
        origin=_ENGINE,
        reason="api-rejected",
        notice="installation.expired",
    )
    revoked_upstream: Event = event(
        _dies(active, refresh_expired, reauthorizing) | refresh_expired.to.itself() | reauthorizing.to.itself(),
        says="The grant was revoked at the authorization server; earlier consents are void.",
        role="by_reporter",
        effects=_ENDS_GRANT,
        reason="revoked",
        notice="installation.revoked",
    )
    security_event: Event = event(
        _dies(active, refresh_expired, reauthorizing) | refresh_expired.to.itself() | reauthorizing.to.itself(),
        says="A password change or a like event ended the grant; earlier consents are void.",
        role="by_reporter",
        effects=_ENDS_GRANT,
        reason="interaction-required",
        notice="installation.revoked",
    )
    code_replayed: Event = event(
        _dies(active, refresh_expired, reauthorizing),
        says="A code was presented twice: somebody else has it.",
        role="by_engine",
        origin=_ENGINE,
        effects=(Effect.REVOKE_TOKENS,),
        reason="reused",
        notice="installation.compromised",
    )
    refresh_reused: Event = event(
        _dies(active, refresh_expired, reauthorizing),
        says="A rotated refresh token came back: somebody else has it.",
        role="by_engine",
        origin=_ENGINE,
        effects=(Effect.REVOKE_TOKENS,),
        reason="reused",
        notice="installation.compromised",
    )
    recovered: Event = event(
        refresh_expired.to(active, cond="token_set_held") | reauthorizing.to(active, cond="token_set_held"),
        says="A probe showed that the grant is alive after all.",
        role="by_operator",
        origin=_ENGINE,
        notice="installation.recovered",
    )

    # -- leaving, pausing, forcing ---------------------------------------------------------------
    disconnect: Event = event(
        unauthorized.to.itself()
        | account_selected.to(unauthorized)
        | consented.to(unauthorized)
        | active.to(unauthorized)
        | refresh_expired.to(unauthorized)
        | reauthorizing.to(unauthorized),
        says="The owner withdraws the grant; secrets are wiped, consents are void.",
        role="by_owner",
        effects=_LEAVES,
        outcome="superseded",
        notice="installation.disconnected",
    )
    uninstall: Event = event(
        uninstalled.from_(
            unauthorized,
            account_selected,
            consented,
            active,
            refresh_expired,
            reauthorizing,
            cond="not_vetoed",
        ),
        says="Takes the app off; the tombstone stays.",
        role="by_remover",
        effects=_LEAVES,
        outcome="superseded",
        notice="installation.uninstalled",
        vetoable=True,
    )
    parent_removed: Event = event(
        uninstalled.from_(unauthorized, account_selected, consented, active, refresh_expired, reauthorizing),
        says="The app was taken off the account this installation belongs to.",
        role="by_clock",
        origin=_ENGINE,
        effects=_LEAVES,
        outcome="superseded",
        notice="installation.uninstalled",
    )
    suspend: Event = event(
        unauthorized.to.itself(cond="not_suspended")
        | account_selected.to.itself(cond="not_suspended")
        | consented.to.itself(cond="not_suspended")
        | active.to.itself(cond="not_suspended")
        | refresh_expired.to.itself(cond="not_suspended")
        | reauthorizing.to.itself(cond="not_suspended"),
        says="Stops the app from working here without touching the grant.",
        role="by_suspender",
        effects=(Effect.SUSPEND,),
        notice="installation.suspended",
    )
    unsuspend: Event = event(
        unauthorized.to.itself(cond="suspended_by_this_side")
        | account_selected.to.itself(cond="suspended_by_this_side")
        | consented.to.itself(cond="suspended_by_this_side")
        | active.to.itself(cond="suspended_by_this_side")
        | refresh_expired.to.itself(cond="suspended_by_this_side")
        | reauthorizing.to.itself(cond="suspended_by_this_side"),
        says="Lifts a suspension; only the side that suspended may.",
        role="by_suspender",
        effects=(Effect.UNSUSPEND,),
        notice="installation.unsuspended",
    )
    force: Event = event(
        unauthorized.from_(
            account_selected,
            consented,
            active,
            refresh_expired,
            reauthorizing,
            cond=["reason_given", "to_unauthorized"],
        )
        | refresh_expired.from_(
            unauthorized,
            account_selected,
            consented,
            active,
            reauthorizing,
            cond=["reason_given", "to_refresh_expired"],
        )
        | uninstalled.from_(
            unauthorized,
            account_selected,
            consented,
            active,
            refresh_expired,
            reauthorizing,
            cond=["reason_given", "to_uninstalled"],
        )
        | active.from_(refresh_expired, reauthorizing, cond=["reason_given", "to_active", "live_token_set"]),
        says="An operator moves the row by hand, with a reason; it cannot invent a grant.",
        role="by_operator",
        origin=_ENGINE,
        effects=(Effect.CLOSE_ALL_ATTEMPTS, Effect.FORCED),
        outcome="superseded",
        reason="operator",
        notice="installation.forced",
    )

    timers: ClassVar[tuple[Timer, ...]] = (
        Timer(TimerKind.DEADLINE, "expire"),
        Timer(TimerKind.ATTEMPT, "attempt_expired"),
    )

    to_unauthorized = force_to(unauthorized)
    to_refresh_expired = force_to(refresh_expired)
    to_uninstalled = force_to(uninstalled)
    to_active = force_to(active)
