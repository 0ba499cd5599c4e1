"""`engine.ops`: what operators do, previewed first, with a reason, on the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from grantflow import _journey, _overview, _rotation, _tokens
from grantflow._bulk import Bulk
from grantflow._calendar import Calendar
from grantflow._clock import to_datetime
from grantflow._core import Core
from grantflow._doctor import Finding, diagnose
from grantflow._filter import AUDIT, parse
from grantflow._held import Incident
from grantflow._incidents import close_incident, incident_view
from grantflow._model import OperatorAction, Plan, PlannedMove, Returned
from grantflow._overview import AppOverview, Recent
from grantflow._ports import Work
from grantflow._renewal import Renewals
from grantflow._repair import repair
from grantflow._requests import checked_name
from grantflow._rotation import KeyCheck, Rotation
from grantflow._rows import Change, Load, Snapshot
from grantflow._sweep import Brake, Progress
from grantflow._verbs import effects_of, force, irreversible, remind
from grantflow.errors import BadInput, NotFound, PlanOutdated
from grantflow_machines import Actor

_MAX_LOOK_BACK, _MAX_GROUPS = 100_000, 1_000


@dataclass(frozen=True, slots=True)
class DatabaseCheck:
    """What the database says of itself."""

    pragmas: dict[str, str]
    problems: tuple[str, ...]
    """Damage found; empty when there is none."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe found: `renewed`, `dead`, `later`, `held`, `nothing` …, and the state after it."""

    installation: str
    outcome: str
    why: str | None
    state: str


class Ops(Calendar, Bulk):
    """Operators' verbs; reached as `engine.ops`."""

    def __init__(self, core: Core, brake: Brake, renewals: Renewals) -> None:
        self._core = core
        self._brake = brake
        self._renewals = renewals

    async def preview_force(
        self, installation: str, *, to: str, actor: Actor, reason: str, without_side_effects: bool = False
    ) -> Plan:
        """What forcing an installation into another state would do; nothing is locked or written but the audit.

        Args:
            installation: Its id.
            to: The target state's value, for example `refresh-expired`.
            actor: An operator.
            reason: At least 8 characters, kept for ever.
            without_side_effects: No notices go out.

        Raises:
            TransitionRefused: the machine refuses it; the refusal is on the record.
            PermissionDenied: the actor is no operator, or the policy says no; on the record too.
            BadInput: the reason is too short or the state is unknown.
            NotFound: there is no such installation.
        """
        async with self._operating(actor, "force", installation, reason, about=f"to {str(to)[:80]}") as tried:
            found = await self._core.store.load(Load(installation=installation))
            tried.seen = None if found.installation is None else found.installation.version
            move = self._planned(found, to, actor, reason)
            fingerprint = self._core.definition(found.app.kind if found.app else "").fingerprint
        await self._record(actor, "force", installation, reason, tried.seen, "previewed", f"to {to}")
        return Plan("force", actor, reason, fingerprint, (move,), (), without_side_effects)

    def _planned(self, found: Snapshot, to: str, actor: Actor, reason: str) -> PlannedMove:
        draft = self._core.draft(found)
        row = found.installation
        assert row is not None
        version, source = draft.change.expected_version or 0, draft.state
        force(draft, to, actor, reason, quiet=False)
        return PlannedMove(row.public_id, version, source, to, effects_of(draft), irreversible(draft))

    async def apply(self, plan: Plan) -> tuple[str, ...]:
        """Carry a plan out; returns the ids that moved. The only way to run one.

        Raises:
            PlanOutdated: a row moved since the plan was made; that row is not written.
            TransitionRefused, PermissionDenied: as in the preview.
        """
        moved = []
        for move in plan.moves:
            told = f"to {move.target}"
            async with self._operating(plan.actor, plan.verb, move.installation, plan.reason, about=told) as tried:
                tried.seen = move.version
                await self._core.transact(Load(installation=move.installation), self._work(plan, move))
            moved.append(move.installation)
        return tuple(moved)

    def _work(self, plan: Plan, move: PlannedMove) -> Work:
        def work(found: Snapshot) -> Change:
            row = found.installation
            if row is None:
                msg = "there is no such installation"
                raise NotFound(msg)
            if row.version != move.version:
                msg = f"the installation moved from version {move.version} to {row.version}, now {row.state}"
                raise PlanOutdated(msg)
            draft = self._core.draft(found)
            if draft.definition.fingerprint != plan.fingerprint:
                msg = "the machine changed since the plan was made"
                raise PlanOutdated(msg)
            force(draft, move.target, plan.actor, plan.reason, quiet=plan.without_side_effects)
            draft.change.action = self._row(
                plan.actor,
                plan.verb,
                move.installation,
                plan.reason,
                move.version,
                "applied",
                f"to {move.target}",
            )
            return draft.change

        return work

    async def force(self, installation: str, *, to: str, actor: Actor, reason: str) -> Plan:
        """Preview and apply in one go, for scripts; the plan that was applied comes back."""
        plan = await self.preview_force(installation, to=to, actor=actor, reason=reason)
        await self.apply(plan)
        return plan

    async def cancel_attempt(self, attempt: str, *, actor: Actor, reason: str) -> Returned:
        """Close a person's open attempt for them; no grant is touched."""
        async with self._operating(actor, "cancel-attempt", attempt, reason):
            action = self._row(actor, "cancel-attempt", attempt, reason, None, "applied", "")
            return await _journey.give_up(self._core, attempt, actor, "cancel", action)

    async def probe(self, installation: str, *, actor: Actor, reason: str) -> Probe:
        """Ask the foreign server whether a grant lives, by renewing it: through a hold, a wait, an incident or death.

        A dead grant whose tokens are still held comes back to life where the server renews it. A live one is renewed.

        Raises as `preview_force`; NotHeldHere for an app in host mode.
        """
        async with self._operating(actor, "probe", installation, reason):
            ending = await _tokens.probe(self._core, self._renewals, installation, actor)
        found = await self._core.store.load(Load(installation=installation))
        state = "" if found.installation is None else found.installation.state
        detail = ending.how.value if ending.why is None else f"{ending.how.value}: {ending.why}"
        await self._record(actor, "probe", installation, reason, None, "applied", detail)
        return Probe(installation, ending.how.value, ending.why, state)

    async def remind(self, installation: str, *, actor: Actor, reason: str) -> None:
        """Send the notice `installation.reminded` with the guidance for whoever can act; nothing else changes.

        Raises as `preview_force`; TransitionRefused where nobody has anything to do.
        """

        def work(found: Snapshot) -> Change:
            draft = remind(self._core, found, actor)
            seen = draft.change.expected_version
            draft.change.action = self._row(actor, "remind", installation, reason, seen, "applied", "")
            return draft.change

        async with self._operating(actor, "remind", installation, reason):
            await self._core.transact(Load(installation=installation), work)

    async def repair(self, installation: str, *, actor: Actor, reason: str) -> str:
        """Bring a row that was set aside back to work: its state is what its own trail says. Returns that state.

        Raises as `preview_force`; TransitionRefused for a row in order, or a trail this machine cannot follow.
        """
        async with self._operating(actor, "repair", installation, reason):
            action = self._row(actor, "repair", installation, reason, None, "applied", "")
            return await repair(self._core, installation, action)

    async def admit(
        self, verb: str, target: str, *, actor: Actor, reason: str | None = None, about: str = ""
    ) -> None:
        """Let an operator through and write nothing; anybody else is refused, on the record like any other.

        For programs whose own commands are operators' alone, before a verb of the engine that asks for no operator.

        Args:
            verb: What is tried, for example `register`; the policy is asked about it.
            about: More of it for the record, for example the event that is sent.

        Raises:
            PermissionDenied: the actor is no operator, or the policy says no; on the record.
        """
        checked_name(verb, "verb")
        if reason is not None:
            checked_name(reason, "reason")
        await self._allowed(actor, verb, target, reason, about=about, brief=True)

    async def incidents(self, *, limit: int = 100, closed: bool = False) -> Sequence[Incident]:
        """Incidents of apps, newest first; open ones alone unless `closed`."""
        rows = await self._core.store.incidents(limit, closed=closed)
        return [incident_view(app, row) for app, row in rows]

    async def close_incident(self, app: str, *, actor: Actor, reason: str) -> None:
        """End an app's open incident by hand: its renewals go on. Raises NotFound where none is open."""

        def work(found: Snapshot) -> Change:
            if found.app is None or found.incident is None:
                msg = "no incident of this app is open"
                raise NotFound(msg)
            change = Change(action=self._row(actor, "close-incident", app, reason, None, "applied", ""))
            close_incident(change, found.app, found.incident, self._core.now(), str(actor))
            self._renewals.failures.forget(found.app.pk)
            return change

        async with self._operating(actor, "close-incident", app, reason):
            await self._core.transact(Load(app=app, foreign=True), work)

    async def diagnose(self, *, thorough: bool = False) -> tuple[Finding, ...]:
        """What is wrong and what mends it; `thorough` reads the whole database. Writes nothing."""
        return await diagnose(self._core, self._brake, thorough=thorough)

    async def actions(
        self,
        *,
        limit: int = 100,
        before: int | None = None,
        filter: str = "",  # noqa: A002 - the field's word
    ) -> Sequence[tuple[int, OperatorAction]]:
        """What operators did, tried and previewed, newest first; pass the last key as `before=` to go on.

        `filter` is in the language of `Engine.find`, with the fields of `help_rows("audit")`.
        """
        query = parse(filter, self._core.now(), AUDIT)
        rows = await self._core.store.actions(limit, before, query)
        return [
            (
                key,
                OperatorAction(
                    to_datetime(row.at),
                    row.actor,
                    bool(row.claimed),
                    row.verb,
                    row.target,
                    row.reason,
                    row.version_seen,
                    row.outcome,
                    row.detail,
                ),
            )
            for key, row in rows
        ]

    async def recent_changes(
        self, *, look_back: int = 5_000, limit: int = 12, within: timedelta = timedelta(days=1)
    ) -> Recent:
        """What the last `look_back` transitions led to, by app, state and reason: the largest groups first.

        Each group counts installations that came `within` that time and are still there; its filter shows them.
        """
        if not (1 <= look_back <= _MAX_LOOK_BACK and 1 <= limit <= _MAX_GROUPS):
            msg = f"look_back lies between 1 and {_MAX_LOOK_BACK:,}, limit between 1 and {_MAX_GROUPS:,}"
            raise BadInput(msg)
        return await _overview.recent(self._core, look_back, limit, within)

    async def app_overview(self) -> tuple[AppOverview, ...]:
        """How every app stands, from counters and one range of an index."""
        return await _overview.apps(self._core)

    async def check_database(self) -> DatabaseCheck:
        """Look for damage; reads the whole database and writes nothing."""
        return DatabaseCheck(self._core.store.pragmas(), tuple(await self._core.store.check()))

    async def rotate_keys(self, *, actor: Actor, reason: str, progress: Progress | None = None) -> Rotation:
        """Seal every stored secret under the ring's first key, in small batches, while everything goes on.

        It may be stopped at any time, kill -9 included: each value stays openable, and a second run goes on where
        the first one ended. Take the old key away when `by_key` names the first one alone. An installation whose
        token does not open is set aside; one whose key is not here is only counted, and so is everything under a
        key that opens none of three or more values.

        Raises as `preview_force`; KeysMissing without keys.
        """
        async with self._operating(actor, "rotate-keys", "keys", reason):
            active = _rotation.active_key(self._core)
        await self._record(actor, "rotate-keys", "keys", reason, None, "started", f"to {active}")
        done = await _rotation.rotate(self._core, progress)
        detail = f"to {active}: {done.resealed} resealed, {done.already} already, {done.unreadable} unreadable"
        await self._record(actor, "rotate-keys", "keys", reason, None, "applied", detail)
        return done

    async def keys(self) -> dict[str, int]:
        """How many stored secrets are under each key id, an empty id for damaged ones; needs no keys."""
        return await self._core.store.sealed_by_key()

    async def verify_keys(self) -> KeyCheck:
        """Open every stored secret and say which do not open; writes nothing."""
        return await _rotation.verify(self._core)
