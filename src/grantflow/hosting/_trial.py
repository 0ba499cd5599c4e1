"""A small marketplace to try out: people to be, apps that are really connected, and a clock that can be moved.

For one person on loopback: whoever can reach it may be anybody. `grantflow serve` runs it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from grantflow import Actor, App, AppKind, ClientCredentials, Engine, Tokens, new_pkce
from grantflow.errors import (
    ConfigurationError,
    GrantflowError,
    PermissionDenied,
    ReauthorizationRequired,
    Unauthorized,
)
from grantflow.hosting._app import HEADERS, create_app, environment
from grantflow.hosting._protect import protect
from grantflow.hosting._words import Words

_TEMPLATES = Path(__file__).parent / "trial"
_LOOPBACK = ["localhost", "127.0.0.1"]
_COOKIE = "grantflow_person"
SPANS = {"one day": timedelta(days=1), "one week": timedelta(weeks=1), "one year": timedelta(days=365)}
"""What the buttons of the clock are called, and how far they go."""

Advance = Callable[[timedelta], Awaitable[str]]
"""Lets time pass and does what is due then; answers with a sentence about it."""
Deed = Callable[[], Awaitable[str]]
"""Something else that may happen, behind a button of its own; answers with a sentence about it."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody to be."""

    key: str
    name: str
    about: str
    actors: tuple[Actor, ...]


@dataclass(slots=True)
class Trial:
    """What the page and the apps of the trial know, for as long as the process runs."""

    engine: Engine
    base_url: str
    people: Mapping[str, Person]
    secrets: Mapping[str, str]
    advance: Advance
    deeds: Mapping[str, Deed]
    begun: dict[str, tuple[str, str]] = field(default_factory=dict)
    """`state` → app and PKCE verifier of a request that is under way."""
    held: dict[tuple[str, str, str], Tokens] = field(default_factory=dict, repr=False)
    """App, person and account → the tokens the app holds."""
    said: str = ""

    def person(self, request: Request) -> Person | None:
        """Who this browser is just now."""
        return self.people.get(request.cookies.get(_COOKIE, ""))

    async def who_is(self, request: Request) -> Sequence[Actor] | None:
        """The session, as the hosted pages ask for it."""
        found = self.person(request)
        return None if found is None else found.actors

    def start_url(self, app: App, account: str) -> str:
        """Where an app begins its own authorization-code request."""
        told = {"account": account} if account else {}
        return f"{self.base_url}/trial/{app.key}/start?{urlencode(told)}"


def create_trial(
    engine: Engine,
    *,
    people: Sequence[Person],
    secrets: Mapping[str, str],
    advance: Advance,
    base_url: str,
    deeds: Mapping[str, Deed] | None = None,
    words: Mapping[str, str] | None = None,
) -> ASGIApp:
    """The pages of `create_app`, a page to be people and to move the clock, and apps behind `secrets`.

    `/api/…` is a REST API under their access tokens, for apps that run elsewhere on this machine.

    Args:
        engine: An open engine on a clock that `advance` moves.
        people: Whom one may be.
        secrets: App → its client secret; a public client has none.
        advance: Lets time pass.
        base_url: Where it is served, on loopback.
        deeds: The words of a button → what happens then.
        words: Texts that are added to `hosting.ENGLISH`, for example what scopes allow.

    Raises:
        ConfigurationError: the address is not loopback.
    """
    if urlsplit(base_url).hostname not in _LOOPBACK:
        msg = "the trial is for one person on this machine: whoever reaches it may be anybody"
        raise ConfigurationError(msg, hint="use http://localhost:8000")
    trial = Trial(engine, base_url, {person.key: person for person in people}, secrets, advance, deeds or {})
    pages = environment(_TEMPLATES)

    async def home(request: Request) -> Response:
        apps = {app.key: app for app in await engine.apps.list()}
        text = pages.get_template("trial.html").render(
            t=Words("en", {}), path=_path, trial=trial, here=trial.person(request), here_is="trial",
            now=engine.now(), spans=SPANS, apps=apps, rows=(await engine.find("is:any")).items,
        )  # fmt: skip
        return Response(text, media_type="text/html", headers=dict(HEADERS))

    async def be(request: Request) -> Response:
        _same_site(request)
        answer = RedirectResponse("/", 303)
        if request.path_params["person"] in trial.people:
            answer.set_cookie(_COOKIE, request.path_params["person"], httponly=True, samesite="lax")
        return answer

    async def later(request: Request) -> Response:
        _same_site(request)
        length = SPANS.get(request.path_params["span"].replace("-", " "))
        if length is not None:
            trial.said = await trial.advance(length)
        return RedirectResponse("/", 303)

    async def happen(request: Request) -> Response:
        _same_site(request)
        deed = trial.deeds.get(request.path_params["deed"])
        if deed is not None:
            trial.said = await deed()
        return RedirectResponse("/", 303)

    async def start(request: Request) -> Response:
        return await _start(trial, request)

    async def back(request: Request) -> Response:
        trial.said = await _back(trial, request)
        return RedirectResponse("/", 303)

    async def call(request: Request) -> Response:
        _same_site(request)
        trial.said = await _call(trial, request.path_params["app"], request.path_params["account"], request)
        return RedirectResponse("/", 303)

    async def refused(request: Request, error: Exception) -> Response:
        if request.url.path == "/":  # the page itself cannot be made
            return PlainTextResponse(str(error), 503)
        trial.said = str(error)
        return RedirectResponse("/", 303)

    hosted = create_app(
        engine,
        who_is=trial.who_is,
        base_url=base_url,
        sign_in_url="/",
        start_url=trial.start_url,
        templates=_TEMPLATES,
        translations={"en": words or {}},
    )
    routes = [
        Route("/", home),
        Route("/trial/be/{person}", be, methods=["POST"]),
        Route("/trial/later/{span}", later, methods=["POST"]),
        Route("/trial/happen/{deed}", happen, methods=["POST"]),
        Route("/trial/{app}/start", start),
        Route("/trial/{app}/callback", back),
        Route("/trial/{app}/call/{account}", call, methods=["POST"]),
        Mount("/api", protect(engine)(Starlette(routes=[Route("/{what}", _rest)]))),
        Mount("/", hosted),
    ]
    guard = Middleware(TrustedHostMiddleware, allowed_hosts=_LOOPBACK)
    return Starlette(routes=routes, middleware=[guard], exception_handlers={GrantflowError: refused})


def _path(*parts: str, **query: str) -> str:
    told = "/" + "/".join(parts)
    return f"{told}?{urlencode(query)}" if query else told


async def _rest(request: Request) -> Response:
    """The platform's REST API: whatever is asked for, it tells whose data that would be."""
    grant = request.state.grant
    return JSONResponse({"account": grant.account, "scopes": list(grant.scopes)})


def _same_site(request: Request) -> None:
    """Only this page's own buttons; a page elsewhere must not move the clock."""
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        msg = "this came from another site"
        raise PermissionDenied(msg)


async def _start(trial: Trial, request: Request) -> Response:
    """The app's own server sends the person to the window, with its own `state` and PKCE. Source: S-06, S-20."""
    app = await trial.engine.apps.get(request.path_params["app"])
    verifier, challenge = new_pkce()
    state, _ = new_pkce()
    trial.begun[state] = (app.key, verifier)
    asked = {
        "response_type": "code",
        "client_id": app.client_id,
        "redirect_uri": app.redirect_uris[0],
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "account": request.query_params.get("account", ""),
    }
    query = urlencode({name: value for name, value in asked.items() if value})
    return RedirectResponse(f"{trial.base_url}/oauth/v2/authorize?{query}", 303)


async def _back(trial: Trial, request: Request) -> str:
    """The app reads the response URL and exchanges the code. Source: S-12, S-17, S-18, S-25 … S-28."""
    told = request.query_params
    key, verifier = trial.begun.pop(told.get("state", ""), ("", ""))
    if key != request.path_params["app"]:
        return "This answer belongs to no request of the app; it ignores it."
    app = await trial.engine.apps.get(key)
    if "code" not in told:
        return f"{app.name} was told: {told.get('error', '')[:80]}. Nothing that worked before was changed."
    client = ClientCredentials(app.client_id, trial.secrets.get(key))
    tokens = await trial.engine.ledger.redeem(
        told["code"], client=client, redirect_uri=app.redirect_uris[0], code_verifier=verifier
    )
    found = await trial.engine.get(tokens.installation)
    person = trial.person(request)
    owner = "" if app.kind is AppKind.ACCOUNT or person is None else person.key
    trial.held[(key, owner, found.account)] = tokens
    end = "it is disconnected" if tokens.refresh_expires_at is None else f"{tokens.refresh_expires_at:%d %B %Y}"
    return f"{app.name} is connected to {found.account} until {end}."


async def _call(trial: Trial, key: str, account: str, request: Request) -> str:
    """The app calls the platform's API, and renews its access token where that has ended. Source: S-30, S-31."""
    person = trial.person(request)
    app = await trial.engine.apps.get(key)
    place = (key, "" if app.kind is AppKind.ACCOUNT or person is None else person.key, account)
    tokens = trial.held.get(place)
    if tokens is None:
        return f"{app.name} holds no tokens for {account}."
    client = ClientCredentials(app.client_id, trial.secrets.get(key))
    try:
        found = await trial.engine.ledger.authenticate(tokens.access_token.value)
    except ReauthorizationRequired:
        raise
    except Unauthorized:  # the access token's time is over, not the grant's
        tokens = await trial.engine.ledger.renew(tokens.refresh_token.value, client=client)
        trial.held[place] = tokens
        found = await trial.engine.ledger.authenticate(tokens.access_token.value)
    return f"200 OK: {app.name} may do {', '.join(found.scopes)} on {found.account}."
