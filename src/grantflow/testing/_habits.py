"""How often what happens: chances per day, for each standing of an installation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from grantflow.testing import _acts
from grantflow.testing._acts import Act
from grantflow.testing._member import Member, Standing

Chances = Sequence[tuple[Act, float]]


@dataclass(frozen=True)
class Habits:
    """Chances per installation and day; at most one thing happens to an installation in a day.

    For policies that no number says, subclass it and override `chances`; an act of a host's own is any
    `async (scene, member)`.

    >>> Habits(reauthorize=0.5).reauthorize
    0.5
    """

    renew: float = 0.01
    """Apps renew their tokens."""
    cancel: float = 0.000_5
    """People look at the window and cancel …"""
    abandon: float = 0.000_5
    """… or leave it open until its time is over."""
    upgrade: float = 0.001
    """People agree to the optional scopes."""
    heed: float = 0.02
    """People who were warned authorize before the end."""
    reauthorize: float = 0.1
    """People authorize after the end."""
    disconnect: float = 0.000_2
    """Owners withdraw the grant …"""
    reconnect: float = 0.05
    """… and come again."""
    uninstall: float = 0.000_2
    """The platform takes an installation off …"""
    reinstall: float = 0.05
    """… and it is installed anew."""
    suspend: float = 0.000_2
    """Operators stop an installation …"""
    unsuspend: float = 0.1
    """… and let it work again."""
    withdraw: float = 0.000_5
    """The foreign server forgets a grant."""
    remove_app: float = 0.000_01
    """Admins take an app off the account: everybody's there."""

    def chances(self, member: Member) -> Chances:
        """What may happen to this member today, and how likely; at most 1 together."""
        return self._table[_situation(member)]

    @cached_property
    def busiest(self) -> float:
        """The most that the chances of any member come to; 1 where a subclass has its own `chances`."""
        if type(self).chances is not Habits.chances:
            return 1.0
        return max(sum(chance for _, chance in chances) for chances in self._table.values())

    @cached_property
    def _table(self) -> dict[str, Chances]:
        windows = [(_acts.cancel, self.cancel), (_acts.abandon, self.abandon)]
        leaves = [(_acts.uninstall, self.uninstall), (_acts.remove_app, self.remove_app)]
        live: list[tuple[Act, float]] = [
            (_acts.renew, self.renew),
            *windows,
            *leaves,
            (_acts.disconnect, self.disconnect),
            (_acts.suspend, self.suspend),
            (_acts.upgrade, self.upgrade),
            (_acts.withdraw, self.withdraw),
        ]
        return {
            "suspended": [(_acts.unsuspend, self.unsuspend)],
            "warned": [*live, (_acts.authorize, self.heed)],
            Standing.LIVE: live,
            Standing.DEAD: [(_acts.authorize, self.reauthorize), *windows, *leaves],
            Standing.NONE: [(_acts.authorize, self.reconnect), *windows, *leaves],
            Standing.GONE: [(_acts.reinstall, self.reinstall)],
        }


def _situation(member: Member) -> str:
    if member.suspended:
        return "suspended"
    if member.warned and member.standing is Standing.LIVE:
        return "warned"
    return member.standing
