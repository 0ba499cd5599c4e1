"""The engine: wires the rooms and is the door for installations and people."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from functools import partial

from grantflow import _journey, _send
from grantflow._app import AppKind
from grantflow._apps import Apps
from grantflow._callback import Doorman
from grantflow._clock import SystemClock
from grantflow._config import Settings
from grantflow._core import Core
from grantflow._due_watch import DueWatch
from grantflow._filter import quoted
from grantflow._held import Identify
from grantflow._inspection import subject_name, target_of
from grantflow._keys import KeyRing
from grantflow._ledger import Ledger
from grantflow._model import (
    Attempt,
    ConsentForm,
    Directory,
    Installation,
    Policy,
    Returned,
    Sent,
    Veto,
    Window,
)
from grantflow._notices import Courier, Subscriber
from grantflow._oauth import HttpxCarrier
from grantflow._ops import Ops
from grantflow._ports import Carrier, Clock
from grantflow._renewal import Renewals
from grantflow._requests import checked_name
from grantflow._revocations import Postman
from grantflow._rows import BeatRow, Change, Load, Snapshot
from grantflow._store import open_store
from grantflow._sweep import Brake
from grantflow._timekeeping import Timekeeping
from grantflow._veto import HttpVeto
from grantflow.errors import Conflict, Quarantined, TransitionRefused
from grantflow_machines import CHARTS, Actor, ActorKind, LifecycleChart

_log = logging.getLogger("grantflow")


class Engine(Timekeeping):
    """Installations and people. `engine.apps`, `engine.ledger` and `engine.ops` are its other doors.

    Verbs take an installation's id, or the natural key: app, `account=`, `subject=`, `label=`. Everything else is
    named. Each verb is one transaction: nothing is written when it raises. Times come from the engine's clock.
    """

    def __init__(self, core: Core, courier: Courier) -> None:
        self._core = core
        self._courier = courier
        self._brake = Brake()
        self._renewals = Renewals(core)
        self._doorman = Doorman()
        self._postman = Postman(core)
        self._due = DueWatch(core)
        self._beating: BeatRow | None = None
        self.apps = Apps(core, self._remove_children)
        self.ledger = Ledger(core)
        self.ops = Ops(core, self._brake, self._renewals)
        hooks = (courier.committed, self._postman.committed, self._brake.committed, self._due.committed)
        core.after_commit.extend(hooks)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        database: str,
        *,
        keys: KeyRing | None = None,
        directory: Directory | None = None,
        policy: Policy | None = None,
        veto: Veto | HttpVeto | None = None,
        identify: Identify | None = None,
        http: Carrier | None = None,
        clock: Clock | None = None,
        settings: Settings | None = None,
        charts: Mapping[str, type[LifecycleChart]] | None = None,
    ) -> AsyncIterator[Engine]:
        """Open an engine on a database; an empty one is created, another schema is refused.

        Args:
            database: `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://user@host/name` (extra
                `postgres`), which many processes may share.
            keys: Seals the `state` of authorization requests; without keys such a request is refused.
            directory: async (Actor) → accounts of that person; asked for every list, choice and consent.
            policy: (actor, verb, installation) → True or a Refusal, plain or async; may only forbid what the machine
                allows.
            veto: async (verb, app, account, actor) → a message, or None; asked before an admin's install, update
                and uninstall. `http_veto(url)` asks a handler of the app.
            identify: Client mode: async (App, Granted) → the stable id of whose grant it is at the foreign server;
                without it identities are unverified, and shown as such.
            http: Client mode: sends one request to a foreign server; grantflow's own by default.
            clock: Where time comes from; by default the machine's clock, on PostgreSQL the server's.
            settings: Spans and bounds.
            charts: App kind → chart, for a host's own lifecycle.

        Raises:
            SchemaOutdated: the database has an earlier schema; `grantflow db upgrade` changes it.
            SchemaTooNew: it has a later one, which says that this release cannot work on it.
            SchemaMismatch: nobody knows which schema it has, or it is an unfinished copy.
            DatabaseError: it cannot be opened; DatabaseUnreachable, where the server does not answer.
            ConfigurationError: a setting or the URL is malformed.
        """
        own_clock, clock, settings = clock is None, clock or SystemClock(), settings or Settings()
        core = Core(
            store=None,  # type: ignore[arg-type]  # filled in on the next line, which needs the core's clock
            clock=clock,
            settings=settings,
            keys=keys or KeyRing(),
            charts=dict(charts or CHARTS),
            directory=directory,
            policy=policy,
            veto=None,
            identify=identify,
        )
        own = HttpxCarrier(settings.http_timeout.total_seconds()) if http is None else None
        core.carrier = http or own
        core.veto = veto.through(core.carry) if isinstance(veto, HttpVeto) else veto
        core.store = await open_store(database, settings, core.now())
        core.clock = core.store.clock or clock if own_clock else clock
        async with contextlib.AsyncExitStack() as closing:  # the last one first, each whatever becomes of the others
            closing.push_async_callback(core.store.close)
            if own is not None:
                closing.push_async_callback(own.close)
            courier = Courier(core)
            closing.push_async_callback(courier.close)
            engine = cls(core, courier)
            closing.push_async_callback(engine._postman.close)
            closing.push_async_callback(engine._renewals.close)
            yield engine

    # -- people ---------------------------------------------------------------------------------
    async def authorize(
        self,
        app: str,
        *,
        actor: Actor,
        subject: Actor | str | None = None,
        account: str | None = None,
        label: str = "default",
        entry_point: str = "",
        redirect_uri: str | None = None,
        scope: str | None = None,
        state: str | None = None,
        code_challenge: str | None = None,
        binding: bytes | None = None,
    ) -> Attempt:
        """Open an authorization window; needs no installation yet. Source: S-05, S-06.

        A live grant goes on working beside it. At most five attempts of an installation are open; the oldest is
        superseded. With `account=` the account is fixed; without it the person picks one. In client mode send the
        person to `attempt.authorize_url` with `attempt.set_cookie`; `state` and PKCE are the engine's own, and
        `binding=` (16 bytes or more of the host's own session) takes the place of the cookie.

        Raises:
            PermissionDenied: this actor may not authorize for this subject.
            InvalidRequest, InvalidScope: the request is not in order.
            NotFound: no such app.
        """
        return await _journey.begin(
            self._core,
            app,
            actor,
            subject=subject_name(subject),
            account=account,
            label=label,
            entry_point=entry_point,
            redirect_uri=redirect_uri,
            scope=scope,
            state=state,
            code_challenge=code_challenge,
            binding=binding,
        )

    async def reauthorize(
        self,
        installation: str,
        *,
        actor: Actor,
        entry_point: str = "",
        redirect_uri: str | None = None,
        scope: str | None = None,
        state: str | None = None,
        code_challenge: str | None = None,
        binding: bytes | None = None,
    ) -> Attempt:
        """Open a window for an existing installation: only its own account can be chosen. Source: S-32, S-36.

        Raises as `authorize`.
        """
        return await _journey.begin(
            self._core,
            "",
            actor,
            installation=installation,
            entry_point=entry_point,
            redirect_uri=redirect_uri,
            scope=scope,
            state=state,
            code_challenge=code_challenge,
            binding=binding,
        )

    async def window(self, attempt: str, *, actor: Actor) -> Window:
        """What the authorization window shows: the app, and this person's accounts. Source: S-07 … S-11, S-22.

        For an external app and a person with exactly one account the account is selected by this call and `form` is
        set.

        Raises:
            NotFound: the attempt does not exist or is another person's.
            TransitionRefused: the attempt is over.
            DirectoryUnavailable: the host's directory did not answer; nothing was written.
        """
        return await _journey.window(self._core, attempt, actor)

    async def select_account(self, attempt: str, account: str, *, actor: Actor) -> ConsentForm:
        """Continue with one account; finds or creates the installation. Source: S-11, S-21.

        Raises:
            TransitionRefused: the account is not this person's, or not one this attempt may choose.
            NotFound: the attempt does not exist or is another person's.
        """
        await self._core.ask_policy(actor, "select_account", None)
        return await _journey.select_account(self._core, attempt, account, actor)

    async def form(self, attempt: str, *, actor: Actor) -> ConsentForm:
        """The consent form again, for an attempt whose account is chosen. Source: S-13 … S-16."""
        return await _journey.consent_form(self._core, attempt, actor)

    async def agree(self, attempt: str, *, actor: Actor, scopes: Sequence[str] | None = None) -> Returned:
        """Consent to everything on the form, or to `scopes` of it; a code goes to the app. Source: S-17, S-24, S-25.

        Raises:
            TransitionRefused: a required scope is missing, the time is over, or the account is no longer theirs.
        """
        await self._core.ask_policy(actor, "agree", None)
        return await _journey.agree(self._core, attempt, actor, scopes)

    async def cancel(self, attempt: str, *, actor: Actor) -> Returned:
        """Cancel on any page: the attempt ends, no grant changes. Source: S-12."""
        return await _journey.give_up(self._core, attempt, actor, "cancel")

    async def refuse(self, attempt: str, *, actor: Actor) -> Returned:
        """Refuse the scopes: the attempt ends, no grant changes. Source: S-26."""
        return await _journey.give_up(self._core, attempt, actor, "refuse")

    # -- installations --------------------------------------------------------------------------
    async def install(
        self,
        app: str,
        *,
        account: str,
        actor: Actor,
        subject: Actor | str | None = None,
        label: str = "default",
    ) -> Installation:
        """An unauthorized installation, put there by an admin or by its own subject. Source: S-01.

        An admin's call also puts the app on the account. An installation that exists comes back as it is.

        Raises:
            PermissionDenied: the actor is neither an admin of the account nor the subject.
            TransitionRefused: the app vetoed it, or an agent-level app is not on this account yet.
        """
        checked_name(account, "account")
        checked_name(label, "label")
        await self._core.ask_policy(actor, "install", None)
        _, known = await self._core.app(app)
        owner = None
        if known.kind is not AppKind.ACCOUNT:
            owner = checked_name(subject_name(subject) if subject is not None else actor.id, "subject")
        by_admin = actor.kind in (ActorKind.ADMIN, ActorKind.SYSTEM)
        if by_admin or known.kind is AppKind.ACCOUNT or owner != actor.id:
            await self.apps.install(app, account, actor=actor)
        load = Load(natural=(app, account, owner, label))

        def work(found: Snapshot) -> Change:
            if found.installation is not None:
                return Change()
            parent = None
            if found.parent is None or found.parent.removed_at is not None:
                if known.kind is AppKind.AGENT or found.app is None:
                    msg = f"{known.name} is not installed on this account"
                    raise TransitionRefused(msg, hint="ask an admin of the account to install it")
                parent = _journey.new_parent(found.app, known, account, self._core.now(), found.parent)
            draft = _journey.new_row(self._core, found, account, owner, label, actor)
            draft.change.parent = parent
            return draft.change

        await self._core.transact(load, work)
        return await self._view(load)

    async def send(
        self,
        installation: str,
        event: str,
        *,
        actor: Actor,
        account: str | None = None,
        subject: Actor | str | None = None,
        label: str = "default",
        payload: Mapping[str, object] | None = None,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Bring one event from outside: suspend, disconnect, uninstall, revoked_upstream, cancel …

        Args:
            payload: `attempt` names the attempt for cancel and refuse; else the actor's latest open one is meant.
            idempotency_key: The same key on the same installation answers with the first result and writes nothing.

        Raises:
            UnknownEvent: there is no such event; the hint names the nearest.
            EngineOnly: the event carries what only the engine can know.
            TransitionRefused: the machine refuses it; `explanation` says why, and from when.
            PermissionDenied: the host's policy says no.
            Conflict: somebody else changed the row first, again and again.

        What an operator is refused is on the record.
        """
        asked = _send.Asked(event, actor, payload or {}, reason, idempotency_key)
        target = target_of(installation, account, subject, label)
        by_operator = actor.kind is ActorKind.OPERATOR
        async with self._on_record(actor, event, installation, reason) if by_operator else nullcontext():
            return await self._bring(target, asked)

    async def _bring(self, target: Load, asked: _send.Asked) -> Sent:
        actor, event = asked.actor, asked.event
        load = Load(
            installation=target.installation,
            natural=target.natural,
            consents_of=actor if self._core.looks_at_consents(event) else None,
            idempotency_key=asked.idempotency_key,
        )
        if self._core.policy is not None or self._core.veto is not None or self._needs_directory(actor):
            found = await self._snapshot(load)
            await self._prepare(asked, found)
            if self._core.policy is not None:
                await self._core.ask_policy(actor, event, self._seen(found))
        change = await _send.send(self._core, load, asked)
        if not change.transitions:
            return await self._replayed(load, asked, change)
        assert isinstance(change.result, Snapshot)
        last = change.transitions[-1]
        return Sent(last.version, last.target, partial(self._seen, change.result, self._core.now()))

    def _needs_directory(self, actor: Actor) -> bool:
        return self._core.directory is not None and actor.kind not in (
            ActorKind.SYSTEM,
            ActorKind.APP,
            ActorKind.OPERATOR,
        )

    async def _replayed(self, load: Load, asked: _send.Asked, change: Change) -> Sent:
        assert isinstance(change.result, tuple)
        row, version = change.result
        first = (await self._core.store.history(row.pk, 1, version + 1))[0]
        if first.event != asked.event:
            msg = f"the idempotency key was already used for {first.event}"
            raise Conflict(msg, hint="use a fresh key for every event")
        current = await self._view(load)
        return Sent(version, first.target, lambda: current, replayed=True)

    async def suspend(self, installation: str, *, actor: Actor, reason: str) -> Installation:
        """Stop the app for one installation without touching its grant."""
        return (await self.send(installation, "suspend", actor=actor, reason=reason)).installation

    async def unsuspend(self, installation: str, *, actor: Actor) -> Installation:
        """Lift a suspension; only the side that suspended may."""
        return (await self.send(installation, "unsuspend", actor=actor)).installation

    async def disconnect(self, installation: str, *, actor: Actor) -> Installation:
        """The owner withdraws the grant: secrets are wiped, consents are void."""
        return (await self.send(installation, "disconnect", actor=actor)).installation

    async def uninstall(self, installation: str, *, actor: Actor) -> Installation:
        """Take one installation off; the tombstone stays and accepts nothing."""
        return (await self.send(installation, "uninstall", actor=actor)).installation

    async def _remove_children(self, app: str, account: str, actor: Actor) -> int:
        removed, after = 0, None
        query = f"app:{quoted(app)} account={quoted(account)}"
        while True:
            page = await self.find(query, after=after, limit=200)
            for child in page.items:
                with contextlib.suppress(Quarantined):  # set aside, and unusable by its parent all the same
                    await self._core.transact(Load(installation=child.id), self._removal(actor))
                    removed += 1
            if page.next_after is None:
                return removed
            after = page.next_after

    def _removal(self, actor: Actor) -> Callable[[Snapshot], Change]:
        def work(found: Snapshot) -> Change:
            draft = self._core.draft(found)
            if not draft.definition.states[draft.state].final:
                draft.apply("parent_removed", draft.facts(actor))
            return draft.change

        return work

    # -- after the commit -----------------------------------------------------------------------
    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Receive notices after their commit, at least once; a callback that raises gets them again."""
        return self._courier.subscribe(callback)

    async def drain_notices(self) -> None:
        """Wait until subscribers have received what the outbox holds."""
        await self._courier.drain()
