"""A Django host in one file: the authorization window in ordinary views, the token endpoint, a guarded REST call.

Run it: python examples/django_host.py runserver --noreload   (`?user=` stands for your own sign-in)
"""

import os
import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.urls import path
from django.utils.html import format_html, format_html_join
from django.views.decorators.csrf import csrf_exempt

from grantflow import Account, Actor, App, ClientCredentials, KeyRing, SyncEngine, errors

if not settings.configured:
    settings.configure(
        ROOT_URLCONF=__name__, SECRET_KEY=os.environ.get("SECRET_KEY", "only for this example"), ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware", f"{__name__}.Told"],
    )  # fmt: skip
    django.setup()


def accounts_of(actor: Actor) -> list[Account]:
    """Ask your own models: a plain function runs in a thread of its own, where the ORM may be used."""
    return [Account("acme", "Acme Inc.", role=actor.kind.value), Account("globex", "Globex", role=actor.kind.value)]


# One for each process: a server that forks workers opens it after the fork, for example in gunicorn's post_fork.
ENGINE = SyncEngine.open(
    os.environ.get("GRANTFLOW_DATABASE", "sqlite:///grants.db"), directory=accounts_of, keys=KeyRing.from_env()
)
ENGINE.apps.register(App.from_toml(Path(__file__).parent / "apps" / "report_hub.toml"))
FORM = (
    '<h1>{}</h1><form method="post" action="{}"><input type="hidden" name="csrfmiddlewaretoken" value="{}">{}</form>'
)
BUTTON = '<button name="do" value="{}:{}">{}</button>'


def page(request: HttpRequest, title: str, attempt: str, buttons: list[tuple[str, str, str]]) -> HttpResponse:
    """A form with buttons; what a browser sends back is checked by Django and by the engine."""
    told = format_html_join("", BUTTON, [*buttons, ("cancel", "", "Cancel")])
    action = f"/attempts/{attempt}?user={person(request).id}"
    return HttpResponse(format_html(FORM, title, action, get_token(request), told))


def person(request: HttpRequest) -> Actor:
    """Who your session says is there."""
    return Actor.user(request.GET.get("user", "nobody"))


def authorize(request: HttpRequest) -> HttpResponse:
    """The app's request opens a window."""
    names = ("client_id", "redirect_uri", "scope", "state", "code_challenge", "response_type")
    attempt = ENGINE.ledger.begin(actor=person(request), **{name: request.GET.get(name) for name in names})
    window = ENGINE.window(attempt.id, actor=person(request))
    choices = [("account", account.id, account.name) for account in window.accounts]
    return page(request, f"Authorize {window.app_name}", attempt.id, choices)


def act(request: HttpRequest, attempt: str) -> HttpResponse:
    """What a person pressed."""
    what, _, value = request.POST.get("do", "").partition(":")
    if what == "account":
        form = ENGINE.select_account(attempt, value, actor=person(request))
        return page(request, f"May it {', '.join(form.awaiting)}?", attempt, [("agree", "", "Agree")])
    verb = ENGINE.agree if what == "agree" else ENGINE.cancel
    return HttpResponse(status=303, headers={"Location": verb(attempt, actor=person(request)).redirect_to})


@csrf_exempt
def token(request: HttpRequest) -> JsonResponse:
    """The app exchanges the code."""
    told, client = request.POST.dict(), ClientCredentials(request.POST.get("client_id", ""))
    names = ("redirect_uri", "code_verifier")
    done = ENGINE.ledger.redeem(told.get("code", ""), client=client, **{name: told.get(name) for name in names})
    return JsonResponse({"access_token": done.access_token.value, "refresh_token": done.refresh_token.value})


def reports(request: HttpRequest) -> JsonResponse:
    """A REST call under an access token."""
    found = ENGINE.ledger.authenticate(request.headers.get("Authorization", "").removeprefix("Bearer "))
    return JsonResponse({"account": found.account, "scopes": found.scopes})


class Told:
    """Typed errors become answers; a dead grant brings its guidance along."""

    def __init__(self, get_response: object) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> JsonResponse | None:
        """Called by Django for what a view raises."""
        if not isinstance(error, errors.GrantflowError):
            return None
        guidance = getattr(error, "guidance", None)
        told = {"error": error.code, "message": str(error), "guidance": guidance and guidance.as_dict()}
        statuses = {errors.Unauthorized: 401, errors.InvalidClient: 401, errors.NotFound: 404}
        return JsonResponse(told, status=next((n for kind, n in statuses.items() if isinstance(error, kind)), 400))


urlpatterns = [
    path("oauth/v2/authorize", authorize), path("attempts/<str:attempt>", act),
    path("oauth/v2/token", token), path("api/reports", reports),
]  # fmt: skip

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
