"""Who may operate, and the record of it: what every verb of an operator begins and ends with."""

from __future__ import annotations

from grantflow._core import Core
from grantflow._requests import checked_name
from grantflow._rows import ActionRow, Change, Load
from grantflow.errors import BadInput, PermissionDenied
from grantflow_machines import Actor, ActorKind

_MIN_REASON = 8


class Operating:
    """Operators alone, with a reason, on the record."""

    _core: Core

    async def _allowed(self, actor: Actor, verb: str, target: str, reason: str) -> None:
        checked_name(reason, "reason")
        if len(reason.strip()) < _MIN_REASON:
            msg = f"a reason has at least {_MIN_REASON} characters"
            raise BadInput(msg)
        try:
            if actor.kind is not ActorKind.OPERATOR:
                msg = "only an operator may do this"
                raise PermissionDenied(msg)
            await self._core.ask_policy(actor, verb, None)
        except PermissionDenied as error:
            await self._record(actor, verb, target, reason, None, "refused", str(error))
            raise

    def _row(
        self, actor: Actor, verb: str, target: str, reason: str, seen: int | None, outcome: str, detail: str
    ) -> ActionRow:
        now = self._core.now()
        return ActionRow(now, str(actor), actor.claimed, verb, target[:200], reason, seen, outcome, detail[:1000])

    async def _record(
        self, actor: Actor, verb: str, target: str, reason: str, seen: int | None, outcome: str, detail: str
    ) -> None:
        row = self._row(actor, verb, target, reason, seen, outcome, detail)
        await self._core.transact(Load(), lambda _: Change(action=row))
