"""A row that was set aside goes back to work: its state is what its own trail says."""

from __future__ import annotations

from collections.abc import Sequence

from grantflow._core import Core
from grantflow._rows import ActionRow, Change, Load, Snapshot, TransitionRow, damage, mended
from grantflow._transition import Draft
from grantflow.errors import Conflict, NotFound, TransitionRefused


async def repair(core: Core, installation: str, action: ActionRow) -> str:
    """Bring a quarantined row back by its trail; returns the state it is in. See Ops.repair."""
    seen = await core.store.load(Load(installation=installation))
    if seen.app is None or seen.installation is None:
        msg = "there is no such installation"
        raise NotFound(msg)
    trail = await core.store.history(seen.installation.pk, 1, None)
    change = await core.transact(Load(installation=installation), lambda found: mending(core, found, trail, action))
    return str(change.result)


def mending(core: Core, found: Snapshot, trail: Sequence[TransitionRow], action: ActionRow) -> Change:
    """One row back in the state its newest transition names; `action` is written with it, and told what was done."""
    if not trail:
        msg = "the row has no history: nothing says what it should be"
        raise TransitionRefused(msg)
    last, row, app = trail[0], found.installation, found.app
    if row is None or app is None:
        raise Conflict
    definition = core.definition(app.kind)
    if not row.quarantined and row.state in definition.states and damage(row) is None:
        msg = "the row is in order"
        raise TransitionRefused(msg)
    if last.target not in definition.states:
        msg = f"its last transition went to {last.target[:80]!r}, which this machine does not have"
        raise TransitionRefused(msg, hint="run the release that wrote it, or register the chart that has the state")
    stored_version, before = row.version, (row.state, row.version)
    row = mended(row)
    row.state, row.version, row.updated_at = last.target, last.version, max(last.at, row.updated_at)
    row.entered_at, row.created_at = row.entered_at or last.at, row.created_at or last.at
    row.generation = found.tokens.generation if found.tokens is not None else row.generation
    if row.suspended_by is not None and row.suspended_at is None:
        row.suspended_by = row.suspended_why = None
    row.quarantined, found.quarantined = False, None
    draft = Draft(found, definition, core.settings, core.now())
    draft.rearm()
    change = draft.change
    change.expected_version, change.before, change.touched = stored_version, row.state, True
    change.leaves_quarantine = True
    action.detail = f"{before[0]!s:.80} version {before[1]!s:.20} → {row.state} version {row.version}"
    change.action, change.result = action, row.state
    return change
