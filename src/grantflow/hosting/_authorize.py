"""The authorize endpoint and its two pages: window and consent form. Source: S-06 … S-26; RFC 6749 §4.1, RFC 9207."""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from grantflow import Actor, App, Attempt, ConsentForm, Returned
from grantflow.errors import (
    BadInput,
    ConfigurationError,
    DatabaseError,
    InvalidRequest,
    InvalidScope,
    TransitionRefused,
)
from grantflow.hosting._site import Person, Site
from grantflow.hosting._web import Parameters, read_query

_PROTOCOL = (
    "client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge", "code_challenge_method",
    "account",
)  # fmt: skip


async def show(site: Site, request: Request) -> Response:
    """GET: a request of an app opens an attempt; `attempt=` shows its window or form."""
    asked = read_query(request)
    name = asked["attempt"]
    if name is not None:
        return await _window(site, request, name, asked["account"])
    if request.method != "GET":  # HEAD opens nothing
        return Response(status_code=204)
    return await _begin(site, request, asked)


async def _begin(site: Site, request: Request, asked: Parameters) -> Response:
    """Check the request in the order that keeps people safe: client, address, person, and only then the rest.

    Until client and address are known to be right nothing is redirected (RFC 6749 §4.1.2.1); nobody is sent back with
    an error who has not signed in (RFC 9700 §4.11.2).
    """
    if asked.repeated(("client_id", "redirect_uri")):
        msg = "client_id and redirect_uri may come once"
        raise InvalidRequest(msg)
    client_id = asked["client_id"]
    if client_id is None:
        msg = "client_id is missing"
        raise InvalidRequest(msg)
    app = await site.engine.ledger.client(client_id)
    uri = asked["redirect_uri"] or (app.redirect_uris[0] if len(app.redirect_uris) == 1 else None)
    if uri not in app.redirect_uris:
        msg = "the redirect URI is missing" if uri is None else "the redirect URI is not registered for this app"
        raise InvalidRequest(msg)
    person = await site.person(request)
    request.state.app = app
    twice = asked.repeated(_PROTOCOL)
    kind = asked["response_type"]
    state = asked["state"] if twice != "state" else None
    if twice is not None:
        return _back(site, uri, state, "invalid_request", f"{twice} comes more than once")
    if kind is None:
        return _back(site, uri, state, "invalid_request", "response_type is missing")
    if kind != "code":
        return _back(site, uri, state, "unsupported_response_type", "response_type must be code")
    try:
        attempt = await site.engine.ledger.begin(
            client_id=client_id,
            actor=site.role(person, app),
            redirect_uri=asked["redirect_uri"],
            scope=asked["scope"],
            state=state,
            code_challenge=asked["code_challenge"],
            code_challenge_method=asked["code_challenge_method"] or "plain",  # RFC 7636 §4.3
            response_type=kind,
            account=asked["account"],
        )
    except InvalidScope:
        return _back(site, uri, state, "invalid_scope", "a scope is not registered for this app")
    except BadInput as error:
        return _back(site, uri, state, "invalid_request", str(error))
    except ConfigurationError:
        return _back(site, uri, state, "server_error", "the platform cannot keep this request")
    except DatabaseError:
        return _back(site, uri, state, "temporarily_unavailable", "try again in a moment")
    return site.see(site.path("oauth", "v2", "authorize", attempt=attempt.id, account=asked["account"]))


def _back(site: Site, uri: str, state: str | None, error: str, why: str) -> Response:
    """The app hears what is wrong, at an address that is registered (RFC 6749 §4.1.2.1)."""
    told = {"error": error, "error_description": "".join(c for c in why if " " <= c <= "~" and c not in '"\\')}
    told |= {"state": state} if state is not None else {}
    joint = "&" if urlsplit(uri).query else "?"
    return site.see(_named(site, f"{uri}{joint}{urlencode(told)}"))


def _named(site: Site, url: str) -> str:
    """Every answer says whose it is (RFC 9207 §2)."""
    return f"{url}&iss={quote(site.base_url, safe='')}"


async def _window(site: Site, request: Request, name: str, wanted: str | None) -> Response:
    """The window, or the form where the account is settled. Writes only what `engine.window` writes.

    The account an app asked for is preselected and never more than that; where it cannot be chosen, the page says so.
    """
    person = await site.person(request)
    actor, attempt = await site.attempt(request, person, name)
    app = await _ours(site, attempt)
    window = await site.engine.window(attempt.id, actor=actor)
    open_to = {account.id for account in window.accounts if account.selectable}
    astray = wanted is not None and wanted not in open_to
    if window.form is not None:
        names = {account.id: account.name for account in window.accounts}
        name = names.get(window.form.account, window.form.account)
        return _form(site, request, person, app, window.form, name, astray=astray)
    return site.page(
        request,
        "window.html",
        person=person,
        window=window,
        app=app,
        chosen=wanted if wanted in open_to else window.preselected,
        astray=astray and bool(open_to),
        until=f"{attempt.expires_at:%H:%M}",
    )


async def _ours(site: Site, attempt: Attempt) -> App:
    app = await site.engine.apps.get(attempt.app)
    if app.server is not None:
        msg = "this app is authorized at its own server"
        raise TransitionRefused(msg, hint="start again from the app")
    return app


def _form(
    site: Site,
    request: Request,
    person: Person,
    app: App,
    form: ConsentForm,
    account: str,
    *,
    empty: bool = False,
    astray: bool = False,
) -> Response:
    hosts = {urlsplit(uri).hostname for uri in app.redirect_uris}
    return site.page(
        request,
        "consent.html",
        person=person,
        status=400 if empty else 200,
        form=form,
        app=app,
        account=account,
        place=next(iter(hosts)) if len(hosts) == 1 else app.name,
        empty=empty,
        astray=astray,
    )


async def act(site: Site, request: Request) -> Response:
    """POST: what a person pressed on the window or the form."""
    person, form = await site.posted(request)
    actor, attempt = await site.attempt(request, person, form.need("attempt"))
    match form["action"]:
        case "continue":
            await site.engine.select_account(attempt.id, form.need("account"), actor=actor)
            return site.see(site.path("oauth", "v2", "authorize", attempt=attempt.id))
        case "agree":
            return await _agree(site, request, person, actor, attempt, form)
        case "cancel":
            return _leave(site, await site.engine.cancel(attempt.id, actor=actor))
        case "refuse":
            return _leave(site, await site.engine.refuse(attempt.id, actor=actor))
        case _:
            msg = "the form names no action"
            raise BadInput(msg)


async def _agree(
    site: Site, request: Request, person: Person, actor: Actor, attempt: Attempt, form: Parameters
) -> Response:
    """Agree to what is required and to the optional scopes that were left checked."""
    shown = await site.engine.form(attempt.id, actor=actor)
    chosen = form.all("scope")
    agreed = [scope for scope in shown.awaiting if scope in shown.required or scope in chosen]
    if not agreed and not shown.approved:
        app = await site.engine.apps.get(attempt.app)
        return _form(site, request, person, app, shown, shown.account, empty=True)
    return _leave(site, await site.engine.agree(attempt.id, actor=actor, scopes=agreed))


def _leave(site: Site, returned: Returned) -> Response:
    """Back to the app, at the very address of its request. Source: S-17, S-25."""
    return site.see(_named(site, returned.redirect_to))


async def metadata(site: Site, request: Request) -> Response:  # noqa: ARG001 - what every handler takes
    """What this server says of itself (RFC 8414 §2, RFC 9207 §3)."""
    base, ways = site.base_url, ["client_secret_basic", "client_secret_post", "none"]
    apps = [app for app in await site.engine.apps.list() if app.server is None]
    scopes = {scope for app in apps for version in app.versions for scope in version.scopes}
    told = {
        "issuer": base,
        "authorization_endpoint": f"{base}/oauth/v2/authorize",
        "token_endpoint": f"{base}/oauth/v2/token",
        "revocation_endpoint": f"{base}/oauth/v2/revoke",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ways,
        "revocation_endpoint_auth_methods_supported": ways,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "scopes_supported": sorted(scopes),
    }
    return JSONResponse(told)
