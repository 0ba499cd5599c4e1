"""Tokens that exist already become an installation, through the same events as a callback."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from grantflow._app import App, AppKind, scope_text
from grantflow._clock import span
from grantflow._core import Core, facts_for
from grantflow._foreign import first_tokens, server_of
from grantflow._ids import new_id
from grantflow._journey import new_row, parent_for
from grantflow._oauth import AnswerClass, TokenAnswer
from grantflow._requests import checked_name
from grantflow._rows import ActionRow, AppRow, AttemptRow, Change, Load, Snapshot, subject_of
from grantflow._secret import Secret
from grantflow._transition import CLOCK_ACTOR, Draft, Issue
from grantflow._view import installed_version
from grantflow.errors import BadInput
from grantflow_machines import Actor, Instant, Step

_MAX_TOKEN = 65_536


@dataclass(frozen=True, slots=True)
class Given:
    """What is known of the tokens."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: timedelta | None
    refresh_expires_in: timedelta | None
    scopes: Sequence[str] | None
    identity: str | None
    reason: str

    def __post_init__(self) -> None:
        for token in (self.access_token, self.refresh_token):
            absent = token is None and self.access_token is not None
            if not absent and not (isinstance(token, str) and re.fullmatch(r"[\x20-\x7e]{1,65536}", token)):
                msg = f"a token is a text of 1 to {_MAX_TOKEN} characters"
                raise BadInput(msg)
        if self.scopes is not None and (isinstance(self.scopes, str) or not isinstance(self.scopes, Sequence)):
            msg = "scopes must be a list of scopes"
            raise BadInput(msg)
        if self.identity is not None:
            checked_name(self.identity, "identity")
        checked_name(self.reason, "reason")

    def answer(self, now: Instant) -> TokenAnswer:
        """The tokens as an endpoint would have answered them."""
        scopes = None if self.scopes is None else frozenset(checked_name(scope, "scope") for scope in self.scopes)
        return TokenAnswer(
            answer=AnswerClass.OK,
            error=None,
            status=200,
            retry_after=None,
            access_token=Secret(self.access_token),
            refresh_token=None if self.refresh_token is None else Secret(self.refresh_token),
            token_type="Bearer",  # noqa: S106 - the type of a token
            scopes=scopes,
            access_expires_at=None if self.expires_in is None else now + span(self.expires_in),
            refresh_expires_at=None if self.refresh_expires_in is None else now + span(self.refresh_expires_in),
            authorization_expires_at=None,
            id_token=None,
            raw_keys=(),
        )


async def adopt(
    core: Core,
    app_key: str,
    account: str,
    actor: Actor,
    given: Given,
    *,
    subject: str | None,
    label: str,
    action: ActionRow | None,
) -> str:
    """Make the installation or find it, and give it the tokens; returns its id. See Engine.adopt."""
    checked_name(account, "account")
    checked_name(label, "label")
    _, app = await core.app(app_key)
    server_of(app)
    owner = None if app.kind is AppKind.ACCOUNT else checked_name(subject, "subject")
    answer = given.answer(core.now())

    def work(found: Snapshot) -> Change:
        assert found.app is not None
        parent = parent_for(core, found, app, account)
        if found.installation is None:
            draft = new_row(core, found, account, owner, label, actor)
        else:
            draft = core.draft(found)
        draft.change.parent = parent
        attempt = _attempt(draft, found.app, app, actor, installed_version(app, found.parent).name)
        row = draft.row
        assert row is not None
        found.attempts.append(attempt)
        draft.change.new_attempts.append(attempt)
        facts = facts_for(draft, CLOCK_ACTOR, (), attempt=attempt)
        facts.callback_valid = True
        facts.identity_matches = row.identity is None or row.identity == given.identity
        draft.apply("callback_ok", facts, attempt=attempt, reason=given.reason)
        tokens = first_tokens(core, app, row, answer, attempt.requested, draft.now)
        facts = facts_for(draft, CLOCK_ACTOR, (), attempt=attempt)
        facts.identity_matches = row.identity is None or row.identity == given.identity
        draft.apply(
            "exchange_ok", facts, attempt=attempt, issue=Issue(tokens, [], given.identity), reason=given.reason
        )
        draft.change.action, draft.change.result = action, row.public_id
        return draft.change

    change = await core.transact(Load(natural=(app_key, account, owner, label)), work)
    return str(change.result)


def _attempt(draft: Draft, app_row: AppRow, app: App, actor: Actor, version: str) -> AttemptRow:
    row, now = draft.row, draft.now
    assert row is not None
    subject_kind, subject_id = subject_of(app.kind.value, row.account, row.subject_id)
    return AttemptRow(
        pk=0,
        public_id=new_id(now),
        app_pk=app_row.pk,
        installation_pk=row.pk or None,
        kind="initial",
        step=Step.ACCOUNT,
        actor_kind=actor.kind.value,
        actor_id=actor.id,
        subject_kind=subject_kind,
        subject_id=subject_id,
        label=row.label,
        account=row.account,
        entry_point="adopt",
        app_version=version,
        requested=scope_text(app.version(version).scopes),
        agreed="",
        client_id=app.client_id,
        redirect_uri=app.redirect_uris[0],
        app_state=None,
        code_hash=None,
        code_challenge=None,
        binding_hash=None,
        family=None,
        created_at=now,
        expires_at=now + 60_000_000,
    )
