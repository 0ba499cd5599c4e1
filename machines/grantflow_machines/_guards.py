"""Who may, and under which conditions: every guard a chart of installations can name."""

from __future__ import annotations

from grantflow_machines._base import guard, role
from grantflow_machines._facts import ActorKind, Answer, Facts, No, Step


class InstallationGuards:
    """Questions over the facts; a kind of app answers them by overriding, never by new edges."""

    @role("whoever may authorize this installation")
    def by_owner(facts: Facts) -> Answer:
        return No("nobody may authorize an installation of an unnamed kind")

    @role("the person who opened the attempt")
    def by_attempt_actor(facts: Facts) -> Answer:
        if facts.attempt is None:
            return No("there is no open attempt")
        return facts.attempt.actor == facts.actor or No("only the person who opened the attempt may do this")

    @role("the person who opened the attempt, or an operator")
    def by_attempt_actor_or_operator(facts: Facts) -> Answer:
        if facts.attempt is None:
            return No("there is no open attempt")
        if facts.actor.kind is ActorKind.OPERATOR:
            return True
        return facts.attempt.actor == facts.actor or No("only the person who opened the attempt may do this")

    @role("the app or the engine")
    def by_engine(facts: Facts) -> Answer:
        kind = facts.actor.kind
        known = kind is ActorKind.APP or kind is ActorKind.SYSTEM
        return known or No("only the app or the engine may do this")

    @role("the engine's clock")
    def by_clock(facts: Facts) -> Answer:
        return facts.actor.kind is ActorKind.SYSTEM or No("only the engine itself does this")

    @role("the app itself, the engine or an operator")
    def by_reporter(facts: Facts) -> Answer:
        kind = facts.actor.kind
        if kind is ActorKind.APP:
            same = facts.actor.id == facts.client_id
            return same or No("only the app that was installed may report this, by its own client id")
        known = kind is ActorKind.SYSTEM or kind is ActorKind.OPERATOR
        return known or No("only the app itself, the engine or an operator may report this")

    @role("an operator")
    def by_operator(facts: Facts) -> Answer:
        return facts.actor.kind is ActorKind.OPERATOR or No("only an operator may do this")

    @role("an admin of the account, the owner, or the platform")
    def by_remover(facts: Facts) -> Answer:
        kind = facts.actor.kind
        if kind is ActorKind.SYSTEM or (kind is ActorKind.ADMIN and facts.is_account_admin):
            return True
        same_kind = facts.subject_kind == kind.value or (kind is ActorKind.ADMIN and facts.subject_kind == "agent")
        own = same_kind and facts.actor.id == facts.subject_id
        return own or No("only an admin of the account, the owner or the platform may uninstall")

    @role("an admin of the account, an operator, or the platform")
    def by_suspender(facts: Facts) -> Answer:
        kind = facts.actor.kind
        if kind is ActorKind.SYSTEM or kind is ActorKind.OPERATOR:
            return True
        admin = kind is ActorKind.ADMIN and facts.is_account_admin
        return admin or No("only an admin of the account, an operator or the platform may suspend")

    # -- guards ---------------------------------------------------------------------------------
    @guard("the attempt is still in time")
    def in_time(facts: Facts) -> Answer:
        if facts.attempt is None:
            return No("there is no open attempt")
        return facts.now < facts.attempt.expires_at or No("the attempt's time is over; start again")

    @guard("the attempt's time is over")
    def attempt_lapsed(facts: Facts) -> Answer:
        if facts.attempt is None:
            return No("there is no open attempt")
        until = facts.attempt.expires_at
        return facts.now >= until or No("the attempt is still in time", available_at=until)

    @guard("the account is one of the person's own, and one this attempt may choose")
    def account_choosable(facts: Facts) -> Answer:
        if not facts.account_listed:
            return No("the account is not among the person's accounts")
        own_only = facts.attempt is not None and facts.attempt.own_account_only
        if own_only and facts.chosen_account != facts.account:
            return No("only the installation's own account can be chosen here")
        return True

    @guard("the consent form is open")
    def at_the_form(facts: Facts) -> Answer:
        at = facts.attempt is not None and facts.attempt.step is Step.ACCOUNT
        return at or No("choose an account first; a form is agreed to once")

    @guard("every required scope is approved or agreed to")
    def scopes_covered(facts: Facts) -> Answer:
        missing = facts.required - facts.approved - facts.agreed
        if not missing:
            return True
        names = tuple(sorted(missing))
        return No("required scopes are not agreed to: " + ", ".join(names), missing=names)

    @guard("another attempt has its account fixed")
    def another_at_the_form(facts: Facts) -> Answer:
        return facts.others is Step.ACCOUNT

    @guard("another attempt is waiting for its exchange")
    def another_consented(facts: Facts) -> Answer:
        return facts.others is Step.CONSENTED

    @guard("another attempt is open")
    def another_open(facts: Facts) -> Answer:
        return facts.others is not None

    @guard("an attempt is open")
    def attempt_open(facts: Facts) -> Answer:
        return facts.others is not None or facts.attempt is not None

    @guard("the callback's state, browser and issuer were proved")
    def callback_proved(facts: Facts) -> Answer:
        return facts.callback_valid or No("the callback was not proved to belong to this attempt")

    @guard("the person of this attempt agreed")
    def attempt_consented(facts: Facts) -> Answer:
        at = facts.attempt is not None and facts.attempt.step is Step.CONSENTED
        return at or No("nobody agreed in this attempt")

    @guard("it is the identity of the earlier grant, or the first one")
    def same_identity(facts: Facts) -> Answer:
        return facts.identity_matches or No("another identity never overwrites a grant")

    @guard("the deadline has passed")
    def deadline_passed(facts: Facts) -> Answer:
        if facts.deadline is None:
            return No("the grant has no deadline")
        return facts.now >= facts.deadline or No("the grant is still live", available_at=facts.deadline)

    @guard("the token set is still held")
    def token_set_held(facts: Facts) -> Answer:
        return facts.secrets_held or No("the tokens of the dead grant are gone")

    @guard("the token set is live")
    def live_token_set(facts: Facts) -> Answer:
        return facts.tokens_live or No("force cannot invent a grant: there is no live token set")

    @guard("the app's own handler does not veto it")
    def not_vetoed(facts: Facts) -> Answer:
        return facts.veto is None or No(f"the app vetoed it: {facts.veto}")

    @guard("it is not suspended already")
    def not_suspended(facts: Facts) -> Answer:
        return facts.suspended_by is None or No(f"it is suspended already, by the {facts.suspended_by} side")

    @guard("this side suspended it")
    def suspended_by_this_side(facts: Facts) -> Answer:
        if facts.suspended_by is None:
            return No("it is not suspended")
        same = facts.suspended_by == facts.actor.kind
        return same or No(f"only the {facts.suspended_by} side that suspended it lifts it")

    @guard("a reason is given")
    def reason_given(facts: Facts) -> Answer:
        return bool(facts.reason) or No("a forced step needs a reason")
