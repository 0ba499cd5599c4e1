"""Callbacks and codes of nobody, of somebody else, of another server: a typed error, and every row as it was."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

import grantflow
from grantflow import Actor, Attempt, Engine, HttpRequest, HttpResponse, KeyRing, Settings
from grantflow.errors import BadCallback, GrantflowError, InvalidClient, InvalidGrant, InvalidRequest
from grantflow.testing import SECRET, ForeignServer, ManualClock, People, sample_app
from tests.journeys.stage import BOB, CAROL, UMA, checksum, on_stage
from tests.journeys.stage import Stage as HostStage

SYSTEM = Actor.system()
EVIL = "https://evil.example"


@dataclass
class Two:
    """Two honest-looking servers, one app at each; the browser may be sent from one to the other."""

    engine: Engine
    clock: ManualClock
    good: ForeignServer
    evil: ForeignServer
    path: Path

    async def opened(self, app: str = "crm", actor: Actor = BOB) -> tuple[Attempt, dict[str, str], dict[str, str]]:
        """(attempt, cookies, an honest callback)."""
        attempt = await self.engine.authorize(app, actor=actor, account="acme")
        assert attempt.cookie is not None
        server = self.good if app == "crm" else self.evil
        query = {name: values[0] for name, values in parse_qs(server.back(attempt.authorize_url)).items()}
        return attempt, {attempt.cookie_name: attempt.cookie.value}, query

    def asked(self) -> int:
        """Requests that reached either server."""
        return len(self.good.asked) + len(self.evil.asked)


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    good, evil, clock = ForeignServer(), ForeignServer(EVIL), ManualClock()

    async def wire(request: HttpRequest) -> HttpResponse:
        return await (evil if request.url.startswith(EVIL) else good)(request)

    known = People({BOB: ["acme"], CAROL: ["acme"]})
    async with Engine.open(
        f"sqlite:///{tmp_path / 'g.db'}", keys=KeyRing.parse(KeyRing.new_key()), directory=known, http=wire,
        clock=clock,
        settings=Settings(synchronous="NORMAL"),
    ) as engine:  # fmt: skip
        for key, server in (("crm", good), ("mail", evil)):
            await engine.apps.register(server.app(key))
            await engine.apps.install(key, "acme", actor=SYSTEM)
        yield Two(engine, clock, good, evil, tmp_path / "g.db")


Forge = Callable[[dict[str, str], dict[str, str]], tuple[dict[str, str], dict[str, str] | None]]
FORGED: dict[str, tuple[str, Forge]] = {
    "no state": ("malformed", lambda q, c: ({k: v for k, v in q.items() if k != "state"}, c)),
    "an empty state": ("malformed", lambda q, c: (q | {"state": ""}, c)),
    "another state": ("unknown", lambda q, c: (q | {"state": "gfs_" + "x" * 43}, c)),
    "a state in other letters": ("unknown", lambda q, c: (q | {"state": q["state"].swapcase()}, c)),
    "a state cut short": ("unknown", lambda q, c: (q | {"state": q["state"][:-1]}, c)),
    "no code": ("malformed", lambda q, c: ({k: v for k, v in q.items() if k != "code"}, c)),
    "code and error": ("malformed", lambda q, c: (q | {"error": "access_denied"}, c)),
    "no cookie": ("browser", lambda q, c: (q, None)),
    "an empty cookie": ("browser", lambda q, c: (q, dict.fromkeys(c, ""))),
    "another cookie": ("browser", lambda q, c: (q, dict.fromkeys(c, "gfb_" + "x" * 43))),
    "the cookie under another name": ("browser", lambda q, c: (q, {"grantflow_0": next(iter(c.values()))})),
    "no issuer": ("issuer", lambda q, c: ({k: v for k, v in q.items() if k != "iss"}, c)),
    "another issuer": ("issuer", lambda q, c: (q | {"iss": EVIL}, c)),
    "an issuer with a slash": ("issuer", lambda q, c: (q | {"iss": q["iss"] + "/"}, c)),
    "an issuer in capitals": ("issuer", lambda q, c: (q | {"iss": q["iss"].upper()}, c)),
    "forged access_denied, other browser": (
        "browser", lambda q, c: ({"error": "access_denied", "state": q["state"]}, None),
    ),
    "forged access_denied, other issuer": (
        "issuer", lambda q, c: ({"error": "access_denied", "state": q["state"], "iss": EVIL}, c),
    ),
    "forged access_denied, no such state": ("unknown", lambda q, c: ({"error": "access_denied", "state": "x" * 20}, c)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("as_text", [True, False], ids=["text", "mapping"])
async def test_a_forged_callback_changes_no_row_and_the_honest_one_still_works(
    two: Two, name: str, as_text: bool
) -> None:
    why, forge = FORGED[name]
    _, cookies, honest = await two.opened()
    query, sent = forge(honest, cookies)
    before, asked = checksum(two.path), two.asked()
    with pytest.raises(BadCallback) as caught:
        await two.engine.complete(urlencode(query) if as_text else query, cookies=sent)
    assert caught.value.why == why
    assert (checksum(two.path), two.asked()) == (before, asked)
    done = await two.engine.complete(honest, cookies=cookies)
    assert done.outcome == "completed"


async def test_a_late_callback_and_a_second_one_change_no_row(two: Two) -> None:
    _, cookies, honest = await two.opened()
    assert (await two.engine.complete(honest, cookies=cookies)).outcome == "completed"
    before, asked = checksum(two.path), two.asked()
    with pytest.raises(BadCallback) as used:
        await two.engine.complete(honest, cookies=cookies)
    assert used.value.why == "used"
    assert (checksum(two.path), two.asked()) == (before, asked)
    _, cookies, honest = await two.opened()
    two.clock.advance(timedelta(minutes=10))
    before = checksum(two.path)
    with pytest.raises(BadCallback) as late:
        await two.engine.complete(honest, cookies=cookies)
    assert late.value.why == "expired"
    assert (checksum(two.path), two.asked()) == (before, asked)


async def test_a_mixed_up_server_gets_no_code(two: Two) -> None:
    """RFC 9207: begun at the evil server, which forwards to the good one; the code would go back to the evil one."""
    _, cookies, honest = await two.opened("mail")
    _, _, at_good = await two.opened("crm")
    mixed = honest | {"code": at_good["code"], "iss": at_good["iss"]}
    before, asked = checksum(two.path), two.asked()
    with pytest.raises(BadCallback) as caught:
        await two.engine.complete(mixed, cookies=cookies)
    assert caught.value.why == "issuer"
    assert (checksum(two.path), two.asked()) == (before, asked)


async def test_the_code_of_one_attempt_is_worth_nothing_in_another(two: Two) -> None:
    """An injected code: the server refuses it, because the verifier belongs to the other attempt (RFC 7636)."""
    _, cookies, mine = await two.opened(actor=BOB)
    _, _, stolen = await two.opened(actor=CAROL)
    done = await two.engine.complete(mine | {"code": stolen["code"]}, cookies=cookies)
    assert (done.outcome, done.why) == ("failed", "invalid_grant")
    assert done.installation is not None
    assert not done.installation.usable
    assert two.good.alive == {}


async def test_cookies_of_two_tabs_do_not_stand_for_one_another(two: Two) -> None:
    _, first, mine = await two.opened(actor=BOB)
    _, second, theirs = await two.opened(actor=CAROL)
    for query, cookies in ((mine, second), (theirs, first)):
        before = checksum(two.path)
        with pytest.raises(BadCallback):
            await two.engine.complete(query, cookies=cookies)
        crossed = dict.fromkeys({**first, **second}, next(iter(cookies.values())))
        with pytest.raises(BadCallback):
            await two.engine.complete(query, cookies=crossed)
        assert checksum(two.path) == before
    assert (await two.engine.complete(mine, cookies=first | second)).outcome == "completed"


@pytest.mark.parametrize(
    "uri",
    [
        f"{EVIL}/callback", "https://app.example/callback/", "https://app.example/callback?next=//evil.example",
        "https://app.example.evil.example/callback", "https://app.example@evil.example/callback",
        "javascript:alert(1)", "//evil.example", "https://APP.example/callback", "http://app.example/callback", "",
    ],
)  # fmt: skip
async def test_nobody_is_sent_to_an_address_that_is_not_registered(two: Two, uri: str, tmp_path: Path) -> None:
    await two.engine.apps.register(sample_app())
    await two.engine.apps.install("agent-app", "acme", actor=SYSTEM)
    before = checksum(two.path)
    for app, challenge in (("crm", None), ("agent-app", "c" * 43)):
        with pytest.raises(InvalidRequest):
            await two.engine.authorize(app, actor=BOB, account="acme", redirect_uri=uri, code_challenge=challenge)
    with pytest.raises(InvalidRequest):
        await two.engine.ledger.begin(client_id="agent-app", actor=BOB, redirect_uri=uri, code_challenge="c" * 43)
    assert checksum(two.path) == before


@pytest.mark.parametrize("uri", ["http://127.0.0.1:8081/cb", "http://127.0.0.1/cb", "http://localhost:8080/cb"])
async def test_on_loopback_another_port_is_another_address(tmp_path: Path, uri: str) -> None:
    async with on_stage(tmp_path) as stage:
        await stage.put(sample_app("external", "native", redirect_uris=("http://127.0.0.1:8080/cb",)))
        with stage.refused(InvalidRequest):
            await stage.open("native", UMA, redirect_uri=uri)
        assert await stage.open("native", UMA, redirect_uri="http://127.0.0.1:8080/cb")


async def test_the_address_of_a_refusal_is_the_registered_one_too(tmp_path: Path) -> None:
    async with on_stage(tmp_path) as stage:
        attempt = await stage.open("external-app", UMA, state=f"{EVIL}/?x=\r\nLocation: {EVIL}")
        returned = await stage.engine.cancel(attempt.id, actor=UMA)
        assert urlsplit(returned.redirect_to)[:3] == ("https", "app.example", "/callback")
        assert "\r" not in returned.redirect_to


async def test_in_host_mode_a_code_opens_only_its_own_attempt(tmp_path: Path) -> None:
    async with on_stage(tmp_path) as stage:
        await stage.put(replace(sample_app("agent", "second-app"), redirect_uris=("https://second.example/back",)))
        mine = await stage.agreed("agent-app", BOB)
        other = await stage.agreed("second-app", BOB)
        again = await stage.agreed("agent-app", CAROL)
        await crossed(stage, mine.attempt, other.attempt, again.attempt, [mine.code, other.code, again.code])
        for app, returned in (("agent-app", mine), ("second-app", other), ("agent-app", again)):
            assert (await stage.redeem(app, returned)).installation == returned.installation


async def crossed(stage: HostStage, mine: str, other: str, again: str, codes: list[grantflow.Secret | None]) -> None:
    """Every code with every verifier and every client but its own."""
    owners = [("agent-app", mine), ("second-app", other), ("agent-app", again)]
    for place, code in enumerate(codes):
        assert code is not None
        for app in ("agent-app", "second-app"):
            for attempt in (mine, other, again):
                if owners[place] == (app, attempt):
                    continue
                with stage.refused(InvalidGrant, InvalidClient):
                    await stage.engine.ledger.redeem(
                        code.value,
                        client=grantflow.ClientCredentials(app, SECRET),
                        code_verifier=stage.verifiers[attempt],
                    )
                with stage.refused(GrantflowError):
                    await stage.engine.ledger.redeem(
                        code.value,
                        client=grantflow.ClientCredentials(app, SECRET),
                        code_verifier=stage.verifiers[attempt],
                        redirect_uri="https://second.example/back"
                        if app == "agent-app"
                        else "https://app.example/callback",
                    )


# -- comparisons ----------------------------------------------------------------------------------
HOME = Path(grantflow.__file__).parent
WORDS = (
    "hash",
    "digest",
    "secret",
    "verifier",
    "challenge",
    "binding",
    "token",
    "code",
    "cookie",
    "password",
    "plain",
)


def spoken(node: ast.expr) -> Iterator[str]:
    """Names of what an operand is: its last attribute, its function, not what it is compared with."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield name
        case ast.Call(func=func):
            yield from spoken(func)
        case ast.Subscript(value=value):
            yield from spoken(value)
        case ast.Await(value=value):
            yield from spoken(value)


def secret_comparisons(source: str) -> list[str]:
    """`==` and `!=` where an operand is named for a secret and the other one is no constant."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        plain = any(isinstance(side, ast.Constant) for side in sides)
        if plain or not any(isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops):
            continue
        names = {name for side in sides for name in spoken(side)} | {
            call.attr
            for side in sides
            for call in ast.walk(side)
            if isinstance(call, ast.Attribute) and call.attr == "value"
        }
        if "value" in names or any(word in name for name in names for word in WORDS):
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize(
    "module",
    [
        "_grants",
        "_callback",
        "_foreign",
        "_ledger",
        "_journey",
        "_keys",
        "_tokens",
    ],
)
def test_secrets_are_compared_in_constant_time(module: str) -> None:
    assert secret_comparisons((HOME / f"{module}.py").read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "a.code_hash == digest",
        "hashed(x) != row.binding_hash",
        "keys.open(a, b) == secret.value.encode()",
        "h in known.secret_hashes",
    ],
)
def test_the_search_for_comparisons_finds_one(line: str) -> None:
    assert secret_comparisons(f"if {line}: pass") == [line]
    assert secret_comparisons("if same(hashed(x), row.binding_hash) and kind == 'token': pass") == []
