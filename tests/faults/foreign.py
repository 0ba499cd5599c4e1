"""Client mode in the drill: a server that answers every process alike, and the grants that the verbs find."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from grantflow import (
    AccessToken,
    Actor,
    Completed,
    Engine,
    HttpRequest,
    HttpResponse,
    KeyRing,
    Probe,
    RenewalReport,
    Reported,
    Rotation,
)
from grantflow.errors import TokenUnavailable
from grantflow.testing import SECRET, ForeignServer

MAIL = "mail"
SERVER = ForeignServer()
KEYS = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
NEWER = "k2:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=," + KEYS
BOB, PLATFORM, OPERATOR = Actor.agent("bob"), Actor.system(), Actor.operator("olga")
REASON = "a drill with faults"
_PATIENCE = 0.3
"""Seconds; the clock of the drill stands, so a lease of the dead is waited for in vain."""


async def answers(request: HttpRequest) -> HttpResponse:
    """A server without a memory: whoever asks is given tokens, whoever gives back is thanked."""
    if request.url == SERVER.server.revocation_endpoint:
        return HttpResponse(200, {}, b"")
    body = {"access_token": "another-access", "refresh_token": "another-refresh", "expires_in": 3600}
    return HttpResponse(200, {"content-type": "application/json"}, json.dumps(body).encode())


async def identify(_: object, __: object) -> str:
    """Everybody is one person."""
    return "somebody"


def ring() -> KeyRing:
    """The keys of the drill; the first one is newer than what is sealed."""
    return KeyRing.parse(NEWER)


async def prepare_foreign(engine: Engine) -> dict[str, Any]:
    """Three live grants, one dead, one that waits to be given back, and a person who is about to come back."""
    engine._core.keys = KeyRing.parse(KEYS)
    await engine.apps.register(SERVER.app(MAIL))
    made = []
    for number in range(5):
        await engine.apps.install(MAIL, f"account-{number}", actor=PLATFORM)
        made.append(
            await engine.adopt(
                MAIL, account=f"account-{number}", subject=BOB, actor=PLATFORM, access_token="an-access",
                refresh_token="a-refresh", identity="somebody" if number else "nobody else",
            )
        )  # fmt: skip
    await engine.ops.force(made[3].id, to="refresh-expired", actor=OPERATOR, reason=REASON)
    engine._postman._core = engine._core
    queue = engine._core.after_commit
    queue.remove(engine._postman.committed)  # what is wiped now is given back by a verb of the table
    await engine.disconnect(made[0].id, actor=BOB)
    queue.append(engine._postman.committed)
    attempt = await engine.reauthorize(made[1].id, actor=BOB)
    assert attempt.cookie is not None
    return {
        "mail": [one.id for one in made],
        "query": SERVER.back(attempt.authorize_url),
        "no": SERVER.back(attempt.authorize_url, cancel=True),
        "cookies": {attempt.cookie_name: attempt.cookie.value},
        "secret": SECRET,
    }


async def patient(call: Any) -> Any:
    """A token, or the word that there is none now."""
    try:
        return await asyncio.wait_for(call, _PATIENCE)
    except TimeoutError:
        raise TokenUnavailable from None


def told(result: object) -> object:
    """What of a result of client mode is the same in every run."""
    match result:
        case Completed():
            return [result.outcome, result.already]
        case Reported():
            return result.outcome
        case AccessToken():
            return result.generation
        case RenewalReport():
            return result.renewed
        case Probe():
            return [result.outcome, result.state]
        case Rotation():
            return result.resealed
        case _:
            return result
