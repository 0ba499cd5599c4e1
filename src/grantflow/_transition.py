"""The one write path: events in, a Change out. Pure; the store carries the Change out in one transaction.

Names no state and no event: everything it knows of them it reads from the compiled table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from grantflow._clock import maybe_datetime, span
from grantflow._compile import Definition
from grantflow._config import Settings
from grantflow._decide import Accepted, Refused, decide
from grantflow._model import Explanation
from grantflow._rows import (
    AttemptRow,
    Change,
    ConsentRow,
    CredentialRow,
    InstallationRow,
    OutboxRow,
    RevocationRow,
    Snapshot,
    TokenRow,
    TransitionRow,
)
from grantflow.errors import Quarantined, TransitionRefused, UnknownEvent
from grantflow_machines import (
    Actor,
    ActorKind,
    AttemptFacts,
    Effect,
    EventRule,
    Facts,
    Grant,
    Instant,
    Origin,
    Step,
    TimerKind,
)

SUPERSEDED = "superseded"
CLOCK_ACTOR = Actor.system()


@dataclass(slots=True)
class Issue:
    """The token set an exchange brings; the write path fills in row and generation."""

    tokens: TokenRow
    credentials: list[CredentialRow]
    identity: str | None = None


class Draft:
    """One transaction in the making: a snapshot that moves, and the change it leaves behind."""

    __slots__ = ("actor_name", "at", "cause", "change", "definition", "now", "row", "run_id", "settings", "snapshot")

    def __init__(
        self,
        snapshot: Snapshot,
        definition: Definition,
        settings: Settings,
        now: Instant,
        *,
        run_id: str | None = None,
    ) -> None:
        self.snapshot = snapshot
        self.definition = definition
        self.settings = settings
        self.run_id = run_id
        self.change = Change()
        self.row: InstallationRow | None = None
        self.now = now
        """What is judged by: the clock, also after it stepped back."""
        self.at = now
        """What is recorded: never before what the row has seen."""
        self.cause: tuple[Instant | None, Instant | None] = (None, None)
        """What warnings and reminders were planned by: the row's deadline and its end."""
        if snapshot.installation is not None:
            self._take(snapshot.installation)

    def _take(self, row: InstallationRow) -> None:
        if row.quarantined or row.state not in self.definition.states:
            msg = f"installation {row.public_id} is in the unknown state {row.state!r}"
            raise Quarantined(self.snapshot.quarantined or msg)
        self.row = row
        self.at = max(self.at, row.updated_at)
        self.cause = row.deadline_at, row.ended_at
        self.change.installation = row
        self.change.expected_version = row.version
        self.change.before = row.state

    # -- reading --------------------------------------------------------------------------------
    @property
    def state(self) -> str:
        """The state the row is in now."""
        return self._row.state

    @property
    def _row(self) -> InstallationRow:
        if self.row is None:
            msg = "there is no installation yet"
            raise TransitionRefused(msg)
        return self.row

    def open_attempts(self) -> list[AttemptRow]:
        """Attempts without an outcome, oldest first."""
        return [attempt for attempt in self.snapshot.attempts if attempt.outcome is None]

    def facts(self, actor: Actor, attempt: AttemptRow | None = None) -> Facts:
        """What the guards look at, from the snapshot; the caller adds what only it knows."""
        row = self._row
        others = [a.at for a in self.snapshot.attempts if a is not attempt and a.outcome is None]
        held = self.snapshot.tokens is not None and not row.grant_revoked
        live = held and (row.deadline_at is None or self.now < row.deadline_at)
        return Facts(
            actor=actor,
            now=self.now,
            subject_kind=row.subject_kind,
            subject_id=row.subject_id,
            account=row.account,
            client_id=None if self.snapshot.app is None else self.snapshot.app.client_id,
            attempt=None if attempt is None or attempt.outcome is not None else self._speaks_of(attempt),
            others=max(others) if others else None,
            deadline=row.deadline_at,
            approved=self.snapshot.approved,
            secrets_held=held,
            tokens_live=live,
            suspended_by=None if row.suspended_by is None else ActorKind(row.suspended_by),
        )

    def _speaks_of(self, attempt: AttemptRow) -> AttemptFacts:
        fixed = attempt.installation_pk is not None and attempt.account is not None
        return AttemptFacts(attempt.actor, attempt.at, attempt.expires_at, own_account_only=fixed)

    # -- moving ---------------------------------------------------------------------------------
    def create(self, row: InstallationRow, actor: Actor) -> None:
        """Bring a new row into the initial state."""
        self.row = row
        self.change.installation = row
        self.change.expected_version = None
        self.change.before = None
        self._record(self.definition.creation, None, row.state, actor, None, None)

    def apply(
        self,
        event: str,
        facts: Facts,
        *,
        attempt: AttemptRow | None = None,
        opening: AttemptRow | None = None,
        consent: ConsentRow | None = None,
        issue: Issue | None = None,
        reason: str | None = None,
        idempotency_key: str | None = None,
        outcome: str | None = None,
        quiet: bool = False,
    ) -> Accepted:
        """Decide one event and, if it happens, move the row and note what follows.

        `outcome` names how the attempt ended where the chart's own word is too wide; `quiet` has no effect outside:
        no notice, nothing given back to a foreign server.

        Raises TransitionRefused, and then nothing of this event is in the change.
        """
        row = self._row
        verdict = decide(self.definition, row.state, event, facts)
        if isinstance(verdict, Refused):
            raise refusal(event, row.state, verdict)
        source, rule = row.state, verdict.rule
        row.version += 1
        row.updated_at = self.at
        if verdict.target != source:
            row.state = verdict.target
            row.entered_at = self.at
        self._effects(rule, attempt, opening, consent, issue, facts, reason, outcome or rule.outcome or SUPERSEDED)
        self._grant(rule, source, verdict.target, reason, quiet=quiet)
        self.rearm()
        row.fingerprint = self.definition.fingerprint
        row.forced = Effect.FORCED in rule.effects
        why = reason if reason is not None else outcome or rule.outcome or rule.reason
        self._record(event, source, verdict.target, facts.actor, why, idempotency_key, forced=row.forced)
        if rule.notice is not None and not quiet:
            self.notify(rule.notice, event)
        return verdict

    def settle(self) -> int:
        """Bring every timer of the row that is due: lapsed attempts first, then the deadline.

        Sweeps write what it does, readers show it: the verdict is the same. Returns the number of events.
        """
        row, brought = self._row, 0
        lapsed = self.definition.timer(TimerKind.ATTEMPT)
        if lapsed is not None:
            for attempt in self.open_attempts():
                if attempt.expires_at <= self.now and (row.state, lapsed) in self.definition.cells:
                    self.apply(lapsed, self.facts(CLOCK_ACTOR, attempt), attempt=attempt)
                    brought += 1
        deadline = self.definition.timer(TimerKind.DEADLINE)
        passed = row.deadline_at is not None and row.deadline_at <= self.now
        if passed and deadline is not None and (row.state, deadline) in self.definition.cells:
            self.apply(deadline, self.facts(CLOCK_ACTOR))
            brought += 1
        return brought

    def due(self) -> Instant | None:
        """When the clock must look at the row again."""
        row, instants = self._row, []
        if row.deadline_at is not None and self.definition.waits(row.state, TimerKind.DEADLINE):
            instants.append(row.deadline_at)
        if self.definition.waits(row.state, TimerKind.ATTEMPT):
            instants.extend(attempt.expires_at for attempt in self.open_attempts())
        return min(instants) if instants else None

    def rearm(self, *, told: bool = False) -> None:
        """Set the clocks of the row: when to look at it again, and whom to tell before and after.

        What is due to be told and not `told` yet stays due while its cause is the same, whatever else happens.
        """
        row, planned = self._row, self.next_notice()
        waits = row.notice_due_at is not None and row.notice_due_at <= self.now
        if told or not waits or self.cause != (row.deadline_at, row.ended_at):
            row.notice_due_at = planned
        row.due_at = self.due()

    def next_notice(self) -> Instant | None:
        """The next warning of a live grant's end, or the next reminder of a dead one; None when nothing is left."""
        row, grant = self._row, self.definition.states[self._row.state].grant
        if grant is Grant.LIVE and row.deadline_at is not None:
            planned = [row.deadline_at - span(before) for before in self.settings.warn_before]
        elif grant is Grant.DEAD and row.ended_at is not None:
            planned = [row.ended_at + span(after) for after in self.settings.remind_after]
        else:
            return None
        return min((when for when in planned if when > self.now), default=None)

    def notify(self, name: str, event: str, **more: object) -> None:
        """Queue a notice; its body holds no secret."""
        row = self._row
        body: Mapping[str, object] = {
            "event": event,
            "account": row.account,
            "subject": f"{row.subject_kind}:{row.subject_id}",
            "state": row.state,
            "reason": row.reason,
            **more,
        }
        self.change.notices.append(OutboxRow(row.pk, name, row.version, self.at, json.dumps(body)))

    def touch(self, attempt: AttemptRow) -> None:
        """Note that an attempt was changed."""
        if not any(known is attempt for known in (*self.change.changed_attempts, *self.change.new_attempts)):
            self.change.changed_attempts.append(attempt)

    def close(self, attempt: AttemptRow, outcome: str) -> None:
        """Give an attempt its outcome."""
        attempt.outcome = outcome
        attempt.closed_at = self.at
        attempt.sealed = None
        self.touch(attempt)

    # -- what follows ---------------------------------------------------------------------------
    def _effects(
        self,
        rule: EventRule,
        attempt: AttemptRow | None,
        opening: AttemptRow | None,
        consent: ConsentRow | None,
        issue: Issue | None,
        facts: Facts,
        reason: str | None,
        outcome: str,
    ) -> None:
        effects = rule.effects
        if Effect.OPEN_ATTEMPT in effects and opening is not None:
            self._open(opening)
        if Effect.CHOOSE_ACCOUNT in effects and attempt is not None:
            attempt.account = facts.chosen_account
            attempt.step = max(attempt.step, Step.ACCOUNT)
            self.touch(attempt)
        if Effect.RECORD_CONSENT in effects and attempt is not None:
            attempt.step = Step.CONSENTED
            attempt.expires_at = self.now + span(self.settings.code_lifetime)
            self.touch(attempt)
            if consent is not None:
                self.change.consents.append(consent)
        if Effect.CLOSE_ATTEMPT in effects and attempt is not None:
            self.close(attempt, outcome)
        if Effect.REPLACE_TOKENS in effects and issue is not None:
            self._replace_tokens(issue, attempt, rule)
        if Effect.CLOSE_ALL_ATTEMPTS in effects:
            for other in self.open_attempts():
                self.close(other, outcome)
        if Effect.VOID_CONSENTS in effects:
            self.change.void_consents = True
        if Effect.REVOKE_TOKENS in effects:
            self._row.grant_revoked = True
            self.change.whole = True
            self._forget_sealed()
        if Effect.SUSPEND in effects or Effect.UNSUSPEND in effects:
            self._suspend(facts, reason, on=Effect.SUSPEND in effects)

    def _open(self, opening: AttemptRow) -> None:
        still_open = self.open_attempts()
        surplus = len(still_open) + 1 - self.settings.max_open_attempts
        for oldest in still_open[: max(0, surplus)]:
            self.close(oldest, SUPERSEDED)
        opening.installation_pk = self._row.pk
        self.snapshot.attempts.append(opening)
        if opening.pk:
            self.touch(opening)
        else:
            self.change.new_attempts.append(opening)

    def _replace_tokens(self, issue: Issue, attempt: AttemptRow | None, rule: EventRule) -> None:
        row = self._row
        for other in self.open_attempts():
            self.close(other, (rule.outcome or SUPERSEDED) if other is attempt else SUPERSEDED)
        row.generation += 1
        self.change.whole = True
        issue.tokens.generation = row.generation
        for credential in issue.credentials:
            credential.generation = row.generation
        self.snapshot.tokens = issue.tokens
        self.change.wipe_tokens = True
        self.change.tokens = issue.tokens
        self.change.new_credentials = issue.credentials
        row.granted = issue.tokens.scopes
        row.deadline_at = deadline_of(issue.tokens)
        row.grant_revoked = False
        row.identity = issue.identity or row.identity

    def _forget_sealed(self) -> None:
        """A revoked grant of a foreign server leaves no token behind."""
        tokens = self.snapshot.tokens
        if tokens is not None and tokens.access_sealed is not None:
            tokens.access_sealed = tokens.refresh_sealed = tokens.refresh_at = None
            self.change.tokens = tokens

    def _give_back(self) -> None:
        """Queue the wiped tokens for revocation; the refresh token speaks for both (RFC 7009 §2.1)."""
        row, tokens = self._row, self.snapshot.tokens
        sealed = None if tokens is None else tokens.refresh_sealed or tokens.access_sealed
        if tokens is None or sealed is None:
            return
        which = "refresh" if tokens.refresh_sealed is not None else "access"
        place = sealed_place(row.public_id, which)
        whose, hint, now = (row.app_pk, row.pk, row.identity, row.subject_id), f"{which}_token", self.now
        self.change.revocations.append(RevocationRow(0, *whose, hint, sealed, place, now, now))

    def _suspend(self, facts: Facts, reason: str | None, *, on: bool) -> None:
        row = self._row
        self.change.whole = True
        row.suspended_by = facts.actor.kind.value if on else None
        row.suspended_at = self.at if on else None
        row.suspended_why = reason if on else None

    def _grant(self, rule: EventRule, source: str, target: str, reason: str | None, *, quiet: bool) -> None:
        row, grant = self._row, self.definition.states[target].grant
        forced = Effect.FORCED in rule.effects
        before, tokens = self.definition.states[source].grant, self.snapshot.tokens
        row.ended_at = None if grant is not Grant.DEAD else row.ended_at if before is Grant.DEAD else self.at
        if grant is Grant.NONE:
            row.reason = None
            if before is not Grant.NONE or tokens is not None:
                self.change.whole = self.change.wipe_tokens = True
                if not quiet:
                    self._give_back()
                self.change.tokens = None
                self.snapshot.tokens = None
                row.identity = None
                row.deadline_at, row.granted, row.grant_revoked = None, "", False
        elif grant is Grant.LIVE:
            row.reason = None
            if before is Grant.DEAD and tokens is not None and tokens.refresh_sealed is not None:
                tokens.refresh_at, self.change.tokens = tokens.refresh_at or self.now, tokens
        else:
            if rule.reason is not None:
                own_word = rule.origin is Origin.ENGINE and not forced  # from outside comes free text, for the trail
                row.reason = (reason if own_word else None) or rule.reason
            if tokens is not None and tokens.refresh_at is not None:
                tokens.refresh_at, self.change.stop_renewal = None, True

    def _record(
        self,
        event: str,
        source: str | None,
        target: str,
        actor: Actor,
        reason: str | None,
        idempotency_key: str | None,
        *,
        forced: bool = False,
    ) -> None:
        row = self._row
        self.change.transitions.append(
            TransitionRow(
                row.pk,
                row.version,
                source,
                event,
                target,
                str(actor),
                self.at,
                reason,
                forced,
                self.run_id,
                idempotency_key,
                self.definition.fingerprint,
            )
        )


def deadline_of(tokens: TokenRow) -> Instant | None:
    """When a token set dies: the earlier of the refresh token's end and the authorization's.

    Without a refresh token the access token is all there is.
    """
    lasts = tokens.refresh_expires_at
    if tokens.access_sealed is not None and tokens.refresh_sealed is None:
        lasts = tokens.access_expires_at
    ends = [end for end in (lasts, tokens.authorization_expires_at) if end is not None]
    return min(ends) if ends else None


def sealed_place(installation_id: str, which: str) -> str:
    """What a sealed token is bound to; it is the same place wherever the ciphertext goes."""
    return f"token_set/{installation_id}/{which}"


def refusal(event: str, state: str, verdict: Refused) -> TransitionRefused:
    """The refusal as an error that carries its explanation."""
    kind = UnknownEvent if verdict.nearest is not None else TransitionRefused
    message = verdict.why if verdict.nearest is not None else f"{event} is refused in {state}: {verdict.why}"
    return kind(message, explanation=explanation(event, verdict))


def explanation(event: str, verdict: Accepted | Refused) -> Explanation:
    """A verdict as callers receive it."""
    if isinstance(verdict, Accepted):
        return Explanation(event, allowed=True, target=verdict.target, why=verdict.rule.says)
    return Explanation(
        event,
        allowed=False,
        target=None,
        why=verdict.why,
        obstacles=verdict.obstacles,
        available_at=maybe_datetime(verdict.available_at),
        nearest=verdict.nearest,
    )
