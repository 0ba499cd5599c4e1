"""Who must act is told before a grant ends and after it died: one notice for each span, and those that were missed
come as one.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from grantflow._app import App
from grantflow._clock import span, to_datetime
from grantflow._core import Core
from grantflow._held import NoticeName
from grantflow._rows import Change, Load, Snapshot
from grantflow._transition import CLOCK_ACTOR, Draft
from grantflow._view import guidance, installed_version, view
from grantflow.errors import ConfigurationError, DatabaseError, GrantflowError
from grantflow_machines import Grant

_AT_ONCE = 64
"""Rows that go into one commit, more or less."""


async def warn_due(core: Core, limit: int) -> int:
    """Queue the notices that are due; returns how many. See Engine.warn_due."""
    core.believe_clock()
    told, unreadable = 0, set[int]()
    while told < limit:
        asked, known = min(limit - told, _AT_ONCE), len(unreadable)
        due = await core.store.warnings_due(core.now(), asked, unreadable)
        done = await asyncio.gather(*(_one(core, name, app_pk, unreadable) for name, app_pk in due))
        told += done.count(True)
        stuck = all(ending is None for ending in done) and len(unreadable) == known
        if len(due) < asked or stuck:
            break
    return told


async def _one(core: Core, installation: str, app_pk: int, unreadable: set[int]) -> bool | None:
    """Whether somebody was told; None where the row has to wait."""

    def work(found: Snapshot) -> Change:
        draft = core.draft(found, settle=False)
        row = draft.row
        assert row is not None
        if row.notice_due_at is None or row.notice_due_at > draft.now:
            return draft.change  # somebody else was faster
        if row.due_at is not None and row.due_at <= draft.now:
            return draft.change  # the sweep's, and behind its brake
        if found.parent is not None and found.parent.removed_at is None:
            _tell(core, draft)
        draft.rearm(told=True)
        draft.change.touched = True
        return draft.change

    try:
        change = await core.transact(Load(installation=installation), work)
    except DatabaseError:
        raise
    except ConfigurationError:  # the app's own row: whoever mends it is warned then, and nobody else waits for it
        unreadable.add(app_pk)
        return None
    except GrantflowError:
        return None
    return bool(change.notices)


def _tell(core: Core, draft: Draft) -> None:
    found, row = draft.snapshot, draft.row
    assert row is not None
    assert found.app is not None
    app, definition = App.from_document(found.app.document), draft.definition
    live = definition.states[row.state].grant is Grant.LIVE
    reason, deadline, ended = row.reason, row.deadline_at, row.ended_at
    seen = view(found, definition, core.settings, draft.now)
    told = guidance(
        app,
        installed_version(app, found.parent),
        definition,
        seen,
        CLOCK_ACTOR,
        account=None,
        is_account_admin=False,
        until=to_datetime(deadline) if live and deadline is not None else None,
    )
    if live and deadline is not None:
        left = timedelta(microseconds=deadline - draft.now)
        draft.notify(
            NoticeName.INSTALLATION_EXPIRING.value,
            "warn",
            expires_at=to_datetime(deadline).isoformat(),
            days_left=-(-left // timedelta(days=1)),
            guidance=told.as_dict(),
        )
    elif ended is not None:
        draft.notify(
            NoticeName.INSTALLATION_REMINDED.value,
            "remind",
            cause=reason,
            days_dead=(draft.now - ended) // span(timedelta(days=1)),
            guidance=told.as_dict(),
        )
