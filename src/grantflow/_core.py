"""What every room of the engine shares: store, clock, settings and the host's callables."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from grantflow._app import App, scope_set
from grantflow._clock import WRONG_CLOCK, to_instant
from grantflow._compile import Definition, compile_chart
from grantflow._config import Settings
from grantflow._filter import States
from grantflow._held import Identify
from grantflow._keys import KeyRing
from grantflow._model import Account, Directory, Installation, Policy, Refusal, Veto
from grantflow._ports import Carrier, Clock, HttpRequest, HttpResponse, Store, Work
from grantflow._rows import AppRow, AttemptRow, Change, Load, Snapshot, app_damage, damage
from grantflow._transition import Draft
from grantflow.errors import (
    BadInput,
    CarrierError,
    ClockSkewed,
    ConfigurationError,
    Conflict,
    DirectoryUnavailable,
    NoAnswer,
    NotFound,
    PermissionDenied,
    Quarantined,
)
from grantflow_machines import Actor, ActorKind, Effect, Facts, Instant, LifecycleChart

_log = logging.getLogger("grantflow")
_PEOPLE = (ActorKind.ADMIN, ActorKind.AGENT, ActorKind.USER)


@dataclass
class Core:
    """Wired once by the engine; rooms receive it and hold nothing else."""

    store: Store
    clock: Clock
    settings: Settings
    keys: KeyRing
    charts: dict[str, type[LifecycleChart]]
    directory: Directory | None = None
    policy: Policy | None = None
    veto: Veto | None = None
    identify: Identify | None = None
    carrier: Carrier | None = None
    chance: Callable[[], float] = random.random
    """Uniform in 0 … 1: the jitter of waits."""
    after_commit: list[Callable[[Change], None]] = field(default_factory=list)

    def now(self) -> Instant:
        """The instant of the injected clock."""
        return to_instant(self.clock.now())

    @property
    def skew(self) -> timedelta | None:
        """How far this machine's clock is ahead of the database's, which is the engine's; None where it is not."""
        followed = self.store.clock
        return followed.skew if followed is not None and followed is self.clock else None

    def believe_clock(self) -> None:
        """Raise ClockSkewed where one of the two clocks is wrong, and nobody knows which: time moves nothing then."""
        skew = self.skew
        if skew is not None and abs(skew) > WRONG_CLOCK:
            apart = f"{skew.total_seconds():+.0f} s"
            msg = f"this machine's clock is {apart} off the database's: time moves nothing here until they agree"
            raise ClockSkewed(msg)

    def definition(self, kind: str) -> Definition:
        """The compiled table of an app kind."""
        chart = self.charts.get(kind)
        if chart is None:
            msg = f"no chart is registered for apps of kind {kind!r}"
            raise ConfigurationError(msg)
        return compile_chart(chart)

    def looks_at_consents(self, event: str) -> bool:
        """Whether an event of any chart asks what was consented before; the others need not read it."""
        rules = (self.definition(kind).events.get(event) for kind in self.charts)
        return any(rule is not None and Effect.RECORD_CONSENT in rule.effects for rule in rules)

    @cached_property
    def states(self) -> States:
        """What a filter may ask: the kinds there are, and every state of their charts."""
        return States.of({kind: self.definition(kind).states.values() for kind in self.charts})

    def draft(self, snapshot: Snapshot, *, run_id: str | None = None, settle: bool = True) -> Draft:
        """A transaction in the making, on the effective state: what is due happens first.

        Raises NotFound without a row and Quarantined for one set aside.
        """
        if snapshot.app is None or snapshot.installation is None:
            msg = "there is no such installation"
            raise NotFound(msg)
        made = Draft(snapshot, self.definition(snapshot.app.kind), self.settings, self.now(), run_id=run_id)
        row = snapshot.installation
        if settle and row.due_at is not None and row.due_at <= made.now:
            made.settle()
        return made

    async def transact(self, load: Load, work: Work) -> Change:
        """One transaction, run again after a lost race, a bounded number of times; then the after-commit hooks."""
        for _ in range(self.settings.max_conflicts):
            try:
                change = await self.store.transact(load, work)
            except Conflict as error:
                if not error.retryable:
                    raise
                lost = error
            except Quarantined as error:
                await self._set_aside(load, str(error))
                raise
            except UnicodeEncodeError as error:
                msg = "a text that was passed is not valid"
                raise BadInput(msg) from error
            except (ValueError, TypeError, LookupError, OverflowError) as error:
                why = await self._damage(load)
                if why is None and isinstance(error, OverflowError):
                    msg = "a number is too large for the database"
                    raise BadInput(msg) from error
                if why is None:
                    await self._app_damage(load, error)
                    raise
                await self._set_aside(load, why)
                raise Quarantined(why) from error
            else:
                for hook in self.after_commit:
                    hook(change)
                return change
        msg = "somebody else changed the row first, again and again"
        raise Conflict(msg) from lost

    async def _set_aside(self, load: Load, why: str) -> None:
        snapshot = await self.store.load(load)
        row = snapshot.installation
        if row is not None and not row.quarantined:
            await self.store.quarantine(row.pk, why, self.now())

    async def _damage(self, load: Load) -> str | None:
        found = await self.store.load(load)
        return None if found.installation is None else damage(found.installation, found.attempts)

    async def _app_damage(self, load: Load, error: Exception) -> None:
        found = (await self.store.load(load)).app
        why = None if found is None else app_damage(found)
        if why is not None:
            raise ConfigurationError(why, hint="restore the row of the app from a copy of the file") from error

    async def carry(self, request: HttpRequest) -> HttpResponse:
        """Send one request to a foreign server, in the time for it.

        Raises CarrierError, NoAnswer for whatever a host's own carrier raises: the request may have gone out.
        """
        assert self.carrier is not None
        try:
            async with asyncio.timeout(self.settings.http_timeout.total_seconds() + 0.5):
                return await self.carrier(request)
        except CarrierError:
            raise
        except Exception as error:  # noqa: BLE001 - a host's carrier
            why = type(error).__name__
        _log.warning("the carrier failed with %s", why)
        raise NoAnswer  # out here: what a carrier raised may quote the request, and must not hang on ours

    async def app(self, key: str) -> tuple[AppRow, App]:
        """A registered app; raises NotFound."""
        if not isinstance(key, str):
            msg = "an app is named by its key, a text"
            raise BadInput(msg)
        found = (await self.store.load(Load(app=key))).app
        if found is None:
            shown = key.removeprefix("client:")[:80]
            msg = f"no app is called {shown!r}"
            raise NotFound(msg, hint="register it with engine.apps.register(App.from_toml(...))")
        return found, App.from_document(found.document)

    async def accounts_of(self, actor: Actor) -> Sequence[Account]:
        """This person's accounts in the role they act in, as the host's directory says now.

        Raises DirectoryUnavailable when the host's callable fails or takes too long; nothing is written then.
        """
        if actor.kind not in _PEOPLE:
            return ()
        if self.directory is None:
            msg = "the engine was opened without a directory of accounts"
            raise ConfigurationError(msg, hint="pass directory= to Engine.open")
        try:
            async with asyncio.timeout(self.settings.directory_timeout.total_seconds()):
                found = await self.directory(actor)
        except TimeoutError as error:
            msg = "the host's directory of accounts did not answer in time"
            raise DirectoryUnavailable(msg) from error
        except Exception as error:
            msg = f"the host's directory of accounts failed: {type(error).__name__}"
            raise DirectoryUnavailable(msg) from error
        return tuple(account for account in found if account.role == actor.kind.value)

    async def listing(self, actor: Actor) -> Sequence[Account]:
        """Like `accounts_of`, but an engine without a directory answers with nothing."""
        return () if self.directory is None else await self.accounts_of(actor)

    async def ask_policy(self, actor: Actor, verb: str, installation: Installation | None) -> None:
        """Raise PermissionDenied where the host's policy says no."""
        answer = True if self.policy is None else self.policy(actor, verb, installation)
        if isinstance(answer, Awaitable):
            answer = await answer
        if isinstance(answer, Refusal):
            raise PermissionDenied(answer.why)
        if answer is not True:
            msg = f"{actor} may not {verb}"
            raise PermissionDenied(msg)

    async def ask_veto(self, verb: str, app: str, account: str, actor: Actor) -> str | None:
        """The app's own objection to an admin's install, update or uninstall."""
        if self.veto is None or actor.kind is not ActorKind.ADMIN:
            return None
        return await self.veto(verb, app, account, actor)


def facts_for(
    draft: Draft,
    actor: Actor,
    listing: Sequence[Account],
    *,
    attempt: AttemptRow | None = None,
    chosen: str | None = None,
    agreed: frozenset[str] = frozenset(),
    veto: str | None = None,
    target: str | None = None,
    reason: str | None = None,
) -> Facts:
    """The facts of one event: the snapshot's, the directory's and the caller's."""
    facts = draft.facts(actor, attempt)
    account = chosen if chosen is not None else (attempt.account if attempt is not None else None) or facts.account
    facts.chosen_account = account
    facts.account_listed = any(known.id == account for known in listing)
    facts.is_account_admin = any(known.id == facts.account and known.role == "admin" for known in listing)
    if attempt is not None and draft.snapshot.app is not None:
        app = App.from_document(draft.snapshot.app.document)
        requested = scope_set(attempt.requested)
        facts.required = frozenset(app.version(attempt.app_version).required) & requested
    facts.agreed = agreed
    facts.veto = veto
    facts.force_target = target
    facts.reason = reason
    return facts
