"""The way back from a foreign server. Source: S-12, S-17, S-18, S-25, S-26; RFC 9700 §4.7 and §4.11."""

from __future__ import annotations

import contextlib

from starlette.requests import Request
from starlette.responses import Response

from grantflow import Attempt
from grantflow.errors import GrantflowError
from grantflow.hosting._site import Site


async def callback(site: Site, request: Request) -> Response:
    """Only the query is read; where the person goes next is ours to say, whatever the query holds."""
    if request.method != "GET":  # HEAD consumes nothing
        return Response(status_code=204)
    raw: bytes = request.scope.get("query_string", b"")
    bound = None if site.binding is None else site.binding(request)
    done = await site.engine.complete(raw.decode("ascii", "replace"), cookies=request.cookies, binding=bound)
    known = done.installation
    if done.outcome == "completed" and known is not None:
        return site.see(site.path("apps", known.app, account=known.account))
    attempt = await _seen(site, request, done.attempt)
    name = known.app if known is not None else (attempt.app if attempt is not None else None)
    app = None if name is None else await site.engine.apps.get(name)
    words = site.words(request)
    account = known.account if known is not None else ((attempt.account or "") if attempt is not None else "")
    return site.page(
        request,
        "problem.html",
        heading=words(f"outcome.{done.outcome}", app="" if app is None else app.name),
        app=app,
        account=account,
        guidance=None,
        reason=done.why,
        advice=words.find(f"outcome.{done.outcome}.next") or words("outcome.next"),
        again=None if app is None else site.path("marketplace", app.key),
        home=site.path("marketplace") if app is None else None,
    )


async def _seen(site: Site, request: Request, name: str) -> Attempt | None:
    with contextlib.suppress(GrantflowError):
        return (await site.attempt(request, await site.person(request), name))[1]
    return None
