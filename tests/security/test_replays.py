"""The ledger meets stolen secrets: a spent refresh token ends its own family alone (RFC 9700 §4.14.2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from grantflow.errors import InvalidClient, InvalidGrant, ReauthorizationRequired, Unauthorized
from grantflow.testing import sample_app
from tests.journeys.stage import BOB, CAROL, on_stage

APP = "agent-app"


@pytest.mark.parametrize("age", [1, 2, 5])
async def test_a_refresh_token_of_any_earlier_generation_ends_the_family(tmp_path: Path, age: int) -> None:
    async with on_stage(tmp_path) as stage:
        tokens, other = await stage.active(APP, BOB), await stage.active(APP, CAROL)
        family = [tokens]
        for _ in range(5):
            family.append(await stage.renew(APP, family[-1]))
        with pytest.raises(InvalidGrant):
            await stage.renew(APP, family[-1 - age])
        dead = await stage.engine.get(tokens.installation)
        assert (dead.state, dead.reason) == ("refresh-expired", "reused")
        for one in family:
            with stage.refused(InvalidGrant):
                await stage.renew(APP, one)
            with stage.refused(ReauthorizationRequired, Unauthorized):
                await stage.call(one)
        assert (await stage.call(await stage.renew(APP, other))).installation == other.installation


async def test_a_token_of_another_client_is_refused_and_ends_nothing(tmp_path: Path) -> None:
    async with on_stage(tmp_path) as stage:
        await stage.put(sample_app(key="thief"))
        tokens = await stage.active(APP, BOB)
        newer = await stage.renew(APP, tokens)
        for stolen in (tokens, newer):
            with stage.refused(InvalidClient):
                await stage.renew("thief", stolen)
        assert (await stage.renew(APP, newer)).generation == newer.generation + 1


async def test_a_renewal_gives_the_scopes_of_the_grant_and_no_more(tmp_path: Path) -> None:
    async with on_stage(tmp_path) as stage:
        tokens = await stage.active(APP, BOB, scope="tickets.read tickets.write")
        renewed = await stage.renew(APP, await stage.renew(APP, tokens))
        assert tokens.scopes == renewed.scopes == ("tickets.read", "tickets.write")
        assert (await stage.engine.get(tokens.installation)).granted == tokens.scopes
