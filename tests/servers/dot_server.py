"""An OAuth server of django-oauth-toolkit: `dot_server.py PORT DIR [JSON settings]`, steered under `/steer/`.

Importing this module sets nothing up: Django is configured for a process, so only `main` does it.
"""

# mypy: disable-error-code="import-untyped,misc"
# Neither Django nor its OAuth toolkit carries types, so their classes are Any to mypy.

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.servers.wire import Clock, Listener, Wire, arguments, run

PATHS = {"/o/authorize/": "authorize", "/o/token/": "token", "/o/revoke_token/": "revocation", "/api/me": "api"}
LOGIN_PAGE = "<!doctype html><form method=post>{% csrf_token %}{{ form }}<button>Log in</button></form>"


def toolkit_settings(told: dict[str, Any]) -> dict[str, Any]:
    told = dict(told)
    told["COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS"] = told.pop("AUTHORIZATION_RESPONSE_ISS")
    return told | {"ALWAYS_RELOAD_OAUTHLIB_CORE": True}  # so that settings changed on the way are obeyed


def configure(folder: str, told: dict[str, Any], urls: ModuleType) -> None:
    import django
    from django.conf import settings

    loaders = [
        ("django.template.loaders.locmem.Loader", {"registration/login.html": LOGIN_PAGE}),
        "django.template.loaders.app_directories.Loader",
    ]
    database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(Path(folder) / "dot.db"),
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",  # what SELECT FOR UPDATE does elsewhere
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF",
        },
    }
    apps = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "oauth2_provider"]
    settings.configure(
        SECRET_KEY="a server of the tests",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=urls,
        INSTALLED_APPS=apps,
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[
            {"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {"loaders": loaders}},
        ],
        DATABASES={"default": database},
        MIGRATION_MODULES=dict.fromkeys(["auth", "contenttypes", "sessions", "oauth2_provider"]),  # tables at once
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # quick, and nobody's passwords
        LOGIN_URL="/accounts/login/",
        STATIC_URL="/static/",
        USE_TZ=True,
        LOGGING={
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"stderr": {"class": "logging.StreamHandler"}},
            "loggers": {"django.request": {"handlers": ["stderr"], "level": "ERROR", "propagate": False}},
        },
        OAUTH2_PROVIDER=toolkit_settings(told),
    )
    django.setup()


def fill(urls: ModuleType) -> None:
    from django.contrib.auth.views import LoginView
    from django.http import HttpRequest, JsonResponse
    from django.urls import include, path
    from django.views import View
    from oauth2_provider.urls import metadata_urlpatterns
    from oauth2_provider.views.mixins import ProtectedResourceMetadataMixin, ProtectedResourceMixin

    class Me(ProtectedResourceMetadataMixin, ProtectedResourceMixin, View):
        def get(self, request: HttpRequest) -> JsonResponse:
            return JsonResponse({"sub": str(request.resource_owner.pk)})

    vars(urls)["urlpatterns"] = [
        path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
        path("", include(metadata_urlpatterns)),
        path("accounts/login/", LoginView.as_view()),
        path("api/me", Me.as_view()),
    ]


class Desk:
    """The `/steer/` verbs of this server: what its administrator or a person does there, by hand."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told

    def settings(self, **changed: Any) -> dict[str, Any]:
        from django.conf import settings
        from oauth2_provider.settings import oauth2_settings

        self.told = self.told | changed
        settings.OAUTH2_PROVIDER = toolkit_settings(self.told)
        oauth2_settings.reload()
        return self.told

    def person(self, name: str, password: str) -> dict[str, Any]:
        from django.contrib.auth import get_user_model

        return {"sub": str(get_user_model().objects.create_user(username=name, password=password).pk)}

    def app(self, client_id: str, secret: str, redirect_uris: list[str], *, public: bool) -> dict[str, Any]:
        from oauth2_provider.models import get_application_model

        model = get_application_model()
        model.objects.create(
            name=client_id,
            client_id=client_id,
            client_secret=secret,
            redirect_uris=" ".join(redirect_uris),
            client_type=model.CLIENT_PUBLIC if public else model.CLIENT_CONFIDENTIAL,
            authorization_grant_type=model.GRANT_AUTHORIZATION_CODE,
            skip_authorization=False,
        )
        return {}

    def secret(self, client_id: str, secret: str) -> dict[str, Any]:
        from oauth2_provider.models import get_application_model

        application = get_application_model().objects.get(client_id=client_id)
        application.client_secret = secret
        application.save()
        return {}

    def delete_app(self, client_id: str) -> dict[str, Any]:
        from oauth2_provider.models import get_application_model

        get_application_model().objects.get(client_id=client_id).delete()
        return {}

    def forget(self, sub: str, client_id: str) -> dict[str, Any]:
        """What the toolkit's own page of authorized applications does, for all tokens of one application."""
        from oauth2_provider import models

        theirs = {"user_id": sub, "application__client_id": client_id}
        models.get_grant_model().objects.filter(**theirs).delete()
        for token in models.get_access_token_model().objects.filter(**theirs):
            models.revoke_access_token(token)
        for refresh in models.get_refresh_token_model().objects.filter(**theirs, revoked__isnull=True):
            refresh.revoke()
        return {}

    def live(self, sub: str, client_id: str) -> dict[str, Any]:
        from django.utils import timezone
        from oauth2_provider import models

        theirs = {"user_id": sub, "application__client_id": client_id}
        access = models.get_access_token_model().objects.filter(**theirs, expires__gt=timezone.now())
        # one without its access token is an orphan, which the toolkit refuses
        whole = {"revoked__isnull": True, "access_token__isnull": False}
        refresh = models.get_refresh_token_model().objects.filter(**theirs, **whole)
        return {"access": access.count(), "refresh": refresh.count()}

    def verbs(self) -> dict[str, Any]:
        from django.db import connections

        def closing(verb: Any) -> Any:
            def closed(**told: Any) -> Any:
                try:
                    return verb(**told)
                finally:
                    connections.close_all()

            return closed

        names = ("settings", "person", "app", "secret", "delete_app", "forget", "live")
        return {name: closing(getattr(self, name)) for name in names}


def main() -> None:
    port, folder, told = arguments()
    listener, clock, urls = Listener(port), Clock(), ModuleType("dot_urls")
    configure(folder, told, urls)
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application
    from django.utils import timezone

    call_command("migrate", run_syncdb=True, verbosity=0)
    fill(urls)
    timezone.now = clock.now
    wire = Wire(PATHS, clock, Desk(told).verbs(), get_wsgi_application())
    origin = listener.origin
    run(
        listener,
        wire,
        kind="dot",
        issuer=f"{origin}/o",  # what the toolkit itself sends as `iss` when it is mounted under a prefix
        authorization=f"{origin}/o/authorize/",
        token=f"{origin}/o/token/",
        revocation=f"{origin}/o/revoke_token/",
        introspection=f"{origin}/o/introspect/",
    )


if __name__ == "__main__":
    main()
