"""`engine.apps`: registering apps and what they are to an account."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Literal

from grantflow._app import App, Server
from grantflow._audit import Operating
from grantflow._core import Core
from grantflow._foreign import add_secret, server_of
from grantflow._ids import new_id
from grantflow._journey import new_parent
from grantflow._model import AppAccount
from grantflow._oauth import metadata_request, read_metadata
from grantflow._requests import checked_name, checked_texts
from grantflow._rows import ActionRow, AppRow, Change, Load, ParentRow, Snapshot
from grantflow._secret import Secret
from grantflow._view import parent_view
from grantflow.errors import BadInput, ConfigurationError, Conflict, NotFound, PermissionDenied, TransitionRefused
from grantflow_machines import Actor, ActorKind

_PAGE = 200
_MAX_SECRET = 4096


class Apps(Operating):
    """Apps and their accounts; reached as `engine.apps`."""

    def __init__(self, core: Core, remove_children: Callable[[str, str, Actor], Awaitable[int]]) -> None:
        self._core = core
        self._remove_children = remove_children

    async def register(self, app: App) -> App:
        """Register an app or bring it up to date; the same app again changes nothing.

        Raises:
            BadInput: the client id belongs to another app, the kind would change, or a text is malformed.
        """
        document, secret = app.to_document(), app.client_secret

        def work(found: Snapshot) -> Change:
            row = found.app
            if row is None or row.document != document:
                checked_texts(app)
            if row is None:
                now = self._core.now()
                row = AppRow(0, new_id(now), app.key, app.kind.value, app.client_id, document, 1)
                if secret is not None:
                    add_secret(self._core, row, secret, now)
                return Change(app=row)
            change = Change(app=row)
            new_secret = secret is not None and add_secret(self._core, row, secret, self._core.now())
            if new_secret and found.incident is not None:
                found.incident.probe_at = self._core.now()
                change.incident = found.incident
            if row.document == document:
                return change if new_secret else Change()
            if row.kind != app.kind.value:
                msg = f"app {app.key!r} is registered as {row.kind}; its kind never changes"
                raise BadInput(msg, hint="register it under another key")
            row.document, row.client_id = document, app.client_id
            row.revision += 1
            return change

        taken = (await self._core.store.load(Load(app=f"client:{app.client_id}"))).app
        if taken is not None and taken.key != app.key:
            msg = f"client id {app.client_id!r} belongs to the app {taken.key!r}"
            raise BadInput(msg, hint="choose another client_id")
        self._core.definition(app.kind.value)
        await self._core.transact(Load(app=app.key, foreign=True), work)
        return app

    async def add_secret(self, app: str, secret: str, *, actor: Actor) -> None:
        """One more client secret for a foreign server; two are valid while they overlap, the older of three goes.

        An open incident is probed at once. Source: R-37 of the security rules.

        Raises:
            PermissionDenied: the actor is neither an operator nor the platform.
            ConfigurationError: the app is in host mode, or a public client.
            KeysMissing: nothing can be sealed.
        """
        if not isinstance(secret, str) or not 0 < len(secret) <= _MAX_SECRET:
            msg = f"a client secret is a text of 1 to {_MAX_SECRET} characters"
            raise BadInput(msg)

        def work(found: Snapshot) -> Change:
            if found.app is None:
                msg = f"no app is called {str(app)[:80]!r}"
                raise NotFound(msg)
            known = App.from_document(found.app.document)
            server_of(known)
            if known.public:
                msg = f"{app} is a public client: it has no secret"
                raise ConfigurationError(msg)
            if not add_secret(self._core, found.app, Secret(secret), self._core.now()):
                return Change()
            found.app.revision += 1
            change = Change(app=found.app, action=self._action(actor, "add-secret", app, None))
            if found.incident is not None:
                found.incident.probe_at = self._core.now()
                change.incident = found.incident
            return change

        async with self._operating(actor, "add-secret", app, None, brief=True, platform=True):
            await self._core.transact(Load(app=app, foreign=True), work)

    async def discover(self, issuer: str) -> Server:
        """What a foreign server says of itself, for an app's `server` (RFC 8414).

        Raises:
            ConfigurationError: the issuer or its document is malformed, or the document names another issuer.
            CarrierError: the server did not answer, or the host's carrier failed.
        """
        return read_metadata(issuer, await self._core.carry(metadata_request(issuer)))

    async def get(self, key: str) -> App:
        """A registered app; raises NotFound."""
        return (await self._core.app(key))[1]

    async def list(self) -> list[App]:
        """All registered apps, by key; one whose stored row cannot be read is left out, and the doctor names it."""
        found = []
        for row in await self._core.store.apps():
            with contextlib.suppress(ConfigurationError):
                found.append(App.from_document(row.document))
        return found

    async def held(self) -> dict[str, str]:
        """Apps on hold and the reason."""
        return {
            str(row.key): row.held_reason or "" for row in await self._core.store.apps() if row.held_by is not None
        }

    async def on_account(self, app: str, account: str) -> AppAccount:
        """The app on one account; raises NotFound where it was never installed."""
        found = await self._core.store.load(Load(app=app, account=account))
        if found.app is None or found.parent is None:
            msg = "the app is not installed on this account"
            raise NotFound(msg)
        return parent_view(found.app, found.parent)

    async def install(self, app: str, account: str, *, actor: Actor) -> AppAccount:
        """Put an app on an account, without a grant. Source: S-01, S-04.

        Raises:
            PermissionDenied: the actor is no admin of the account.
            TransitionRefused: the app's own handler vetoed it.
        """
        checked_name(account, "account")
        return await self._change(app, account, actor, "install", _install, may_be_absent=True)

    async def upgrade(self, app: str, account: str, version: str, *, actor: Actor) -> AppAccount:
        """Move an account to another version; grants go on working, new scopes await approval. Source: S-14."""
        async with self._by_operator(actor, "update", f"{app}/{account}"):
            (await self.get(app)).version(version)

        def work(row: ParentRow) -> None:
            row.app_version = version

        return await self._change(app, account, actor, "update", work)

    async def set_available(self, app: str, account: str, available: bool, *, actor: Actor) -> AppAccount:  # noqa: FBT001 - the value set
        """The switch for all agents of the account. Source: S-02."""

        def work(row: ParentRow) -> None:
            row.available = available

        return await self._change(app, account, actor, "set-available", work)

    async def suspend(self, app: str, account: str, *, actor: Actor, reason: str) -> AppAccount:
        """Stop the app on the whole account, at once."""
        checked_name(reason, "reason")

        def work(row: ParentRow) -> None:
            if row.suspended_by is not None:
                msg = f"it is suspended already, by the {row.suspended_by} side"
                raise TransitionRefused(msg)
            row.suspended_by, row.suspended_at, row.suspended_why = actor.kind.value, self._core.now(), reason

        return await self._change(app, account, actor, "suspend", work, reason=reason)

    async def unsuspend(self, app: str, account: str, *, actor: Actor) -> AppAccount:
        """Lift it again; only the side that suspended may."""

        def work(row: ParentRow) -> None:
            if row.suspended_by is None:
                msg = "it is not suspended"
                raise TransitionRefused(msg)
            if row.suspended_by != actor.kind.value:
                msg = f"only the {row.suspended_by} side that suspended it lifts it"
                raise PermissionDenied(msg)
            row.suspended_by = row.suspended_at = row.suspended_why = None

        return await self._change(app, account, actor, "unsuspend", work)

    async def uninstall(self, app: str, account: str, *, actor: Actor) -> AppAccount:
        """Take the app off the account: every installation there stops at once, its rows follow in chunks."""

        def work(row: ParentRow) -> None:
            row.removed_at = self._core.now()

        done = await self._change(app, account, actor, "uninstall", work)
        await self._remove_children(app, account, Actor.system())
        return done

    async def hold(self, app: str, *, actor: Actor, reason: str) -> None:
        """Stop an app everywhere; operators only. Installations are not touched."""
        await self._hold(app, actor, "hold", reason)

    async def release(self, app: str, *, actor: Actor, reason: str) -> None:
        """Let a held app work again; operators only."""
        await self._hold(app, actor, "release", reason)

    async def _hold(self, app: str, actor: Actor, verb: Literal["hold", "release"], reason: str) -> None:
        checked_name(reason, "reason")

        def work(found: Snapshot) -> Change:
            row = found.app
            if row is None:
                msg = f"no app is called {str(app)[:80]!r}"
                raise NotFound(msg)
            row.held_by = row.held_reason = row.held_at = None
            if verb == "hold":
                row.held_by, row.held_reason, row.held_at = str(actor), reason, self._core.now()
            row.revision += 1
            return Change(app=row, action=self._action(actor, verb, app, reason))

        async with self._operating(actor, verb, app, reason, brief=True):
            await self._core.transact(Load(app=app), work)

    def _action(self, actor: Actor, verb: str, target: str, reason: str | None) -> ActionRow:
        return self._row(actor, verb, target, reason, None, "applied", "")

    def _by_operator(
        self, actor: Actor, verb: str, target: str, reason: str | None = None
    ) -> AbstractAsyncContextManager[object]:
        """A verb of an account's admins: what it refuses an operator is on the record, and only that."""
        if actor.kind is ActorKind.OPERATOR:
            return self._on_record(actor, verb, target, reason)
        return nullcontext()

    async def _change(
        self,
        app: str,
        account: str,
        actor: Actor,
        verb: str,
        work: Callable[[ParentRow], None],
        *,
        may_be_absent: bool = False,
        reason: str | None = None,
    ) -> AppAccount:
        target = f"{app}/{account}"

        def run(found: Snapshot) -> Change:
            if found.app is None:
                msg = f"no app is called {str(app)[:80]!r}"
                raise NotFound(msg)
            parent = found.parent
            if parent is None or parent.removed_at is not None:
                if not may_be_absent:
                    msg = "the app is not installed on this account"
                    raise NotFound(msg)
                definition = App.from_document(found.app.document)
                parent = new_parent(found.app, definition, account, self._core.now(), parent)
            else:
                parent.revision = (parent.revision if isinstance(parent.revision, int) else 0) + 1
            work(parent)
            return Change(
                parent=parent,
                action=self._action(actor, verb, target, reason),
                result=parent_view(found.app, parent),
            )

        async with self._by_operator(actor, verb, target, reason):
            await self._authorized(actor, account, verb, app)
            change = await self._core.transact(Load(app=app, account=account), run)
        if not isinstance(change.result, AppAccount):
            raise Conflict
        return change.result

    async def _authorized(self, actor: Actor, account: str, verb: str, app: str) -> None:
        if actor.kind is ActorKind.ADMIN:
            listing = await self._core.accounts_of(actor)
            if not any(known.id == account for known in listing):
                msg = "only an admin of the account may do this"
                raise PermissionDenied(msg)
        elif actor.kind not in (ActorKind.SYSTEM, ActorKind.OPERATOR):
            msg = "only an admin of the account, an operator or the platform may do this"
            raise PermissionDenied(msg)
        await self._core.ask_policy(actor, verb, None)
        if verb in {"install", "update", "uninstall"}:
            objection = await self._core.ask_veto(verb, app, account, actor)
            if objection is not None:
                msg = f"the app vetoed it: {objection}"
                raise TransitionRefused(msg)


def _install(row: ParentRow) -> None:
    """Nothing beside the row itself."""
    del row
