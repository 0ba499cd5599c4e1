"""What every page shares: the engine, the host's callables, addresses, words, and how a page is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from grantflow import Account, Actor, ActorKind, App, AppKind, Attempt, Engine
from grantflow.errors import NotFound, Unauthorized
from grantflow.hosting._web import Parameters, check_form, form_token, new_seed, read_form, seed_of
from grantflow.hosting._words import Words, best_language

WhoIs = Callable[[Request], Awaitable[Actor | Sequence[Actor] | None]]
"""async (request) → who the host's own session says is there: an actor, all roles of one person, or nobody."""
StartUrl = Callable[[App, str], str | None]
"""(app, account) → where an app in host mode begins its authorization-code request; the account may be empty."""
Binding = Callable[[Request], bytes]
"""(request) → what binds a browser from the host's own session: at least 16 bytes."""
Person = tuple[Actor, ...]

_ROLES = {
    AppKind.ACCOUNT: (ActorKind.ADMIN, ActorKind.AGENT, ActorKind.USER),
    AppKind.AGENT: (ActorKind.AGENT, ActorKind.ADMIN, ActorKind.USER),
    AppKind.EXTERNAL: (ActorKind.USER, ActorKind.AGENT, ActorKind.ADMIN),
}


@dataclass(frozen=True, slots=True)
class Site:
    """One mounted app; immutable, and empty of anything a request brought."""

    engine: Engine
    who_is: WhoIs
    base_url: str
    pages: Environment
    translations: Mapping[str, Mapping[str, str]]
    sign_in_url: str | None
    start_url: StartUrl | None
    binding: Binding | None

    # -- addresses ------------------------------------------------------------------------------
    def path(self, *parts: str, **query: str | None) -> str:
        """An address of ours, as a path on this origin."""
        told = {name: value for name, value in query.items() if value}
        path = urlsplit(self.base_url).path + "".join(f"/{quote(part, safe='')}" for part in parts)
        return f"{path}?{urlencode(told)}" if told else path

    @property
    def authorize_path(self) -> str:
        """Where the window and the form are."""
        return self.path("oauth", "v2", "authorize")

    @property
    def cookie(self) -> str:
        """The cookie that forms are proved by; the prefix keeps other hosts of the domain from setting it."""
        return "__Host-grantflow_form" if self.base_url.startswith("https:") else "grantflow_form"

    # -- people ---------------------------------------------------------------------------------
    async def person(self, request: Request) -> Person:
        """Everybody this person is to the platform; raises Unauthorized for nobody."""
        found = await self.who_is(request)
        person = (found,) if isinstance(found, Actor) else tuple(found or ())
        if not person:
            raise Unauthorized
        return person

    async def posted(self, request: Request) -> tuple[Person, Parameters]:
        """Who sends a form, and the form; raises Forged for one that is not ours."""
        person, form = await self.person(request), await read_form(request)
        check_form(request, form, self.cookie, person, self.base_url)
        return person, form

    def role(self, person: Person, app: App) -> Actor:
        """As whom this person deals with an app: an admin installs, an agent authorizes, a user connects."""
        return min(person, key=lambda actor: (*_ROLES[app.kind], actor.kind).index(actor.kind))

    async def attempt(self, request: Request, person: Person, name: str) -> tuple[Actor, Attempt]:
        """This person's attempt and the role they opened it in; raises NotFound."""
        for actor in person:
            try:
                request.state.attempt = await self.engine.attempt(name, actor=actor)
            except NotFound:
                continue
            return actor, request.state.attempt
        msg = "there is no such authorization of yours"
        raise NotFound(msg)

    async def accounts(self, person: Person) -> dict[str, tuple[Account, Person]]:
        """Every account of this person, and the roles they have there."""
        found: dict[str, tuple[Account, Person]] = {}
        for actor in person:
            for account in await self.engine.accounts(actor):
                _, roles = found.get(account.id, (account, ()))
                found[account.id] = (account, (*roles, actor))
        return found

    # -- answers --------------------------------------------------------------------------------
    def words(self, request: Request) -> Words:
        """The language of this browser."""
        return best_language(request.headers.get("accept-language", ""), self.translations)

    def page(
        self, request: Request, name: str, *, person: Person = (), status: int = 200, **values: Any
    ) -> HTMLResponse:
        """A page from its template; one for a person carries what their forms need."""
        seed = seed_of(request, self.cookie)
        fresh = seed is None and bool(person)
        seed = new_seed() if fresh else seed
        words = self.words(request)
        csrf = form_token(seed, person) if seed is not None and person else ""
        text = self.pages.get_template(name).render(
            t=words, path=self.path, csrf=csrf, authorize_path=self.authorize_path, **values
        )
        response = HTMLResponse(text, status, headers={"Content-Language": words.language})
        if fresh:
            self.keep(response, seed)
        return response

    def keep(self, response: Response, seed: str | None) -> None:
        """Give the browser a seed for its forms, until it is closed."""
        secure = self.base_url.startswith("https:")
        response.set_cookie(self.cookie, seed or "", path="/", secure=secure, httponly=True, samesite="lax")

    def see(self, url: str) -> RedirectResponse:
        """Go there with GET, whatever brought the person here (RFC 9700 §4.12)."""
        return RedirectResponse(url, 303)

    def sign_in(self, request: Request) -> Response | None:
        """To the host's own sign-in and back to this page; None for a form, or where the host named no sign-in."""
        if self.sign_in_url is None or request.method != "GET":
            return None
        here = self.path() + quote(request.scope["path"].removeprefix(request.scope.get("root_path", "")))
        query: bytes = request.scope.get("query_string", b"")
        back = here + (f"?{query.decode('ascii', 'replace')}" if query else "")
        joint = "&" if urlsplit(self.sign_in_url).query else "?"
        return self.see(f"{self.sign_in_url}{joint}{urlencode({'next': back})}")
