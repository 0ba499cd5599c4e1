"""One verb on one row, on marked rows, or on everything that matches: a frozen plan first, then a job of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from grantflow_tui._base import BAD, DIM
from grantflow_tui._blast import Blast
from grantflow_tui._command import command
from grantflow_tui._deeds import Offer
from grantflow_tui._dialog import ActionDialog
from grantflow_tui._text import clean, lasting, named, short_id

if TYPE_CHECKING:
    from grantflow import BulkPlan, Engine, Installation
    from grantflow_tui._look import Look

_SAMPLE = 20
_REFUSALS = 6


@dataclass(frozen=True, slots=True)
class Targets:
    """Whom a verb is meant for: one row that was seen, ids that were marked, or a filter."""

    seen: Installation | None = None
    ids: tuple[str, ...] = ()
    hidden: int = 0
    query: str = ""

    @property
    def filter(self) -> str | tuple[str, ...]:
        """As `ops.preview_bulk` takes it."""
        if self.seen is not None:
            return (self.seen.id,)
        return self.ids or self.query

    def title(self) -> str:
        """In words."""
        if self.seen is not None:
            here = self.seen
            return f"{short_id(here.id, 18)} · {clean(here.app)} · {named(here.account)} · version {here.version}"
        if self.ids:
            return f"{len(self.ids):,} marked ({self.hidden:,} hidden by the filter)"
        return f"all that match {clean(self.query)}"

    def command(self, verb: str, to: str | None) -> tuple[str, ...]:
        """Words of the command line that means the same."""
        goal = ("--to", to) if to is not None else ()
        if self.seen is None:
            return ("bulk", "id:" + ",".join(self.ids) if self.ids else self.query, verb, *goal)
        if verb in {"probe", "remind", "repair", "force"}:
            return (verb, self.seen.id, *goal)
        return ("send", self.seen.id, verb)


class PlanDialog(ActionDialog):
    """A verb's plan on a frozen set, its reason, and what is typed by how much it reaches."""

    indent = 4

    def __init__(self, offer: Offer, targets: Targets) -> None:
        super().__init__()
        self.offer, self.targets = offer, targets
        self.plan: BulkPlan | None = None

    def title_line(self) -> str:
        """Verb and targets."""
        return f"{self.verb.capitalize()} · {self.targets.title()}"

    @property
    def verb(self) -> str:
        """The verb with its goal."""
        return self.offer.verb if self.offer.to is None else f"{self.offer.verb} to {self.offer.to}"

    def has_plan(self) -> bool:
        """A plan of no rows is none."""
        return self.plan is not None

    def blocked(self) -> str | None:
        """What the plan itself forbids."""
        return "no row of the plan would change" if self.plan is not None and not self.plan.count else None

    def blast(self) -> Blast | None:
        """How much it reaches, once there is a plan."""
        if self.plan is None or not self.plan.count:
            return None
        seen = self.targets.seen
        account = None if seen is None else seen.account
        return Blast(self.plan.count, account, hard=self.offer.verb == "force" or self.plan.irreversible > 0)

    def to_type(self) -> str | None:
        """The count, or the account of one that is hard to undo."""
        blast = self.blast()
        if blast is not None and blast.rows == 1 and blast.account is None and blast.hard:
            return "1"  # one of a filter: its account is not known here
        return None if blast is None else blast.to_type()

    def command(self) -> str:
        """The same on the command line."""
        words = self.targets.command(self.offer.verb, self.offer.to)
        return command(*words, actor=self.actor, reason=self.reason)

    async def make_plan(self, reason: str) -> None:
        """Freeze ids and versions."""
        plan = await self.engine.ops.preview_bulk(
            self.targets.filter,
            self.offer.verb,
            actor=self.actor,
            reason=reason,
            to=self.offer.to,
            limit=self.acting.max_bulk,
        )
        seen = self.targets.seen
        if seen is not None and any(row.version != seen.version for row in plan.rows):
            self.lapse(f"it is at version {plan.rows[0].version}, not {seen.version}")
            return
        self.plan = plan

    async def moved(self) -> str | None:
        """One row is watched; of many, each is compared when its turn comes."""
        seen = self.targets.seen
        return None if seen is None else await changed(self.engine, seen)

    async def carry_out(self, reason: str) -> str | None:
        """Make a job of the plan; one row is waited for."""
        assert self.plan is not None
        job = await self.engine.ops.start_bulk(self.plan.confirmed(reason))
        if self.targets.seen is None:
            return await self.acting.launch(job.id, f"{self.verb} on {job.total:,} rows")
        return await finished(self.engine, job.id, self.verb)

    def planned(self) -> Text:
        """Before there is a plan, what the verb means."""
        if self.plan is None:
            return Text(clean(self.offer.words), style=DIM)
        return told(self.plan, self.look, many=self.targets.seen is None)


async def changed(engine: Engine, seen: Installation) -> str | None:
    """What became of a row since it was seen, and by whom; None where it stands as it was."""
    now = await engine.get(seen.id)
    if (now.version, now.stored_state) == (seen.version, seen.stored_state):
        return None
    newest = next(iter(await engine.history(seen.id, limit=1)), None)
    who = "somebody" if newest is None else f"{newest.actor}, {newest.event}, {lasting(engine.now() - newest.at)} ago"
    return f"it moved from version {seen.version} to {now.version}, now {now.state} (by {who})"


async def finished(engine: Engine, job: str, verb: str) -> str:
    """Run the job of one row here and say what became of it; another process that took it is not waited for."""
    await engine.run_jobs(job=job)
    row = (await engine.ops.job_items(job, limit=1))[0]
    detail = f": {clean(row.detail)}" if row.detail else ""
    return f"{verb}: {row.outcome.value}{detail}"


def told(plan: BulkPlan, look: Look, *, many: bool) -> Text:
    """A plan as people read it."""
    out = Text()
    out.append(f"Plan: {plan.count:,} row{'' if plan.count == 1 else 's'} would be done")
    out.append(f", {len(plan.refusals):,} left out\n" if plan.refusals else "\n")
    for source, count in plan.states.items():
        out.append(f"  {count:>7,} in ")
        out.append_text(look.badge(source))
        out.append("\n")
    if list(plan.targets) != list(plan.states):
        for target, count in plan.targets.items():
            out.append(f"  {count:>7,} {look.arrow()} ")
            out.append_text(look.badge(target))
            out.append("\n")
    if plan.irreversible:
        out.append(f"  {plan.irreversible:,} of them IRREVERSIBLE: nobody can undo this\n", style=BAD)
    for why, count in list(plan.refused.items())[:_REFUSALS]:
        out.append(f"  {count:>7,} left out: {clean(why)}\n", style=DIM)
    if not many:
        for move in plan.sample:
            for effect in move.effects:
                out.append(f"  - {clean(effect)}\n")
        out.rstrip()
        return out
    if plan.count:
        canary = min(plan.canary, plan.count)
        out.append(f"  canary of {canary:,}, all must succeed; then stops at {plan.stop_after} failures ")
        out.append(f"that are {plan.stop_share:.0%} or more\n")
        out.append(f"Sample of {min(_SAMPLE, len(plan.sample))}\n")
    for move in plan.sample[:_SAMPLE]:
        out.append(f"  {short_id(move.installation, 18)} v{move.version:<4} ")
        out.append_text(look.badge(move.source))
        if move.source != move.target:
            out.append(f" {look.arrow()} ")
            out.append_text(look.badge(move.target))
        out.append("\n")
    out.rstrip()
    return out
