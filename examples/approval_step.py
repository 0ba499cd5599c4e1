"""A state of the host's own between consent and work: proved, entered, listed, refused, approved, swept, forced.

Run it: python examples/approval_step.py
"""

import asyncio
from datetime import timedelta

from approval_chart import CHARTS

from grantflow import Actor, definitions, errors, prove
from grantflow.testing import ManualClock, People, authorize, sample_app, throwaway_engine


async def main() -> None:
    """Two agents connect; one is approved, time takes both, and an operator clears up."""
    proof = prove(definitions(CHARTS)["agent"])
    assert proof.ok, proof.mismatches  # the engine's table says what python-statemachine does
    bob, carol, maria, olga = Actor.agent("bob"), Actor.agent("carol"), Actor.admin("maria"), Actor.operator("olga")
    people = People({bob: ["acme"], carol: ["acme"], maria: ["acme"]})
    clock = ManualClock()  # leave clock= out to live in real time
    async with throwaway_engine(charts=CHARTS, clock=clock, directory=people) as engine:
        await engine.apps.register(sample_app("agent"))
        await engine.apps.install("agent-app", "acme", actor=maria)
        for agent in (bob, carol):
            tokens = await authorize(engine, "agent-app", "acme", actor=agent)
        waiting = await engine.find("state:pending-approval")
        print("waiting for an approval:", sorted(item.subject or "" for item in waiting.items))
        try:
            await engine.ledger.authenticate(tokens.access_token.value)
        except errors.Unauthorized:
            print("its tokens do not work yet")
        print("carol herself:", (await engine.explain(tokens.installation, "approve", actor=carol)).why)

        sent = await engine.send(tokens.installation, "approve", actor=maria)
        print(
            "approved by maria:", sent.target, (await engine.ledger.authenticate(tokens.access_token.value)).account
        )

        clock.advance(timedelta(days=365))
        print("swept:", (await engine.sweep()).moved)
        for item in (await engine.find("state:refresh-expired subject:bob")).items:
            await engine.ops.force(item.id, to="uninstalled", actor=olga, reason="nobody ever approved it")
        for step in reversed(await engine.history(waiting.items[0].id)):
            print("bob's:", step.event, "→", step.target)


if __name__ == "__main__":
    asyncio.run(main())
