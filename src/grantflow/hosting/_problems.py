"""When something cannot be done: a page that names the app, the account, the reason and who can act. Source: S-33."""

from __future__ import annotations

import contextlib

from starlette.requests import Request
from starlette.responses import Response

from grantflow import App, AppKind, Guidance
from grantflow.errors import (
    BadCallback,
    BadInput,
    Conflict,
    GrantflowError,
    InvalidClient,
    NotFound,
    PermissionDenied,
    Quarantined,
    TransitionRefused,
    Unauthorized,
)
from grantflow.hosting._site import Site
from grantflow.hosting._web import Forged


class Elsewhere(TransitionRefused):
    """Only the app itself can begin its authorization."""

    code = "elsewhere"


_PAGES: list[tuple[type[GrantflowError], int, str]] = [
    (Unauthorized, 401, "unauthorized"),
    (Forged, 403, "forged"),
    (PermissionDenied, 403, "permission_denied"),
    (NotFound, 404, "not_found"),
    (InvalidClient, 400, "invalid_client"),
    (BadCallback, 400, "bad_callback"),
    (Elsewhere, 409, "elsewhere"),
    (Quarantined, 409, "quarantined"),
    (TransitionRefused, 409, "refused"),
    (Conflict, 409, "later"),
]
_SILENT = {
    "unauthorized",
    "forged",
    "bad_callback",
    "later",
    "elsewhere",
    "quarantined",
    "invalid_client",
    "not_found",
}
"""Where the catalog says it better than the error, or the error repeats what somebody wrote into an address."""


async def problem(site: Site, request: Request, error: GrantflowError) -> Response:
    """The page of an error. Its text comes from the catalog and from the error, never from the request.

    An error's hint is for whoever wrote the program; people are told by the catalog what they can do.
    """
    if isinstance(error, Unauthorized) and (away := site.sign_in(request)) is not None:
        return away
    status, key = page_of(error)
    app, account, guidance = await _about(site, request)
    words, name, outcome = site.words(request), "" if app is None else app.name, _outcome(site, request, error)
    again, home = None, site.path("marketplace") if status in (403, 404, 409) else None
    if outcome == "completed":
        guidance, home = None, site.path("marketplace", *(() if app is None else (app.key,)))
    elif app is not None and app.kind is not AppKind.EXTERNAL and status in (400, 409) and key != "elsewhere":
        again, home = site.path("marketplace", app.key), None
    advice = f"problem.{key}.next"
    if outcome is not None:
        advice = "outcome.completed.again" if outcome == "completed" else "outcome.over"
    return site.page(
        request,
        "problem.html",
        status=status,
        heading=words(f"problem.{key}" if outcome is None else f"outcome.{outcome}", app=name),
        app=app,
        account=account,
        guidance=guidance,
        reason=None if key in _SILENT or outcome == "completed" else str(error),
        advice=words(advice, app=name),
        again=again,
        home=home,
    )


def _outcome(site: Site, request: Request, error: GrantflowError) -> str | None:
    """How the attempt ended that can no longer be gone on with; None where that is not the matter."""
    attempt = getattr(request.state, "attempt", None)
    if attempt is None or not isinstance(error, TransitionRefused):
        return None
    ended: str | None = attempt.outcome or ("expired" if attempt.expires_at <= site.engine.now() else None)
    return ended


def page_of(error: GrantflowError) -> tuple[int, str]:
    """(HTTP status, key of the words) of an error."""
    for kind, status, key in _PAGES:
        if isinstance(error, kind):
            return status, key
    if isinstance(error, BadInput):
        return 400, error.code if error.code == "invalid_request" else "bad_input"
    return 503, "later"


async def _about(site: Site, request: Request) -> tuple[App | None, str, Guidance | None]:
    """What the request was about, as far as that is known and may be told."""
    attempt = getattr(request.state, "attempt", None)
    app: App | None = getattr(request.state, "app", None)
    account: str = getattr(request.state, "account", "")
    guidance = None
    with contextlib.suppress(GrantflowError):
        if attempt is not None:
            app, account = await site.engine.apps.get(attempt.app), attempt.account or ""
        if app is not None:
            actor = site.role(await site.person(request), app)
            guidance = await site.engine.guidance(app.key, account=account, viewer=actor)
    return app, account, guidance
