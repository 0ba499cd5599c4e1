"""What each answer of a token endpoint means: one row per case, the same at both servers.

A row of EXCHANGE: what the one request brought → how the callback ended and why, the state after, the app's
incident, and what the server had done. A row of REFRESH: what each request brought → how the renewal ended and why,
what the app got for an access token once the old one was over, the state after and its reason, the app's incident.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.servers.control import FaultKind, FaultOptions, RealServer

Grant = Literal["authorization_code", "refresh_token"]


@dataclass(frozen=True)
class Fault:
    """What the wire does to the next requests."""

    kind: FaultKind
    options: FaultOptions = field(default_factory=FaultOptions)
    times: int = 1

    def plant(self, server: RealServer, grant: Grant) -> None:
        options = self.options.copy()
        options["grant"] = grant
        server.fault(self.kind, self.times, **options)


@dataclass(frozen=True)
class Exchange:
    brought: tuple[str, ...]
    outcome: str
    why: str | None
    state: str
    incident: str | None
    at_server: tuple[str, ...]


@dataclass(frozen=True)
class Refresh:
    brought: tuple[str, ...]
    ended: str
    why: str | None
    then: str
    """The generation of the access token the app got, or the error it got instead."""
    state: str
    reason: str | None = None
    incident: str | None = None


def stored(at_server: str = "ok") -> Exchange:
    return Exchange(("ok",), "completed", None, "active", None, (at_server,))


def failed(brought: str, why: str, *at_server: str, incident: str | None = None) -> Exchange:
    return Exchange((brought,), "failed", why, "unauthorized", incident, at_server)


EXCHANGE: Mapping[str, Exchange] = {
    "in order": stored(),
    "wrong verifier": failed("dead", "invalid_grant", "invalid_grant"),
    "wrong secret": failed("misconfigured", "invalid_client", "invalid_client", incident="invalid_client"),
    "deleted app": failed("misconfigured", "invalid_client", "invalid_client", incident="invalid_client"),
    "reused code": failed("dead", "invalid_grant", "invalid_grant"),
    "expired code": failed("dead", "invalid_grant", "invalid_grant"),
    "nobody listens": failed("not_sent", "not_sent"),
    "503 with Retry-After": failed("transient", "transient", "unavailable"),
    "429 with Retry-After": failed("transient", "transient", "limited"),
    "500": failed("transient", "transient", "broken"),
    "200 with a page": failed("transient", "transient", "garbage"),
    "hang-up before the work": failed("no_answer", "no_answer", "hangup"),
    "answer lost": failed("no_answer", "no_answer", "ok, lost"),
    "answer cut": failed("no_answer", "no_answer", "ok, cut"),
    "answer late": stored(),
    "answer after the timeout": failed("no_answer", "no_answer", "ok"),
    "200 without a token": failed("transient", "transient", "ok"),
    "200 with an error": failed("dead", "invalid_grant", "ok"),
    "another type of token": failed("misconfigured", "token-type", "ok", incident="token-type"),
    "fewer scopes": stored(),
    "no refresh token": stored(),
    "interaction required": failed("interaction", "interaction_required", "ok"),
}


def renewed() -> Refresh:
    return Refresh(("ok",), "renewed", None, "2", "active")


def dead(reason: str = "unknown", *, brought: str = "dead", why: str = "invalid_grant") -> Refresh:
    return Refresh((brought,), "dead", why, "ReauthorizationRequired", "refresh-expired", reason)


def held(why: str) -> Refresh:
    twice = ("misconfigured", "misconfigured")
    return Refresh(twice, "held", why, "AppMisconfigured", "active", incident=why)


def later(brought: str, why: str) -> Refresh:
    return Refresh((brought, brought), "later", why, "TokenUnavailable", "active")


def lost(brought: str = "no_answer", why: str = "no_answer") -> Refresh:
    """The server has rotated, and only it knows the new token."""
    return Refresh((brought, "dead"), "later", why, "ReauthorizationRequired", "refresh-expired", "rotation-lost")


REFRESH: Mapping[str, Refresh] = {
    "in order": renewed(),
    "unknown token": dead(),
    "token of another client": dead(),
    "rotated token": dead(),
    "expired token": dead(),
    "revoked token": dead(),
    "forgotten by the person": dead(),
    "wrong secret": held("invalid_client"),
    "deleted app": held("invalid_client"),
    "nobody listens": later("not_sent", "not_sent"),
    "503 with Retry-After": later("transient", "http-503"),
    "429 with Retry-After": later("transient", "http-429"),
    "500": later("transient", "http-500"),
    "200 with a page": later("transient", "http-200"),
    "hang-up before the work": Refresh(("no_answer", "ok"), "later", "no_answer", "2", "active"),
    "hang-ups before the work": later("no_answer", "no_answer"),
    "answer lost": lost(),
    "answer cut": lost(),
    "answer late": renewed(),
    "answer after the timeout": lost(),
    "200 without a token": lost("transient", "http-200"),
    "200 with an error": dead(),
    "another type of token": Refresh(("misconfigured", "ok"), "held", "token-type", "2", "active"),
    "fewer scopes": renewed(),
    "no refresh token": renewed(),
    "interaction required": dead("interaction-required", brought="interaction", why="interaction_required"),
}

EXCHANGE_FAULTS: Mapping[str, Fault] = {
    "503 with Retry-After": Fault("unavailable"),
    "429 with Retry-After": Fault("limited"),
    "500": Fault("broken"),
    "200 with a page": Fault("garbage"),
    "hang-up before the work": Fault("hangup"),
    "answer lost": Fault("lost"),
    "answer cut": Fault("cut"),
    "answer late": Fault("slow", {"seconds": 0.1, "when": "after"}),
    "answer after the timeout": Fault("hold"),
    "200 without a token": Fault("rewrite", {"drop": ["access_token", "refresh_token"]}),
    "200 with an error": Fault("rewrite", {"change": {"error": "invalid_grant"}}),
    "another type of token": Fault("rewrite", {"change": {"token_type": "mac"}}),
    "fewer scopes": Fault("rewrite", {"change": {"scope": "write"}}),
    "no refresh token": Fault("rewrite", {"drop": ["refresh_token"]}),
    "interaction required": Fault("rewrite", {"change": {"error": "interaction_required"}}),
}
REFRESH_FAULTS: Mapping[str, Fault] = {
    "503 with Retry-After": Fault("unavailable", times=2),
    "429 with Retry-After": Fault("limited", times=2),
    "500": Fault("broken", times=2),
    "200 with a page": Fault("garbage", times=2),
    "hang-up before the work": Fault("hangup"),
    "hang-ups before the work": Fault("hangup", times=2),
    "answer lost": Fault("lost"),
    "answer cut": Fault("cut"),
    "answer late": Fault("slow", {"seconds": 0.1, "when": "after"}),
    "answer after the timeout": Fault("hold"),
    "200 without a token": Fault("rewrite", {"drop": ["access_token", "refresh_token"]}),
    "200 with an error": Fault("rewrite", {"change": {"error": "invalid_grant"}}),
    "another type of token": Fault("rewrite", {"change": {"token_type": "mac"}}),
    "fewer scopes": Fault("rewrite", {"change": {"scope": "read"}}),
    "no refresh token": Fault("rewrite", {"drop": ["refresh_token"]}),
    "interaction required": Fault("rewrite", {"change": {"error": "interaction_required"}}),
}
