"""One event on one installation: the verdict that `send` acts on and `explain` tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grantflow._app import scope_set
from grantflow._core import Core, facts_for
from grantflow._decide import Refused, decide
from grantflow._model import Account, Explanation, Obstacle
from grantflow._requests import checked_name
from grantflow._rows import AttemptRow, Change, Load, Snapshot
from grantflow._transition import Draft, explanation, refusal
from grantflow.errors import BadInput, EngineOnly, TransitionRefused
from grantflow_machines import Actor, ActorKind, Effect, EventRule, Facts, Origin

ABOUT_ATTEMPT = frozenset({Effect.CHOOSE_ACCOUNT, Effect.RECORD_CONSENT, Effect.CLOSE_ATTEMPT, Effect.REPLACE_TOKENS})
THROUGH_THE_WINDOW = frozenset({Effect.OPEN_ATTEMPT, Effect.CHOOSE_ACCOUNT, Effect.RECORD_CONSENT})
_PAYLOAD = {"attempt", "account", "scopes", "veto"}


@dataclass(slots=True)
class Asked:
    """One event as a caller brought it."""

    event: str
    actor: Actor
    payload: Mapping[str, object]
    reason: str | None = None
    idempotency_key: str | None = None
    listing: Sequence[Account] = ()
    veto: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.event, str):
            msg = "event must be the name of an event"
            raise BadInput(msg)
        unknown = set(self.payload) - _PAYLOAD
        if unknown:
            msg = f"unknown payload: {', '.join(sorted(map(str, unknown)))[:200]}"
            raise BadInput(msg, hint=f"known: {', '.join(sorted(_PAYLOAD))}")
        if self.idempotency_key is not None:
            checked_name(self.idempotency_key, "idempotency_key")
        if self.reason is not None:
            checked_name(self.reason, "reason")


def facts_of(draft: Draft, asked: Asked) -> tuple[Facts, AttemptRow | None]:
    """The facts of an event that comes from outside, and the attempt it speaks about."""
    rule = draft.definition.events.get(asked.event)
    attempt = None
    if rule is not None and rule.effects & ABOUT_ATTEMPT:
        attempt = _attempt_for(draft, asked)
    scopes = asked.payload.get("scopes")
    requested = scope_set(attempt.requested) if attempt is not None else frozenset()
    agreed = requested if scopes is None else frozenset(str(scope) for scope in _sequence(scopes))
    account = asked.payload.get("account")
    facts = facts_for(
        draft,
        asked.actor,
        asked.listing,
        attempt=attempt,
        chosen=None if account is None else str(account),
        agreed=agreed,
        veto=asked.veto,
        reason=asked.reason,
    )
    return facts, attempt


def _sequence(value: object) -> Sequence[object]:
    if isinstance(value, (list, tuple, set, frozenset)):
        return tuple(value)
    msg = "scopes must be a list of scopes"
    raise BadInput(msg)


def _attempt_for(draft: Draft, asked: Asked) -> AttemptRow | None:
    named = asked.payload.get("attempt")
    candidates = [a for a in draft.open_attempts() if named is None or a.public_id == named]
    own = [attempt for attempt in candidates if attempt.actor == asked.actor]
    chosen = own or candidates
    return chosen[-1] if chosen else None


def explain(draft: Draft, asked: Asked) -> Explanation:
    """Why the event would happen now, or why not."""
    rule = draft.definition.events.get(asked.event)
    if rule is not None and rule.origin is Origin.ENGINE:
        return explanation(asked.event, Refused("only the engine brings this event"))
    if rule is not None and _needs_a_reason(rule, asked.actor):
        return explanation(asked.event, _BY_OPS)
    facts, _ = facts_of(draft, asked)
    return explanation(asked.event, decide(draft.definition, draft.state, asked.event, facts))


_WHY = "an operator closes somebody's attempt with a reason, by engine.ops.cancel_attempt"
_BY_OPS = Refused(_WHY, (Obstacle("by_ops", _WHY, is_role=True),))


def _needs_a_reason(rule: EventRule, actor: Actor) -> bool:
    return actor.kind is ActorKind.OPERATOR and Effect.CLOSE_ATTEMPT in rule.effects


async def send(core: Core, load: Load, asked: Asked) -> Change:
    """Bring one event; see Engine.send."""

    def work(found: Snapshot) -> Change:
        if found.replayed_version is not None:
            return Change(result=(found.installation, found.replayed_version))
        draft = core.draft(found)
        rule = draft.definition.events.get(asked.event)
        if rule is not None and rule.origin is Origin.ENGINE:
            msg = f"{asked.event} is brought by the engine alone"
            raise EngineOnly(msg, hint="force is reached through engine.ops.preview_force")
        if rule is not None and _needs_a_reason(rule, asked.actor):
            raise refusal(asked.event, draft.state, _BY_OPS)
        facts, attempt = facts_of(draft, asked)
        if rule is not None and rule.effects & THROUGH_THE_WINDOW:
            verdict = decide(draft.definition, draft.state, asked.event, facts)
            if not isinstance(verdict, Refused):
                msg = f"{asked.event} goes through the window"
                raise TransitionRefused(msg, hint="use engine.authorize, select_account and agree")
        draft.apply(asked.event, facts, attempt=attempt, reason=asked.reason, idempotency_key=asked.idempotency_key)
        draft.change.result = found
        return draft.change

    return await core.transact(load, work)
