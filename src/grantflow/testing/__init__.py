"""The public test kit: a clock that moves when told, a directory from a dict, an engine on a throw-away file, and a
fleet of installations that lives a year in a minute.
"""

from grantflow.testing._acts import Act, Scene
from grantflow.testing._fleet import Day, Fleet, throwaway_fleet
from grantflow.testing._habits import Habits
from grantflow.testing._member import Member, Standing
from grantflow.testing._people import SECRET, People, sample_app
from grantflow.testing._server import ForeignServer
from grantflow.testing._time import ManualClock
from grantflow.testing._walks import authorize, consent, grant, throwaway_engine

__all__ = [
    "SECRET",
    "Act",
    "Day",
    "Fleet",
    "ForeignServer",
    "Habits",
    "ManualClock",
    "Member",
    "People",
    "Scene",
    "Standing",
    "authorize",
    "consent",
    "grant",
    "sample_app",
    "throwaway_engine",
    "throwaway_fleet",
]
