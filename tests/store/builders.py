"""Rows and changes for the store's tests, made by hand: the store knows no machine."""

from __future__ import annotations

from collections.abc import Callable

from grantflow._ports import Store
from grantflow._rows import (
    AppRow,
    AttemptRow,
    Change,
    InstallationRow,
    Load,
    OutboxRow,
    Snapshot,
    TransitionRow,
)
from grantflow_machines import Instant

NOW: Instant = 1_750_000_000_000_000
SECOND = 1_000_000
DAY = 86_400 * SECOND


async def new_app(store: Store, key: str = "crm") -> AppRow:
    """Register an app, as its row."""
    row = AppRow(0, f"app-{key}", key, "agent", f"client-{key}", "{}", 1)
    change = await store.transact(Load(app=key), lambda _: Change(app=row))
    assert change.app is not None
    return change.app


def fresh(
    app: AppRow, name: str, *, state: str = "active", due: Instant | None = None, account: str = "acme"
) -> InstallationRow:
    """An installation that is not stored yet; its deadline is its due time."""
    return InstallationRow(
        pk=0,
        public_id=name,
        app_pk=app.pk,
        account=account,
        subject_kind="agent",
        subject_id=f"subject-{name}",
        label="default",
        state=state,
        reason=None,
        version=1,
        generation=0,
        due_at=due,
        deadline_at=due,
        grant_revoked=False,
        granted="",
        identity=None,
        definition="Chart",
        definition_version=1,
        fingerprint="f",
        bucket=0,
        created_at=NOW,
        entered_at=NOW,
        updated_at=NOW,
    )


def recorded(row: InstallationRow, source: str | None, event: str, key: str | None = None) -> TransitionRow:
    """The transition that brought a row where it is."""
    return TransitionRow(row.pk, row.version, source, event, row.state, "system", NOW, None, False, None, key, "f")


async def new_installation(
    store: Store, app: AppRow, name: str, *, state: str = "active", due: Instant | None = None
) -> InstallationRow:
    """Store an installation with its first transition."""
    row = fresh(app, name, state=state, due=due)
    change = Change(installation=row, transitions=[recorded(row, None, "created")])
    done = await store.transact(Load(installation=name), lambda _: change)
    assert done.installation is not None
    return done.installation


def move(found: Snapshot, to: str, *, event: str = "moved", key: str | None = None, notice: bool = False) -> Change:
    """Take the row of a snapshot to another state."""
    row = found.installation
    assert row is not None
    before, seen = row.state, row.version
    row.state, row.version, row.due_at = to, seen + 1, None
    return Change(
        installation=row,
        expected_version=seen,
        before=before,
        transitions=[recorded(row, before, event, key)],
        notices=[OutboxRow(row.pk, event, row.version, NOW, "{}")] if notice else [],
    )


def moving(
    to: str, *, event: str = "moved", key: str | None = None, notice: bool = False
) -> Callable[[Snapshot], Change]:
    """Work that takes whatever it is given to another state."""
    return lambda found: move(found, to, event=event, key=key, notice=notice)


def attempt(app: AppRow, name: str, *, ends: Instant, installation_pk: int | None = None) -> AttemptRow:
    """An open attempt, with bytes in every field that holds some."""
    return AttemptRow(
        pk=0,
        public_id=name,
        app_pk=app.pk,
        installation_pk=installation_pk,
        kind="initial",
        step=0,
        actor_kind="agent",
        actor_id="bob",
        subject_kind="agent",
        subject_id="bob",
        label="default",
        account=None,
        entry_point="",
        app_version="1.0",
        requested="a b",
        agreed="",
        client_id=app.client_id,
        redirect_uri="https://app.example/callback",
        app_state=b"\x00\xffsealed",
        code_hash=name.encode(),
        code_challenge=None,
        binding_hash=b"\x01",
        family=None,
        created_at=NOW,
        expires_at=ends,
    )
