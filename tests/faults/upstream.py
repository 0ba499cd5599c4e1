"""The foreign server of an interleaving: it rotates, a token used twice ends its whole grant, and it forgets nothing.

Requests wait for their turn as calls of the store do. What was answered and never heard is remembered, so that at
the end every grant that lives upstream is somebody's: held by a row, waiting to be given back, or known to be lost.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import parse_qsl

from grantflow import AccessToken, Engine, HttpRequest, HttpResponse, KeyRing
from grantflow._foreign import opened
from grantflow._rows import Load
from grantflow.errors import NoAnswer
from grantflow.testing import ForeignServer, ManualClock
from tests.faults.foreign import BOB, KEYS

LEASE = timedelta(seconds=30)
LATE = timedelta(seconds=35)
"""Longer than a lease: another process takes over before the answer is heard."""


class StrictServer(ForeignServer):
    """Rotates; a refresh token that comes twice ends the family it is of (RFC 9700 §4.14.2)."""

    def __init__(self) -> None:
        super().__init__()
        self.family: dict[str, int] = {}
        self.codes: dict[str, int] = defaultdict(int)
        """How often each code was sent."""

    def _answer(self, request: HttpRequest, form: dict[str, str]) -> HttpResponse:
        used, code = form.get("refresh_token", ""), form.get("code")
        if code is not None:
            self.codes[code] += 1
        if used in self.family and used not in self.alive:
            for token in [token for token in self.alive if self.family[token] == self.family[used]]:
                del self.alive[token]
        answer = super()._answer(request, form)
        for token in self.alive:
            self.family.setdefault(token, self.family.get(used, len(self.family)))
        return answer


class Lot(Protocol):
    """What is asked of the turns."""

    clock: ManualClock
    trace: list[str]
    acted: dict[str, datetime]
    healed: bool

    async def wait(self, player: str, what: str) -> str: ...


@dataclass(slots=True)
class _Sent:
    """One refresh request: when its lease was taken, and whether the engine was told that no answer came."""

    took: datetime
    unheard: bool = False


@dataclass
class Upstream:
    """The server of one schedule, and what is known of its requests."""

    seed: str
    server: StrictServer
    turns: Lot
    late: float
    lost: float
    broken: list[str]
    sends: dict[str, list[_Sent]] = field(default_factory=lambda: defaultdict(list))
    given: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Refresh tokens answered to each player during its present call."""
    orphans: set[str] = field(default_factory=set)
    """Answered, and nobody heard or lived to store it."""
    replaced: set[str] = field(default_factory=set)
    """Of a grant that a newer one took the place of."""
    values: dict[tuple[str, int], str] = field(default_factory=dict)
    first: frozenset[str] = frozenset()
    """What lived before the schedule began."""
    gone: bool = False
    """The grant was given up, and whoever did it was told so."""
    ring: KeyRing = field(default_factory=lambda: KeyRing.parse(KEYS))
    _chances: dict[str, random.Random] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.first = frozenset(self.server.alive)

    def carrier(self, player: str) -> Any:
        """What an engine of this player takes as `http=`."""

        async def carry(request: HttpRequest) -> HttpResponse:
            await self.turns.wait(player, "ask")
            sent = self._sent(player, request)
            answer = await self.server(request)
            token = json.loads(answer.body).get("refresh_token")
            if token is not None:
                self.given[player].append(token)
            await self._way_back(player, token, sent)
            return answer

        return carry

    async def _way_back(self, player: str, token: str | None, sent: _Sent | None) -> None:
        chance = self._chances.setdefault(player, random.Random(f"{self.seed}/{player}/answers"))
        await self.turns.wait(player, "answer")
        while not self.turns.healed and chance.random() < self.late:
            self.turns.clock.advance(LATE)
            self.turns.trace.append(f"{player} answer late")
            await self.turns.wait(player, "answer")
        if not self.turns.healed and chance.random() < self.lost:
            self.turns.trace.append(f"{player} answer lost")
            if sent is not None:
                sent.unheard = True
            if token is not None:
                self.orphans.add(token)
            raise NoAnswer

    def _sent(self, player: str, request: HttpRequest) -> _Sent | None:
        token = dict(parse_qsl(request.body.decode())).get("refresh_token")
        if token is None:
            return None
        took = self.turns.acted.get(player, self.turns.clock.now())
        for earlier in self.sends[token]:
            if not earlier.unheard and earlier.took <= took < earlier.took + LEASE:
                self.broken.append(f"{player} sent a refresh token that another process was at")
        self.sends[token].append(_Sent(took))
        return self.sends[token][-1]

    def crashed(self, player: str) -> None:
        """What the dead had heard may be lost."""
        self.orphans.update(self.given.pop(player, ()))

    def told(self, token: AccessToken, *, was_gone: bool) -> None:
        """An access token was given to a caller."""
        if was_gone:
            self.broken.append("an access token was given after the grant was given up")
        known = self.values.setdefault((token.installation, token.generation), token.value)
        if known != token.value:
            self.broken.append(f"generation {token.generation} is two tokens")

    async def leave(self, engine: Engine) -> None:
        """The owner ends everything: what may have been one grant with something that lived goes back now, too."""
        for one in (await engine.find()).items:
            if one.state != "uninstalled":
                await engine.disconnect(one.id, actor=BOB)
        for _ in range(2):
            self.turns.clock.advance(timedelta(days=1))
            await engine.deliver_revocations()
        if left := self.server.alive.keys() - self.orphans - self.replaced:
            self.broken.append(f"{len(left)} grants live upstream after everybody left")

    @property
    def troubled(self) -> bool:
        """Whether anything happened that may cost a grant at a server that rotates."""
        repeated = any(len(sent) > 1 for sent in self.sends.values())
        return repeated or bool(self.orphans) or any(one.unheard for sent in self.sends.values() for one in sent)

    # -- the verdict ----------------------------------------------------------------------------
    async def heal(self, engine: Engine) -> None:
        """Answers come again: every renewal and every token to be given back comes to its end."""
        clock = self.turns.clock
        clock.advance(timedelta(hours=2))  # past every lease, every wait and the life of an access token
        await engine.renew_due()
        await engine.deliver_revocations()
        clock.advance(timedelta(hours=2))
        await engine.deliver_revocations()
        store, now = engine._core.store, engine._core.now()
        if await store.due_revocations(now, 10):
            self.broken.append("liveness: tokens still wait to be given back")
        await engine.renew_due()
        if await store.refresh_due(now, 10):
            self.broken.append("liveness: a renewal came to no end")

    async def judge(self, engine: Engine, conn: sqlite3.Connection) -> None:
        """Nothing lives upstream that nobody knows of, and what is active here lives there."""
        held = set()
        for (name,) in conn.execute("SELECT public_id FROM grantflow_installation").fetchall():
            found = await engine._core.store.load(Load(installation=name))
            row, tokens = found.installation, found.tokens
            if row is None or tokens is None:
                continue
            refresh = opened(engine._core, row, tokens, "refresh").value
            held.add(refresh)
            if tokens.lease is not None:
                self.broken.append("liveness: a lease is left")
            if row.state == "active" and (tokens.in_flight_at is not None or tokens.failing is not None):
                self.broken.append("liveness: a renewal is unanswered or failing, and the server answers")
            if row.state == "active" and refresh not in self.server.alive:
                self.broken.append("active, and dead upstream")
        queued = {
            self.ring.open(sealed, place).decode()
            for sealed, place in conn.execute(
                "SELECT sealed, place FROM grantflow_revocation WHERE sealed IS NOT NULL"
            )
        }
        events = dict(conn.execute("SELECT event, count(*) FROM grantflow_transition GROUP BY event"))
        if events.get("exchange_ok", 0) > bool(
            self.first
        ):  # what it replaced is not revoked: it may be the same grant
            families = {self.server.family[token] for token in self.first}
            self.replaced = {token for token, family in self.server.family.items() if family in families}
        if left := self.server.alive.keys() - held - queued - self.orphans - self.replaced:
            self.broken.append(f"{len(left)} grants live upstream, and nobody here knows of them")
        if events.get("refresh_dead", 0) and not self.troubled:
            self.broken.append("a grant died, and nothing had gone wrong")
        if twice := sum(count > 1 for count in self.server.codes.values()):
            self.broken.append(f"{twice} codes were sent twice")
