"""The three kinds of app: the same chart, another answer to *who may*."""

from __future__ import annotations

from typing import ClassVar

from grantflow_machines._base import role
from grantflow_machines._facts import ActorKind, Answer, Facts, No
from grantflow_machines._lifecycle import InstallationLifecycle


class AccountInstallation(InstallationLifecycle):
    """An account-level app: one admin authorizes for everybody. Source: S-01 … S-03, S-32, S-33."""

    title = "account-level app"
    entry_points: ClassVar[dict[str, str]] = {
        "authorize": "the marketplace",
        "reauthorize": "App Gallery → the app → Settings > Reauthorize",
    }

    @role("an admin of the account")
    def by_owner(facts: Facts) -> Answer:
        admin = facts.actor.kind is ActorKind.ADMIN and facts.is_account_admin
        return admin or No("only an admin of the account may do this")


class AgentInstallation(InstallationLifecycle):
    """An agent-level app: each agent authorizes for themself. Source: S-04, S-05, S-34 … S-36."""

    title = "agent-level app"
    entry_points: ClassVar[dict[str, str]] = {
        "authorize": "the app's front end or the marketplace",
        "reauthorize": "the app's front end or the App Gallery",
    }

    @role("the agent themself")
    def by_owner(facts: Facts) -> Answer:
        kind = facts.actor.kind
        own = facts.actor.id == facts.subject_id and (kind is ActorKind.AGENT or kind is ActorKind.ADMIN)
        return own or No("only the agent themself may do this")


class ExternalInstallation(InstallationLifecycle):
    """An external app: a user authorizes one of their accounts. Source: S-19 … S-26."""

    title = "external app"
    entry_points: ClassVar[dict[str, str]] = {
        "authorize": "the app's own authorize request",
        "reauthorize": "the app's own authorize request",
    }

    @role("the user themself")
    def by_owner(facts: Facts) -> Answer:
        own = facts.actor.id == facts.subject_id and facts.actor.kind is ActorKind.USER
        return own or No("only the user themself may do this")


CHARTS: dict[str, type[InstallationLifecycle]] = {
    "account": AccountInstallation,
    "agent": AgentInstallation,
    "external": ExternalInstallation,
}
"""The catalog: app kind → chart."""
