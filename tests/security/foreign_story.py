"""A life at a foreign server that quotes every secret it was sent, told to a set of channels."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from grantflow import Actor, App, Attempt, Engine, Granted, HttpRequest, HttpResponse, KeyRing, Settings, Version
from grantflow.errors import GrantflowError
from grantflow.testing import ForeignServer, ManualClock, People
from tests.security.channels import Channels, every_handler, every_logger, forgotten

BOB, MARIA, OLGA, PLATFORM = Actor.agent("bob"), Actor.admin("maria"), Actor.operator("olga"), Actor.system()
EVE = Actor.agent("eve")
ACCOUNTS = ("acme", "bolt", "corp", "duff", "echo", "fuse")
VERSION = Version("1.0", ("openid", "tickets.read"), ("people.read",))
WHY = "a reason that is long enough"
MINUTE = timedelta(minutes=1)
CLOSED = "http://127.0.0.1:9"
"""Nobody listens there: what asks for it learns that quickly."""


class QuotingServer(ForeignServer):
    """Every token is random and noted; every refusal quotes the whole request, in body, headers and errors."""

    def __init__(self, told: Channels, issuer: str = "https://server.example") -> None:
        super().__init__(issuer)
        self.told = told
        self.secret = told.keep("client secret", "cs_" + secrets.token_urlsafe(24))
        self.breaks: list[type[Exception]] = []
        """The carrier itself fails like this, quoting the request."""
        self.learned = 0

    def _new(self, what: str) -> str:
        return f"{what}_{secrets.token_urlsafe(24)}"

    def keep(self, name: str, value: object) -> None:
        """Note a secret that went over the wire."""
        if isinstance(value, str) and len(value) >= 16 and value.encode() not in self.told.secrets.values():
            self.learned += 1
            self.told.keep(f"{name} {self.learned}", value)

    def back(self, authorize_url: str, *, cancel: bool = False) -> str:
        """The query of the callback; what it carries is noted."""
        query = super().back(authorize_url, cancel=cancel)
        for name in ("state", "code"):
            self.keep(name, parse_qs(query).get(name, [""])[0])
        return query

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """What Engine.open takes as `http`."""
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        for name in ("code", "code_verifier", "refresh_token", "token", "client_secret"):
            self.keep(name, form.get(name))
        basic = request.headers.get("Authorization", "").removeprefix("Basic ")
        if basic:
            self.keep("basic", basic)
        quote = f"{form} {dict(request.headers)} {base64.b64decode(basic).decode()} {request.body.decode()}"
        if self.breaks:
            raise self.breaks.pop(0)(quote)
        answer = await super().__call__(request)
        body = json.loads(answer.body) if answer.body.startswith(b"{") else {}
        if answer.status >= 400:
            told = {**body, "error_description": quote, "error_uri": "https://x.example/?" + urlencode(form)}
            headers = {**answer.headers, "www-authenticate": f"Basic realm={quote!r}"}
            return HttpResponse(answer.status, headers, json.dumps(told).encode() if body else quote.encode())
        for name in ("access_token", "refresh_token", "id_token"):
            self.keep(name, body.get(name))
        return answer

    def _gives(self, **tokens: str) -> HttpResponse:
        return super()._gives(**tokens, id_token=f"{self._new('eyJ')}.{self._new('e30')}.sig")

    def crm(self, key: str = "crm") -> App:
        """An app in client mode at this server that asks who the person is."""
        return self.app(key, versions=(VERSION,)).with_secret(self.secret)


@dataclass
class Told:
    """An engine in client mode and what listens to it."""

    engine: Engine
    server: QuotingServer
    clock: ManualClock
    told: Channels
    path: Path
    keys: KeyRing

    def opened(self, attempt: Attempt) -> dict[str, str]:
        """Note what an attempt carries; returns the cookies of its browser."""
        query = parse_qs(urlsplit(attempt.authorize_url).query)
        for name in ("state", "nonce"):
            self.server.keep(name, query[name][0])
        self.told.shown(attempt)
        if attempt.cookie is None:
            return {}
        self.server.keep("cookie", attempt.cookie.value)
        return {attempt.cookie_name: attempt.cookie.value}

    async def active(self, account: str) -> str:
        """Walk to a live grant; returns its id."""
        attempt = await self.engine.authorize("crm", actor=BOB, account=account)
        cookies = self.opened(attempt)
        self.told.shown(await self.engine.window(attempt.id, actor=BOB))
        done = await self.engine.complete(self.server.back(attempt.authorize_url), cookies=cookies)
        self.told.shown(done)
        assert done.installation is not None, done
        return done.installation.id

    def answers(self, status: int, **body: object) -> None:
        """What the server says to the next request."""
        self.server.faults.append(self.server.says(status, None, **body))


@asynccontextmanager
async def told_at(folder: Path, told: Channels, issuer: str = "https://server.example") -> AsyncIterator[Told]:
    """An engine on `folder`/g.db, everything listened to; every key and its bytes are noted."""
    text = KeyRing.new_key()
    plain = text.split(":", 1)[1]
    told.keep("key", plain)
    told.keep("key bytes", base64.urlsafe_b64decode(plain))
    server, clock = QuotingServer(told, issuer), ManualClock()
    keys = KeyRing.parse(text)

    async def identify(app: App, granted: Granted) -> str:
        told.shown(granted)
        assert granted.nonce is not None
        if server.person == "unknown":
            raise RuntimeError(f"userinfo of {granted.access_token.value} {granted.nonce}")
        return server.person

    with every_logger(told):
        async with (
            every_handler(told),
            Engine.open(
                f"sqlite:///{folder / 'g.db'}",
                keys=keys,
                directory=People({BOB: ACCOUNTS, EVE: ACCOUNTS, MARIA: ACCOUNTS}),
                identify=identify,
                http=server,
                clock=clock,
                settings=Settings(synchronous="NORMAL"),
            ) as engine,
        ):
            engine._core.chance = lambda: 0.5
            engine.subscribe(lambda notice: told.heard("notice", f"{notice!r} {notice.body}"))
            engine.on_bad_callback(lambda why: told.heard("hook", why))
            engine.on_due_earlier(lambda when: told.heard("hook", repr(when)))
            told.shown(await engine.apps.register(server.crm()))
            for account in ACCOUNTS:
                told.shown(await engine.apps.install("crm", account, actor=MARIA))
            yield Told(engine, server, clock, told, folder / "g.db", keys)


async def callbacks(life: Told) -> str:
    """Callbacks, good and bad; returns the id of the grant that came of them."""
    engine, told, server = life.engine, life.told, life.server
    attempt = await engine.authorize("crm", actor=BOB, account="acme")
    cookies, query = life.opened(attempt), server.back(attempt.authorize_url)
    other = {name: told.keep("another cookie", "gfb_" + secrets.token_urlsafe(24)) for name in cookies}
    await told.fails(engine.complete(query, cookies=other))
    await told.fails(engine.complete(query, cookies=None))
    await told.fails(engine.complete(query.replace("state=", "state=x"), cookies=cookies))
    await told.fails(engine.complete(query + "&code=twice", cookies=cookies))
    await told.fails(engine.complete(query.partition("&iss=")[0], cookies=cookies))
    await told.fails(engine.complete(query, binding=b"short"))
    await told.fails(engine.complete(query + "x" * 20_000, cookies=cookies))
    await told.fails(engine.agree(attempt.id, actor=BOB))
    await told.fails(engine.select_account(attempt.id, "nowhere", actor=BOB))
    await told.fails(engine.window(attempt.id, actor=EVE))
    await forgotten(engine.complete(query, cookies=other))
    told.shown(await engine.complete(query, cookies=cookies))
    await told.fails(engine.complete(query, cookies=cookies))
    binding = told.keep("binding", "a session of this browser " + secrets.token_hex(16))
    bound = await engine.authorize("crm", actor=BOB, account="acme", binding=binding.encode())
    life.opened(bound)
    told.shown(await engine.complete(server.back(bound.authorize_url, cancel=True), binding=binding.encode()))
    for word in ("server_error", "invalid_scope"):
        again = await engine.authorize("crm", actor=BOB, account="acme")
        cookies, state = life.opened(again), parse_qs(server.back(again.authorize_url))["state"][0]
        said = {"error": word, "error_description": query, "state": state, "iss": server.server.issuer}
        told.shown(await engine.complete(urlencode(said), cookies=cookies))
    await engine.ops.close_incident("crm", actor=OLGA, reason=WHY)
    return (await engine.get("crm", account="acme", subject=BOB)).id


async def exchanges(life: Told) -> None:
    """Codes that come to nothing: refused, unanswered, another person, nobody knows who."""
    engine, told, server = life.engine, life.told, life.server
    for status, word in ((400, "invalid_grant"), (401, "invalid_client"), (500, ""), (400, "no_such_word")):
        attempt = await engine.authorize("crm", actor=BOB, account="bolt")
        cookies = life.opened(attempt)
        life.answers(status, **({"error": word} if word else {}))
        told.shown(await engine.complete(server.back(attempt.authorize_url), cookies=cookies))
    for broken in (RuntimeError, OSError, TimeoutError):
        attempt = await engine.authorize("crm", actor=BOB, account="bolt")
        cookies = life.opened(attempt)
        server.breaks.append(broken)
        told.shown(await engine.complete(server.back(attempt.authorize_url), cookies=cookies))
    for person in ("unknown", "somebody else"):
        attempt = await engine.authorize("crm", actor=BOB, account="acme")
        cookies, server.person = life.opened(attempt), person
        told.shown(await engine.complete(server.back(attempt.authorize_url), cookies=cookies))
    server.person = "somebody"
    told.shown(await engine.ops.incidents(closed=True))
    with contextlib.suppress(GrantflowError):
        await engine.ops.close_incident("crm", actor=OLGA, reason=WHY)


async def renewals(life: Told, name: str) -> None:
    """Tokens used, renewed, refused, lost, reported."""
    engine, told, server = life.engine, life.told, life.server
    token = await engine.access_token(name)
    told.shown(token)
    told.shown(await engine.report(name, status=403, generation=token.generation, error="insufficient_scope"))
    told.shown(await engine.report(name, status=401, generation=token.generation))
    told.shown(await engine.report(name, status=401, generation=1))
    await told.fails(engine.report(name, status=401, generation=99))
    await told.fails(engine.access_token("crm", account="acme", subject=EVE))
    for status, word in ((400, "invalid_request"), (503, "temporarily_unavailable"), (500, ""), (401, "odd_word")):
        life.clock.advance(61 * MINUTE)
        life.answers(status, **({"error": word} if word else {}))
        await told.fails(engine.access_token(name))
        told.shown(await engine.token_health(name))
    for broken in (RuntimeError, ValueError):
        life.clock.advance(61 * MINUTE)
        server.breaks.append(broken)
        await told.fails(engine.access_token(name), may_succeed=True)
    life.clock.advance(61 * MINUTE)
    life.answers(401, error="invalid_client")
    await told.fails(engine.access_token(name))
    told.shown(await engine.ops.incidents())
    await told.fails(engine.access_token(name))
    again = told.keep("second client secret", "cs_" + secrets.token_urlsafe(24))
    await told.fails(engine.apps.add_secret("crm", again, actor=BOB))
    await told.fails(engine.apps.add_secret("nothing", again, actor=PLATFORM))
    await told.fails(engine.apps.add_secret("crm", again * 200, actor=PLATFORM))
    await engine.apps.add_secret("crm", again, actor=PLATFORM)
    server.secret = again
    told.shown(await engine.ops.probe(name, actor=OLGA, reason=WHY))
    told.shown(await engine.access_token(name))
    told.shown(await engine.renew_due())
    await forgotten(engine.report(name, status=401, generation=99))


async def operators(life: Told, name: str) -> None:
    """What operators and the platform do, and what is refused to them."""
    engine, told, server = life.engine, life.told, life.server
    given = {
        part: told.keep(f"adopted {part}", f"{part}_{secrets.token_urlsafe(24)}") for part in ("access", "refresh")
    }
    server.alive[given["refresh"]] = "openid tickets.read"
    tokens: dict[str, Any] = {"access_token": given["access"], "refresh_token": given["refresh"]}
    await told.fails(engine.adopt("crm", account="corp", actor=BOB, subject=BOB, **tokens))
    await told.fails(engine.adopt("crm", account="corp", actor=PLATFORM, subject=BOB, access_token="x" * 70_000))
    await told.fails(engine.adopt("none", account="corp", actor=PLATFORM, subject=BOB, **tokens))
    adopted = await engine.adopt(
        "crm", account="corp", actor=PLATFORM, subject=BOB, expires_in=MINUTE, reason=WHY, **tokens
    )
    told.shown(adopted)
    life.clock.advance(2 * MINUTE)
    told.shown(await engine.access_token(adopted.id))
    await told.fails(engine.ops.remind(adopted.id, actor=OLGA, reason=WHY))
    life.answers(500)
    await engine.disconnect(adopted.id, actor=BOB)
    await engine.deliver_revocations()
    told.shown(await engine.ops.outbox())
    life.clock.advance(MINUTE * 3)
    await engine.deliver_revocations()
    await engine.ops.remind(adopted.id, actor=OLGA, reason=WHY)
    plan = await engine.ops.preview_force(name, to="refresh-expired", actor=OLGA, reason=WHY)
    told.shown(plan)
    await told.fails(engine.ops.preview_force(name, to="active", actor=OLGA, reason=WHY))
    await told.fails(engine.ops.probe(name, actor=BOB, reason=WHY))
    await engine.apps.hold("crm", actor=OLGA, reason=WHY)
    await told.fails(engine.access_token(name))
    await engine.apps.release("crm", actor=OLGA, reason=WHY)
    told.shown(await engine.ops.rotate_keys(actor=OLGA, reason=WHY))
    told.shown(await engine.ops.verify_keys())
    told.shown(await engine.ops.keys())
    told.shown(await engine.ops.diagnose(thorough=True))


async def looks(life: Told) -> None:
    """Everything that can be seen."""
    engine, told, server = life.engine, life.told, life.server
    document = {
        "issuer": server.server.issuer,
        "authorization_endpoint": server.server.authorization_endpoint,
        "token_endpoint": server.server.token_endpoint,
    }
    server.faults.append(server.says(200, None, **document))
    told.shown(await engine.apps.discover(server.server.issuer))
    life.answers(500)
    await told.fails(engine.apps.discover(server.server.issuer))
    server.breaks.append(RuntimeError)
    await told.fails(engine.apps.discover(server.server.issuer))
    await told.fails(engine.apps.discover("not an issuer"))
    page = await engine.find("is:any")
    told.shown(page)
    for item in page.items:
        told.shown(await engine.get(item.id))
        told.shown(await engine.history(item.id))
        told.shown(await engine.attempts(item.id))
        told.shown(await engine.guidance(item.id, viewer=BOB))
        told.shown(await engine.token_health(item.id))
        told.shown(await engine.explain(item.id, "disconnect", actor=BOB))
        told.shown(await engine.machine(item.id))
    for verb in (engine.counts, engine.horizon, engine.apps.list, engine.apps.held, engine.ops.actions):
        told.shown(await verb())
    for thing in (engine, engine._core, engine._core.keys, engine._core.carrier, engine._renewals, engine.ops):
        told.heard("repr", repr(thing) if thing is not engine._core.carrier else "")
    told.shown(server.crm())
    told.heard("repr", repr(server.crm().client_secret))


async def everything(life: Told) -> str:
    """The whole life; returns the id of an installation that is live at its end."""
    name = await callbacks(life)
    await exchanges(life)
    await renewals(life, name)
    await operators(life, name)
    await life.active("duff")
    life.opened(await life.engine.authorize("crm", actor=BOB, account="echo"))  # left open
    life.server.person = "a person with one grant"  # nobody shares it, so it is given back
    unrevoked = await life.active("fuse")
    life.server.person = "somebody"
    for _ in range(20):  # for those that wait from before, too
        life.answers(500)
    await life.engine.disconnect(unrevoked, actor=BOB)
    await life.engine.deliver_revocations()
    life.server.faults.clear()
    await looks(life)
    await life.engine.drain_notices()
    return name
