"""Incidents of an app: its server refuses the app itself, or too many renewals fail at once. No installation moves.

While one is open the app's renewals are held; one probe at a time asks again, by itself, and the first that succeeds
ends the incident.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field

from grantflow._clock import span, to_datetime
from grantflow._config import Settings
from grantflow._core import Core
from grantflow._held import Incident, NoticeName
from grantflow._ids import new_id
from grantflow._rows import AppRow, Change, IncidentRow, OutboxRow
from grantflow_machines import Instant

FAILING = "renewals-failing"
_LONGEST_WINDOW = 10_000


@dataclass(slots=True)
class Failures:
    """What this process saw of renewals lately, per app; each process sees its own share."""

    seen: dict[int, deque[tuple[Instant, int, bool]]] = field(default_factory=dict)

    def note(self, app_pk: int, installation_pk: int, now: Instant, *, failed: bool) -> None:
        """One renewal came to an end."""
        self.seen.setdefault(app_pk, deque(maxlen=_LONGEST_WINDOW)).append((now, installation_pk, failed))

    def outbreak(self, app_pk: int, now: Instant, settings: Settings) -> str | None:
        """In words, when so many installations fail that it must be the app or its server."""
        window, since = self.seen.get(app_pk, deque()), now - span(settings.incident_window)
        while window and not since <= window[0][0] <= now:
            window.popleft()
        tried = {pk for _, pk, _ in window}
        failing = {pk for _, pk, failed in window if failed}
        if len(failing) < settings.incident_count or len(failing) < settings.incident_share * len(tried):
            return None
        return f"{len(failing)} of {len(tried)} installations could not renew"

    def forget(self, app_pk: int) -> None:
        """After an incident is over, counting starts anew."""
        self.seen.pop(app_pk, None)


def _told(app: AppRow, name: NoticeName, now: Instant, **body: object) -> OutboxRow:
    return OutboxRow(None, name.value, 0, now, json.dumps({"app": app.key, **body}), None, app.pk)


def note_incident(
    core: Core, change: Change, app: AppRow, known: IncidentRow | None, cause: str, detail: str
) -> None:
    """Open an incident unless one is open; one alarm goes out."""
    if known is not None:
        return
    now = core.now()
    change.incident = IncidentRow(0, new_id(now), app.pk, cause, detail, now, now + span(core.settings.probe_first))
    change.notices.append(_told(app, NoticeName.INCIDENT_OPENED, now, cause=cause, detail=detail))


def claim_probe(core: Core, change: Change, incident: IncidentRow, now: Instant, *, ask: bool) -> bool:
    """Whether this renewal may go out as the incident's probe; the next one waits twice as long."""
    if incident.probe_at > now and not ask:
        return False
    incident.probes += 1
    wait = min(span(core.settings.probe_first) << min(incident.probes, 20), span(core.settings.backoff_longest))
    incident.probe_at = now + wait
    change.incident = incident
    return True


def close_incident(change: Change, app: AppRow, incident: IncidentRow, now: Instant, by: str) -> None:
    """The app works again: its renewals go on."""
    incident.closed_at, incident.closed_by = now, by
    change.incident = incident
    body = {"cause": incident.cause, "by": by, "probes": incident.probes}
    change.notices.append(_told(app, NoticeName.INCIDENT_CLOSED, now, **body))


def incident_view(app: str, row: IncidentRow) -> Incident:
    """An incident as callers see it."""
    closed = None if row.closed_at is None else to_datetime(row.closed_at)
    return Incident(
        id=row.public_id,
        app=app,
        cause=row.cause,
        detail=row.detail,
        opened_at=to_datetime(row.opened_at),
        probe_at=to_datetime(row.probe_at),
        probes=row.probes,
        closed_at=closed,
        closed_by=row.closed_by,
    )
