"""`grantflow keys`: make a key, see what is sealed by which, seal all of it anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from grantflow.cli import _out
from grantflow.cli._act import Reason
from grantflow.cli._out import clean, say
from grantflow.cli._read import Json
from grantflow.cli._run import Run

if TYPE_CHECKING:
    from grantflow import Engine, KeyCheck, Rotation

_DAMAGED = "(none)"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(help="Keys that seal secrets.")
    group.command("list")(list_)
    for command in (new, rotate, verify):
        group.command()(command)
    app.add_typer(group, name="keys")


def new() -> None:
    """Print a fresh key for GRANTFLOW_KEYS or for the file that GRANTFLOW_KEYS_FILE names."""
    from grantflow import KeyRing

    print(KeyRing.new_key())
    say("put it first in GRANTFLOW_KEYS and keep the older ones behind it, separated by commas")
    say("then: grantflow keys rotate --reason TEXT; take an older one away when grantflow keys list shows 0 for it")


def list_(ctx: typer.Context, json: Json = False) -> None:
    """List key ids, which one is active, and how many values each has sealed; needs no keys."""
    from grantflow import KeyRing

    known = KeyRing.from_env().ids
    used = Run.of(ctx).engine(_used)
    names = [*known, *(name for name in used if name not in known)]
    if json:
        _out.as_json([
            {"key": name or None, "active": name in known[:1], "known": name in known, "values": used.get(name, 0)}
            for name in names
        ])  # fmt: skip
    else:
        _out.table(
            ("KEY", "USE", "VALUES"),
            ((name or _DAMAGED, _use(name, known), f"{used.get(name, 0):,}") for name in names),
        )
    for name in names:
        if name not in known:
            what = f"{name} is missing" if name else "damaged"
            say(f"{clean(what)}: {used[name]:,} values cannot be opened")


def _use(name: str, known: tuple[str, ...]) -> str:
    if name not in known:
        return "missing" if name else "damaged"
    return "active" if name == known[0] else "opens"


async def _used(engine: Engine) -> dict[str, int]:
    return await engine.ops.keys()


def rotate(
    ctx: typer.Context,
    reason: Reason,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sealed anew.")] = False,
    json: Json = False,
) -> int:
    """Seal every value under the first key while everything goes on; run it again after a stop. Operators only."""
    if dry_run:
        return _planned(ctx, json=json)
    run = Run.of(ctx)
    run.existing()
    actor = run.somebody()

    async def work(engine: Engine) -> Rotation:
        return await engine.ops.rotate_keys(actor=actor, reason=reason, progress=_out.progress)

    try:
        done = run.engine(work)
    finally:
        _out.progress_over()
    if json:
        _out.as_json(done)
    else:
        _out.fields(
            (
                ("resealed", f"{done.resealed:,}"),
                ("already", f"{done.already:,}"),
                ("unreadable", f"{done.unreadable:,}"),
                *((f"under {clean(name or _DAMAGED)}", f"{count:,}") for name, count in done.by_key.items()),
            )
        )
    if done.unreadable:
        say(f"{done.unreadable:,} values do not open")
        say("hint: grantflow keys verify")
    elif len(done.by_key) > 1:
        say("some process still seals under an older key; give it the new one first, then run this again")
    return 1 if done.unreadable or len(done.by_key) > 1 else 0


def _planned(ctx: typer.Context, *, json: bool) -> int:
    from grantflow import KeyRing
    from grantflow.errors import KeysMissing

    known = KeyRing.from_env().ids
    if not known:
        raise KeysMissing
    used = Run.of(ctx).engine(_used)
    waiting = sum(count for name, count in used.items() if name != known[0])
    if json:
        _out.as_json({"active": known[0], "to_reseal": waiting, "by_key": used})
    else:
        _out.fields((("active", known[0]), ("to reseal", f"{waiting:,}")))
    return 0


def verify(ctx: typer.Context, json: Json = False) -> int:
    """Open every sealed value and say which do not open; nothing is written."""

    async def work(engine: Engine) -> KeyCheck:
        return await engine.ops.verify_keys()

    found = Run.of(ctx).engine(work)
    if json:
        _out.as_json(found)
    else:
        _out.fields((("opened", f"{found.opened:,}"), ("unreadable", f"{found.unreadable:,}")))
    for bad in found.places:
        say(f"{clean(bad.place)}: {bad.why}" + (f" ({clean(bad.key)})" if bad.key else ""))
    if found.unreadable > len(found.places):
        say(f"and {found.unreadable - len(found.places):,} more")
    return 1 if found.unreadable else 0
