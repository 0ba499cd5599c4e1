"""What can be seen of installations, in their effective state; nothing here writes."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from grantflow import _journey, _send
from grantflow._app import App, AppKind
from grantflow._clock import span, to_datetime
from grantflow._core import Core
from grantflow._filter import INSTALLATIONS, Typed, known_words, landing, parse, quoted, terms_of, typed
from grantflow._model import (
    Account,
    Attempt,
    Counts,
    Explanation,
    Guidance,
    Installation,
    Matches,
    Page,
    TransitionRecord,
)
from grantflow._ports import Listed
from grantflow._requests import checked_name
from grantflow._rows import Load, Snapshot, damage
from grantflow._view import guidance, installed_version, view, view_listed
from grantflow.errors import BadInput, ConfigurationError, NotFound, Quarantined
from grantflow_machines import Actor, ActorKind, Instant, LifecycleChart


@dataclass(slots=True)
class Detached:
    """What a detached machine keeps its state in."""

    state: str | None


BOUND = 10_001
EVERY = LAST = 1 << 61
"""Bounded counts stop here."""
MAX_PAGE = 1_000


class Inspection:
    """The reading half of the engine."""

    _core: Core

    async def get(
        self,
        installation: str,
        *,
        account: str | None = None,
        subject: Actor | str | None = None,
        label: str = "default",
    ) -> Installation:
        """One installation in its effective state: the deadline counts though no sweep ever ran. Source: S-30, S-31.

        Raises NotFound.
        """
        return await self._view(target_of(installation, account, subject, label))

    async def can_use(self, installation: Installation, actor: Actor) -> bool:
        """Whether an actor may use an installation now. Source: S-03."""
        current = await self.get(installation.id)
        if not current.usable:
            return False
        if current.kind != AppKind.ACCOUNT.value:
            stands_for = "agent" if actor.kind is ActorKind.ADMIN else actor.kind.value
            return actor.id == current.subject and stands_for == current.subject_kind
        listing = await self._core.accounts_of(actor)
        here = any(known.id == current.account for known in listing)
        return here and (actor.kind is ActorKind.ADMIN or current.available)

    async def only_one(self, app: str, subject: Actor | str, label: str = "default") -> str:
        """The id of a subject's one installation of an app, whatever its account.

        Raises NotFound, and BadInput where there are several: then the account must be named.
        """
        named = checked_name(subject_name(subject), "subject")
        text = f"app={quoted(checked_name(app, 'app'))} subject={quoted(named)}"
        found = [item for item in (await self.find(text, limit=50)).items if item.label == label]
        if not found:
            msg = "there is no such installation"
            raise NotFound(msg)
        if len(found) > 1:
            msg = f"{named} has this app on several accounts"
            raise BadInput(msg, hint="name the account: account=…")
        return found[0].id

    async def find(
        self,
        filter: str = "",  # noqa: A002 - the field's word
        *,
        after: str | None = None,
        limit: int = 100,
        back: bool = False,
        marked: Collection[str] | None = None,
    ) -> Page:
        """Installations that match a filter, by keyset: no page number, no offset.

        Args:
            filter: For example `state:active expires:<7d app:crm-*`; see `grantflow list --help`. States are the
                stored ones; rows come back in their effective state.
            after: `next_after` of the page before; with `back=True` the page before that cursor.
            limit: 1 to 1,000 rows.
            marked: The ids that `is:marked` means; only a console has them.

        A caller that is cancelled interrupts the search.

        Raises:
            FilterSyntaxError: the filter cannot be read; `caret` shows where.
            BadInput: the cursor or the limit is malformed.
        """
        if not 1 <= limit <= MAX_PAGE:
            msg = f"limit lies between 1 and {MAX_PAGE}"
            raise BadInput(msg)
        now = self._core.now()
        query = parse(filter, now, marked=marked, states=self._core.states)
        rows = await self._core.store.find(query, now, after=after, limit=limit + 1, back=back)
        more, rows = len(rows) > limit, (rows[1:] if back and len(rows) > limit else rows[:limit])
        items = tuple([await self._listed(row, now) for row in rows])
        places = tuple(query.cursor(row.installation) for row in rows)
        return Page(items, places[-1] if rows and (more or back) else None, places)

    async def count(
        self,
        filter: str = "",  # noqa: A002 - the field's word
        *,
        exact: bool = False,
        marked: Collection[str] | None = None,
    ) -> Matches:
        """How many installations match, counted up to 10,001, or with `exact` to the end.

        A caller that is cancelled interrupts it: to the end takes about 50 ms per million rows of an index.
        """
        now = self._core.now()
        query = parse(filter, now, marked=marked, states=self._core.states)
        bound = EVERY if exact else BOUND
        found = await self._core.store.count(query, now, bound)
        return Matches(min(found, bound), exact=found < bound)

    async def place(self, filter: str, at: str) -> str:  # noqa: A002 - the field's word
        """The cursor after which `find` begins at a place in the filter's order.

        Args:
            filter: Its `sort` says what `at` means; by default the order of installation.
            at: The beginning of an id or of an account, an ISO date, or a duration as in the filter.

        Raises:
            FilterSyntaxError: the filter cannot be read.
            BadInput: the order has no such place.
        """
        now = self._core.now()
        query = parse(filter, now, marked=(), states=self._core.states)
        value = landing(query, checked_name(at, "place"), now)
        if query.sort == "id":
            value = await self._core.store.first_key(str(value)) or LAST
        return query.before(value)

    def scans(self, filter: str) -> tuple[str, ...]:  # noqa: A002 - the field's word
        """Fields of a filter that no index answers: finding the rows may read all of them. Reads nothing itself."""
        return parse(filter, self._core.now(), marked=(), states=self._core.states).scans()

    async def narrowing(
        self,
        filter: str,  # noqa: A002 - the field's word
        *,
        marked: Collection[str] | None = None,
    ) -> tuple[tuple[str, Matches], ...]:
        """Each term of a filter with what would match without it: where nothing matches, who removed it."""
        terms = terms_of(filter)
        rest = [" ".join((*terms[:at], *terms[at + 1 :])) for at in range(len(terms))]
        return tuple([(term, await self.count(left, marked=marked)) for term, left in zip(terms, rest, strict=True)])

    async def suggestions(self, filter: str, *, limit: int = 12) -> tuple[str, ...]:  # noqa: A002 - the field's word
        """The filter with its last term completed, in every way the tables and a few looks into an index know."""
        if (asked := typed(filter)) is None:
            return ()
        if (words := known_words(asked, INSTALLATIONS.of(self._core.states))) is None:
            words = tuple(await self._values(asked, limit))
        return tuple(text for text in asked.filled(words[:limit]) if text != filter)

    async def _values(self, asked: Typed, limit: int) -> list[str]:
        if asked.field != "scope":
            return await self._core.store.values(str(asked.field), asked.word, limit)
        word, found = asked.word.lstrip("?+"), set[str]()
        for row in await self._core.store.apps():
            with contextlib.suppress(ConfigurationError):  # one that cannot be read hides no other
                found |= {name for version in App.from_document(row.document).versions for name in version.scopes}
        return sorted(name for name in found if name.startswith(word))

    async def counts(self) -> Counts:
        """Installations per stored state, from maintained counters, and how many are overdue."""
        by_app: dict[str, dict[str, int]] = {}
        by_state: dict[str, int] = {}
        for key, state, count in await self._core.store.counts():
            by_app.setdefault(key, {})[state] = count
            by_state[state] = by_state.get(state, 0) + count
        return Counts(by_state, by_app, await self._core.store.overdue(self._core.now(), BOUND))

    async def horizon(self, *, spans: int = 12, length: timedelta = timedelta(days=30)) -> list[tuple[datetime, int]]:
        """How many live grants end in each coming span: (start of the span, rows)."""
        now = self._core.now()
        edges = [now + index * span(length) for index in range(spans + 1)]
        counted = await self._core.store.horizon(edges, self._core.states.live)
        return [(to_datetime(start), count) for start, count in zip(edges, counted, strict=False)]

    async def history(
        self, installation: str, *, limit: int = 100, before: int | None = None
    ) -> tuple[TransitionRecord, ...]:
        """Recorded transitions, newest first, below version `before`. Raises NotFound."""
        row = (await self._snapshot(Load(installation=installation))).installation
        assert row is not None
        return tuple(
            TransitionRecord(
                found.version,
                found.source,
                found.event,
                found.target,
                found.actor,
                to_datetime(found.at),
                found.reason,
                bool(found.forced),
                found.run_id,
                found.idempotency_key,
            )
            for found in await self._core.store.history(row.pk, limit, before)
        )

    async def attempts(self, installation: str, *, limit: int = 20) -> tuple[Attempt, ...]:
        """Attempts of an installation, newest first; without their secrets."""
        found = await self._snapshot(Load(installation=installation))
        assert found.installation is not None
        assert found.app is not None
        app = App.from_document(found.app.document)
        rows = await self._core.store.attempts(found.installation.pk, limit)
        shown = []
        for row in rows:
            with contextlib.suppress(ValueError, TypeError, AttributeError):  # one spoiled line hides no other
                shown.append(_journey.attempt_view(row, app, installation))
        return tuple(shown)

    async def attempt(self, attempt: str, *, actor: Actor) -> Attempt:
        """One attempt of this person, over or not; without its secrets.

        Raises NotFound, for another person's too.
        """
        found = await _journey.load_attempt(self._core, checked_name(attempt, "attempt"), actor)
        app_row, row = _journey.own_attempt(found, actor)
        installation = None if found.installation is None else found.installation.public_id
        return _journey.attempt_view(row, App.from_document(app_row.document), installation)

    async def accounts(self, actor: Actor) -> tuple[Account, ...]:
        """This person's accounts in the role they act in, as the host's directory says now. Source: S-09, S-10.

        Raises DirectoryUnavailable.
        """
        return tuple(await self._core.listing(actor))

    async def guidance(
        self,
        installation: str,
        *,
        viewer: Actor,
        account: str | None = None,
        subject: Actor | str | None = None,
        label: str = "default",
    ) -> Guidance:
        """What to show one viewer: AUTHORIZE, REAUTHORIZE or nothing, who may act, and where.

        Source: S-04, S-33, S-34.

        With a natural key it also answers where there is no installation yet.
        """
        target = target_of(installation, account, subject if subject is not None else viewer, label)
        found = await self._core.store.load(target)
        if found.app is None:
            msg = "there is no such installation or app"
            raise NotFound(msg)
        app, definition = App.from_document(found.app.document), self._core.definition(found.app.kind)
        running = installed_version(app, found.parent)
        place = found.installation.account if found.installation is not None else account
        current = None
        if found.installation is not None:
            current = view(found, definition, self._core.settings, self._core.now())
        listing = await self._core.listing(viewer)
        admin = any(known.id == place and known.role == "admin" for known in listing)
        return guidance(app, running, definition, current, viewer, account=place, is_account_admin=admin)

    async def machine(self, installation: str) -> LifecycleChart:
        """The chart at this row's state, detached: for diagrams and experiments, whatever it does is not written."""
        found = await self._snapshot(Load(installation=installation))
        assert found.app is not None
        assert found.installation is not None
        definition = self._core.definition(found.app.kind)
        return definition.chart(Detached(found.installation.state))

    async def explain(
        self, installation: str, event: str, *, actor: Actor, payload: Mapping[str, object] | None = None
    ) -> Explanation:
        """Why an event would happen now, or why not: guard by guard, and from when. Writes nothing."""
        asked = _send.Asked(event, actor, payload or {})
        found = await self._snapshot(Load(installation=installation, consents_of=actor))
        await self._prepare(asked, found)
        assert found.installation is not None
        why = damage(found.installation, found.attempts)
        if why is not None:
            raise Quarantined(why)
        return _send.explain(self._core.draft(found), asked)

    async def _prepare(self, asked: _send.Asked, found: Snapshot) -> None:
        asked.listing = await self._core.listing(asked.actor)
        if found.app is None or found.installation is None or self._core.veto is None:
            return
        rule = self._core.definition(found.app.kind).events.get(asked.event)
        if rule is not None and rule.vetoable:
            asked.veto = await self._core.ask_veto(
                asked.event, found.app.key, found.installation.account, asked.actor
            )

    async def _snapshot(self, load: Load) -> Snapshot:
        found = await self._core.store.load(load)
        if found.app is None or found.installation is None:
            msg = "there is no such installation"
            raise NotFound(msg)
        return found

    async def _view(self, load: Load) -> Installation:
        return self._seen(await self._snapshot(load))

    def _seen(self, found: Snapshot, now: Instant | None = None) -> Installation:
        assert found.app is not None
        definition = self._core.definition(found.app.kind)
        return view(found, definition, self._core.settings, self._core.now() if now is None else now)

    async def _listed(self, row: Listed, now: Instant) -> Installation:
        due = row.installation.due_at
        try:
            if isinstance(due, int) and due <= now and not row.installation.quarantined:
                return await self._view(Load(installation=row.installation.public_id))
            return view_listed(row, self._core.definition(row.app.kind), now)
        except ConfigurationError as error:  # of its app: the other rows of the list are shown
            return view_listed(row, None, now, str(error))


def target_of(installation: str, account: str | None, subject: Actor | str | None, label: str) -> Load:
    if account is None:
        return Load(installation=checked_name(installation, "installation"))
    return Load(natural=(installation, account, subject_name(subject), label))


def subject_name(subject: Actor | str | None) -> str | None:
    return subject.id if isinstance(subject, Actor) else subject
