"""One run of the command: which database, who acts, and the engine for the time of one piece of work."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import typer

from grantflow.errors import BadInput, ConfigurationError, NotFound, PermissionDenied

if TYPE_CHECKING:
    from grantflow import Actor, Engine, Installation

T = TypeVar("T")
OPERATORS = "operators are named in GRANTFLOW_OPERATORS; without it, the owner of the SQLite file"
_SQLITE = "sqlite:///"
_MIN_PREFIX = 8
_WHOLE_ID = 36


@dataclass(frozen=True, slots=True)
class Run:
    """What was said before the command: the database, and the name to act under."""

    database: str
    claimed: str

    @classmethod
    def of(cls, ctx: typer.Context) -> Run:
        """The run a command belongs to."""
        found = ctx.find_object(cls)
        assert found is not None
        return found

    # -- the database ---------------------------------------------------------------------------
    @property
    def url(self) -> str:
        """The database as a URL; a plain path is taken for a SQLite file."""
        if not self.database:
            msg = "no database was named"
            raise ConfigurationError(msg, hint="pass --database PATH or set GRANTFLOW_DATABASE")
        return self.database if "://" in self.database else f"{_SQLITE}{Path(self.database).absolute()}"

    @property
    def file(self) -> Path | None:
        """The SQLite file, or None for another kind of database."""
        return Path(self.url.removeprefix(_SQLITE)) if self.url.startswith(_SQLITE) else None

    @property
    def place(self) -> str:
        """Where the database is, without what may open it."""
        if self.file is not None:
            return str(self.file)
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def existing(self) -> str:
        """The URL of a database that is there; raises NotFound rather than to create one."""
        path = self.file
        if path is not None and not path.exists():
            msg = f"there is no database at {path}"
            raise NotFound(msg, hint="check the path, or make one: grantflow db init")
        return self.url

    def engine(self, work: Callable[[Engine], Awaitable[T]], *, create: bool = False) -> T:
        """Open the engine, do one piece of work, close it."""
        import asyncio

        from grantflow import Engine, KeyRing, charts_from_env

        url = self.url if create else self.existing()

        async def whole() -> T:
            async with Engine.open(url, keys=KeyRing.from_env(), charts=charts_from_env()) as engine:
                return await work(engine)

        try:
            return asyncio.run(whole())
        except PermissionDenied as error:
            if not self.is_operator:
                error.hint = error.hint or OPERATORS
            raise

    # -- who acts -------------------------------------------------------------------------------
    @property
    def is_operator(self) -> bool:
        """GRANTFLOW_OPERATORS names this system user, or names nobody and the database file is theirs."""
        named = {name.strip() for name in os.environ.get("GRANTFLOW_OPERATORS", "").split(",")} - {""}
        if named:
            return user_name() in named
        path = self.file
        return hasattr(os, "getuid") and path is not None and path.exists() and path.stat().st_uid == os.getuid()

    def somebody(self) -> Actor:
        """This system user as an operator, or without any rights: the engine refuses, and keeps that on record."""
        from grantflow import Actor

        if not self.is_operator:
            return Actor.user(user_name())
        return Actor.operator(self.claimed, claimed=True) if self.claimed else Actor.operator(user_name())


def user_name() -> str:
    """The system user."""
    try:
        import pwd  # not getpass: that believes LOGNAME

        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        return str(os.getuid())


def actor_from(text: str) -> Actor:
    """`kind:name` as an actor whose name nobody vouched for."""
    from grantflow import Actor, ActorKind

    kind, colon, name = text.partition(":")
    if not colon or not name or kind not in set(ActorKind):
        msg = f"{text[:80]!r} names nobody"
        raise BadInput(msg, hint="write KIND:NAME with a kind of " + ", ".join(ActorKind))
    return Actor(ActorKind(kind), name, claimed=True)


async def found(engine: Engine, start: str) -> Installation:
    """The one installation whose id begins with this text."""
    if len(start) >= _WHOLE_ID:
        return await engine.get(start)
    if len(start) < _MIN_PREFIX or not set(start.lower()) <= set("0123456789abcdef-"):
        msg = f"{start[:80]!r} is no id"
        raise BadInput(msg, hint=f"give an id, or at least its first {_MIN_PREFIX} characters")
    page = await engine.find(f"id:{start.lower()}* is:any", limit=2)
    if not page.items:
        msg = f"no installation's id begins with {start}"
        raise NotFound(msg, hint="grantflow list shows the ids")
    if len(page.items) > 1:
        msg = f"several ids begin with {start}"
        raise BadInput(msg, hint=f"among them {' and '.join(item.id for item in page.items)}")
    return page.items[0]
