"""The stage itself: its looks at the file notice what they are there to notice."""

from __future__ import annotations

import pytest

from grantflow.errors import NotFound
from tests.journeys.stage import BOB, MARIA, Stage


async def test_any_write_is_noticed(stage: Stage) -> None:
    quiet = stage.commits()
    await stage.engine.counts()
    assert stage.commits() == quiet
    with pytest.raises(AssertionError, match="a row was changed"), stage.unchanged():
        await stage.open("agent-app", BOB)
    assert stage.commits() != quiet


async def test_a_refusal_that_does_not_come_is_noticed(stage: Stage) -> None:
    with pytest.raises(pytest.fail.Exception), stage.refused(NotFound):
        await stage.engine.counts()


async def test_a_refusal_that_writes_is_noticed(stage: Stage) -> None:
    async def writes() -> None:
        await stage.engine.apps.set_available("agent-app", "acme", True, actor=MARIA)
        raise NotFound

    with pytest.raises(AssertionError, match="was refused"), stage.refused(NotFound):
        await writes()
