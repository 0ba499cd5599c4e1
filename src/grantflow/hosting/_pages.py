"""Marketplace, App Gallery, an app's front end and its prompt. Source: S-02 … S-05, S-32 … S-36."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from grantflow import Account, Actor, ActorKind, App, AppAccount, AppKind, Guidance, Installation, Prompt
from grantflow.errors import BadInput, GrantflowError, NotFound, Quarantined
from grantflow.hosting._problems import Elsewhere, page_of
from grantflow.hosting._site import Person, Site
from grantflow.hosting._web import form_token, new_seed, read_query, seed_of
from grantflow.hosting._words import Words

ENTRIES = ("marketplace", "gallery", "front-end")


@dataclass(frozen=True, slots=True)
class Card:
    """One app on one account, as one person sees it."""

    app: App
    account: Account
    actor: Actor
    parent: AppAccount | None
    installation: Installation | None
    guidance: Guidance | None
    """None for a row that is set aside."""
    message: str
    """The sentence for a person, in their language where the host has the words."""
    can_use: bool
    startable: bool
    """Whether its authorization can begin at a button of ours."""

    @property
    def installed(self) -> bool:
        """Whether the app is on the account."""
        return self.parent is not None and self.parent.installed

    @property
    def status(self) -> str:
        """The key of the words for how it stands."""
        if self.guidance is None:
            return "state.damaged"
        works = self.installation is None or self.installation.usable or self.guidance.prompt is not Prompt.NONE
        return f"state.{self.guidance.state}" if works else "state.unusable"

    @property
    def button(self) -> str | None:
        """AUTHORIZE or REAUTHORIZE, where this person may press it here."""
        if self.guidance is None or not self.startable:
            return None
        if self.guidance.prompt is not Prompt.NONE:
            ready = self.installed or self.app.kind is not AppKind.AGENT
            return self.guidance.prompt.value if self.guidance.may_act and ready else None
        owner = self.app.kind is not AppKind.ACCOUNT or self.administers
        return Prompt.AUTHORIZE.value if self.guidance.scopes_awaiting and owner else None

    @property
    def administers(self) -> bool:
        """Whether this person is an admin there."""
        return self.actor.kind is ActorKind.ADMIN


async def _card(site: Site, request: Request, app: App, account: Account, roles: Person) -> Card:
    engine, actor, guidance, installation, parent = site.engine, site.role(roles, app), None, None, None
    with contextlib.suppress(NotFound):
        installation = await engine.get(app.key, account=account.id, subject=actor)
    with contextlib.suppress(NotFound):
        parent = await engine.apps.on_account(app.key, account.id)
    with contextlib.suppress(Quarantined):
        guidance = await engine.guidance(app.key, account=account.id, viewer=actor)
    may = installation is not None and guidance is not None and await engine.can_use(installation, actor)
    words, startable = site.words(request), _startable(site, app, account.id)
    usable = installation is not None and installation.usable
    message = _message(words, guidance, app, account, may=may, usable=usable)
    return Card(app, account, actor, parent, installation, guidance, message, may, startable)


def _message(words: Words, guidance: Guidance | None, app: App, account: Account, *, may: bool, usable: bool) -> str:
    names = {"app": app.name, "account": account.name}
    if guidance is None:
        return words("state.damaged")
    if guidance.prompt is Prompt.NONE and may:
        return words("front.works", **names)
    if guidance.prompt is Prompt.NONE and usable:
        return words("front.not_available", **names)
    reason = words.find(f"reason.{guidance.reason}") or ""
    return words.find(f"sentence.{guidance.prompt.value}", reason=reason, **names) or guidance.sentence


def _startable(site: Site, app: App, account: str) -> bool:
    if app.server is not None or not app.require_pkce:
        return True
    return site.start_url is not None and site.start_url(app, account) is not None


def _admin(roles: Iterable[Actor]) -> Actor | None:
    return next((actor for actor in roles if actor.kind is ActorKind.ADMIN), None)


async def _app(site: Site, request: Request) -> App:
    app = await site.engine.apps.get(request.path_params["app"])
    request.state.app = app
    return app


async def _place(site: Site, request: Request, person: Person) -> tuple[Account, Person] | None:
    """The account a page is about: the one the query names, else the first one; None without any."""
    asked, accounts = read_query(request)["account"], await site.accounts(person)
    if asked is None:
        return next(iter(accounts.values()), None)
    if asked not in accounts:
        msg = "there is no such account among yours"
        raise NotFound(msg)
    request.state.account = asked
    return accounts[asked]


# -- pages ----------------------------------------------------------------------------------------
async def marketplace(site: Site, request: Request) -> Response:
    """Every app there is."""
    await site.person(request)
    return site.page(request, "marketplace.html", apps=await site.engine.apps.list())


async def listing(site: Site, request: Request) -> Response:
    """One app of the marketplace, and how it stands on each of this person's accounts. Source: S-05."""
    person, app = await site.person(request), await _app(site, request)
    accounts = await site.accounts(person)
    cards = [await _card(site, request, app, account, roles) for account, roles in accounts.values()]
    installers = {account.id for account, roles in accounts.values() if _admin(roles) is not None}
    return site.page(request, "listing.html", person=person, app=app, cards=cards, installers=installers)


async def gallery(site: Site, request: Request) -> Response:
    """The apps of one account."""
    person = await site.person(request)
    found = await _place(site, request, person)
    cards = []
    if found is not None:
        account, roles = found
        for app in await site.engine.apps.list():
            card = await _card(site, request, app, account, roles)
            if card.installed:
                cards.append(card)
    accounts = [account for account, _ in (await site.accounts(person)).values()]
    here = None if found is None else found[0]
    return site.page(request, "gallery.html", here=here, accounts=accounts, cards=cards)


async def settings(site: Site, request: Request) -> Response:
    """An app of the gallery with its settings: Reauthorize, availability. Source: S-02, S-32."""
    return await _of_app(site, request, "settings.html")


async def front_end(site: Site, request: Request) -> Response:
    """The component an agent sees in the product: AUTHORIZE, REAUTHORIZE, or the app. Source: S-04, S-34, S-36."""
    return await _of_app(site, request, "front_end.html")


async def _of_app(site: Site, request: Request, template: str) -> Response:
    person, app = await site.person(request), await _app(site, request)
    found = await _place(site, request, person)
    if found is None:
        msg = "you have no account"
        raise NotFound(msg)
    account, roles = found
    card = await _card(site, request, app, account, roles)
    admin = _admin(roles) if app.kind is AppKind.ACCOUNT else None
    return site.page(request, template, person=person, card=card, app=app, admin=admin)


async def prompt(site: Site, request: Request) -> Response:
    """What `<grantflow-prompt>` shows: the guidance, and where its button leads. Source: S-04, S-34, S-35."""
    try:
        person, app = await site.person(request), await _app(site, request)
        found = await _place(site, request, person)
        if found is None:
            raise NotFound
        account, roles = found
        card = await _card(site, request, app, account, roles)
        if card.guidance is None:
            raise Quarantined
    except GrantflowError as error:
        return JSONResponse({"error": error.code, "message": str(error)}, page_of(error)[0])
    seed = seed_of(request, site.cookie)
    fresh, words = seed is None, site.words(request)
    seed = seed or new_seed()
    body: dict[str, Any] = card.guidance.as_dict() | {
        "app": app.name,
        "account": account.name,
        "can_use": card.can_use,
        "message": card.message,
        "label": words(f"prompt.{card.button}") if card.button else None,
        "help": words("front.who", who=card.guidance.who, where=card.guidance.where),
        "action": site.path("apps", app.key, "authorize") if card.button else None,
        "fields": {"account": account.id, "entry": "front-end", "csrf": form_token(seed, person)},
    }
    response = JSONResponse(body)
    if fresh:
        site.keep(response, seed)
    return response


# -- deeds ----------------------------------------------------------------------------------------
async def start(site: Site, request: Request) -> Response:
    """AUTHORIZE or REAUTHORIZE was pressed: an authorization-code request goes out. Source: S-05, S-06, S-36."""
    person, form = await site.posted(request)
    app, accounts = await _app(site, request), await site.accounts(person)
    account = form["account"] or (next(iter(accounts)) if len(accounts) == 1 else "")
    if account in accounts:
        request.state.account = account
    actor = site.role(accounts[account][1] if account in accounts else person, app)
    entry = next((known for known in ENTRIES if known == form["entry"]), "")
    if app.server is not None:
        if not account:
            msg = "choose the account first"
            raise BadInput(msg)
        return await _depart(site, request, app, actor, account, entry)
    url = None if site.start_url is None else site.start_url(app, account)
    if url is not None:
        return site.see(url)
    if app.require_pkce:
        msg = "only the app can begin its authorization"
        raise Elsewhere(msg)
    attempt = await site.engine.authorize(app.key, actor=actor, account=form["account"], entry_point=entry)
    return site.see(site.path("oauth", "v2", "authorize", attempt=attempt.id, account=form["account"]))


async def _depart(site: Site, request: Request, app: App, actor: Actor, account: str, entry: str) -> Response:
    """To a foreign server, bound to this browser."""
    ours = f"{site.base_url}/oauth/callback"
    attempt = await site.engine.authorize(
        app.key,
        actor=actor,
        account=account,
        entry_point=entry,
        redirect_uri=ours if ours in app.redirect_uris else None,
        binding=None if site.binding is None else site.binding(request),
    )
    response = site.see(attempt.authorize_url)
    if attempt.cookie is not None:
        response.headers.append("Set-Cookie", attempt.set_cookie)
    return response


async def install(site: Site, request: Request) -> Response:
    """An admin puts an agent-level app on an account. Source: S-04, S-05."""
    app, account, actor, _ = await _by_admin(site, request)
    await site.engine.apps.install(app.key, account, actor=actor)
    return site.see(site.path("marketplace", app.key))


async def availability(site: Site, request: Request) -> Response:
    """The switch for all agents of an account. Source: S-02."""
    app, account, actor, available = await _by_admin(site, request)
    await site.engine.apps.set_available(app.key, account, available, actor=actor)
    return site.see(site.path("gallery", app.key, account=account))


async def _by_admin(site: Site, request: Request) -> tuple[App, str, Actor, bool]:
    person, form = await site.posted(request)
    app, account = await _app(site, request), form.need("account")
    if account in await site.accounts(person):
        request.state.account = account
    return app, account, _admin(person) or person[0], form["available"] == "yes"
