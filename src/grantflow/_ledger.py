"""`engine.ledger`: the authorization server's ledger, host mode. HTTP is the host's."""

from __future__ import annotations

from grantflow import _grants, _journey
from grantflow._app import App
from grantflow._core import Core
from grantflow._model import Attempt, Authenticated, ClientCredentials, Tokens
from grantflow.errors import BadInput, InvalidClient, NotFound
from grantflow_machines import Actor


class Ledger:
    """Codes and tokens of a host's own authorization server; only hashes are kept."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def _registered(self, client_id: str) -> App:
        try:
            return (await self._core.app(f"client:{client_id}"))[1]
        except (NotFound, BadInput) as error:
            msg = "no app has this client id"
            raise InvalidClient(msg) from error

    async def client(self, client_id: str) -> App:
        """The app that calls itself so, to look at its redirect URIs before anything is begun. Source: S-20.

        Raises InvalidClient; an app whose tokens come from a foreign server is no client of this ledger.
        """
        app = await self._registered(client_id)
        if app.server is not None:
            msg = "no app has this client id"
            raise InvalidClient(msg)
        return app

    async def prove(self, client: ClientCredentials) -> App:
        """The app whose client this is, proved by its secret where it has one (RFC 6749 §2.3).

        Raises InvalidClient.
        """
        app = await self.client(client.client_id)
        _grants.checked_client(app, client)
        return app

    async def begin(
        self,
        *,
        client_id: str,
        actor: Actor,
        redirect_uri: str | None = None,
        scope: str | None = None,
        state: str | None = None,
        code_challenge: str | None = None,
        code_challenge_method: str = "S256",
        response_type: str = "code",
        account: str | None = None,
        label: str = "default",
    ) -> Attempt:
        """An app's authorize request opens an attempt. Source: S-06, S-19, S-20; RFC 6749 §4.1.1.

        Args:
            client_id: The app, as it calls itself.
            actor: The person who came, as the host's own session knows them.
            redirect_uri: Must equal a registered one character by character; the first registered one when absent.
            scope: Space-separated; all of the version's scopes when absent.
            state: The app's own value, at most 4,096 characters; sealed at rest and echoed verbatim.

        Raises:
            InvalidClient: no app has this client id; do not redirect.
            InvalidRequest: redirect URI, challenge or response type is not in order; do not redirect.
            InvalidScope: a scope is not registered; may be redirected as `error=invalid_scope`.
            KeysMissing: a state was sent and the engine has no keys.
        """
        app = await self._registered(client_id)
        return await _journey.begin(
            self._core,
            app.key,
            actor,
            account=account,
            label=label,
            entry_point="authorize-request",
            redirect_uri=redirect_uri,
            scope=scope,
            state=state,
            code_challenge=code_challenge,
            code_challenge_method=code_challenge_method,
            response_type=response_type,
        )

    async def redeem(
        self,
        code: str,
        *,
        client: ClientCredentials,
        redirect_uri: str | None = None,
        code_verifier: str | None = None,
    ) -> Tokens:
        """Exchange a code for tokens, at most once. Source: S-18, S-28, S-29, S-37; RFC 6749 §4.1.3.

        A wrong secret, verifier or redirect URI changes nothing and does not burn the code. A code that comes a
        second time ends the grant it made.

        Raises:
            InvalidClient: the client did not prove who it is.
            InvalidGrant: the code is wrong, used, over or another client's.
        """
        return await _grants.redeem(self._core, code, client, redirect_uri, code_verifier)

    async def renew(self, refresh_token: str, *, client: ClientCredentials, scope: str | None = None) -> Tokens:
        """A new pair for a refresh token, which is spent by this. Source: S-29, S-30; RFC 6749 §6.

        A spent refresh token that comes again ends the grant (RFC 9700 §4.14.2). `scope` may repeat what was granted
        or less; the new pair carries the whole grant, and says so.

        Raises:
            InvalidClient: the client did not prove who it is.
            InvalidScope: `scope` asks for more than was granted; the token is not spent.
            InvalidGrant: the token is wrong, spent, expired or revoked; `guidance` says what a person can do.
        """
        return await _grants.renew(self._core, refresh_token, client, scope)

    async def authenticate(self, access_token: str) -> Authenticated:
        """Whom an access token speaks for. Writes nothing. Source: S-18, S-28, S-31; RFC 6750.

        Raises:
            ReauthorizationRequired: the grant is dead, swept or not; `guidance` is the body of the 401.
            Unauthorized: the token is unknown or expired, or the installation may not work at the moment.
        """
        return await _grants.authenticate(self._core, access_token)

    async def revoke(self, token: str, *, client: ClientCredentials) -> None:
        """The app gives a token back (RFC 7009): a refresh token ends the grant, an access token only itself.

        An unknown token is answered like a known one. Raises InvalidClient.
        """
        await _grants.revoke(self._core, token, client)
