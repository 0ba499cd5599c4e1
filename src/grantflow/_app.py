"""An app as a host registers it: versions, scopes, redirect URIs, lifetimes."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from grantflow._secret import Secret
from grantflow.errors import ConfigurationError

_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,200}")
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RESERVED = {
    "client_id", "code_challenge", "code_challenge_method", "nonce", "redirect_uri", "request", "request_uri",
    "response_mode", "response_type", "scope", "state",
}  # fmt: skip
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
YEAR = timedelta(days=365)


class AppKind(StrEnum):
    """Whom an app is authorized for."""

    ACCOUNT = "account"
    AGENT = "agent"
    EXTERNAL = "external"


class LifetimePolicy(StrEnum):
    """What ends a refresh token's life."""

    FIXED = "fixed"
    SLIDING = "sliding"
    NONE = "none"
    UNKNOWN = "unknown"


class ClientAuth(StrEnum):
    """How a client proves itself at a token endpoint (RFC 6749 §2.3.1, RFC 8414 §2)."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Server:
    """The foreign authorization server of an app in client mode; names as in RFC 8414 §2.

    Endpoints are https, or http on loopback (RFC 6749 §3.1.2.1).
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str = ""
    """Empty where the server offers none (RFC 7009)."""
    auth_method: ClientAuth = ClientAuth.BASIC
    sends_iss: bool = False
    """The server announces `authorization_response_iss_parameter_supported`: a callback without `iss` is refused
    (RFC 9207 §2.4)."""
    pkce: bool = True
    """Off only for servers that refuse the parameter (RFC 9700 §2.1.1)."""
    extra: tuple[tuple[str, str], ...] = ()
    """Further parameters of the authorization request, for example ("access_type", "offline")."""
    resource: str = ""
    """Resource indicator, sent with every request (RFC 8707)."""


class CountsFrom(StrEnum):
    """What the length of a lifetime counts from."""

    ISSUE = "issue"
    ACCESS = "access"
    """The end of the access token issued with it."""
    CONSENT = "consent"


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a refresh token lives, where its server announces nothing. Source: S-29.

    `fixed` counts from the first issue and renewal does not extend it; `sliding` starts again at every renewal;
    `none` never ends by time; `unknown` says that nobody knows, so nothing expires by the clock either.
    """

    policy: LifetimePolicy = LifetimePolicy.FIXED
    length: timedelta = YEAR
    counts_from: CountsFrom = CountsFrom.ISSUE

    def deadline(
        self, first_issued: int, issued: int, *, access_ends: int | None = None, consented: int | None = None
    ) -> int | None:
        """Instant at which a refresh token dies, in microseconds; None where time does not kill it.

        `first_issued` is when the grant began, `issued` when this token came; `access_ends` belongs to the access
        token of a fixed policy's first answer or a sliding one's latest.
        """
        length = self.length // timedelta(microseconds=1)
        if self.policy not in (LifetimePolicy.FIXED, LifetimePolicy.SLIDING):
            return None
        start = first_issued if self.policy is LifetimePolicy.FIXED else issued
        if self.counts_from is CountsFrom.ACCESS and access_ends is not None:
            start += max(0, access_ends - issued)
        elif self.counts_from is CountsFrom.CONSENT and consented is not None:
            start = consented
        return start + length


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an app and the scopes it asks for."""

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    blocking: bool = False
    """Whether the app cannot work at all until a missing required scope is granted."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """Everything the version may ask for, required first."""
        return (*self.required, *self.optional)


@dataclass(frozen=True, slots=True)
class App:
    """An OAuth app of the platform.

    Args:
        key: Short stable name, `[a-z0-9._-]`, at most 64 characters; what the other verbs call `app`.
        kind: Whom it is authorized for.
        name: Shown on the authorization window (S-08).
        description: Shown on the authorization window (S-08).
        redirect_uris: Exact strings; https, or http on loopback (RFC 9700 §2.1).
        versions: Oldest first; the last one is the latest.
        client_id: What the app calls itself; made from the key when empty.
        secret_hashes: SHA-256 (hex) of up to two client secrets; none makes the client public.
        require_pkce: Off only for confidential clients of old platforms; public clients always need it.

    Raises:
        ConfigurationError: a field is malformed; the message names it.
    """

    key: str
    kind: AppKind
    name: str
    versions: tuple[Version, ...]
    redirect_uris: tuple[str, ...]
    description: str = ""
    client_id: str = ""
    secret_hashes: tuple[str, ...] = field(default=(), repr=False)
    require_pkce: bool = True
    lifetime: Lifetime = Lifetime()
    access_lifetime: timedelta = timedelta(minutes=30)
    """Client mode: what is assumed where the server announces no `expires_in`."""
    authorize_url: str = ""
    """Where people go to authorize; `{app}`, `{account}`, `{installation}` are filled in."""
    mode: str = "host"
    """`host`: grantflow is the authorization server's ledger; `client`: tokens come from the foreign `server`."""
    server: Server | None = None
    client_secret: Secret | None = field(default=None, repr=False, compare=False)
    """Client mode: a secret to be sealed by `register`; it never appears in the app that is read back."""

    def __post_init__(self) -> None:
        _check(self)
        if not self.client_id:
            object.__setattr__(self, "client_id", self.key)

    @property
    def public(self) -> bool:
        """Whether the client cannot keep a secret (RFC 6749 §2.1)."""
        if self.server is not None:
            return self.server.auth_method is ClientAuth.NONE
        return not self.secret_hashes

    @property
    def latest(self) -> Version:
        """The newest version."""
        return self.versions[-1]

    def version(self, name: str) -> Version:
        """The version of this name; raises ConfigurationError when there is none."""
        for version in self.versions:
            if version.name == name:
                return version
        msg = f"app {self.key!r} has no version {str(name)!r:.80}"
        known = ", ".join(version.name for version in self.versions)
        raise ConfigurationError(msg, hint=f"registered versions: {known}")

    def with_secret(self, secret: str) -> App:
        """The same app with one more client secret; the older of three is dropped (overlap of two)."""
        if self.server is not None:
            return replace(self, client_secret=Secret(secret))
        return replace(self, secret_hashes=(*self.secret_hashes, _digest(secret))[-2:])

    @classmethod
    def from_toml(cls, path: str | Path) -> App:
        """Read an app from a TOML file.

        Raises:
            ConfigurationError: the file cannot be read or a field is malformed or unknown.
        """
        data: dict[str, Any] = {}
        problem = ""
        try:
            data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            problem = f"cannot read {str(path)!r:.200}: {error}"
        if problem:  # raised out here: the frames behind the error hold the whole file, client secret included
            raise ConfigurationError(problem, hint="see examples/apps/ for a complete file")
        return cls.from_mapping(data)

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> App:
        """Build an app from plain values, as a TOML file holds them.

        Raises:
            ConfigurationError: a field is malformed or unknown.
        """
        values = dict(data)
        try:
            lifetime = values.pop("lifetime", {})
            secret = values.pop("client_secret", None)
            values["lifetime"] = Lifetime(
                LifetimePolicy(lifetime.get("policy", "fixed")),
                timedelta(days=lifetime.get("days", 365)),
                CountsFrom(lifetime.get("counts_from", "issue")),
            )
            values["server"] = _server(values.get("server"))
            if secret and values["server"] is not None:
                values["client_secret"], secret = Secret(str(secret)), None
            values["versions"] = tuple(
                Version(
                    str(item["name"]),
                    tuple(item.get("required", ())),
                    tuple(item.get("optional", ())),
                    blocking=bool(item.get("blocking", False)),
                )
                for item in values.get("versions", ())
            )
            values["kind"] = AppKind(values.get("kind", ""))
            values["redirect_uris"] = tuple(values.get("redirect_uris", ()))
            values["secret_hashes"] = (
                *values.get("secret_hashes", ()),
                *([_digest(secret)] if secret else []),
            )
            if "access_minutes" in values:
                values["access_lifetime"] = timedelta(minutes=values.pop("access_minutes"))
            app = cls(**values)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            msg = f"malformed app: {error}"
            raise ConfigurationError(msg, hint="see examples/apps/ for a complete file") from error
        return app

    def to_document(self) -> str:
        """The JSON text the store keeps; canonical, so that equal apps have equal texts."""
        data = asdict(replace(self, client_secret=None))
        del data["client_secret"]
        data["lifetime"] = {
            "policy": self.lifetime.policy.value,
            "days": self.lifetime.length / timedelta(days=1),
            "counts_from": self.lifetime.counts_from.value,
        }
        data["access_minutes"] = data.pop("access_lifetime") / timedelta(minutes=1)
        return json.dumps(data, sort_keys=True)

    @classmethod
    def from_document(cls, text: str) -> App:
        """Read back what `to_document` wrote."""
        return _parsed(text)


@lru_cache(maxsize=256)
def _parsed(text: str) -> App:
    try:
        return App.from_mapping(json.loads(text))
    except (ValueError, TypeError, AttributeError) as error:
        msg = "a stored app cannot be read"
        raise ConfigurationError(msg, hint="register it again: grantflow apps register FILE") from error


def _server(data: Mapping[str, Any] | None) -> Server | None:
    if data is None:
        return None
    values = dict(data)
    values["auth_method"] = ClientAuth(values.get("auth_method", ClientAuth.BASIC.value))
    extra = values.get("extra", ())
    pairs = extra.items() if isinstance(extra, Mapping) else extra
    values["extra"] = tuple((str(name), str(value)) for name, value in pairs)
    return Server(**values)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def scope_set(text: str) -> frozenset[str]:
    """The scopes of a space-separated list."""
    return frozenset(text.split())


def scope_text(scopes: frozenset[str] | tuple[str, ...]) -> str:
    """A space-separated list, sorted."""
    return " ".join(sorted(scopes))


def _check(app: App) -> None:
    problems = [*_identity_problems(app), *_scope_problems(app), *_uri_problems(app), *_server_problems(app)]
    if problems:
        msg = f"malformed app {app.key!r}: " + "; ".join(problems)
        raise ConfigurationError(msg, hint="see examples/apps/ for a complete file")


def _identity_problems(app: App) -> list[str]:
    found = []
    if not isinstance(app.key, str) or not _KEY.fullmatch(app.key):
        found.append("key must be [a-z0-9._-], at most 64 characters")
    if not isinstance(app.name, str) or not app.name.strip() or len(app.name) > 200:
        found.append("name must have 1 to 200 characters")
    if app.mode not in ("host", "client") or (app.mode == "client") != (app.server is not None):
        found.append("mode is 'host', or 'client' with a [server]")
    if not all(isinstance(known, str) and _SHA256.fullmatch(known) for known in app.secret_hashes):
        found.append("secret_hashes are SHA-256 in hex, never a secret itself: use with_secret")
    if app.server is not None and app.secret_hashes:
        found.append("secret_hashes belong to host mode; a client needs the secret itself, as client_secret")
    if app.server is None and app.client_secret is not None:
        found.append("client_secret is sealed in client mode alone; host mode keeps hashes: use with_secret")
    if app.public and not app.require_pkce:
        found.append("a public client always needs PKCE (RFC 9700 §2.1.1)")
    if app.lifetime.length <= timedelta(0) or app.access_lifetime <= timedelta(0):
        found.append("lifetimes must be positive")
    return found


def _scope_problems(app: App) -> list[str]:
    found = [] if app.versions else ["at least one version is needed"]
    names = [version.name for version in app.versions]
    if len(set(names)) != len(names):
        found.append("version names must be unique")
    for version in app.versions:
        bad = [scope for scope in version.scopes if not isinstance(scope, str) or not _SCOPE.fullmatch(scope)]
        if bad:
            found.append(f"version {version.name!r} has malformed scopes (RFC 6749 §3.3): {bad}")
        if set(version.required) & set(version.optional):
            found.append(f"version {version.name!r} names a scope as required and as optional")
    return found


def _uri_problems(app: App) -> list[str]:
    found = [] if app.redirect_uris else ["at least one redirect URI is needed"]
    return [*found, *(problem for uri in app.redirect_uris if (problem := _uri_problem("redirect URI", uri)))]


def _uri_problem(what: str, uri: str) -> str | None:
    try:
        parts = urlsplit(uri)
        host = parts.hostname
    except (ValueError, AttributeError, TypeError):
        return f"{what} {uri!r} cannot be read"
    if "@" in parts.netloc:
        return f"{what} must not carry a name or password"
    secure = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    if not secure or not host or parts.fragment or "#" in uri:
        return f"{what} {uri!r} must be absolute, https (http on loopback), without a fragment"
    return None


def _server_problems(app: App) -> list[str]:
    if app.server is None:
        return []
    server = app.server
    named = {
        "issuer": server.issuer,
        "authorization_endpoint": server.authorization_endpoint,
        "token_endpoint": server.token_endpoint,
        **({"revocation_endpoint": server.revocation_endpoint} if server.revocation_endpoint else {}),
    }
    found = [problem for name, uri in named.items() if (problem := _uri_problem(name, uri))]
    taken = {name for name, _ in server.extra} & _RESERVED
    if taken:
        found.append(f"extra parameters may not replace {', '.join(sorted(taken))}")
    return found
