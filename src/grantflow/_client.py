"""Client mode at the front door: callbacks, access tokens, what an API said, tokens that exist already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from grantflow import _adopt, _callback, _tokens
from grantflow._audit import Operating
from grantflow._callback import BadCallbackHook, Doorman
from grantflow._core import Core
from grantflow._held import AccessToken, Completed, Reported, TokenHealth
from grantflow._inspection import Inspection, target_of
from grantflow._model import Installation
from grantflow._renewal import Renewals
from grantflow._revocations import Postman
from grantflow._rows import Load
from grantflow._tokens import RenewalReport
from grantflow.errors import BadInput
from grantflow_machines import Actor, ActorKind


class ClientMode(Operating, Inspection):
    """Verbs for apps whose tokens come from a foreign authorization server."""

    _core: Core
    _renewals: Renewals
    _doorman: Doorman
    _postman: Postman

    async def complete(
        self,
        query: str | Mapping[str, str | Sequence[str]],
        *,
        cookies: Mapping[str, str] | None = None,
        binding: bytes | None = None,
    ) -> Completed:
        """Take a callback of a foreign server to its end. Source: S-12, S-17, S-18, S-25, S-26, S-37.

        A cancelled authorization is an outcome, not an exception. The code is sent once, after the callback was
        written down; a callback that comes twice is refused.

        Args:
            query: The query string of the callback, or its parameters; nothing else of the request is read.
            cookies: The browser's cookies: `attempt.cookie_name` binds it (RFC 9700 §4.7).
            binding: Instead, the bytes of the host's own session that were passed to `authorize`.

        Raises:
            BadCallback: `state` is unknown, used or over, it is another browser, or another issuer (RFC 9207); no
                row was changed.
            TransitionRefused: no account is chosen yet, or it is not theirs any more; the callback can be used again.
            KeysMissing: the engine was opened without the keys that sealed the attempt.
        """
        return await _callback.complete(
            self._core, self._renewals, self._doorman, query, cookies=cookies, binding=binding
        )

    async def access_token(
        self,
        installation: str,
        *,
        account: str | None = None,
        subject: Actor | str | None = None,
        label: str = "default",
    ) -> AccessToken:
        """An access token that works, renewed first where it must be. Source: S-18, S-28, S-30, S-31.

        One renewal at a time per installation, over all processes. Takes an id or the natural key.

        Raises:
            ReauthorizationRequired: the grant is dead; `guidance` says who can do what.
            Unauthorized: it is alive but may not be used now: suspended, on hold, a blocking scope is missing.
            TokenUnavailable: the server gives none at the moment; AppMisconfigured while an incident is open.
            NotHeldHere: the app is in host mode.
            NotFound, KeysMissing, Quarantined.
        """
        load = await self._target(installation, account, subject, label)
        return await _tokens.access_token(self._core, self._renewals, load)

    async def report(
        self,
        installation: str,
        *,
        status: int,
        generation: int,
        error: str | None = None,
        scope: str | None = None,
        account: str | None = None,
        subject: Actor | str | None = None,
        label: str = "default",
    ) -> Reported:
        """Tell the engine that the app's API answered 401 or 403. Source: S-31; RFC 6750 §3.1.

        A 401 about an older generation counts for nothing and is answered with the current token. One about the
        current generation renews it; only a 401 about what that renewal gave ends the grant. A bare 403 means
        nothing; 403 with `error="insufficient_scope"` and `scope` opens a scope gap.

        Raises as `access_token`; BadInput for a generation that was never given.
        """
        if not isinstance(status, int) or not isinstance(generation, int):
            msg = "status and generation are numbers"
            raise BadInput(msg)
        load = await self._target(installation, account, subject, label)
        return await _tokens.report(
            self._core, self._renewals, load, status=status, generation=generation, error=error, scope=scope
        )

    async def adopt(
        self,
        app: str,
        *,
        account: str,
        actor: Actor,
        access_token: str,
        refresh_token: str | None = None,
        subject: Actor | str | None = None,
        label: str = "default",
        expires_in: timedelta | None = None,
        refresh_expires_in: timedelta | None = None,
        scopes: Sequence[str] | None = None,
        identity: str | None = None,
        reason: str = "adopted",
    ) -> Installation:
        """Take over tokens that exist already, for example of a system that grantflow replaces.

        The installation is made where there is none and becomes active; its history says that callback and consent
        were inferred. Refused for a dead grant: that one has to be reauthorized.

        Args:
            actor: The platform or an operator.
            expires_in: What is left of the access token's life; the app's assumption when absent.
            refresh_expires_in: What is left of the refresh token's life; the app's policy when absent.
            scopes: What was granted; all scopes of the version when absent.

        Raises:
            PermissionDenied: the actor is a person or an app.
            TransitionRefused: another identity holds the installation, or its grant is dead.
        """
        given = _adopt.Given(access_token, refresh_token, expires_in, refresh_expires_in, scopes, identity, reason)
        target = f"{app}/{account}"
        async with self._operating(actor, "adopt", target, reason, brief=True, platform=True):
            by_operator = actor.kind is ActorKind.OPERATOR
            name = await _adopt.adopt(
                self._core,
                app,
                account,
                actor,
                given,
                subject=subject.id if isinstance(subject, Actor) else subject,
                label=label,
                action=self._row(actor, "adopt", target, reason, None, "applied", "") if by_operator else None,
            )
        return await self._view(Load(installation=name))

    async def token_health(self, installation: str) -> TokenHealth | None:
        """How the token set of an installation is doing; None where there is none, or in host mode."""
        return _tokens.health(await self._snapshot(Load(installation=installation)))

    async def renew_due(self, *, limit: int = 200) -> RenewalReport:
        """Renew access tokens whose time has come, a few at once; for schedulers."""
        return await _tokens.renew_due(self._core, self._renewals, limit)

    async def deliver_revocations(self) -> int:
        """Give wiped tokens back to their servers (RFC 7009); returns how many came to their end."""
        return await self._postman.deliver()

    def on_bad_callback(self, hook: BadCallbackHook) -> Callable[[], None]:
        """Hear why callbacks are turned away, at most twenty a minute; the call that comes back ends it."""
        self._doorman.hooks.append(hook)
        return lambda: self._doorman.hooks.remove(hook)

    async def _target(self, name: str, account: str | None, subject: Actor | str | None, label: str) -> Load:
        if account is not None or subject is None:
            return target_of(name, account, subject, label)
        return Load(installation=await self.only_one(name, subject, label))
