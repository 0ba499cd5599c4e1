"""Tokens given back to foreign servers, after the commit that wiped them; nobody waits for it (RFC 7009 §2)."""

from __future__ import annotations

import asyncio
import logging

from grantflow._app import App
from grantflow._clock import span
from grantflow._core import Core
from grantflow._foreign import proofs
from grantflow._oauth import AnswerClass, read_revocation_answer, revocation_request
from grantflow._rows import SHARED, AppRow, Change, Load, RevocationRow
from grantflow.errors import CarrierError, ConfigurationError, GrantflowError
from grantflow_machines import Instant

_log = logging.getLogger("grantflow")
_BATCH = 50
_MAX_TRIES = 12
"""Tries over most of a day; then it is given up, and stays to be seen."""
_DAY = 86_400_000_000
_LONGEST_SHARED = 400 * _DAY
"""Beyond the life of a refresh token by default: what was shared for so long is not waited for any more."""


class Postman:
    """Delivers what the outbox holds for foreign servers."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._task: asyncio.Task[int] | None = None
        self._again = False

    def committed(self, change: Change) -> None:
        """After-commit hook."""
        if any(row.next_at is not None and not row.tries for row in change.revocations):
            self._again = True
            if self._task is None or self._task.done():
                self._task = asyncio.get_running_loop().create_task(self._rounds())

    async def _rounds(self) -> int:
        done = 0
        while self._again:
            self._again = False
            try:
                done += await self.deliver()
            except GrantflowError as error:
                _log.warning("giving tokens back stopped: %s", error)
        return done

    async def deliver(self) -> int:
        """Give back what is due; returns how many came to their end. What fails for now is tried again later."""
        apps: dict[int, AppRow] = {}
        done = 0
        while due := await self._core.store.due_revocations(self._core.now(), _BATCH):
            if any(row.app_pk not in apps for row in due):
                apps = {row.pk: row for row in await self._core.store.apps()}
            for row in due:
                await self._one(row, apps.get(row.app_pk))
                done += row.done_at is not None
        return done

    async def _one(self, row: RevocationRow, app_row: AppRow | None) -> None:
        core, now = self._core, self._core.now()
        row.tries += 1
        outcome, wait = "unsupported", None
        app = None
        try:
            app = None if app_row is None else App.from_document(app_row.document)
        except ConfigurationError as error:
            row.tries -= 1  # whoever mends the app gives it back
            outcome, wait = f"given up: {error.code}", span(core.settings.backoff_longest)
        if app_row is not None and app is not None and app.server is not None and app.server.revocation_endpoint:
            if await core.store.shared(row):
                row.tries -= 1  # nobody was asked: giving it back may end the grant that lives on (RFC 7009 §2.1)
                outcome, wait = SHARED, _DAY if now - row.created_at < _LONGEST_SHARED else None
            else:
                outcome, wait = await self._sent(row, app_row, app)
        if wait is not None and row.tries < _MAX_TRIES:
            row.next_at, row.outcome = now + wait, SHARED if outcome == SHARED else None
        else:
            row.outcome, row.done_at, row.next_at, row.sealed = outcome, now, None, None
        await core.transact(Load(), lambda _: Change(revocations=[row]))

    async def _sent(self, row: RevocationRow, app_row: AppRow, app: App) -> tuple[str, Instant | None]:
        """(outcome, None), or (why, how long to wait)."""
        core = self._core
        assert app.server is not None
        settings = core.settings
        wait = min(span(settings.backoff_first) << min(row.tries - 1, 20), span(settings.backoff_longest))
        try:
            token = core.keys.open(row.sealed or b"", row.place).decode()
            known = proofs(core, app_row, app)
        except ConfigurationError as error:
            row.tries -= 1  # whoever has the keys and the secret gives it back; nothing was tried here
            return f"given up: {error.code}", wait
        except GrantflowError as error:
            return f"unreadable: {error.code}", None
        for proof in known:
            try:
                response = await core.carry(revocation_request(app.server, proof, token=token, hint=row.hint))
            except CarrierError as error:
                return f"given up: {error.code}", wait
            over, kind, later = read_revocation_answer(response, core.now())
            if over:
                return "revoked", None
            if kind is not AnswerClass.MISCONFIGURED:
                break
        return f"given up: {kind.value}", max(wait, int((later or 0) * 1_000_000))

    async def close(self) -> None:
        """Stop; what is not given back yet stays in the outbox."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
