"""What happens to whom and when: a seeded plan, played day by day on a clock that ends now."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from grantflow import (
    Actor,
    App,
    Attempt,
    ClientCredentials,
    Engine,
    Guidance,
    Installation,
    Notice,
    NoticeName,
    new_pkce,
)
from grantflow.testing import ManualClock, People

DAYS = 420
NEW_VERSION_DAY = 200
_ACCOUNTS = (
    "acme",
    "globex",
    "initech",
    "umbrella",
    "stark",
    "wayne",
    "hooli",
    "tyrell",
    "cyberdyne",
    "soylent",
)
_GIVEN = (
    "ana",
    "ben",
    "cho",
    "dev",
    "eva",
    "fin",
    "gus",
    "hana",
    "ivo",
    "june",
    "kai",
    "lena",
    "mio",
    "noor",
    "omar",
)
OPERATOR = Actor.operator("maria")

Day = list[Callable[[], Coroutine[Any, Any, None]]]


@dataclass(slots=True)
class Tally:
    """What the story counted while it went."""

    authorized: int = 0
    reauthorized: int = 0
    cancelled: int = 0
    refused: int = 0
    abandoned: int = 0
    expired: int = 0
    sweeps: int = 0
    upgraded: int = 0
    warned: int = 0
    reminded: int = 0

    def hear(self, notice: Notice) -> None:
        """What a host would send to people as mail."""
        self.warned += notice.name == NoticeName.INSTALLATION_EXPIRING
        self.reminded += notice.name == NoticeName.INSTALLATION_REMINDED


def app_files() -> list[Path]:
    """The three apps, as a repository or an installed package holds them."""
    here = Path(__file__).resolve()
    inside = here.parent / "apps"
    folder = inside if inside.is_dir() else here.parents[3] / "examples" / "apps"
    return sorted(folder.glob("*.toml"))


class Story:
    """A fleet of `size` installations over 420 days."""

    def __init__(self, engine: Engine, clock: ManualClock, people: People, size: int, seed: int) -> None:
        self.engine, self.clock, self.people, self.size = engine, clock, people, size
        self.seed, self.random = seed, random.Random(seed)  # noqa: S311 - a story, not a secret
        self.tally = Tally()
        self.days: list[Day] = [[] for _ in range(DAYS + 1)]
        self.apps: dict[str, App] = {}
        self.accounts = _ACCOUNTS[: max(3, min(len(_ACCOUNTS), size // 12))]

    async def prepare(self) -> None:
        """Register the apps, put them on the accounts, and plan everybody's days."""
        for path in app_files():
            app = await self.engine.apps.register(App.from_toml(path))
            self.apps[app.key] = app
        call_notes = self.apps["call-notes"]
        await self.engine.apps.register(replace(call_notes, versions=call_notes.versions[:1]))
        for account in self.accounts:
            admin = self.people.add(Actor.admin(f"admin@{account}"), account)
            await self.engine.apps.install("call-notes", account, actor=admin)
            day = self.random.randrange(40)
            self.days[day].append(partial(self._account_app, account, admin, day))
        for index in range(max(0, self.size - len(self.accounts))):
            account = self.accounts[index % len(self.accounts)]
            name = f"{_GIVEN[index % len(_GIVEN)]}{index // len(_GIVEN) or ''}"
            early, late = self.random.randrange(52), self.random.randrange(DAYS - 2)
            day = self.random.choice((early, early, late))
            if index % 3:
                agent = self.people.add(Actor.agent(f"{name}@{account}"), account)
                self.days[day].append(partial(self._person, "call-notes", agent, account, day))
            else:
                user = self.people.add(Actor.user(f"{name}@mail.example"), account)
                self.days[day].append(partial(self._person, "report-hub", user, account, day))
        self.days[NEW_VERSION_DAY].append(self._new_version)

    async def day(self, number: int) -> None:
        """Everything that is planned for one day, at once, as people do."""
        await asyncio.gather(*(action() for action in self.days[number]))

    def _dice(self, *about: object) -> random.Random:
        """One person's luck in one thing, whoever comes first that day."""
        return random.Random(f"{self.seed} {' '.join(map(str, about))}")  # noqa: S311 - a story, not a secret

    # -- what people do -------------------------------------------------------------------------
    async def _account_app(self, account: str, admin: Actor, day: int) -> None:
        await self._authorize("desk-sync", admin, account)
        await self.engine.apps.set_available("desk-sync", account, True, actor=admin)
        self._plan_return("desk-sync", admin, account, day, chance=0.85)

    async def _person(self, app: str, who: Actor, account: str, day: int) -> None:
        dice = self._dice(app, who, day)
        fate = dice.random()
        if fate < 0.06:
            await self._give_up(app, who, account, refuse=False)
        elif fate < 0.10:
            await self._give_up(app, who, account, refuse=True)
        elif fate < 0.13:
            await self._open(app, who, account)
            self.tally.abandoned += 1
            self._at(day + 2, partial(self._person, app, who, account, day + 2))
            return
        else:
            await self._authorize(app, who, account)
            self._plan_return(app, who, account, day, chance=0.72)
            return
        if dice.random() < 0.5:
            self._at(day + 5, partial(self._person, app, who, account, day + 5))

    def _plan_return(self, app: str, who: Actor, account: str, day: int, *, chance: float) -> None:
        dice = self._dice(app, who, day, "again")
        if dice.random() < chance:
            self._at(day + 366 + dice.randrange(9), partial(self._reauthorize, app, who, account))

    def _at(self, day: int, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if day < DAYS:
            self.days[day].append(action)

    async def _open(self, app: str, who: Actor, account: str) -> tuple[Attempt, str]:
        verifier, challenge = new_pkce()
        attempt = await self.engine.authorize(app, actor=who, code_challenge=challenge, entry_point="marketplace")
        window = await self.engine.window(attempt.id, actor=who)
        if window.form is None:
            await self.engine.select_account(attempt.id, account, actor=who)
        return attempt, verifier

    async def _redeem(self, app: str, who: Actor, code: str, verifier: str) -> None:
        known = self.apps[app]
        secret = None if known.public else f"demo secret of {app}"
        client = ClientCredentials(known.client_id, secret)
        uri = known.redirect_uris[0]
        tokens = await self.engine.ledger.redeem(code, client=client, redirect_uri=uri, code_verifier=verifier)
        await self.engine.ledger.authenticate(tokens.access_token.value)
        if self._dice(app, who, "renew").random() < 0.2:
            await self.engine.ledger.renew(tokens.refresh_token.value, client=client)

    async def _authorize(self, app: str, who: Actor, account: str) -> None:
        attempt, verifier = await self._open(app, who, account)
        returned = await self.engine.agree(attempt.id, actor=who)
        if returned.code is not None:
            await self._redeem(app, who, returned.code.value, verifier)
            self.tally.authorized += 1

    async def _give_up(self, app: str, who: Actor, account: str, *, refuse: bool) -> None:
        attempt, _ = await self._open(app, who, account)
        if refuse:
            await self.engine.refuse(attempt.id, actor=who)
            self.tally.refused += 1
        else:
            await self.engine.cancel(attempt.id, actor=who)
            self.tally.cancelled += 1

    async def _reauthorize(self, app: str, who: Actor, account: str) -> None:
        found = await self._installation(app, who, account)
        if found.state != "refresh-expired":
            return
        verifier, challenge = new_pkce()
        attempt = await self.engine.reauthorize(found.id, actor=who, code_challenge=challenge)
        await self.engine.select_account(attempt.id, account, actor=who)
        returned = await self.engine.agree(attempt.id, actor=who)
        if returned.code is not None:
            await self._redeem(app, who, returned.code.value, verifier)
            self.tally.reauthorized += 1

    async def _installation(self, app: str, who: Actor, account: str) -> Installation:
        return await self.engine.get(app, account=account, subject=who)

    # -- what the platform does -----------------------------------------------------------------
    async def _new_version(self) -> None:
        await self.engine.apps.register(self.apps["call-notes"])
        for account in self.accounts[::2]:
            admin = Actor.admin(f"admin@{account}")
            await self.engine.apps.upgrade("call-notes", account, "2.0", actor=admin)
            page = await self.engine.find(f"app:call-notes account={account} state:active", limit=200)
            for found in sorted(page.items, key=lambda found: found.subject)[::2]:
                agent = Actor.agent(found.subject)
                attempt, verifier = await self._open_upgrade(found, agent)
                if self._dice("upgrade", agent).random() < 0.8:
                    returned = await self.engine.agree(attempt.id, actor=agent)
                    if returned.code is not None:
                        await self._redeem("call-notes", agent, returned.code.value, verifier)
                    self.tally.upgraded += 1
                else:
                    await self.engine.refuse(attempt.id, actor=agent)

    async def _open_upgrade(self, found: Installation, who: Actor) -> tuple[Attempt, str]:
        verifier, challenge = new_pkce()
        attempt = await self.engine.authorize(
            found.app, actor=who, account=found.account, code_challenge=challenge, entry_point="front end"
        )
        await self.engine.select_account(attempt.id, found.account, actor=who)
        return attempt, verifier

    async def finish(self) -> None:
        """The last minutes: somebody stands on every page, an operator suspends one and forces one."""
        dead = (await self.engine.find("state:refresh-expired app:call-notes,report-hub", limit=20)).items
        live = (await self.engine.find("state:active app:call-notes", limit=20)).items
        for found in dead[:2]:
            await self.engine.reauthorize(found.id, actor=_owner(found), code_challenge=new_pkce()[1])
        if len(live) > 2:
            await self.engine.suspend(live[0].id, actor=OPERATOR, reason="reported by the account's security team")
            plan = await self.engine.ops.preview_force(
                live[1].id,
                to="refresh-expired",
                actor=OPERATOR,
                reason="grant was shared by mistake, ticket 4711",
            )
            await self.engine.ops.apply(plan)
        for name, step in (("zoe", "account"), ("yan", "consented"), ("xia", "installed")):
            agent = self.people.add(Actor.agent(f"{name}@{self.accounts[0]}"), self.accounts[0])
            if step == "installed":
                await self._give_up("call-notes", agent, self.accounts[0], refuse=False)
                continue
            attempt, _ = await self._open("call-notes", agent, self.accounts[0])
            if step == "consented":
                await self.engine.agree(attempt.id, actor=agent)
        leaver = (await self.engine.find("state:active app:report-hub", limit=1)).items
        for found in leaver:
            await self.engine.uninstall(found.id, actor=_owner(found))

    async def guidance(self) -> Guidance | None:
        """What the app tells the owner of a dead grant."""
        for found in (await self.engine.find("state:refresh-expired", limit=1)).items:
            return await self.engine.guidance(found.id, viewer=_owner(found))
        return None


def _owner(found: Installation) -> Actor:
    if found.kind == "account":
        return Actor.admin(f"admin@{found.account}")
    return Actor.agent(found.subject) if found.kind == "agent" else Actor.user(found.subject)
