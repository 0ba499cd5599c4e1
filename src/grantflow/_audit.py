"""Operators' verbs: who may use them, and the record of every one that was tried."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass

from grantflow._core import Core
from grantflow._requests import checked_name
from grantflow._rows import ActionRow, Change, Load
from grantflow.errors import (
    BadInput,
    ConfigurationError,
    NotFound,
    NotHeldHere,
    PermissionDenied,
    PlanOutdated,
    Quarantined,
    TransitionRefused,
)
from grantflow_machines import Actor, ActorKind

_MIN_REASON = 8
_REFUSALS = (
    *(PermissionDenied, TransitionRefused, NotFound, PlanOutdated),
    *(NotHeldHere, Quarantined, ConfigurationError),
)
"""What the engine answers a deed with that it will not do; malformed arguments are not a deed."""


@dataclass(slots=True)
class Tried:
    """What the record of a refusal needs and only the verb learns."""

    seen: int | None = None
    """Version of the installation that the operator looked at."""


class Operating:
    """What the doors with operators' verbs share: authority first, and every refusal on the record."""

    _core: Core

    @asynccontextmanager
    async def _operating(
        self,
        actor: Actor,
        verb: str,
        target: str,
        reason: str | None,
        *,
        about: str = "",
        brief: bool = False,
        platform: bool = False,
    ) -> AsyncIterator[Tried]:
        """The body of an operator's verb; `brief` takes any reason or none, `platform` lets the platform in too.

        Raises PermissionDenied, on the record, for everybody else, and BadInput without a real reason. What the
        platform itself is refused is no attempt of an operator and leaves no line.
        """
        if not brief and len(checked_name(reason, "reason").strip()) < _MIN_REASON:
            msg = f"a reason has at least {_MIN_REASON} characters"
            raise BadInput(msg)
        by_platform = platform and actor.kind is ActorKind.SYSTEM
        record = self._on_record(actor, verb, target, reason, about)
        async with nullcontext(Tried()) if by_platform else record as tried:
            if actor.kind is not ActorKind.OPERATOR and not by_platform:
                msg = f"only an operator{' or the platform' if platform else ''} may do this"
                raise PermissionDenied(msg)
            await self._core.ask_policy(actor, verb, None)
            yield tried

    async def _allowed(
        self, actor: Actor, verb: str, target: str, reason: str | None, *, about: str = "", brief: bool = False
    ) -> None:
        """The question alone, where nothing else of the verb can be refused. Raises as `_operating`."""
        async with self._operating(actor, verb, target, reason, about=about, brief=brief):
            pass

    @asynccontextmanager
    async def _on_record(
        self, actor: Actor, verb: str, target: str, reason: str | None, about: str = ""
    ) -> AsyncIterator[Tried]:
        """A refusal of the body is written down, in a transaction of its own, and goes on to the caller."""
        tried = Tried()
        try:
            yield tried
        except _REFUSALS as error:
            detail = f"{about}: {error}" if about else str(error)
            await self._record(actor, verb, target, reason, tried.seen, "refused", detail)
            raise

    def _row(
        self, actor: Actor, verb: str, target: str, reason: str | None, seen: int | None, outcome: str, detail: str
    ) -> ActionRow:
        now = self._core.now()
        shown = _valid(str(target)[:200])
        return ActionRow(
            now, _valid(str(actor)), actor.claimed, verb, shown, reason, seen, outcome, _valid(detail[:1000])
        )

    async def _record(
        self, actor: Actor, verb: str, target: str, reason: str | None, seen: int | None, outcome: str, detail: str
    ) -> None:
        row = self._row(actor, verb, target, reason, seen, outcome, detail)
        await self._core.transact(Load(), lambda _: Change(action=row))


def _valid(text: str) -> str:
    """A text that any database takes: the refusal of a hostile name is on the record too."""
    return text.encode("utf-8", "replace").decode()
