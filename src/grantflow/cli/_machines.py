"""`grantflow machines`: the charts as people read them, and their proof. No database is needed."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grantflow.cli import _out
from grantflow.cli._out import say
from grantflow.cli._read import Json
from grantflow.errors import NotFound

if TYPE_CHECKING:
    from grantflow import Definition

OptionalKind = Annotated[str, typer.Argument(metavar="KIND", help="Kind of app; all by default.")]


class Format(StrEnum):
    """How a chart is shown."""

    TABLE = "table"
    MERMAID = "mermaid"
    STATES = "states"
    EVENTS = "events"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(help="Show the machines and prove them.")
    for command in (show, check, readme):
        group.command()(command)
    app.add_typer(group, name="machines")


def show(
    kind: OptionalKind = "",
    form: Annotated[Format, typer.Option("--format", help="What to show.")] = Format.TABLE,
    json: Json = False,
) -> None:
    """Show states, events and transitions of a kind's machine."""
    from grantflow_machines import events_table, mermaid, states_table, table

    chosen = _chosen(kind)
    if json:
        _out.as_json({name: _described(definition) for name, definition in chosen.items()})
        return
    draw = {
        Format.TABLE: table,
        Format.MERMAID: mermaid,
        Format.STATES: states_table,
        Format.EVENTS: events_table,
    }
    for name, definition in chosen.items():
        if len(chosen) > 1:
            print(f"\n{'%%' if form is Format.MERMAID else '##'} {name}: {definition.title}\n")
        print(draw[form](definition.chart))


def _chosen(kind: str) -> dict[str, Definition]:
    from grantflow import charts_from_env, definitions

    known = definitions(charts_from_env())
    if kind and kind not in known:
        msg = f"there is no kind {kind[:80]!r}"
        raise NotFound(msg, hint="kinds: " + ", ".join(known))
    return {kind: known[kind]} if kind else known


def _described(definition: Definition) -> dict[str, Any]:
    return {
        "title": definition.title,
        "version": definition.version,
        "fingerprint": definition.fingerprint,
        "initial": definition.initial,
        "states": [_out.plain(state) for state in definition.states.values()],
        "events": [
            {
                "event": name,
                "says": rule.says,
                "origin": rule.origin.value,
                "targets": sorted(
                    {
                        alternative.target
                        for (_, event), cell in definition.cells.items()
                        if event == name
                        for alternative in cell
                    }
                ),
            }
            for name, rule in definition.events.items()
        ],
        "timers": [_out.plain(timer) for timer in definition.timers],
        "transitions": [
            {
                "from": source,
                "event": event,
                "guards": [
                    {"name": name, "asks": guard.sentence, "is_role": guard.is_role}
                    for name, guard in zip(alternative.names, alternative.guards, strict=True)
                ],
                "to": alternative.target,
            }
            for (source, event), cell in definition.cells.items()
            for alternative in cell
        ],
    }


def check(kind: OptionalKind = "", json: Json = False) -> int:
    """Prove that the tables say what the charts say, and that nobody waits for ever."""
    from grantflow import prove, waiting

    found = {}
    for name, definition in _chosen(kind).items():
        proof, stuck = prove(definition), waiting(definition)
        found[name] = {
            "ok": proof.ok and not stuck,
            "cases": proof.cases,
            "seconds": proof.seconds,
            "mismatches": [str(mismatch) for mismatch in proof.mismatches],
            "waiting": list(stuck),
        }
    if json:
        _out.as_json(found)
    else:
        _out.table(
            ("KIND", "PROVED", "CASES", "SECONDS", "MISMATCHES"),
            (
                (name, "yes" if row["ok"] else "no", f"{row['cases']:,}", f"{row['seconds']:.2f}", _count(row))
                for name, row in found.items()
            ),
        )
    for name, row in found.items():
        for problem in _problems(row):
            say(_out.clean(f"{name}: {problem}"))
    return 0 if all(row["ok"] for row in found.values()) else 1


def _problems(row: dict[str, Any]) -> list[str]:
    return [*row["mismatches"], *row["waiting"]]


def _count(row: dict[str, Any]) -> int:
    return len(_problems(row))


def readme() -> None:
    """Print machines/README.md, generated from the charts."""
    from grantflow_machines import readme as generated

    print(generated(), end="")
