"""Facts for the tests of the machines: one plain situation, and random ones."""

from __future__ import annotations

from random import Random
from typing import Any

from grantflow_machines import Actor, ActorKind, AttemptFacts, Facts, Step

NOW = 1_000_000
SECOND = 1_000_000
ANN = Actor.agent("ann")
BOB = Actor.agent("bob")
OPERATOR = Actor.operator("olga")
SYSTEM = Actor.system()


def attempt(actor: Actor = ANN, **changes: Any) -> AttemptFacts:
    """An attempt at the consent form with ten seconds left."""
    plain: dict[str, Any] = {"actor": actor, "step": Step.ACCOUNT, "expires_at": NOW + 10 * SECOND}
    return AttemptFacts(**(plain | changes))


def situation(actor: Actor = ANN, **changes: Any) -> Facts:
    """What is so when nothing special is: Ann's installation in the account *acme*."""
    plain: dict[str, Any] = {"now": NOW, "subject_id": "ann", "account": "acme", "account_listed": True}
    return Facts(actor=actor, **(plain | changes))


def random_situation(rng: Random, targets: list[str]) -> Facts:
    """Facts under which every guard says yes about as often as no."""
    people = [Actor(kind, name) for kind in ActorKind for name in ("ann", "bob")]
    actor = rng.choice([*people, SYSTEM, OPERATOR, OPERATOR, ANN])
    scopes = ("read", "write", "admin")

    def some() -> frozenset[str]:
        return frozenset(scope for scope in scopes if rng.random() < 0.4)

    def maybe(value: Any, chance: float = 0.5) -> Any:
        return value if rng.random() < chance else None

    opened = AttemptFacts(
        actor=actor if rng.random() < 0.8 else rng.choice(people),
        step=rng.choice(list(Step)),
        expires_at=NOW + rng.choice((-1, 0, 1, 1)),
        own_account_only=rng.random() < 0.5,
    )
    return Facts(
        actor=actor,
        now=NOW,
        subject_id=rng.choice(("ann", "ann", "bob")),
        account="acme",
        is_account_admin=rng.random() < 0.5,
        account_listed=rng.random() < 0.8,
        chosen_account=rng.choice((None, "acme", "other")),
        attempt=maybe(opened, 0.7),
        others=rng.choice((None, None, *Step)),
        deadline=maybe(NOW + rng.choice((-1, 0, 1)), 0.8),
        required=some(),
        approved=some(),
        agreed=some(),
        identity_matches=rng.random() < 0.7,
        callback_valid=rng.random() < 0.7,
        secrets_held=rng.random() < 0.5,
        tokens_live=rng.random() < 0.5,
        veto=maybe("not today", 0.3),
        suspended_by=maybe(rng.choice((actor.kind, ActorKind.ADMIN))),
        force_target=rng.choice(targets),
        reason=maybe("ticket 7", 0.8),
    )
