"""Many workers at one grant of a server that rotates refresh tokens and punishes reuse: S7, whatever the database."""

from __future__ import annotations

from tests.foreign.worker import Crew
from tests.foreign.world import HOUR, World

ROUNDS = 8


async def rounds(workers: Crew, world: World, tasks: int) -> None:
    """Everybody wants a token, again and again: one request a round, and everybody has what it brought."""
    world.server.set(ROTATE_REFRESH_TOKEN=True, REFRESH_TOKEN_REUSE_PROTECTION=True)
    installation, processes = await world.granted(), len(workers.processes)
    for done in range(1, ROUNDS + 1):
        world.advance(HOUR)
        world.server.fault("slow", seconds=0.03, when="before" if done % 2 else "after")
        told = await workers.all("tokens", installation=installation, tasks=tasks)
        assert told == [[done + 1] * tasks] * processes, f"everybody got the same new one from {world.server}"
        assert world.refreshes() == {"ok": done}, f"one request a round at {world.server}"
    assert world.server.counters().concurrency == 1
    for generation in (9, 9, 1, 8):
        told = await workers.all("report", installation=installation, generation=generation)
        assert {outcome for outcome, _ in told} <= {"renewed", "stale"}
        assert [given for _, given in told] == [10] * processes
    assert world.refreshes() == {"ok": ROUNDS + 1}, "processes that hear 401 renew once, too"
    assert await world.seen(installation) == ("active", None)
    assert await world.calls(installation) == (200, world.person.sub)
    assert world.live()[1] == 1
    history = [record.event for record in await world.engine.history(installation)]
    assert history == ["exchange_ok", "callback_ok", "authorize", "installed"], "a renewal is no transition"
