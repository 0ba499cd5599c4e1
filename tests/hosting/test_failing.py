"""When the database cannot, or a row cannot be understood: an answer that says so, and nothing lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from datetime import timedelta

import pytest

from grantflow import Settings
from grantflow.testing import SECRET
from tests.hosting.raw import ask
from tests.hosting.world import ORIGIN, World

APP = "external-app"


@contextmanager
def another_writer(world: World) -> Iterator[None]:
    """Somebody who holds the database and does not come back."""
    with closing(sqlite3.connect(world.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


async def test_a_database_that_is_busy(world: World) -> None:
    tokens = await world.connected(APP, "solo")
    async with world.browser("uma") as uma:
        await uma.open(world.request_of(APP))
        window = uma.page
        world.opened["settings"] = Settings(synchronous="NORMAL", busy_timeout=timedelta(milliseconds=20))
        world.meanwhile = lambda: another_writer(world)
        await uma.open(world.request_of(APP))
        assert (uma.query["error"], uma.query["iss"]) == ("temporarily_unavailable", ORIGIN)
        uma.page = window
        page = await uma.press("Continue", account="acme")
        assert (page.status, page.headings) == (503, ["Try again in a moment"])
        answer = await world.token(APP, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert answer.headers["retry-after"] == "1"
        assert (await world.call(tokens)).status_code == 200, "reading goes on"
        world.meanwhile = nullcontext
        uma.page = window
        await uma.press("Continue", account="acme")
        assert uma.page.buttons == ["Agree", "Cancel"]
    answer = await world.token(APP, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert answer.status_code == 200, "the token was not spent by the failure"


async def test_a_database_that_cannot_be_read(world: World) -> None:
    tokens = await world.connected(APP, "solo")
    with closing(sqlite3.connect(world.path)) as other:
        other.execute("ALTER TABLE grantflow_credential RENAME TO grantflow_gone")
        other.commit()
    answer = await world.call(tokens)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "www-authenticate" not in answer.headers, "it is not the token that is wrong"


async def test_a_row_that_was_set_aside(world: World) -> None:
    tokens = await world.connected("agent-app", "bob")
    with closing(sqlite3.connect(world.path)) as other:
        other.execute("UPDATE grantflow_installation SET quarantined = 1")
        other.commit()
    async with world.browser("bob") as bob:
        for url in ("/gallery?account=acme", "/gallery/agent-app", "/apps/agent-app", "/marketplace/agent-app"):
            page = await bob.open(url)
            assert (page.status, "Set aside by the platform" in page.text) == (200, True), url
            assert "Authorize" not in page.buttons
        answer = await bob.http.get("/apps/agent-app/prompt")
        assert (answer.status_code, answer.json()["error"]) == (409, "quarantined")
        await bob.open(world.request_of("agent-app"))
        page = await bob.press("Continue", account="acme")
        assert (page.status, page.headings) == (409, ["This installation was set aside"])
    answer = await world.token("agent-app", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert (await world.call(tokens)).status_code == 401


@pytest.mark.parametrize("account", ["hooli", "acme"])
async def test_only_their_own_accounts_are_spoken_of(world: World, account: str) -> None:
    """Whoever names a foreign account in a form learns nothing of how the app stands there."""
    await world.connected("account-app", "max")
    async with world.browser("carol") as carol:
        page = await carol.open(f"/apps/account-app?account={account}")
        assert page.status == (404 if account == "hooli" else 200)
        await carol.open("/apps/mail?account=acme")
        fields = dict(carol.page.forms[0].fields) | {"account": account, "available": "yes"}
        body = "&".join(f"{name}={value}" for name, value in fields.items()).encode()
        cookies = "; ".join(f"{name}={value}" for name, value in carol.http.cookies.items())
        with world.unchanged():
            answer = await ask(
                world, "POST", "/apps/account-app/availability", b"", body,
                cookie=cookies, content_type="application/x-www-form-urlencoded",
            )  # fmt: skip
        assert answer.status == 403
        assert (b">Account<" in answer.body) == (account == "acme")
        assert SECRET.encode() not in answer.body
