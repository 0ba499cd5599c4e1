"""What is asked for, what was granted, and that nothing grows without a person: RFC 6749 §3.3 and §6."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from grantflow import Attempt, Prompt, Version
from tests.client.stage import BOB, SCOPES, SYSTEM, Stage, on_stage


def scope_of(attempt: Attempt) -> list[str]:
    """The scopes of the authorization request."""
    return parse_qs(urlsplit(attempt.authorize_url).query)["scope"]


async def test_no_more_is_asked_for_than_the_version_names(stage: Stage) -> None:
    assert scope_of(await stage.engine.authorize("crm", actor=BOB, account="acme")) == [SCOPES]


async def test_a_request_for_less_asks_for_less(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme", scope="tickets.read tickets.write")
    assert scope_of(attempt) == ["tickets.read tickets.write"]


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_version_that_needs_more_is_a_gap_until_a_person_consents(stage: Stage, blocking: bool) -> None:
    name = await stage.active()
    more = Version("2.0", ("tickets.read", "tickets.write", "notes.write"), ("people.read",), blocking=blocking)
    app = stage.server.app("crm")
    await stage.engine.apps.register(stage.server.app("crm", versions=(*app.versions, more)))
    await stage.engine.apps.upgrade("crm", "acme", "2.0", actor=SYSTEM)
    stage.over()
    await stage.engine.renew_due()
    found = await stage.engine.get(name)
    assert (found.state, found.generation, found.usable) == ("active", 2, not blocking), (
        "a renewal grants nothing new"
    )
    assert " ".join(found.granted) == SCOPES
    assert found.scopes_missing == ("notes.write",)
    told = await stage.engine.guidance(name, viewer=BOB)
    assert told.prompt is (Prompt.AUTHORIZE if blocking else Prompt.NONE)
    assert "notes.write" in told.scopes_awaiting
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    assert "notes.write" in scope_of(attempt)[0].split()
    assert (await stage.engine.get(name)).scopes_missing == ("notes.write",), "asking is not having"
    stage.answers(200, access_token="more", refresh_token="longer", expires_in=3600)
    assert (await stage.back(attempt)).outcome == "completed"
    found = await stage.engine.get(name)
    assert (found.scopes_missing, found.usable) == ((), True)


async def test_only_codes_and_refresh_tokens_are_ever_sent(tmp_path: Path) -> None:
    async with on_stage(tmp_path) as stage:
        name = await stage.active()
        stage.over()
        await stage.engine.access_token(name)
        await stage.engine.report(name, status=401, generation=2)
        await stage.engine.disconnect(name, actor=BOB)
        await stage.settled()
        kinds = [form.get("grant_type", "revocation") for form in stage.server.asked]
        assert kinds == ["authorization_code", "refresh_token", "refresh_token", "revocation"]
        assert {key for form in stage.server.asked for key in form}.isdisjoint({"username", "password"})
