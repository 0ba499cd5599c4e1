"""Invariant 8, over generated sequences: what fails for now, or for the app, never changes a state."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grantflow import HttpResponse
from grantflow.errors import NotSent, TokenUnavailable
from tests.client.stage import MINUTE, OPS, WHY, Stage, on_stage
from tests.client.test_answers import MISCONFIGURED, TRANSIENT

HARMLESS: list[HttpResponse | Exception] = [
    *(fault for fault, _ in TRANSIENT.values()),
    *(fault for fault, _ in MISCONFIGURED.values()),
    NotSent(),
]
STEPS = st.tuples(
    st.sampled_from(["ask", "renew", "report", "probe", "sweep"]),
    st.sampled_from(HARMLESS),
    st.integers(0, 200),
)


async def walk(stage: Stage, steps: list[tuple[str, HttpResponse | Exception, int]]) -> None:
    """Every answer is harmless; the row may not move, whoever asks, whenever."""
    name = await stage.active()
    row, trail = stage.row(name), len(await stage.engine.history(name))
    for verb, fault, minutes in steps:
        stage.clock.advance(minutes * MINUTE)
        stage.server.faults[:] = [fault, fault]
        generation = stage.tokens(name)["generation"]
        try:
            if verb == "ask":
                assert (await stage.engine.access_token(name)).generation == 1
            elif verb == "renew":
                report = await stage.engine.renew_due()
                assert (report.renewed, report.died) == (0, 0)
            elif verb == "report":
                assert (await stage.engine.report(name, status=401, generation=generation)).outcome == "pending"
            elif verb == "probe":
                probe = await stage.engine.ops.probe(name, actor=OPS, reason=WHY)
                assert (probe.outcome, probe.state) in {("later", "active"), ("held", "active")}
            else:
                await stage.engine.sweep()
        except TokenUnavailable:
            pass  # what it is for: the caller may ask again
        assert stage.row(name) == row, "a failure moved the row"
        tokens = stage.tokens(name)
        assert tokens["generation"] == 1
        assert tokens["refresh_sealed"] is not None
        assert tokens["lease"] is None, "nobody is left waiting"
    assert len(await stage.engine.history(name)) == trail
    assert len(stage.notices("incident.opened")) <= 1
    stage.server.faults.clear()
    probe = await stage.engine.ops.probe(name, actor=OPS, reason=WHY)
    assert (probe.outcome, probe.state) == ("renewed", "active"), "and the grant works on"
    assert await stage.engine.ops.incidents() == []
    assert (await stage.engine.access_token(name)).generation == 2


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=1, max_size=8))
def test_no_sequence_of_harmless_answers_moves_a_row(steps: list[tuple[str, HttpResponse | Exception, int]]) -> None:
    async def scene() -> None:
        with tempfile.TemporaryDirectory(prefix="grantflow-") as folder:
            async with on_stage(Path(folder)) as stage:
                await walk(stage, steps)

    asyncio.run(scene())
