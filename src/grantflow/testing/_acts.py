"""What people, apps, operators and a foreign server do to an installation in a day, each by the front door."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from grantflow._config import Settings
from grantflow._ids import new_pkce
from grantflow._model import Attempt, ClientCredentials
from grantflow.errors import ConfigurationError
from grantflow.testing._member import Member, Standing
from grantflow.testing._people import SECRET
from grantflow_machines import Actor

if TYPE_CHECKING:
    from grantflow._engine import Engine
    from grantflow.testing._server import ForeignServer

OPERATOR = Actor.operator("fleet")


@dataclass(slots=True)
class Scene:
    """Where acts happen: the engine, the foreign server, and a note of what was done and what was seen."""

    engine: Engine
    settings: Settings
    server: ForeignServer | None = None
    done: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    absent: set[tuple[str, str]] = field(default_factory=set)
    """(app, account) of apps that their admins took off."""

    admins: dict[str, Actor] = field(default_factory=dict)
    """By account."""

    @property
    def now(self) -> datetime:
        """The time of the engine's clock."""
        return self.engine.now()

    def expect(self, member: Member, what: str, seen: object, due: object) -> None:
        """Note a finding where the engine's answer is not what must be true."""
        if seen != due:
            self.findings.append(f"{member.id} ({member.app.key}): {what} is {seen}, not {due}")


Act = Callable[[Scene, Member], Awaitable[None]]
"""One thing that happens to a member: calls the front door and tells the member what must be true now."""


async def authorize(scene: Scene, member: Member) -> None:
    """A person goes through the window to a grant: the first one, another one, or one after its death."""
    await _walk(scene, member, member.whole)


async def upgrade(scene: Scene, member: Member) -> None:
    """A person agrees to the optional scopes of a live grant, too."""
    await _walk(scene, member, True)


async def cancel(scene: Scene, member: Member) -> None:
    """A person looks at the window and cancels; no grant changes."""
    attempt = await _open(scene, member, new_pkce()[1])
    await scene.engine.cancel(attempt.id, actor=member.owner)


async def abandon(scene: Scene, member: Member) -> None:
    """A person opens the window and never comes back; no grant changes."""
    await _open(scene, member, new_pkce()[1])


async def renew(scene: Scene, member: Member) -> None:
    """The app renews its tokens at the ledger, or uses the one that the engine holds for it."""
    if member.app.server is not None:
        await scene.engine.access_token(member.id)
        return
    assert member.refresh is not None
    tokens = await scene.engine.ledger.renew(member.refresh.value, client=_client(member))
    member.refresh = tokens.refresh_token
    member.renewed(scene.now, scene.settings)
    scene.expect(member, "the end of the renewed grant", tokens.refresh_expires_at, member.deadline)


async def disconnect(scene: Scene, member: Member) -> None:
    """The owner withdraws the grant."""
    await scene.engine.disconnect(member.id, actor=member.owner)
    member.left(Standing.NONE)


async def uninstall(scene: Scene, member: Member) -> None:
    """The platform takes the installation off."""
    await scene.engine.uninstall(member.id, actor=Actor.system())
    member.left(Standing.GONE)


async def reinstall(scene: Scene, member: Member) -> None:
    """Somebody who left comes again, as a new installation."""
    place = (member.app.key, member.account)
    if place in scene.absent:
        await scene.engine.apps.install(*place, actor=scene.admins[member.account])
        scene.absent.discard(place)
    await _walk(scene, member, False)


async def suspend(scene: Scene, member: Member) -> None:
    """An operator stops it; the grant stays."""
    await scene.engine.suspend(member.id, actor=OPERATOR, reason="a year in a minute")
    member.suspended = True


async def unsuspend(scene: Scene, member: Member) -> None:
    """The operator lets it work again."""
    await scene.engine.unsuspend(member.id, actor=OPERATOR)
    member.suspended = False
    if member.refused_at is not None:
        member.refused_at = scene.now


async def withdraw(scene: Scene, member: Member) -> None:
    """The foreign server forgets the grant: nobody knows before the next renewal."""
    if scene.server is not None and member.refused_at is None and scene.server.withdraw(member.code):
        member.refused_at = scene.now


async def remove_app(scene: Scene, member: Member) -> None:
    """An admin takes the app off the member's account; whoever else is there, the fleet settles."""
    place = (member.app.key, member.account)
    if place not in scene.absent:
        scene.absent.add(place)
        await scene.engine.apps.uninstall(*place, actor=scene.admins[member.account])


# -- the way through the window ---------------------------------------------------------------------
async def _walk(scene: Scene, member: Member, everything: bool) -> None:  # noqa: FBT001 - which of two consents
    verifier, challenge = new_pkce()
    attempt = await _open(scene, member, challenge)
    if member.app.server is not None:
        await _complete(scene, member, attempt)
    else:
        await scene.engine.select_account(attempt.id, member.account, actor=member.owner)
        version = member.app.latest
        scopes = version.scopes if everything else version.required
        returned = await scene.engine.agree(attempt.id, actor=member.owner, scopes=scopes)
        assert returned.code is not None
        tokens = await scene.engine.ledger.redeem(returned.code.value, client=_client(member), code_verifier=verifier)
        member.id, member.refresh, member.whole = tokens.installation, tokens.refresh_token, everything
        member.granted(scene.now, scene.settings)
        scene.expect(member, "the end of the new grant", tokens.refresh_expires_at, member.deadline)


async def _complete(scene: Scene, member: Member, attempt: Attempt) -> None:
    if scene.server is None or attempt.cookie is None:
        msg = f"{member.app.key} is in client mode, and the fleet has no foreign server"
        raise ConfigurationError(msg, hint="pass server=, the ForeignServer that the engine was given as http=")
    query = scene.server.back(attempt.authorize_url)
    done = await scene.engine.complete(query, cookies={attempt.cookie_name: attempt.cookie.value})
    if done.installation is None or done.outcome != "completed":
        scene.findings.append(f"{member.id} ({member.app.key}): its callback ended as {done.outcome}")
        return
    member.id, member.code = done.installation.id, parse_qs(query)["code"][0]
    member.granted(scene.now, scene.settings)
    scene.expect(member, "the end of the new grant", done.installation.expires_at, member.deadline)


async def _open(scene: Scene, member: Member, challenge: str) -> Attempt:
    own = None if member.app.server is not None else challenge
    if member.standing is Standing.DEAD:
        return await scene.engine.reauthorize(member.id, actor=member.owner, code_challenge=own)
    return await scene.engine.authorize(
        member.app.key, actor=member.owner, account=member.account, label=member.label, code_challenge=own
    )


def _client(member: Member) -> ClientCredentials:
    return ClientCredentials(member.app.client_id, None if member.app.public else SECRET)
