"""Compares what the engine told and keeps with what must be true, once a day, in both directions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from grantflow._compile import Definition
from grantflow._held import NoticeName
from grantflow._model import Counts, Installation, Notice
from grantflow.testing._acts import Scene
from grantflow.testing._member import Member, Standing
from grantflow_machines import Grant, TimerKind

_STANDINGS = {Grant.NONE: Standing.NONE, Grant.LIVE: Standing.LIVE, Grant.DEAD: Standing.DEAD}


class Inspector:
    """Hears every notice of a fleet and settles it against the members."""

    def __init__(self, scene: Scene, definitions: Mapping[str, Definition]) -> None:
        self._scene = scene
        self._definitions = definitions
        self._heard: list[Notice] = []
        self.members: dict[str, Member] = {}
        """By the id of their installation."""
        self.left_behind = 0
        """Tombstones whose member has come again."""

    def hear(self, notice: Notice) -> None:
        """What Engine.subscribe takes."""
        self._heard.append(notice)

    def settle(self, due: frozenset[Member], *, telling: bool = False, acting: bool = False) -> Counter[str]:
        """Judge what was heard since the last time; returns how many notices of each name came.

        `due` are those that had to die by the clock; `telling` says that the engine was asked to warn; `acting` that
        people acted, and the acts themselves have said what became of the grants.
        """
        heard, self._heard = self._heard, []
        died: Counter[Member] = Counter()
        told: Counter[Member] = Counter()
        for notice in heard:
            member = self.members.get(notice.installation)
            if member is None:
                continue  # a tombstone, or a notice about an app
            if notice.name in {NoticeName.INSTALLATION_EXPIRING, NoticeName.INSTALLATION_REMINDED}:
                told[member] += 1
            elif self._is_timer(member, notice):
                died[member] += 1
            elif not acting and self._kills(member, notice):
                self._refused(member, notice)
        self._deaths(due, died)
        if telling:
            self._tellings(told)
        elif told:
            self._say(told, "was told although nothing was due")
        return Counter(notice.name for notice in heard)

    def _kills(self, member: Member, notice: Notice) -> bool:
        dead = self._standing(member, notice.body.get("state")) is Standing.DEAD
        return dead and member.standing is Standing.LIVE

    def _is_timer(self, member: Member, notice: Notice) -> bool:
        timer = self._definitions[member.app.kind].timer(TimerKind.DEADLINE)
        return notice.body.get("event") == timer

    def _standing(self, member: Member, state: object) -> Standing:
        info = self._definitions[member.app.kind].states.get(str(state))
        if info is None:
            return Standing.NONE
        return Standing.GONE if info.final else _STANDINGS[info.grant]

    def _refused(self, member: Member, notice: Notice) -> None:
        if member.refused_at is None:
            self._say([member], f"died of {notice.body.get('event')} though nobody refused it")
        member.died(self._scene.now, self._scene.settings)

    def _deaths(self, due: frozenset[Member], died: Counter[Member]) -> None:
        self._say((member for member in died if member not in due), "expired early")
        self._say((member for member, times in died.items() if times > 1), "expired more than once")
        silent = {member for member in due if not self._tells(member)}
        self._say((member for member in due - silent if member not in died), "did not expire on its day")
        for member in silent.union(died):
            if member.standing is Standing.LIVE:
                member.died(self._scene.now, self._scene.settings)

    def _tells(self, member: Member) -> bool:
        definition = self._definitions[member.app.kind]
        timer = definition.timer(TimerKind.DEADLINE)
        return timer is not None and definition.events[timer].notice is not None

    def _tellings(self, told: Counter[Member]) -> None:
        now, settings = self._scene.now, self._scene.settings
        due = {
            member
            for member in self.members.values()
            if member.told_at is not None and member.told_at <= now and not member.due(now)
        }
        self._say((member for member in due if member not in told), "was not told on its day")
        self._say((member for member in told if member not in due), "was told although nothing was due")
        self._say((member for member, times in told.items() if times > 1), "was told the same more than once")
        for member in due:
            member.told(now, settings)

    def _say(self, members: Iterable[Member], what: str) -> None:
        for member in members:
            self._scene.findings.append(f"{member.id} ({member.app.key}): {what}")

    # -- what the engine keeps --------------------------------------------------------------------
    def miscounted(self, counts: Counts) -> Iterator[str]:
        """Where the engine's counters are not the fleet's own count."""
        seen: Counter[Standing] = Counter()
        kinds = {member.app.key: member.app.kind for member in self.members.values()}
        for app, states in counts.by_app.items():
            for state, number in states.items():
                info = self._definitions[kinds[app]].states.get(state) if app in kinds else None
                if info is not None:
                    seen[Standing.GONE if info.final else _STANDINGS[info.grant]] += number
        due = Counter(member.standing for member in self.members.values())
        due[Standing.GONE] += self.left_behind
        for standing in Standing:
            if seen[standing] != due[standing]:
                yield f"{seen[standing]} installations are counted as {standing}, and {due[standing]} are"

    def differences(self, member: Member, seen: Installation) -> Iterator[str]:
        """Where one installation is not what must be true of it."""
        due = {
            "its grant": member.standing,
            "usable": member.usable(self._scene.now),
            "its end": member.deadline,
            "its suspension": member.suspended,
        }
        answers = {
            "its grant": self._standing(member, seen.state),
            "usable": seen.usable,
            "its end": seen.expires_at,
            "its suspension": seen.suspension is not None,
        }
        if member.standing is Standing.GONE:
            del due["its suspension"]  # a tombstone keeps it
        for what, expected in due.items():
            if answers[what] != expected:
                yield f"{member.id} ({member.app.key}): {what} is {answers[what]}, not {expected}"

    def overlooked(self, step: timedelta) -> Iterator[str]:
        """Grants that a foreign server refuses to renew and that live on beyond their access token."""
        if self._scene.server is None:
            return
        longest = timedelta(seconds=self._scene.server.expires_in) + 2 * step
        for member in self.members.values():
            late = member.refused_at is not None and self._scene.now - member.refused_at > longest
            if late and member.usable(self._scene.now):
                yield f"{member.id} ({member.app.key}): lives on though the server refuses it"
