"""The ASGI app: routes, headers of every answer, and the settings a host gives."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grantflow import Engine
from grantflow.errors import ConfigurationError, GrantflowError, NotFound
from grantflow.hosting import _authorize, _callback, _pages, _problems, _tokens
from grantflow.hosting._site import Binding, Site, StartUrl, WhoIs
from grantflow.hosting._words import inert, tint

_HERE = Path(__file__).parent
_VARIABLE, _VALUE = re.compile(r"--gf-[a-z-]+"), re.compile(r"[^{};<>@\\]{1,200}")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_KINDS = {"grantflow.css": "text/css", "grantflow.js": "text/javascript", "theme.css": "text/css"}

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        # Browsers hold every hop after a form to this list, and where an app leads on to is not ours to know.
        "form-action 'self' https: http://localhost:* http://127.0.0.1:*; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer, unless it says otherwise itself."""

Handler = Callable[[Site, Request], Awaitable[Response]]


def create_app(
    engine: Engine,
    *,
    who_is: WhoIs,
    base_url: str,
    sign_in_url: str | None = None,
    start_url: StartUrl | None = None,
    binding: Binding | None = None,
    theme: Mapping[str, str] | None = None,
    templates: str | Path | None = None,
    translations: Mapping[str, Mapping[str, str]] | None = None,
) -> ASGIApp:
    """The pages and endpoints of one engine, to be mounted by any ASGI platform.

        api.mount("/", hosting.create_app(engine, who_is=session_of, base_url="https://platform.example"))

    Args:
        engine: An open engine; the app keeps nothing beside it.
        who_is: async (request) → the person of the host's own session: one actor, or all roles of one person, of
            which each app gets the one that fits; None sends them to `sign_in_url`.
        base_url: Where it is mounted, as people reach it; also the issuer (RFC 8414 §2). https, or http on loopback.
        sign_in_url: The host's sign-in; `next=` is added, a path on this origin to come back to.
        start_url: (app, account) → where an app in host mode begins its authorization-code request with its own
            `state` and PKCE; None where only the app's own front end can.
        binding: (request) → 16 bytes or more of the host's session, in place of a cookie for foreign servers.
        theme: CSS variables, for example `{"--gf-accent": "light-dark(#0a5, #4e9)"}`.
        templates: A folder whose files take the place of ours; `grantflow/base.html` names ours.
        translations: Language → key → text, as in the catalog `hosting.ENGLISH`.

    Raises:
        ConfigurationError: a setting is malformed.
    """
    base = _checked_base(base_url)
    site = Site(
        engine=engine,
        who_is=who_is,
        base_url=base,
        pages=environment(templates),
        translations={name.lower(): texts for name, texts in (translations or {}).items()},
        sign_in_url=sign_in_url,
        start_url=start_url,
        binding=binding,
    )
    files = {name: (_HERE / "static" / name).read_bytes() for name in ("grantflow.css", "grantflow.js")}
    files["theme.css"] = _theme(theme or {})

    def page(path: str, handler: Handler, method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                return await handler(site, request)
            except GrantflowError as error:
                return await _problems.problem(site, request, error)

        return Route(path, endpoint, methods=[method])

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            return PlainTextResponse("not found", 404)
        return Response(files[name], media_type=_KINDS[name], headers={"Cache-Control": "max-age=300"})

    async def missing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 405:
            return PlainTextResponse("method not allowed", 405, error.headers)
        return await _problems.problem(site, request, NotFound("there is no such page"))

    routes = [
        page("/oauth/v2/authorize", _authorize.show),
        page("/oauth/v2/authorize", _authorize.act, "POST"),
        page("/oauth/v2/token", _tokens.token, "POST"),
        page("/oauth/v2/revoke", _tokens.revoke, "POST"),
        page("/oauth/callback", _callback.callback),
        page("/.well-known/oauth-authorization-server", _authorize.metadata),
        Route("/oauth/static/{name}", static),
        page("/marketplace", _pages.marketplace),
        page("/marketplace/{app}", _pages.listing),
        page("/gallery", _pages.gallery),
        page("/gallery/{app}", _pages.settings),
        page("/apps/{app}", _pages.front_end),
        page("/apps/{app}/prompt", _pages.prompt),
        page("/apps/{app}/authorize", _pages.start, "POST"),
        page("/apps/{app}/install", _pages.install, "POST"),
        page("/apps/{app}/availability", _pages.availability, "POST"),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(_Headers)], exception_handlers={HTTPException: missing})
    app.router.redirect_slashes = False  # such a redirect would be made of the Host header
    return app


class _Headers:
    """Puts the headers of every answer onto every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, sending)


def _checked_base(base_url: str) -> str:
    parts = urlsplit(base_url)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not secure or not parts.netloc or parts.query or parts.fragment or "@" in parts.netloc:
        msg = "base_url must be https (http on loopback), without query and fragment (RFC 8414 §2)"
        raise ConfigurationError(msg, hint="for example https://platform.example")
    return base_url.rstrip("/")


def environment(templates: str | Path | None) -> Environment:
    """Templates of ours, behind those of the host."""
    ours = FileSystemLoader(_HERE / "templates")
    first = [] if templates is None else [FileSystemLoader(templates)]
    loader = ChoiceLoader([*first, ours, PrefixLoader({"grantflow": ours})])
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    pages.filters["inert"], pages.filters["tint"] = inert, tint
    return pages


def _theme(theme: Mapping[str, str]) -> bytes:
    for name, value in theme.items():
        if not _VARIABLE.fullmatch(name) or not _VALUE.fullmatch(value):
            msg = f"the theme's {name!r:.80} is not a --gf-variable with a plain value"
            raise ConfigurationError(msg, hint='for example {"--gf-accent": "#0a5"}')
    lines = "".join(f"  {name}: {value};\n" for name, value in theme.items())
    return f":root {{\n{lines}}}\n".encode()
