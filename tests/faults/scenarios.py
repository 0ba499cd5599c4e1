"""Who meets whom: scripts of people, apps, operators and sweeps on one small database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from grantflow import Actor, Attempt, ClientCredentials, Engine, KeyRing, new_pkce
from grantflow.testing import SECRET, ManualClock, People, authorize, sample_app
from tests.faults.foreign import KEYS
from tests.faults.schedules import SETTINGS, Player, Step
from tests.faults.upstream import StrictServer
from tests.faults.verbs import BOB, KEY, MARIA, OPERATOR, PLATFORM, REASON, YEAR

ACME = "acme"
VERIFIER, CHALLENGE = new_pkce()
Known = dict[str, Any]
Setting = Callable[[Engine, ManualClock], Awaitable[Known]]


def people() -> People:
    """Bob's one account, and its admin."""
    return People({BOB: [ACME], MARIA: [ACME]})


# -- steps -------------------------------------------------------------------------------------------
def opens(*, account: str | None = None, again: bool = False) -> Step:
    """A window, for a new authorization or for the installation that is there."""

    async def step(player: Player) -> None:
        known = player.world.known
        attempt: Attempt | None
        if again:
            attempt = await player.do(
                "open", lambda e: e.reauthorize(known["installation"], actor=BOB, code_challenge=CHALLENGE)
            )
        else:
            attempt = await player.do(
                "open", lambda e: e.authorize(KEY, actor=BOB, account=account, code_challenge=CHALLENGE)
            )
        if attempt is not None:
            player.hand["attempt"] = attempt.id

    return step


def _about_attempt(what: str, call: Callable[[Engine, str], Awaitable[object]]) -> Step:
    async def step(player: Player) -> None:
        attempt = player.hand.get("attempt") or player.world.known.get("attempt")
        if attempt is not None:
            await player.do(what, lambda e: call(e, attempt))

    return step


SELECTS = _about_attempt("select_account", lambda e, a: e.select_account(a, ACME, actor=BOB))
AGREES = _about_attempt("agree", lambda e, a: e.agree(a, actor=BOB))
CANCELS = _about_attempt("cancel", lambda e, a: e.cancel(a, actor=BOB))
REFUSES = _about_attempt("refuse", lambda e, a: e.refuse(a, actor=BOB))


async def redeems(player: Player) -> None:
    """The app exchanges the code it has, or the one everybody knows."""
    world = player.world
    code = player.hand.get("code") or world.known.get("code")
    if code is not None:
        tokens = await player.do(
            "exchange_ok",
            lambda e: e.ledger.redeem(code, client=world.client(), code_verifier=VERIFIER),
            of=code,
        )
        if tokens is not None:
            player.hand["refresh"] = tokens.refresh_token.value


async def renews(player: Player) -> None:
    """The app renews with the newest token it has heard of."""
    world = player.world
    token = player.hand.get("refresh") or world.known.get("refresh")
    if token is not None:
        tokens = await player.do("renew", lambda e: e.ledger.renew(token, client=world.client()), of=token)
        if tokens is not None:
            player.hand["refresh"] = tokens.refresh_token.value


async def sweeps(player: Player) -> None:
    """The scheduler comes by."""
    await player.do("sweep", lambda e: e.sweep())


def waits(length: timedelta) -> Step:
    """Time passes for everybody."""

    async def step(player: Player) -> None:
        player.world.clock.advance(length)

    return step


def sends(event: str, actor: Actor, key: str = "") -> Step:
    """One event from outside, with a key of its own."""

    async def step(player: Player) -> None:
        target = player.world.known["installation"]
        name = f"{player.name}-{event}-{key}"
        await player.do(
            event,
            lambda e: e.send(target, event, actor=actor, reason=REASON, idempotency_key=name),
            of=name,
        )

    return step


def forces(target: str) -> Step:
    """An operator moves the row by hand."""

    async def step(player: Player) -> None:
        row = player.world.known["installation"]
        await player.do("force", lambda e: e.ops.force(row, to=target, actor=OPERATOR, reason=REASON))

    return step


async def removes_the_app(player: Player) -> None:
    """The admin takes the app off the account."""
    done = await player.do("app_uninstall", lambda e: e.apps.uninstall(KEY, ACME, actor=MARIA))
    player.world.removed += done is not None


async def brings_the_app(player: Player) -> None:
    """The admin puts it back."""
    await player.do("app_install", lambda e: e.apps.install(KEY, ACME, actor=MARIA))


# -- what is there before ----------------------------------------------------------------------------
async def _app(engine: Engine) -> Known:
    await engine.apps.register(sample_app(key=KEY))
    await engine.apps.install(KEY, ACME, actor=PLATFORM)
    return {"client": (await engine.apps.get(KEY)).client_id}


async def _only_the_app(engine: Engine, _: ManualClock) -> Known:
    return await _app(engine)


async def _at_the_form(engine: Engine, _: ManualClock) -> Known:
    known = await _app(engine)
    attempt = await engine.authorize(KEY, actor=BOB, code_challenge=CHALLENGE)
    await engine.select_account(attempt.id, ACME, actor=BOB)
    row = await engine.get(KEY, account=ACME, subject=BOB)
    return known | {"attempt": attempt.id, "installation": row.id}


async def _with_a_code(engine: Engine, clock: ManualClock) -> Known:
    known = await _at_the_form(engine, clock)
    returned = await engine.agree(known["attempt"], actor=BOB)
    assert returned.code is not None
    return known | {"code": returned.code.value}


async def _live(engine: Engine, _: ManualClock) -> Known:
    known = await _app(engine)
    tokens = await authorize(engine, KEY, ACME, actor=BOB)
    again = await engine.ledger.renew(tokens.refresh_token.value, client=ClientCredentials(known["client"], SECRET))
    return known | {
        "installation": tokens.installation,
        "refresh": again.refresh_token.value,
        "spent": tokens.refresh_token.value,
    }


async def _about_to_die(engine: Engine, clock: ManualClock) -> Known:
    known = await _live(engine, clock)
    clock.advance(YEAR - timedelta(seconds=3))
    return known


async def _live_with_a_form(engine: Engine, clock: ManualClock) -> Known:
    known = await _live(engine, clock)
    attempt = await engine.reauthorize(known["installation"], actor=BOB, code_challenge=CHALLENGE)
    await engine.select_account(attempt.id, ACME, actor=BOB)
    return known | {"attempt": attempt.id}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A starting point and the scripts that meet on it."""

    setting: Setting
    scripts: dict[str, list[Step]]
    stale: bool = True
    """Off where a renewal, which has no version of its own, takes part."""
    server: Callable[[], StrictServer] | None = None
    """Client mode: the world outside."""
    odds: dict[str, float] = field(default_factory=dict)
    """Of what the scenario is about: `late` and `unanswered` answers, `crash`, unheard `commits`."""

    async def prepare(self, file: Path) -> tuple[Known, datetime, StrictServer | None]:
        """Make the database; returns what everybody knows, when it starts and the server as it is then."""
        clock, server = ManualClock(), None if self.server is None else self.server()
        async with Engine.open(
            f"sqlite:///{file}",
            clock=clock,
            directory=people(),
            settings=SETTINGS,
            keys=KeyRing.parse(KEYS),
            http=server,
        ) as engine:
            return await self.setting(engine, clock), clock.now(), server


SCENARIOS: dict[str, Scenario] = {
    "windows": Scenario(
        _only_the_app,
        {
            "left": [opens(), SELECTS, AGREES, redeems],
            "right": [opens(), SELECTS, AGREES, redeems],
            "third": [opens(), SELECTS, CANCELS],
        },
    ),
    "giving-up": Scenario(
        _at_the_form,
        {
            "person": [AGREES, redeems],
            "second thoughts": [CANCELS],
            "clock": [waits(timedelta(minutes=9, seconds=58)), sweeps, sweeps],
        },
    ),
    "replay": Scenario(
        _with_a_code,
        {
            "app": [redeems],
            "thief": [redeems],
            "operator": [forces("refresh-expired")],
        },
    ),
    "renewal": Scenario(
        _about_to_die,
        {
            "app": [renews, renews],
            "same app": [renews],
            "clock": [sweeps, sweeps],
        },
        stale=False,
    ),
    "expiry": Scenario(
        _about_to_die,
        {
            "person": [opens(again=True), SELECTS, AGREES, redeems],
            "clock": [sweeps, sweeps],
            "other clock": [sweeps, sweeps],
        },
    ),
    "removal": Scenario(
        _only_the_app,
        {
            "person": [opens(), SELECTS, AGREES, redeems],
            "other window": [opens(account=ACME), SELECTS, AGREES],
            "admin": [removes_the_app],
        },
    ),
    "suspension": Scenario(
        _live_with_a_form,
        {
            "platform": [sends("suspend", PLATFORM), sends("unsuspend", PLATFORM), sends("suspend", PLATFORM, "2")],
            "same platform": [sends("unsuspend", PLATFORM), sends("suspend", PLATFORM)],
            "operator": [forces("unauthorized"), forces("refresh-expired")],
            "person": [AGREES, redeems],
        },
    ),
}
