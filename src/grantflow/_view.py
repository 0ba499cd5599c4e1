"""Rows into what callers see: the effective state, usability, guidance. Reads the clock it is given."""

from __future__ import annotations

from datetime import datetime

from grantflow._app import App, AppKind, Version, scope_set
from grantflow._clock import maybe_datetime, to_datetime
from grantflow._compile import Definition
from grantflow._config import Settings
from grantflow._model import AppAccount, Guidance, Installation, Prompt, Suspension
from grantflow._ports import Listed
from grantflow._rows import AppRow, InstallationRow, ParentRow, Snapshot, damage, mended
from grantflow._transition import Draft
from grantflow.errors import ConfigurationError, Quarantined
from grantflow_machines import Actor, Facts, Grant, Instant

_WHY = {
    "time": "its authorization ran out",
    "idle": "it was not used for too long",
    "revoked": "the authorization was revoked",
    "reused": "a credential was used twice and the authorization was ended for safety",
    "interaction-required": "the authorization server asks the person to sign in again",
    "api-rejected": "the API rejects its credentials",
    "rotation-lost": "a renewal was lost on the way",
    "removed": "the authorization was removed",
    "operator": "an operator ended the authorization",
}


def suspension_of(row: InstallationRow | ParentRow) -> Suspension | None:
    """Who suspended it, or None."""
    if row.suspended_by is None or row.suspended_at is None:
        return None
    return Suspension(row.suspended_by, to_datetime(row.suspended_at), row.suspended_why or "")


def parent_view(app: AppRow, row: ParentRow) -> AppAccount:
    """An app on an account as callers see it."""
    return AppAccount(
        app=app.key,
        account=row.account,
        version=row.app_version,
        available=bool(row.available),
        installed=row.removed_at is None,
        suspension=suspension_of(row),
    )


def installed_version(app: App, parent: ParentRow | None) -> Version:
    """The version an account runs; the latest one where nothing is installed yet."""
    if parent is None:
        return app.latest
    try:
        return app.version(parent.app_version)
    except ConfigurationError:
        return app.latest


def effective(snapshot: Snapshot, definition: Definition, settings: Settings, now: Instant) -> str:
    """The state after everything that is due: the verdict a sweep would write."""
    row = snapshot.installation
    assert row is not None
    if row.quarantined or row.state not in definition.states or row.due_at is None or row.due_at > now:
        return row.state
    draft = Draft(snapshot, definition, settings, now)
    draft.settle()
    return draft.state


def view(snapshot: Snapshot, definition: Definition, settings: Settings, now: Instant) -> Installation:
    """One installation as callers see it; the snapshot is used up."""
    row, app_row = snapshot.installation, snapshot.app
    assert row is not None
    assert app_row is not None
    why = damage(row, snapshot.attempts)
    if why is not None:
        row = mended(row)
        row.quarantined, snapshot.quarantined = True, snapshot.quarantined or why
    stored, version, reason, entered = row.state, row.version, row.reason, row.entered_at
    open_attempts = sum(attempt.outcome is None for attempt in snapshot.attempts)
    state = effective(snapshot, definition, settings, now)
    if state != stored:
        reason, entered = row.reason, row.entered_at
    listed = Listed(row, app_row, snapshot.parent, open_attempts)
    return _build(listed, definition, now, (stored, state, version, reason, entered), snapshot.quarantined)


def view_listed(
    listed: Listed, definition: Definition | None, now: Instant, quarantined: str | None = None
) -> Installation:
    """One row of a list that has nothing due; without a definition its app is what cannot be read."""
    row = listed.installation
    if damage(row) is not None:
        row = mended(row)
        row.quarantined = True
    return _build(
        listed, definition, now, (row.state, row.state, row.version, row.reason, row.entered_at), quarantined
    )


def _build(
    listed: Listed,
    definition: Definition | None,
    now: Instant,
    states: tuple[str, str, int, str | None, Instant],
    quarantined: str | None,
) -> Installation:
    row, app_row, parent = listed.installation, listed.app, listed.parent
    stored, state, version, reason, entered = states
    running = None if definition is None else installed_version(App.from_document(app_row.document), parent)
    granted = scope_set(row.granted)
    info = None if definition is None else definition.states.get(state)
    dead_or_none = info is None or running is None or info.grant is Grant.NONE
    missing = () if dead_or_none or running is None else tuple(s for s in running.required if s not in granted)
    usable = (
        info is not None
        and running is not None
        and info.functional
        and (row.deadline_at is None or now < row.deadline_at)
        and parent is not None
        and parent.removed_at is None
        and parent.suspended_by is None
        and row.suspended_by is None
        and app_row.held_by is None
        and not (missing and running.blocking)
        and not row.quarantined
    )
    aside = quarantined or ("set aside" if row.quarantined or info is None else None)
    return Installation(
        id=row.public_id,
        app=str(app_row.key),
        kind=str(app_row.kind),
        account=row.account,
        subject_kind=row.subject_kind,
        subject=row.subject_id,
        label=row.label,
        state=state,
        stored_state=stored,
        overdue=state != stored,
        usable=usable,
        reason=reason,
        version=version,
        generation=row.generation,
        granted=tuple(sorted(granted)),
        scopes_missing=missing,
        expires_at=maybe_datetime(row.deadline_at),
        due_at=maybe_datetime(row.due_at),
        created_at=to_datetime(row.created_at),
        entered_at=to_datetime(entered),
        updated_at=to_datetime(row.updated_at),
        forced=bool(row.forced),
        suspension=suspension_of(row),
        parent_suspended=parent is not None and parent.suspended_by is not None,
        available=parent is not None and bool(parent.available) and parent.removed_at is None,
        app_held=app_row.held_by is not None,
        open_attempts=listed.attempts,
        quarantined=aside,
        next_notice_at=maybe_datetime(row.notice_due_at),
    )


def guidance(
    app: App,
    running: Version,
    definition: Definition,
    installation: Installation | None,
    viewer: Actor,
    *,
    account: str | None,
    is_account_admin: bool,
    until: datetime | None = None,
) -> Guidance:
    """What to tell one viewer; raises Quarantined for a row set aside. Source: S-04, S-33, S-34.

    Whoever is warned that it works `until` then is told how to authorize it again in time.
    """
    if installation is not None and installation.quarantined is not None:
        raise Quarantined(installation.quarantined)
    state = installation.state if installation is not None else definition.initial
    info = definition.states[state]
    where_account = installation.account if installation is not None else account
    place = f"{app.name} on {where_account}" if where_account else app.name
    prompt = _prompt(running, installation, info.grant)
    subject = installation.subject if installation is not None else viewer.id
    facts = Facts(actor=viewer, now=0, subject_id=subject, is_account_admin=is_account_admin)
    may_act = bool(definition.may_open(facts))
    who = _who(app, subject)
    dead = info.grant is Grant.DEAD
    where = definition.entry_points.get("reauthorize" if dead else "authorize", "")
    sentence = _sentence(place, installation, info.grant, prompt, who if not may_act else "you", where)
    in_time = until is not None and prompt is Prompt.NONE
    if in_time:
        act = f"Ask {who} to authorize it again in time: {where}."
        sentence = f"{place} works until {until:%Y-%m-%d %H:%M} UTC. {act}"
    url = None
    if (prompt is not Prompt.NONE or in_time) and app.authorize_url:
        url = _filled(app, installation, where_account)
    gap = installation.scopes_missing if installation is not None and info.grant is Grant.LIVE else ()
    reason = installation.reason if installation is not None else None
    return Guidance(prompt, may_act and prompt is not Prompt.NONE, who, where, sentence, state, reason, url, gap)


def _filled(app: App, installation: Installation | None, account: str | None) -> str:
    values = {
        "app": app.key,
        "account": account or "",
        "installation": installation.id if installation else "",
    }
    url = app.authorize_url
    for name, value in values.items():
        url = url.replace("{" + name + "}", value)
    return url


def _prompt(running: Version, installation: Installation | None, grant: Grant) -> Prompt:
    if installation is None or grant is Grant.NONE:
        return Prompt.AUTHORIZE
    if grant is Grant.DEAD:
        return Prompt.REAUTHORIZE
    return Prompt.AUTHORIZE if installation.scopes_missing and running.blocking else Prompt.NONE


def _who(app: App, subject: str) -> str:
    if app.kind is AppKind.AGENT:
        return f"agent {subject}"
    return "an admin of the account" if app.kind is AppKind.ACCOUNT else f"user {subject}"


def _sentence(
    place: str, installation: Installation | None, grant: Grant, prompt: Prompt, who: str, where: str
) -> str:
    if installation is not None and (installation.suspension is not None or installation.parent_suspended):
        return f"{place} is suspended; it works again when the side that suspended it lifts the suspension."
    if grant is Grant.DEAD and installation is not None:
        why = _WHY.get(installation.reason or "", "its authorization is no longer valid")
        act = "Reauthorize it" if who == "you" else f"Ask {who} to reauthorize it"
        return f"{place} stopped working: {why}. {act}: {where}."
    if prompt is Prompt.AUTHORIZE:
        act = "Authorize it" if who == "you" else f"Ask {who} to authorize it"
        return f"{place} is not authorized yet. {act}: {where}."
    if installation is not None and not installation.usable:
        return f"{place} is authorized but cannot be used at the moment."
    return f"{place} works."
