"""The keymap as data: every key by a name, what it does, and how a person gives it another one.

Bindings, the hints under the screens and the help page are all made from this table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from textual.binding import Binding
from textual.keys import format_key


class WrongKeys(ValueError):
    """A keymap that cannot be used; the message is for the status line."""


@dataclass(frozen=True, slots=True)
class Key:
    """The keys that do one thing, the first of them the one that is shown."""

    keys: str
    says: str
    fixed: bool = False
    """It stays where it is: what confirms or leaves a dialog."""


EVERYWHERE, MOVING, ROWS, HORIZON, SWEEPS, JOBS = (
    "Everywhere", "Moving", "Installations", "Horizon", "Sweeps", "Jobs",
)  # fmt: skip
GROUPS: Mapping[str, Mapping[str, Key]] = {
    EVERYWHERE: {
        "fleet": Key("1", "fleet"),
        "installations": Key("2", "installations"),
        "apps": Key("3", "apps"),
        "sweeps": Key("4", "sweeps"),
        "jobs": Key("5", "jobs"),
        "audit": Key("6", "audit"),
        "earlier_view": Key("left_square_bracket", "the view before"),
        "later_view": Key("right_square_bracket", "the view after"),
        "last_view": Key("minus", "the last view again"),
        "palette": Key("colon,ctrl+p", "command palette: places, saved filters, apps, states"),
        "filter": Key("slash", "filter; tab completes, enter runs, esc stops or leaves"),
        "copy": Key("y", "copy the id under the cursor"),
        "copy_line": Key("Y,f8", "copy the command line that does the same"),
        "write": Key("W", "write mode for 15 minutes; again ends it"),
        "refresh": Key("r", "refresh now"),
        "pause": Key("p", "pause the refresh of the screen"),
        "theme": Key("T", "dark or light theme; it is remembered"),
        "help": Key("question_mark,f1", "this page"),
        "quit": Key("q,ctrl+c", "quit"),
        "apply": Key("f9", "apply what a dialog shows; enter never does", fixed=True),
        "leave": Key("escape", "back; out of a dialog with nothing done", fixed=True),
    },
    MOVING: {
        "down": Key("j,down", "down"),
        "up": Key("k,up", "up"),
        "half_down": Key("ctrl+d", "half a page down"),
        "half_up": Key("ctrl+u", "half a page up"),
        "page_down": Key("pagedown", "a page down"),
        "page_up": Key("pageup", "a page up"),
        "first": Key("g,home", "first"),
        "last": Key("G,end", "last"),
        "open": Key("enter", "open"),
    },
    ROWS: {
        "force": Key("f", "force dialog (WRITE)"),
        "verbs": Key("a", "verbs for the row, or for the marks"),
        "bulk": Key("b", "verbs for the marks, or for whatever matches"),
        "mark": Key("space", "mark the row, or take its mark away"),
        "range": Key("v", "begin a range of marks; again marks up to the row"),
        "mark_all": Key("asterisk", "mark whatever matches the filter"),
        "unmark": Key("ctrl+backslash", "no marks"),
        "count": Key("c", "count all that match, however many; esc stops it"),
        "jump": Key("apostrophe", "jump to a date, an account or an id, as the order goes"),
        "save": Key("S", "save the filter on screen; the palette has it by name"),
    },
    HORIZON: {
        "earlier": Key("left,h", "a day or week earlier"),
        "later": Key("right,l", "a day or week later"),
        "scale": Key("L", "logarithmic, or not"),
    },
    SWEEPS: {
        "sweep": Key("t", "sweep now, after a dry run"),
        "pause_work": Key("P", "pause every scheduler of this database, or resume them"),
    },
    JOBS: {
        "job_pause": Key("P", "pause the job"),
        "job_resume": Key("u", "resume it"),
        "job_cancel": Key("x", "cancel it"),
        "job_retry": Key("R", "retry its failures"),
        "job_export": Key("e", "export its rows"),
    },
}
_SPOKEN = ("space", "enter", "tab", "left", "right", "up", "down", "home", "end", "pagedown", "pageup")
_WORDS = {"escape": "esc", **dict(zip(_SPOKEN, _SPOKEN, strict=True)), **{f"f{n}": f"F{n}" for n in range(1, 13)}}
"""Keys that are spoken of by a word."""
TAIL = "{fleet}-{audit} screens · {palette} palette · {help} help · {quit} quit"
"""How most status lines end."""
KEYS: Mapping[str, Key] = {name: key for group in GROUPS.values() for name, key in group.items()}
Keymap = dict[str, str]
"""Name → keys, as textual spells them and with commas between them."""


def on(name: str, action: str, *, priority: bool = False) -> Binding:
    """The binding of a name of the table."""
    return Binding(KEYS[name].keys, action, KEYS[name].says, show=False, priority=priority, id=name)


def moving(action: str, page: int, end: int) -> list[Binding]:
    """The keys that move through lines, by an action that takes how many."""
    steps = {"down": 1, "up": -1, "half_down": page, "page_down": page, "half_up": -page, "page_up": -page}
    return [on(name, f"{action}({by})") for name, by in {**steps, "first": -end, "last": end}.items()]


def keymap(chosen: object) -> Keymap:
    """A person's own keys, by the names of the table.

    >>> keymap({"down": "n,down"})
    {'down': 'n,down'}

    Raises WrongKeys for names nobody knows, for keys that are fixed, and for one key that would do two things.
    """
    if not isinstance(chosen, Mapping):
        msg = "keys: a name and its keys each, as {'down': 'n,down'}"
        raise WrongKeys(msg)
    made: Keymap = {}
    for name, keys in chosen.items():
        if name not in KEYS:
            near = get_close_matches(str(name), KEYS, 1)
            msg = f"keys: there is no {str(name)[:40]!r}" + (f", did you mean {near[0]}?" if near else "")
            raise WrongKeys(msg)
        if KEYS[name].fixed or not isinstance(keys, str) or not all(part.strip() for part in keys.split(",")):
            msg = f"keys: {name} is fixed" if KEYS[name].fixed else f"keys: {name} needs keys, with commas between"
            raise WrongKeys(msg)
        made[name] = ",".join(each(keys))
    _check(made)
    return made


def _check(made: Keymap) -> None:
    """What can be pressed at the same place has a key of its own."""
    for group in (ROWS, HORIZON, SWEEPS, JOBS):
        taken: dict[str, str] = {}
        for part in (EVERYWHERE, MOVING, group):
            for name, key in GROUPS[part].items():
                for one in each(made.get(name, key.keys)):
                    if one in taken:
                        msg = f"keys: {format_key(one)} would be {taken[one]} and {name}"
                        raise WrongKeys(msg)
                    taken[one] = name


def each(keys: str) -> Iterable[str]:
    """Keys by textual's own names: `/` is `slash`."""
    return [made.key for made in Binding.make_bindings([Binding(keys, "")])]


def words(chosen: Keymap) -> dict[str, str]:
    """Name → the key that is shown for it."""
    return {name: shown(chosen.get(name, key.keys)).split(" ")[0] for name, key in KEYS.items()}


def shown(keys: str) -> str:
    """Keys as people read them.

    >>> shown("slash,ctrl+d,pagedown")
    '/ ctrl+d pagedown'
    """
    return " ".join(_word(one) for one in each(keys))


def _word(key: str) -> str:
    *held, last = key.split("+")
    return "+".join((*held, _WORDS.get(last) or format_key(last)))
