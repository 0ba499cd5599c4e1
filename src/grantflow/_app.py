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

from grantflow.errors import ConfigurationError

_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,200}")
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
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


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a refresh token lives. Source: S-29.

    `fixed` counts from the first issue and renewal does not extend it; `sliding` starts again at every renewal;
    `none` never ends by time; `unknown` says that nobody knows, so nothing expires by the clock either.
    """

    policy: LifetimePolicy = LifetimePolicy.FIXED
    length: timedelta = YEAR

    def deadline(self, first_issued: int, issued: int) -> int | None:
        """Instant at which a refresh token dies, in microseconds; None where time does not kill it."""
        length = self.length // timedelta(microseconds=1)
        if self.policy is LifetimePolicy.FIXED:
            return first_issued + length
        return issued + length if self.policy is LifetimePolicy.SLIDING else None


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
    authorize_url: str = ""
    """Where people go to authorize; `{app}`, `{account}`, `{installation}` are filled in."""
    mode: str = "host"

    def __post_init__(self) -> None:
        _check(self)
        if not self.client_id:
            object.__setattr__(self, "client_id", self.key)

    @property
    def public(self) -> bool:
        """Whether the client cannot keep a secret (RFC 6749 §2.1)."""
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
        msg = f"app {self.key!r} has no version {name!r}"
        known = ", ".join(version.name for version in self.versions)
        raise ConfigurationError(msg, hint=f"registered versions: {known}")

    def with_secret(self, secret: str) -> App:
        """The same app with one more client secret; the older of three is dropped (overlap of two)."""
        return replace(self, secret_hashes=(*self.secret_hashes, _digest(secret))[-2:])

    @classmethod
    def from_toml(cls, path: str | Path) -> App:
        """Read an app from a TOML file.

        Raises:
            ConfigurationError: the file cannot be read or a field is malformed or unknown.
        """
        try:
            data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            msg = f"cannot read {path}: {error}"
            raise ConfigurationError(msg, hint="see examples/apps/ for a complete file") from error
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
                LifetimePolicy(lifetime.get("policy", "fixed")), timedelta(days=lifetime.get("days", 365))
            )
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
        data = asdict(self)
        data["lifetime"] = {
            "policy": self.lifetime.policy.value,
            "days": self.lifetime.length / timedelta(days=1),
        }
        data["access_minutes"] = data.pop("access_lifetime") / timedelta(minutes=1)
        return json.dumps(data, sort_keys=True)

    @classmethod
    def from_document(cls, text: str) -> App:
        """Read back what `to_document` wrote."""
        return _parsed(text)


@lru_cache(maxsize=256)
def _parsed(text: str) -> App:
    return App.from_mapping(json.loads(text))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def scope_set(text: str) -> frozenset[str]:
    """The scopes of a space-separated list."""
    return frozenset(text.split())


def scope_text(scopes: frozenset[str] | tuple[str, ...]) -> str:
    """A space-separated list, sorted."""
    return " ".join(sorted(scopes))


def _check(app: App) -> None:
    problems = [*_identity_problems(app), *_scope_problems(app), *_uri_problems(app)]
    if problems:
        msg = f"malformed app {app.key!r}: " + "; ".join(problems)
        raise ConfigurationError(msg, hint="see examples/apps/ for a complete file")


def _identity_problems(app: App) -> list[str]:
    found = []
    if not isinstance(app.key, str) or not _KEY.fullmatch(app.key):
        found.append("key must be [a-z0-9._-], at most 64 characters")
    if not isinstance(app.name, str) or not app.name.strip() or len(app.name) > 200:
        found.append("name must have 1 to 200 characters")
    if app.mode != "host":
        found.append("mode must be 'host': tokens of foreign servers are not supported yet")
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
    for uri in app.redirect_uris:
        try:
            parts = urlsplit(uri)
            host = parts.hostname
        except (ValueError, AttributeError, TypeError):
            found.append(f"redirect URI {uri!r} cannot be read")
            continue
        secure = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
        if not secure or not host or parts.fragment or "#" in uri:
            found.append(f"redirect URI {uri!r} must be absolute, https (http on loopback), without a fragment")
    return found
