"""Commands that only look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from grantflow.cli import _out
from grantflow.cli._out import clean, moment, say
from grantflow.cli._run import Run, actor_from, found, user_name
from grantflow.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grantflow import (
        Attempt,
        Counts,
        Engine,
        Explanation,
        Installation,
        Matches,
        OperatorAction,
        Page,
        Recent,
        TransitionRecord,
    )

SHORT = 18
"""Characters of an id in tables: its time and twelve random bits."""
_FROM = "Begin there in the filter's order: a date, a duration, the beginning of an account or an id."

Id = Annotated[str, typer.Argument(metavar="ID", help="An id, or at least its first 8 characters.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="At most so many rows.")]


class _FilterHelp(TyperCommand):
    """Ends the help with the grammar of the filter, made from the table of its fields."""

    table = "installations"

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        from grantflow import help_rows

        del ctx
        rows = [(row.example, f"{row.name}: {row.meaning} ({row.cost})") for row in help_rows(self.table)]
        with formatter.section("Filter: terms that must all hold, - before one negates it"):
            formatter.write_dl(rows)
        with formatter.section("Operators"):
            formatter.write_text(": (lists a,b, ranges a..b, a trailing *)  = (the text as it stands)  != < <= > >=")


class _AuditHelp(_FilterHelp):
    """The same, with the fields of the audit."""

    table = "audit"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("list", cls=_FilterHelp)(list_)
    app.command(cls=_AuditHelp)(audit)
    for command in (show, history, attempts, explain, counts, changes):
        app.command()(command)


def list_(
    ctx: typer.Context,
    filter: Annotated[str, typer.Argument(metavar="FILTER", help="Which ones; all by default.")] = "",  # noqa: A002 - the field's word
    limit: Limit = 50,
    after: Annotated[str, typer.Option(metavar="CURSOR", help="Go on where a page ended.")] = "",
    back: Annotated[bool, typer.Option("--back", help="The page before the cursor.")] = False,
    start: Annotated[str, typer.Option("--from", metavar="PLACE", help=_FROM)] = "",
    exact: Annotated[bool, typer.Option("--exact", help="Count all that match, however many.")] = False,
    json: Json = False,
) -> None:
    """List installations, in their effective state."""
    if start and after:
        msg = "take one of --from and --after"
        raise BadInput(msg)

    async def work(engine: Engine) -> tuple[Page, Matches]:
        place = await engine.place(filter, start) if start else after or None
        page = await engine.find(filter, after=place, limit=limit, back=back)
        return page, await engine.count(filter, exact=exact)

    page, matches = Run.of(ctx).engine(work)
    if json:
        _out.as_json({"items": page.items, "next_after": page.next_after, **_out.plain(matches)})
    else:
        headings = ("ID", "APP", "ACCOUNT", "SUBJECT", "STATE", "EXPIRES", "REASON")
        _out.table(headings, (_row(item, whole=_out.is_plain()) for item in page.items))
    total = f"{matches.count:,}" if matches.exact else f"at least {matches.count:,}"
    say(f"{len(page.items):,} of {total}")
    if page.next_after:
        say(f"next: --after {page.next_after}")


def _row(item: Installation, *, whole: bool = False) -> tuple[object, ...]:
    subject = f"{item.subject_kind}:{item.subject}"
    if whole:
        expires = item.expires_at.isoformat() if item.expires_at else ""
        return item.id, item.app, item.account, subject, item.state, expires, item.reason or ""
    noted = " (quarantined)" if item.quarantined else " (suspended)" if _suspended(item) else ""
    shown = _out.state(item.state) + noted
    return item.id[:SHORT], item.app, item.account, subject, shown, moment(item.expires_at), item.reason or ""


def _suspended(item: Installation) -> bool:
    return item.suspension is not None or item.parent_suspended


def show(ctx: typer.Context, installation: Id, json: Json = False) -> None:
    """Show one installation."""

    async def work(engine: Engine) -> Installation:
        return await found(engine, installation)

    item = Run.of(ctx).engine(work)
    if json:
        _out.as_json(item)
        return
    suspension = item.suspension
    stopped = f"by {suspension.by} at {moment(suspension.at)}: {suspension.why}" if suspension else ""
    _out.fields(
        (
            ("id", item.id),
            ("app", f"{item.app} ({item.kind})"),
            ("account", item.account),
            ("subject", f"{item.subject_kind}:{item.subject}"),
            ("label", item.label),
            ("state", _out.state(item.state)),
            ("stored state", f"{item.stored_state} (the sweep has not written it yet)" if item.overdue else ""),
            ("usable", "yes" if item.usable else "no"),
            ("reason", item.reason),
            ("granted", " ".join(item.granted)),
            ("missing scopes", " ".join(item.scopes_missing)),
            ("expires", moment(item.expires_at)),
            ("due", moment(item.due_at)),
            ("created", moment(item.created_at)),
            ("entered", moment(item.entered_at)),
            ("version", f"{item.version}, generation {item.generation}" + (", forced" if item.forced else "")),
            ("suspended", stopped),
            ("account stopped", "yes" if item.parent_suspended else ""),
            ("app held", "yes" if item.app_held else ""),
            ("open attempts", item.open_attempts or ""),
            ("quarantined", item.quarantined),
        )
    )


def history(
    ctx: typer.Context,
    installation: Id,
    limit: Limit = 100,
    before: Annotated[int | None, typer.Option(help="Only below this version.")] = None,
    json: Json = False,
) -> None:
    """Show an installation's transitions, newest first."""

    async def work(engine: Engine) -> tuple[TransitionRecord, ...]:
        item = await found(engine, installation)
        return await engine.history(item.id, limit=limit, before=before)

    records = Run.of(ctx).engine(work)
    if json:
        _out.as_json(records)
        return
    _out.table(
        ("VERSION", "AT", "EVENT", "FROM", "TO", "ACTOR", "REASON"),
        (
            (
                found.version,
                moment(found.at),
                found.event + (" (forced)" if found.forced else ""),
                found.source or "",
                _out.state(found.target),
                found.actor,
                found.reason or "",
            )
            for found in records
        ),
    )


def attempts(ctx: typer.Context, installation: Id, limit: Limit = 20, json: Json = False) -> None:
    """Show an installation's attempts, newest first: who opened a window, how far they came, how it ended."""

    async def work(engine: Engine) -> tuple[Attempt, ...]:
        item = await found(engine, installation)
        return await engine.attempts(item.id, limit=limit)

    tried = Run.of(ctx).engine(work)
    if json:
        _out.as_json(tried)
        return
    _out.table(
        ("ATTEMPT", "KIND", "BY", "STEP", "OUTCOME"),
        (
            (one.id, one.kind, one.actor, one.step, one.outcome or f"open until {moment(one.expires_at)}")
            for one in tried
        ),
    )


def explain(
    ctx: typer.Context,
    installation: Id,
    event: Annotated[str, typer.Argument(help="An event of the machine.")],
    who: Annotated[str, typer.Option("--as", metavar="KIND:NAME", help="Ask for somebody else.")] = "",
    json: Json = False,
) -> None:
    """Say why an event would happen now, or why not, and from when."""
    from grantflow import Actor

    run = Run.of(ctx)

    async def work(engine: Engine) -> Explanation:
        me = Actor.operator(user_name()) if run.is_operator else Actor.user(user_name())
        item = await found(engine, installation)
        return await engine.explain(item.id, event, actor=actor_from(who) if who else me)

    print_explanation(run.engine(work), json=json)


def print_explanation(told: Explanation, *, json: bool) -> None:
    """Print an explanation, guard by guard."""
    if json:
        _out.as_json(told)
        return
    verdict = f"happens, and goes to {_out.state(told.target or '')}" if told.allowed else "does not happen"
    print(f"{clean(told.event)} {verdict}" + (f": {clean(told.why)}" if told.why and not told.allowed else ""))
    for obstacle in _out.plain(told)["obstacles"]:
        since = f" (from {obstacle['available_at']})" if obstacle["available_at"] else ""
        missing = f": {' '.join(obstacle['missing'])}" if obstacle["missing"] else ""
        print(clean(f"  ✗ {obstacle['why']}{missing}{since}"))
    if told.available_at:
        print(f"possible from {moment(told.available_at)}")
    if told.nearest:
        say(f"hint: did you mean {clean(told.nearest)}?")


def counts(ctx: typer.Context, json: Json = False) -> None:
    """Count installations per stored state."""

    async def work(engine: Engine) -> Counts:
        return await engine.counts()

    numbers = Run.of(ctx).engine(work)
    if json:
        _out.as_json({**_out.plain(numbers), "total": numbers.total})
        return
    order = sorted(numbers.by_state.items(), key=lambda pair: (-pair[1], pair[0]))
    _out.table(("STATE", "COUNT"), ((_out.state(name), f"{count:,}") for name, count in order))
    say(f"{numbers.total:,} in all, {numbers.overdue:,} overdue")


def changes(ctx: typer.Context, limit: Limit = 12, json: Json = False) -> None:
    """Show what became of how many lately, the largest groups first, each with the filter that lists them."""

    async def work(engine: Engine) -> Recent:
        return await engine.ops.recent_changes(limit=limit)

    told = Run.of(ctx).engine(work)
    if json:
        _out.as_json(told)
        return
    _out.table(
        ("COUNT", "STATE", "APP", "REASON", "SINCE", "FILTER"),
        (
            (f"{one.count:,}", _out.state(one.state), one.app, one.reason or "", moment(one.since), one.filter)
            for one in told.changes
        ),
    )
    written = sum(run.written for run in told.runs)
    say(f"{len(told.runs):,} sweeps wrote {written:,} of the last transitions")


def audit(
    ctx: typer.Context,
    filter: Annotated[str, typer.Argument(metavar="FILTER", help="Which ones; all by default.")] = "",  # noqa: A002 - the field's word
    limit: Limit = 100,
    before: Annotated[int | None, typer.Option(metavar="KEY", help="Only below this key.")] = None,
    json: Json = False,
) -> None:
    """Show what operators did, tried and previewed, newest first."""

    async def work(engine: Engine) -> Sequence[tuple[int, OperatorAction]]:
        return await engine.ops.actions(limit=limit, before=before, filter=filter)

    actions = Run.of(ctx).engine(work)
    if json:
        _out.as_json([{"key": key, **_out.plain(action)} for key, action in actions])
        return
    _out.table(
        ("KEY", "AT", "ACTOR", "VERB", "TARGET", "OUTCOME", "REASON", "DETAIL"),
        (
            (
                key,
                moment(action.at),
                action.actor + (" (claimed)" if action.claimed else ""),
                action.verb,
                action.target,
                action.outcome,
                action.reason or "",
                action.detail,
            )
            for key, action in actions
        ),
    )
