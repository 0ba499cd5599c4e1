"""What an operator's verb does to one row: the same functions for one installation and for a hundred thousand.

In bulk the verbs are those below and every event of the machines that comes from outside and speaks of no attempt;
who may bring one is the machine's business here as everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from grantflow._app import App
from grantflow._core import Core, facts_for
from grantflow._held import NoticeName
from grantflow._model import Prompt
from grantflow._repair import mending
from grantflow._rows import ActionRow, Change, Snapshot, TransitionRow
from grantflow._send import ABOUT_ATTEMPT, THROUGH_THE_WINDOW
from grantflow._tokens import check_foreign
from grantflow._transition import Draft
from grantflow._view import guidance, installed_version, view
from grantflow.errors import BadInput, TransitionRefused
from grantflow_machines import Actor, Effect

FORCE, REMIND, REPAIR, PROBE = "force", "remind", "repair", "probe"


@dataclass(frozen=True, slots=True)
class Order:
    """A verb, and what its operator said with it."""

    verb: str
    actor: Actor
    reason: str
    to: str | None = None
    quiet: bool = False
    run_id: str | None = None


@dataclass(slots=True)
class Done:
    """One row after the verb: what is written, and how it reads to people."""

    change: Change
    source: str
    target: str
    effects: tuple[str, ...] = ()
    irreversible: bool = False


def bulk_verbs(core: Core) -> list[str]:
    """Every verb that many rows can take at once."""
    events = {
        name
        for kind in core.charts
        for name in core.definition(kind).outside_events()
        if not core.definition(kind).events[name].effects & (ABOUT_ATTEMPT | THROUGH_THE_WINDOW)
    }
    return [FORCE, REMIND, PROBE, REPAIR, *sorted(events)]


def checked(core: Core, order: Order) -> Order:
    """The order, if it can be understood; raises BadInput."""
    known = bulk_verbs(core)
    if order.verb not in known:
        msg = f"{str(order.verb)[:80]!r} is no verb for many"
        raise BadInput(msg, hint="verbs: " + ", ".join(known))
    if (order.to is not None) is not (order.verb == FORCE):
        msg = "a state to go to is named with force, and with force alone"
        raise BadInput(msg, hint="force needs to=STATE, on the command line --to STATE")
    if order.quiet and order.verb != FORCE:
        msg = "only force can be without side effects"
        raise BadInput(msg)
    states = list(dict.fromkeys(state for kind in core.charts for state in core.definition(kind).states))
    if order.verb == FORCE and order.to not in states:
        msg = f"no state is called {str(order.to)!r:.80}"
        raise BadInput(msg, hint="states: " + ", ".join(states))
    return order


def carry_out(core: Core, found: Snapshot, order: Order, trail: list[TransitionRow]) -> Done:
    """One row, in its transaction or on a snapshot for a preview; raises what the machine says.

    `trail` is the newest transition of the row, for `repair` alone. A probe asks a server; here it is only checked.
    """
    if order.verb == REPAIR:
        return _repaired(core, found, order, trail)
    if order.verb == REMIND:
        draft = remind(core, found, order.actor)
        return Done(draft.change, draft.state, draft.state, effects_of(draft))
    if order.verb == PROBE:
        draft = core.draft(found)
        may_be_probed(found)
        return Done(Change(), draft.state, draft.state, ("asks the foreign server",))
    draft = core.draft(found, run_id=order.run_id)
    source = draft.state
    if order.verb == FORCE:
        force(draft, order.to or "", order.actor, order.reason, quiet=order.quiet)
    else:
        facts = facts_for(draft, order.actor, (), reason=order.reason)
        draft.apply(order.verb, facts, reason=order.reason)
    return Done(draft.change, source, draft.state, effects_of(draft), irreversible(draft))


def force(draft: Draft, to: str, actor: Actor, reason: str, *, quiet: bool) -> None:
    """Force a row into a state; a step that only a person can take is refused."""
    event = draft.definition.event_with(Effect.FORCED)
    if not isinstance(to, str) or to not in draft.definition.states:
        msg = f"no state is called {str(to)!r:.80}"
        raise BadInput(msg, hint="states: " + ", ".join(draft.definition.states))
    reachable = draft.definition.targets(event, draft.state)
    if to not in reachable:
        shown = ", ".join(reachable) or "nothing"
        msg = f"from {draft.state} an operator can force {shown}; a step only a person can take is not forced"
        raise TransitionRefused(msg, hint="send the person the authorization link instead")
    draft.apply(event, facts_for(draft, actor, (), target=to, reason=reason), reason=reason, quiet=quiet)


def effects_of(draft: Draft) -> tuple[str, ...]:
    """What follows from a draft, for people."""
    change, told = draft.change, []
    if change.changed_attempts:
        told.append(f"closes {len(change.changed_attempts)} open attempt(s)")
    if change.wipe_tokens:
        told.append("wipes the stored credentials")
    if change.void_consents:
        told.append("voids earlier consents")
    told.extend(f"sends the notice {notice.name}" for notice in change.notices)
    if draft.row is not None:
        told.append("has nothing due after it" if draft.row.due_at is None else "stays on the clock")
    return tuple(told)


def irreversible(draft: Draft) -> bool:
    """Whether no operator can take it back."""
    final = draft.definition.states[draft.state].final
    return final or (draft.change.wipe_tokens and draft.change.tokens is None)


def remind(core: Core, found: Snapshot, actor: Actor) -> Draft:
    """The notice `installation.reminded` for whoever can act; raises TransitionRefused where nobody has to."""
    draft = core.draft(found)
    assert found.app is not None
    app, definition = App.from_document(found.app.document), draft.definition
    running, seen = installed_version(app, found.parent), view(found, definition, core.settings, draft.now)
    told = guidance(app, running, definition, seen, actor, account=None, is_account_admin=False)
    if told.prompt is Prompt.NONE:
        msg = f"nobody has to act: the installation is {seen.state}"
        raise TransitionRefused(msg)
    draft.notify(NoticeName.INSTALLATION_REMINDED.value, "remind", guidance=told.as_dict())
    return draft


def may_be_probed(found: Snapshot) -> None:
    """Raise NotHeldHere for what no foreign server knows, TransitionRefused where nothing is left to ask with."""
    assert found.app is not None
    check_foreign(found.app)
    if found.tokens is None or found.tokens.refresh_sealed is None:
        msg = "there is nothing to renew with"
        raise TransitionRefused(msg)


def _repaired(core: Core, found: Snapshot, order: Order, trail: list[TransitionRow]) -> Done:
    before = "" if found.installation is None else str(found.installation.state)
    row = ActionRow(core.now(), str(order.actor), order.actor.claimed, REPAIR, "", order.reason, None, "applied", "")
    change = mending(core, found, trail, row)
    change.action = None  # the job's own record speaks for its rows
    return Done(change, before, str(change.result), (row.detail,))
