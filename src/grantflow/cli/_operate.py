"""Commands for operators of foreign grants: probe, remind, hold, incidents, and what is wrong."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from grantflow.cli import _out
from grantflow.cli._act import Reason
from grantflow.cli._apps import Key, hold, release
from grantflow.cli._out import clean, moment, say
from grantflow.cli._read import Id, Json
from grantflow.cli._run import Run, found
from grantflow.errors import BadInput

if TYPE_CHECKING:
    from grantflow import Engine, Finding, Incident, Probe

_BATCH = 1_000


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (probe, remind, cancel_attempt, repair, hold, release, incidents, doctor):
        app.command()(command)


def probe(
    ctx: typer.Context,
    installation: Annotated[str, typer.Argument(help="An id, the beginning of one, or a filter.")],
    reason: Reason,
    limit: Annotated[int, typer.Option(min=1, max=_BATCH, help="With a filter: at most so many.")] = 10,
    json: Json = False,
) -> int:
    """Ask the foreign server whether a grant lives, by renewing it; a dead one may come back. Operators only."""
    run = Run.of(ctx)
    run.existing()
    actor = run.somebody()

    async def work(engine: Engine) -> list[Probe]:
        names = await _chosen(engine, installation, limit)
        done = []
        for number, name in enumerate(names, 1):
            done.append(await engine.ops.probe(name, actor=actor, reason=reason))
            if len(names) > 1:
                _out.progress(number, len(names))
        return done

    try:
        done = run.engine(work)
    finally:
        _out.progress_over()
    if json:
        _out.as_json(done)
    else:
        rows = ((one.installation, one.outcome, clean(one.why or ""), _out.state(one.state)) for one in done)
        _out.table(("INSTALLATION", "OUTCOME", "WHY", "STATE"), rows)
    counted = Counter(one.outcome for one in done)
    say(", ".join(f"{count:,} {outcome}" for outcome, count in counted.most_common()) or "nothing matches")
    return 0 if set(counted) <= {"renewed", "already"} else 1


def remind(ctx: typer.Context, installation: Id, reason: Reason) -> None:
    """Tell whoever can act what to do: the notice installation.reminded, with a link. Operators only."""
    run = Run.of(ctx)
    run.existing()
    actor = run.somebody()

    async def work(engine: Engine) -> str:
        item = await found(engine, installation)
        await engine.ops.remind(item.id, actor=actor, reason=reason)
        return item.id

    say(f"{run.engine(work)}: the reminder goes out with the host's other notices")


def cancel_attempt(
    ctx: typer.Context,
    attempt: Annotated[str, typer.Argument(metavar="ATTEMPT", help="The whole id: see grantflow attempts ID.")],
    reason: Reason,
) -> None:
    """Close the window a person has open; no grant is touched, they may begin again. Operators only."""
    run = Run.of(ctx)
    run.existing()
    actor = run.somebody()

    async def work(engine: Engine) -> None:
        await engine.ops.cancel_attempt(attempt, actor=actor, reason=reason)

    run.engine(work)
    say(f"{clean(attempt)} is closed")


def repair(ctx: typer.Context, installation: Id, reason: Reason) -> None:
    """Bring a row that was set aside back to work, in the state its own trail names. Operators only."""
    run = Run.of(ctx)
    run.existing()
    actor = run.somebody()

    async def work(engine: Engine) -> tuple[str, str]:
        item = await found(engine, installation)
        return item.id, await engine.ops.repair(item.id, actor=actor, reason=reason)

    name, state = run.engine(work)
    say(f"{name} is {state} again")


def incidents(
    ctx: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Those that are over too.")] = False,
    json: Json = False,
) -> None:
    """List incidents of apps: their renewals are held, their installations untouched."""

    async def work(engine: Engine) -> list[Incident]:
        return list(await engine.ops.incidents(closed=every))

    rows = Run.of(ctx).engine(work)
    if json:
        _out.as_json(rows)
        return
    _out.table(
        ("APP", "CAUSE", "SINCE", "PROBES", "NEXT PROBE", "ENDED", "DETAIL"),
        (
            (one.app, one.cause, moment(one.opened_at), one.probes, moment(one.probe_at), moment(one.closed_at),
             one.detail)
            for one in rows
        ),
    )  # fmt: skip


def doctor(
    ctx: typer.Context,
    thorough: Annotated[bool, typer.Option("--thorough", help="Read the whole database for damage.")] = False,
    json: Json = False,
) -> int:
    """Look for what is wrong, and say what mends it. Exit code 1 when something is."""

    async def work(engine: Engine) -> tuple[Finding, ...]:
        return await engine.ops.diagnose(thorough=thorough)

    findings = Run.of(ctx).engine(work)
    if json:
        _out.as_json(findings)
    else:
        _shown(findings)
    counted = Counter(finding.health.value for finding in findings)
    say(f"{counted['wrong']} wrong, {counted['note']} to know, {counted['ok']} ok")
    return 1 if counted["wrong"] else 0


_SEVERITY = {"wrong": "bad", "note": "warn", "ok": "ok"}


def _shown(findings: Sequence[Finding]) -> None:
    """What is wrong first; a command that mends it stands on a line of its own, to be copied."""
    names = max(len(finding.check) for finding in findings)
    margin = " " * (names + 4)
    for finding in sorted(findings, key=lambda one: list(_SEVERITY).index(one.health.value)):
        first, *more = textwrap.wrap(clean(finding.says), _out.width() - len(margin)) or [""]
        _out.line(_SEVERITY[finding.health.value], f"{finding.check:<{names}}  {first}")
        for line in more:
            print(margin + line)
        if finding.mend is not None:
            print(f"{margin}→ {_out.coloured(clean(finding.mend), '1')}")


def resume(ctx: typer.Context, app: Key, reason: Reason) -> None:
    """End an app's open incident: its renewals go on. Operators only."""
    run = Run.of(ctx)
    run.existing()
    actor = run.somebody()

    async def work(engine: Engine) -> None:
        await engine.ops.close_incident(app, actor=actor, reason=reason)

    run.engine(work)
    say(f"{clean(app)}: the incident is over")


def add_secret(ctx: typer.Context, app: Key) -> None:
    """Add a client secret for the app's foreign server, read from standard input. Operators only."""
    run = Run.of(ctx)
    run.existing()
    actor = run.somebody()
    if sys.stdin.isatty():
        import getpass

        secret = getpass.getpass("client secret: ")
    else:
        secret = sys.stdin.readline().rstrip("\r\n")
    if not secret:
        msg = "no secret came on standard input"
        raise BadInput(msg, hint="grantflow apps add-secret APP < file")

    async def work(engine: Engine) -> None:
        await engine.apps.add_secret(app, secret, actor=actor)

    run.engine(work)
    say(f"{clean(app)}: sealed; the one before it stays valid until a third comes")


async def _chosen(engine: Engine, text: str, limit: int) -> list[str]:
    """One installation by its id, or those a filter finds."""
    if ":" in text or "=" in text:
        return [item.id for item in (await engine.find(text, limit=limit)).items]
    return [(await found(engine, text)).id]
