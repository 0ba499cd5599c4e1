"""An OAuth server of Authlib, in Flask: `authlib_server.py PORT DIR [JSON settings]`, steered under `/steer/`.

Authlib decides what a request deserves; it leaves to its host what a token is and when a refresh token ends. Here
that host is a dictionary and a lock, and DIR stays empty.
"""

# mypy: disable-error-code="import-untyped,misc"
# Authlib carries no types, so its classes are Any to mypy.

from __future__ import annotations

import os
import secrets
import sys
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector, current_token
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc6750 import BearerTokenGenerator, BearerTokenValidator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9207 import IssuerParameter
from flask import Flask, redirect, render_template_string, request, session
from flask.typing import ResponseReturnValue

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.servers.wire import Clock, Listener, Wire, arguments, run

PATHS = {"/authorize": "authorize", "/token": "token", "/revoke": "revocation", "/api/me": "api"}
AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]
LOGIN_PAGE = """<!doctype html><title>Log in</title><form method=post>
<input type=hidden name=csrf value="{{ csrf }}"><input name=username><input name=password type=password>
<button>Log in</button></form>"""
CONSENT_PAGE = """<!doctype html><title>Allow {{ client }}?</title><form method=post>
<input type=hidden name=csrf value="{{ csrf }}"><p>{{ client }} asks for: {{ scope }}</p>
<button>Cancel</button><button name=allow value=yes>Allow</button></form>"""


@dataclass(eq=False)
class Person:
    sub: str
    name: str
    password: str


@dataclass(eq=False)
class Client(ClientMixin):
    desk: Desk
    client_id: str
    secret: str
    redirect_uris: list[str]
    public: bool

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uris[0]

    def get_allowed_scope(self, scope: str | None) -> str:
        known = self.desk.told["SCOPES"]
        return " ".join(name for name in (scope.split() if scope else known) if name in known)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(self.secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return (method == "none") == self.public

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in {"authorization_code", "refresh_token"}


@dataclass(eq=False)
class Code:
    code: str
    client_id: str
    person: Person
    redirect_uri: str | None
    scope: str
    code_challenge: str | None
    code_challenge_method: str | None
    expires: datetime

    def get_redirect_uri(self) -> str | None:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass(eq=False)
class Token(TokenMixin):
    desk: Desk
    client_id: str
    person: Person
    scope: str
    access: str
    refresh: str | None
    family: str
    issued: datetime
    expires_in: int
    access_revoked: bool = False
    refresh_revoked: bool = False
    rotated: datetime | None = None

    def check_client(self, client: Client) -> bool:
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        return self.scope

    def get_expires_in(self) -> int:
        return self.expires_in

    def is_expired(self) -> bool:
        return self.desk.clock.now() >= self.issued + timedelta(seconds=self.expires_in)

    def is_revoked(self) -> bool:
        return self.access_revoked

    def refresh_is_expired(self) -> bool:
        seconds = self.desk.told["REFRESH_TOKEN_EXPIRE_SECONDS"]
        return seconds is not None and self.desk.clock.now() >= self.issued + timedelta(seconds=seconds)

    def revoke(self) -> None:
        self.access_revoked = self.refresh_revoked = True


class Desk:
    """The storage, and the `/steer/` verbs: what the server's administrator or a person does there, by hand."""

    def __init__(self, clock: Clock, told: dict[str, Any]) -> None:
        self.clock, self.told = clock, told
        self.lock = threading.RLock()
        self.pkce = CodeChallenge(required=told["PKCE_REQUIRED"])
        self.pkce.SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]
        self.known_scopes: list[str] = list(told["SCOPES"])
        self.people: dict[str, Person] = {}
        self.clients: dict[str, Client] = {}
        self.codes: dict[str, Code] = {}
        self.tokens: list[Token] = []
        self.by_access: dict[str, Token] = {}
        self.by_refresh: dict[str, Token] = {}

    def keep(self, token: Token) -> None:
        with self.lock:
            self.tokens.append(token)
            self.by_access[token.access] = token
            if token.refresh is not None:
                self.by_refresh[token.refresh] = token

    def end_family(self, family: str) -> None:
        with self.lock:
            for token in self.tokens:
                if token.family == family:
                    token.revoke()

    def person_called(self, name: str, password: str) -> Person | None:
        people = [person for person in self.people.values() if (person.name, person.password) == (name, password)]
        return people[0] if people else None

    # --- verbs -----------------------------------------------------------------------------------

    def settings(self, **changed: Any) -> dict[str, Any]:
        self.told = self.told | changed
        self.pkce.required = self.told["PKCE_REQUIRED"]
        self.known_scopes[:] = self.told["SCOPES"]
        return self.told

    def person(self, name: str, password: str) -> dict[str, Any]:
        person = Person(f"person-{len(self.people) + 1}", name, password)
        self.people[person.sub] = person
        return {"sub": person.sub}

    def app(self, client_id: str, secret: str, redirect_uris: list[str], *, public: bool) -> dict[str, Any]:
        self.clients[client_id] = Client(self, client_id, secret, redirect_uris, public)
        return {}

    def secret(self, client_id: str, secret: str) -> dict[str, Any]:
        self.clients[client_id].secret = secret
        return {}

    def delete_app(self, client_id: str) -> dict[str, Any]:
        with self.lock:
            del self.clients[client_id]
            for token in self.tokens:
                if token.client_id == client_id:
                    token.revoke()
        return {}

    def forget(self, sub: str, client_id: str) -> dict[str, Any]:
        with self.lock:
            theirs = [code for code in self.codes.values() if (code.person.sub, code.client_id) == (sub, client_id)]
            for code in theirs:
                del self.codes[code.code]
            for token in self.theirs(sub, client_id):
                token.revoke()
        return {}

    def live(self, sub: str, client_id: str) -> dict[str, Any]:
        with self.lock:
            theirs = self.theirs(sub, client_id)
            access = [token for token in theirs if not token.access_revoked and not token.is_expired()]
            refresh = [t for t in theirs if t.refresh and t.rotated is None and not t.refresh_revoked]
            return {"access": len(access), "refresh": len(refresh)}

    def theirs(self, sub: str, client_id: str) -> list[Token]:
        return [token for token in self.tokens if (token.person.sub, token.client_id) == (sub, client_id)]

    def verbs(self) -> dict[str, Any]:
        names = ("settings", "person", "app", "secret", "delete_app", "forget", "live")
        return {name: getattr(self, name) for name in names}


# --- what Authlib asks its host for ------------------------------------------------------------------


def code_grant(desk: Desk) -> type:
    class CodeGrant(grants.AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

        def save_authorization_code(self, code: str, request: Any) -> None:
            told = request.payload.data
            desk.codes[code] = Code(
                code=code,
                client_id=request.client.client_id,
                person=request.user,
                redirect_uri=request.payload.redirect_uri,
                scope=request.scope,
                code_challenge=told.get("code_challenge"),
                code_challenge_method=told.get("code_challenge_method"),
                expires=desk.clock.now() + timedelta(seconds=desk.told["AUTHORIZATION_CODE_EXPIRE_SECONDS"]),
            )

        def query_authorization_code(self, code: str, client: Client) -> Code | None:
            kept = desk.codes.get(code)
            if kept is None or kept.client_id != client.client_id or desk.clock.now() >= kept.expires:
                return None
            return kept

        def delete_authorization_code(self, authorization_code: Code) -> None:
            del desk.codes[authorization_code.code]

        def authenticate_user(self, authorization_code: Code) -> Person:
            return authorization_code.person

    return CodeGrant


def refresh_grant(desk: Desk) -> type:
    class RefreshGrant(grants.RefreshTokenGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

        @property
        def INCLUDE_NEW_REFRESH_TOKEN(self) -> bool:  # noqa: N802  # the name Authlib reads
            return bool(desk.told["ROTATE_REFRESH_TOKEN"])

        def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
            token = desk.by_refresh.get(refresh_token)
            if token is None or token.refresh_revoked or token.refresh_is_expired():
                return None
            if token.rotated is None:
                return token
            grace = timedelta(seconds=desk.told["REFRESH_TOKEN_GRACE_PERIOD_SECONDS"])
            if desk.clock.now() < token.rotated + grace:
                return token
            if desk.told["REFRESH_TOKEN_REUSE_PROTECTION"]:
                desk.end_family(token.family)
            return None

        def authenticate_user(self, refresh_token: Token) -> Person:
            return refresh_token.person

        def revoke_old_credential(self, refresh_token: Token) -> None:
            if self.INCLUDE_NEW_REFRESH_TOKEN and refresh_token.rotated is None:
                refresh_token.rotated = desk.clock.now()

    return RefreshGrant


def revocation(desk: Desk) -> type:
    class Revocation(RevocationEndpoint):
        CLIENT_AUTH_METHODS = AUTH_METHODS

        def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
            return desk.by_refresh.get(token_string) or desk.by_access.get(token_string)

        def revoke_token(self, token: Token, request: Any) -> None:
            if request.form["token"] == token.refresh:
                desk.end_family(token.family)
            else:
                token.access_revoked = True

    return Revocation


def authorization_server(app: Flask, desk: Desk, issuer: str) -> AuthorizationServer:
    def save_token(told: dict[str, Any], request: Any) -> None:
        used = request.refresh_token
        desk.keep(
            Token(
                desk=desk,
                client_id=request.client.client_id,
                person=request.user,
                scope=told["scope"],
                access=told["access_token"],
                refresh=told.get("refresh_token"),
                family=used.family if used else secrets.token_hex(8),
                issued=desk.clock.now(),
                expires_in=told["expires_in"],
            )
        )

    class Issuer(IssuerParameter):
        def get_issuer(self) -> str | None:
            return issuer if desk.told["AUTHORIZATION_RESPONSE_ISS"] else None

    def value(**_: Any) -> str:
        return secrets.token_urlsafe(24)

    def seconds(client: Client, grant_type: str) -> int:
        return int(desk.told["ACCESS_TOKEN_EXPIRE_SECONDS"])

    server = AuthorizationServer(app, desk.clients.get, save_token)
    server.scopes_supported = desk.known_scopes
    server.register_token_generator("default", BearerTokenGenerator(value, value, seconds))
    server.register_grant(code_grant(desk), [desk.pkce])
    server.register_grant(refresh_grant(desk))
    server.register_endpoint(revocation(desk))
    server.register_extension(Issuer())
    return server


def web(desk: Desk, issuer: str) -> Flask:
    app = Flask("authlib_server")
    app.secret_key = "a server of the tests"
    server = authorization_server(app, desk, issuer)
    add_pages(app, desk, server)
    one_at_a_time = threading.Lock()  # what a row lock on the refresh token does elsewhere

    class Bearer(BearerTokenValidator):
        def authenticate_token(self, token_string: str) -> Token | None:
            return desk.by_access.get(token_string)

    protect = ResourceProtector()
    protect.register_token_validator(Bearer())

    @app.post("/token")
    def token() -> ResponseReturnValue:
        with one_at_a_time:
            answer: ResponseReturnValue = server.create_token_response()
            return answer

    @app.post("/revoke")
    def revoke() -> ResponseReturnValue:
        answer: ResponseReturnValue = server.create_endpoint_response("revocation")
        return answer

    def me() -> ResponseReturnValue:
        return {"sub": current_token.person.sub}

    app.add_url_rule("/api/me", view_func=protect()(me))

    @app.get("/.well-known/oauth-authorization-server")
    def metadata() -> ResponseReturnValue:
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "revocation_endpoint": f"{issuer}/revoke",
            "scopes_supported": desk.known_scopes,
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": AUTH_METHODS,
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": desk.told["AUTHORIZATION_RESPONSE_ISS"],
        }

    return app


def add_pages(app: Flask, desk: Desk, server: AuthorizationServer) -> None:
    """What a person sees: the login form and the consent form."""

    def csrf() -> str:
        return str(session.setdefault("csrf", secrets.token_hex(8)))

    @app.before_request
    def refuse_forged_forms() -> ResponseReturnValue | None:
        if request.method == "POST" and request.path in {"/login", "/authorize"}:
            return None if request.form.get("csrf") == csrf() else ("forged", 403)
        return None

    @app.route("/login", methods=["GET", "POST"])
    def login() -> ResponseReturnValue:
        person = desk.person_called(request.form.get("username", ""), request.form.get("password", ""))
        if person is None:
            return render_template_string(LOGIN_PAGE, csrf=csrf())
        session["person"] = person.sub
        return redirect(request.args["next"])

    @app.route("/authorize", methods=["GET", "POST"])
    def authorize() -> ResponseReturnValue:
        person = desk.people.get(session.get("person", ""))
        if person is None:
            return redirect("/login?" + urlencode({"next": request.full_path}))
        try:
            grant = server.get_consent_grant(end_user=person)
        except OAuth2Error as error:
            refused: ResponseReturnValue = server.handle_response(*error())
            return refused
        if request.method == "GET":
            asked = {"client": grant.request.client.client_id, "scope": grant.request.scope}
            return render_template_string(CONSENT_PAGE, csrf=csrf(), **asked)
        allowed = person if "allow" in request.form else None
        back: ResponseReturnValue = server.create_authorization_response(grant=grant, grant_user=allowed)
        return back


def main() -> None:
    port, _, told = arguments()
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # no TLS on the loopback address
    listener, clock = Listener(port), Clock()
    desk, origin = Desk(clock, told), listener.origin
    run(
        listener,
        Wire(PATHS, clock, desk.verbs(), web(desk, origin)),
        kind="authlib",
        issuer=origin,
        authorization=f"{origin}/authorize",
        token=f"{origin}/token",
        revocation=f"{origin}/revoke",
        introspection=None,
    )


if __name__ == "__main__":
    main()
