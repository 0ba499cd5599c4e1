"""Attempts: begin, window, account, consent, cancel. Source: S-04 … S-17, S-19 … S-26, S-32 … S-36."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from grantflow._app import App, AppKind, scope_set, scope_text
from grantflow._clock import span, to_datetime
from grantflow._core import Core, facts_for
from grantflow._foreign import Departure, depart
from grantflow._ids import bucket_of, hashed, new_id, new_secret
from grantflow._model import Account, Attempt, ConsentForm, Returned, Window, WindowAccount
from grantflow._requests import checked_binding, checked_name, checked_request, checked_text, with_query
from grantflow._rows import (
    ActionRow,
    AppRow,
    AttemptRow,
    Change,
    ConsentRow,
    InstallationRow,
    Load,
    ParentRow,
    Snapshot,
    subject_of,
)
from grantflow._secret import Secret
from grantflow._transition import Draft
from grantflow._view import installed_version
from grantflow.errors import BadInput, NotFound, PermissionDenied, TransitionRefused
from grantflow_machines import Actor, Facts, Grant, Instant, No, Step

_AUTHORIZE_PATH = "/oauth/v2/authorize?attempt={attempt}"


async def begin(
    core: Core,
    app_key: str,
    actor: Actor,
    *,
    subject: str | None = None,
    account: str | None = None,
    installation: str | None = None,
    label: str = "default",
    entry_point: str = "",
    redirect_uri: str | None = None,
    scope: str | None = None,
    state: str | None = None,
    code_challenge: str | None = None,
    code_challenge_method: str = "S256",
    response_type: str = "code",
    binding: bytes | None = None,
) -> Attempt:
    """Open an attempt, with or without an installation. See Engine.authorize."""
    checked_name(label, "label")
    if installation is not None:
        known = await core.store.load(Load(installation=installation))
        if known.app is None or known.installation is None:
            msg = "there is no such installation"
            raise NotFound(msg)
        app_key, account, label = known.app.key, known.installation.account, known.installation.label
        subject = known.installation.subject_id
    await core.ask_policy(actor, "authorize" if installation is None else "reauthorize", None)
    app_row, app = await core.app(app_key)
    owner = _subject(app, actor, subject)
    if app.server is not None and account is None:
        own = await core.listing(actor)
        account = own[0].id if len(own) == 1 else None
    parent = None
    if account is not None:
        checked_name(account, "account")
        parent = (await core.store.load(Load(app=app_row.key, account=account))).parent
    version = installed_version(app, parent)
    request = checked_request(
        app,
        version,
        redirect_uri=redirect_uri,
        scope=scope,
        state=state,
        code_challenge=code_challenge,
        code_challenge_method=code_challenge_method,
        response_type=response_type,
    )
    listing = await core.listing(actor) if account is not None else ()
    _may_open(core, app, actor, owner, account, listing)
    now, cookie = core.now(), new_secret("gfb")
    bound = cookie if binding is None else checked_binding(binding)
    public_id = new_id(now)
    sealed, leaving = None, None
    if app.server is not None:
        leaving = depart(core, app, public_id, request.redirect_uri, request.scopes)
    if request.state is not None:
        sealed = core.keys.seal(request.state.encode("utf-8", "surrogatepass"), f"attempt/{public_id}/app_state")
    subject_kind, subject_id = subject_of(app.kind.value, account or "", owner)
    row = AttemptRow(
        pk=0,
        public_id=public_id,
        app_pk=app_row.pk,
        installation_pk=None,
        kind="initial",
        step=Step.WINDOW,
        actor_kind=actor.kind.value,
        actor_id=actor.id,
        subject_kind=subject_kind,
        subject_id=subject_id,
        label=label,
        account=account if leaving is not None else None,
        entry_point=checked_text(entry_point, "entry_point"),
        app_version=version.name,
        requested=scope_text(request.scopes),
        agreed="",
        client_id=app.client_id,
        redirect_uri=request.redirect_uri,
        app_state=sealed,
        code_hash=None,
        code_challenge=request.code_challenge,
        binding_hash=hashed(bound),
        family=None,
        created_at=now,
        expires_at=now + span(core.settings.attempt_lifetime),
        state_hash=None if leaving is None else leaving.state_hash,
        sealed=None if leaving is None else leaving.sealed,
        issuer=None if leaving is None else leaving.issuer,
    )
    shown = cookie if binding is None else None
    if account is None:
        await core.transact(Load(app=app_row.key), lambda _: Change(new_attempts=[row]))
        return attempt_view(row, app, None, shown, leaving)

    def work(snapshot: Snapshot) -> Change:
        row.pk, row.installation_pk = 0, None  # run again after a lost race, it is still a new attempt
        if snapshot.installation is None:
            return Change(new_attempts=[row])
        draft = core.draft(snapshot)
        adopt(draft, row, actor, listing)
        row.account = snapshot.installation.account
        draft.change.result = snapshot.installation.public_id
        return draft.change

    change = await core.transact(Load(natural=(app_row.key, account, owner, label)), work)
    found = change.result if isinstance(change.result, str) else None
    return attempt_view(row, app, found, shown, leaving)


def adopt(draft: Draft, attempt: AttemptRow, actor: Actor, listing: Sequence[Account]) -> None:
    """Tie an attempt to a row by the event that opens one in this state."""
    opening = draft.definition.opening(draft.state)
    grant = draft.definition.states[draft.state].grant
    if opening is None:
        msg = f"nothing can be authorized in {draft.state}"
        raise TransitionRefused(msg)
    draft.apply(opening, facts_for(draft, actor, listing), opening=attempt)
    attempt.kind = {Grant.NONE: "initial", Grant.LIVE: "scope-upgrade", Grant.DEAD: "reauthorize"}[grant]


def _subject(app: App, actor: Actor, subject: str | None) -> str | None:
    if app.kind is AppKind.ACCOUNT:
        return None
    return checked_name(subject if subject is not None else actor.id, "subject")


def _may_open(
    core: Core, app: App, actor: Actor, owner: str | None, account: str | None, listing: Sequence[Account]
) -> None:
    admin = account is None or any(known.id == account and known.role == "admin" for known in listing)
    facts = Facts(actor=actor, now=0, subject_id=owner or "", is_account_admin=admin)
    answer = core.definition(app.kind.value).may_open(facts)
    if not answer:
        raise PermissionDenied(answer.why if isinstance(answer, No) else None)


def attempt_view(
    row: AttemptRow,
    app: App,
    installation: str | None,
    cookie: str | None = None,
    leaving: Departure | None = None,
) -> Attempt:
    """An attempt as callers see it."""
    template = app.authorize_url or _AUTHORIZE_PATH
    url = template.replace("{app}", app.key).replace("{account}", row.account or "")
    url = url.replace("{installation}", installation or "").replace("{attempt}", row.public_id)
    return Attempt(
        id=row.public_id,
        app=app.key,
        kind=row.kind,
        actor=row.actor,
        installation=installation,
        account=row.account,
        expires_at=to_datetime(row.expires_at),
        authorize_url=url if leaving is None else leaving.url,
        outcome=row.outcome,
        step=Step(row.step).name.lower(),
        cookie_name="grantflow_attempt" if leaving is None else leaving.cookie_name,
        cookie_secure=row.redirect_uri.startswith("https:"),
        cookie=None if cookie is None else Secret(cookie),
    )


async def load_attempt(core: Core, attempt_id: str, actor: Actor, *, account: str | None = None) -> Snapshot:
    """The attempt of this person; a foreign one does not exist for them (no oracle)."""
    found = await core.store.load(Load(attempt=attempt_id, account=account, consents_of=actor))
    own_attempt(found, actor)
    return found


def own_attempt(found: Snapshot, actor: Actor) -> tuple[AppRow, AttemptRow]:
    """The snapshot's attempt, or NotFound for anybody but its opener."""
    if found.attempt is None or found.app is None or found.attempt.actor != actor:
        msg = "there is no such attempt"
        raise NotFound(msg)
    return found.app, found.attempt


def still_open(attempt: AttemptRow, now: Instant) -> None:
    """Raise TransitionRefused for an attempt that is over."""
    if attempt.outcome is not None:
        msg = f"this attempt is over: {attempt.outcome}"
        raise TransitionRefused(msg, hint="start again")
    if attempt.expires_at <= now:
        msg = "the attempt's time is over"
        raise TransitionRefused(msg, hint="start again")


async def window(core: Core, attempt_id: str, actor: Actor) -> Window:
    """The window of an attempt. See Engine.window."""
    found = await load_attempt(core, attempt_id, actor)
    app_row, attempt = own_attempt(found, actor)
    still_open(attempt, core.now())
    app = App.from_document(app_row.document)
    listing = await core.accounts_of(actor)
    parents = await core.store.parents(app_row.pk, [account.id for account in listing])
    lines = tuple(_line(app, attempt, account, parents.get(account.id)) for account in listing)
    open_to = [line.id for line in lines if line.selectable]
    chosen = attempt.account if attempt.step >= Step.ACCOUNT else None
    form = None
    if chosen is not None:
        form = await consent_form(core, attempt_id, actor)
    elif app.kind is AppKind.EXTERNAL and len(lines) == 1 and open_to:
        form = await select_account(core, attempt_id, open_to[0], actor)
    message = None
    if not lines:
        message = f"You have no account that {app.name} could be installed into; nothing was changed."
    elif not open_to:
        message = f"None of your accounts can be chosen for {app.name}; nothing was changed."
    preselected = open_to[0] if len(open_to) == 1 else None
    return Window(attempt.public_id, app.name, app.description, lines, preselected, form, message)


def _line(app: App, attempt: AttemptRow, account: Account, parent: ParentRow | None) -> WindowAccount:
    why = None
    if attempt.account is not None and attempt.account != account.id:
        why = "this authorization belongs to another account"
    elif app.kind is AppKind.AGENT and (parent is None or parent.removed_at is not None):
        why = "the app is not installed on this account; ask an admin to install it"
    return WindowAccount(account.id, account.name, why is None, why)


def form_of(found: Snapshot, app: App, attempt: AttemptRow) -> ConsentForm:
    """The two groups of an attempt whose account is fixed."""
    requested = scope_set(attempt.requested)
    approved = found.approved & requested
    required = frozenset(app.version(attempt.app_version).required) & requested
    return ConsentForm(
        attempt=attempt.public_id,
        app_name=app.name,
        app_description=app.description,
        account=attempt.account or "",
        approved=tuple(sorted(approved)),
        awaiting=tuple(sorted(requested - approved)),
        required=tuple(sorted(required)),
    )


async def consent_form(core: Core, attempt_id: str, actor: Actor) -> ConsentForm:
    """The form of an attempt whose account is fixed. See Engine.form."""
    found = await load_attempt(core, attempt_id, actor)
    app_row, attempt = own_attempt(found, actor)
    still_open(attempt, core.now())
    if attempt.step < Step.ACCOUNT:
        msg = "no account is chosen yet"
        raise TransitionRefused(msg, hint="select_account comes first")
    return form_of(found, App.from_document(app_row.document), attempt)


async def select_account(core: Core, attempt_id: str, account: str, actor: Actor) -> ConsentForm:
    """Fix the account; finds or creates the installation in the same transaction. See Engine.select_account."""
    checked_name(account, "account")
    await load_attempt(core, attempt_id, actor)
    listing = await core.accounts_of(actor)

    def work(found: Snapshot) -> Change:
        app_row, attempt = own_attempt(found, actor)
        app = App.from_document(app_row.document)
        still_open(attempt, core.now())
        if attempt.installation_pk is None and not any(known.id == account for known in listing):
            msg = "the account is not among the person's accounts"
            raise TransitionRefused(msg)
        parent = parent_for(core, found, app, account)
        _fit_version(app, attempt, found.parent)
        draft = row_for(core, found, app, attempt, account, actor, listing, parent)
        draft.apply(
            "select_account",
            facts_for(draft, actor, listing, attempt=attempt, chosen=account),
            attempt=attempt,
        )
        draft.change.result = form_of(found, app, attempt)
        return draft.change

    change = await core.transact(Load(attempt=attempt_id, account=account, consents_of=actor), work)
    assert isinstance(change.result, ConsentForm)
    return change.result


def _fit_version(app: App, attempt: AttemptRow, parent: ParentRow | None) -> None:
    """The account decides which version asks: one that named no scopes gets those of the version installed there."""
    running = installed_version(app, parent)
    if running.name == attempt.app_version:
        return
    if scope_set(attempt.requested) == frozenset(app.version(attempt.app_version).scopes):
        attempt.requested = scope_text(running.scopes)
    attempt.app_version = running.name


def parent_for(core: Core, found: Snapshot, app: App, account: str) -> ParentRow | None:
    """The parent that has to be written, or None where the app is on the account already."""
    parent = found.parent
    assert found.app is not None
    if parent is not None and parent.removed_at is None:
        return None
    if app.kind is AppKind.AGENT:
        msg = f"{app.name} is not installed on this account"
        raise TransitionRefused(msg, hint="ask an admin of the account to install it")
    return new_parent(found.app, app, account, core.now(), parent)


def new_parent(app_row: AppRow, app: App, account: str, now: Instant, old: ParentRow | None) -> ParentRow:
    """An app comes onto an account, for the first time or again."""
    if old is not None:
        old.removed_at, old.app_version, old.installed_at = None, app.latest.name, now
        old.suspended_by = old.suspended_at = old.suspended_why = None
        old.revision += 1
        return old
    return ParentRow(0, app_row.pk, account, app.latest.name, available=False, revision=1, installed_at=now)


def new_row(core: Core, found: Snapshot, account: str, subject: str | None, label: str, actor: Actor) -> Draft:
    """A draft with a new row in the initial state."""
    assert found.app is not None
    definition, now = core.definition(found.app.kind), core.now()
    subject_kind, subject_id = subject_of(found.app.kind, account, subject)
    row = InstallationRow(
        pk=0,
        public_id=new_id(now),
        app_pk=found.app.pk,
        account=account,
        subject_kind=subject_kind,
        subject_id=subject_id,
        label=label,
        state=definition.initial,
        reason=None,
        version=1,
        generation=0,
        due_at=None,
        deadline_at=None,
        grant_revoked=False,
        granted="",
        identity=None,
        definition=definition.name,
        definition_version=definition.version,
        fingerprint=definition.fingerprint,
        bucket=bucket_of(account),
        created_at=now,
        entered_at=now,
        updated_at=now,
    )
    draft = Draft(found, definition, core.settings, now)
    draft.create(row, actor)
    return draft


def row_for(
    core: Core,
    found: Snapshot,
    app: App,
    attempt: AttemptRow,
    account: str,
    actor: Actor,
    listing: Sequence[Account],
    parent: ParentRow | None,
) -> Draft:
    """The row of an attempt's account, found or made, with the attempt tied to it."""
    if found.installation is not None:
        draft = core.draft(found)
    else:
        owner = None if app.kind is AppKind.ACCOUNT else attempt.subject_id
        draft = new_row(core, found, account, owner, attempt.label, actor)
        attempt.subject_id = subject_of(app.kind.value, account, owner)[1]
    draft.change.parent = parent
    if attempt.installation_pk is None:
        adopt(draft, attempt, actor, listing)
        attempt.account = account
    return draft


async def agree(core: Core, attempt_id: str, actor: Actor, scopes: Sequence[str] | None = None) -> Returned:
    """Consent; a code goes to the app. See Engine.agree."""
    opening = await load_attempt(core, attempt_id, actor)
    if opening.attempt is not None and opening.attempt.state_hash is not None:
        msg = "this person consents at the app's own authorization server"
        raise TransitionRefused(msg, hint="send them to attempt.authorize_url; engine.complete takes the callback")
    listing = await core.accounts_of(actor)
    code = new_secret("gfc")

    def work(found: Snapshot) -> Change:
        app_row, attempt = own_attempt(found, actor)
        still_open(attempt, core.now())
        draft = core.draft(found)
        requested = scope_set(attempt.requested)
        awaiting = requested - found.approved
        agreed = awaiting if scopes is None else _named(scopes)
        if agreed - requested:
            msg = "only scopes of the form can be agreed to: " + ", ".join(sorted(agreed - requested))[:200]
            raise BadInput(msg)
        facts = facts_for(draft, actor, listing, attempt=attempt, agreed=agreed)
        granted = agreed | (found.approved & requested)
        row = found.installation
        assert row is not None
        consent = ConsentRow(
            app_pk=app_row.pk,
            account=row.account,
            subject_kind=row.subject_kind,
            subject_id=row.subject_id,
            actor_kind=actor.kind.value,
            actor_id=actor.id,
            app_version=attempt.app_version,
            requested=attempt.requested,
            approved=scope_text(granted),
            refused=scope_text(requested - granted),
            given_at=draft.at,
        )
        attempt.agreed, attempt.code_hash = scope_text(granted), hashed(code)
        draft.apply("agree", facts, attempt=attempt, consent=consent)
        draft.change.result = _returned(core, attempt, row, "agreed", code)
        return draft.change

    change = await core.transact(Load(attempt=attempt_id, consents_of=actor), work)
    assert isinstance(change.result, Returned)
    return change.result


def _named(scopes: Sequence[str]) -> frozenset[str]:
    if isinstance(scopes, str) or not isinstance(scopes, Collection):
        msg = "scopes must be a list of scopes"
        raise BadInput(msg)
    return frozenset(checked_name(scope, "scope") for scope in scopes)


async def give_up(core: Core, attempt_id: str, actor: Actor, event: str, action: ActionRow | None = None) -> Returned:
    """Cancel or refuse: the attempt ends, no grant is touched. See Engine.cancel, Ops.cancel_attempt."""
    await core.ask_policy(actor, event, None)

    def work(found: Snapshot) -> Change:
        attempt = found.attempt if action is not None else None
        if attempt is None:
            _, attempt = own_attempt(found, actor)
        if attempt.outcome is not None:
            msg = f"this attempt is over: {attempt.outcome}"
            raise TransitionRefused(msg)
        if found.installation is None:
            outcome = core.definition(found.app.kind if found.app else "").events[event].outcome
            attempt.outcome, attempt.closed_at, attempt.sealed = outcome, max(core.now(), attempt.created_at), None
            told = _returned(core, attempt, None, outcome or event, None)
            return Change(changed_attempts=[attempt], action=action, result=told)
        draft = core.draft(found)
        why = None if action is None else action.reason
        draft.apply(event, facts_for(draft, actor, (), attempt=attempt), attempt=attempt, reason=why)
        draft.change.result = _returned(core, attempt, found.installation, attempt.outcome or event, None)
        draft.change.action = action
        return draft.change

    change = await core.transact(Load(attempt=attempt_id), work)
    assert isinstance(change.result, Returned)
    return change.result


def _returned(
    core: Core, attempt: AttemptRow, row: InstallationRow | None, outcome: str, code: str | None
) -> Returned:
    state = None
    if attempt.app_state is not None:
        place = f"attempt/{attempt.public_id}/app_state"
        state = core.keys.open(attempt.app_state, place).decode("utf-8", "surrogatepass")
    error = None if code is not None else "access_denied"
    return Returned(
        attempt=attempt.public_id,
        outcome=outcome,
        redirect_to=with_query(attempt.redirect_uri, code=code, error=error, state=state),
        installation=None if row is None else row.public_id,
        code=None if code is None else Secret(code),
    )
