"""Everything that comes out of the engine, by the door it takes, and the search for secrets in all of it."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import gc
import logging
import pickle
import pprint
import sys
import traceback
import warnings
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from rich.pretty import pretty_repr

import grantflow
from grantflow import Secret

CHANNELS = {
    "repr": "repr() of everything that is returned",
    "str": "str(), format(), % of everything that is returned",
    "pretty": "pprint and rich, which walk through dataclasses by themselves",
    "asdict": "dataclasses.asdict, but for fields that are doors of their own (see DOORS)",
    "pickle": "pickle, with the same fields left out",
    "error": "text, repr, hint and attributes of every error and of what stands behind it",
    "traceback": "whole tracebacks, causes and contexts included",
    "locals": "local variables of frames outside grantflow, as structlog, rich and crash reporters print them",
    "excepthook": "what sys.excepthook prints",
    "loop": "what asyncio's exception handler is told",
    "warning": "warnings of every category",
    "log": "every logger there is at DEBUG: message, arguments, extra fields, exception",
    "notice": "notices as subscribers receive them",
    "hook": "what on_bad_callback and on_due_earlier tell",
    "command": "stdout and stderr of every command",
    "screen": "every screen and dialog of the console as text",
    "svg": "the same as a screenshot",
    "column": "every column of every table",
    "file": "bytes of the database, -wal, -shm and .lock, open and closed",
}
DOORS = {"Attempt": "authorize_url", "Returned": "redirect_to", "ClientCredentials": "secret"}
"""Type → the field that is there to carry a secret to its receiver; none of them is in a repr."""

FORMS = ("plain", "quoted", "hex", "base64", "urlsafe", "tail")
LOGGERS = (
    "", "grantflow", "httpx2", "httpcore2", "httpcore2.connection", "httpcore2.http11", "httpcore2.http2",
    "aiosqlite", "sqlalchemy", "sqlalchemy.engine", "sqlalchemy.engine.Engine", "sqlalchemy.pool", "asyncio",
    "apscheduler", "apscheduler.scheduler", "apscheduler.executors.default", "textual", "concurrent.futures",
)  # fmt: skip
_OURS = str(Path(grantflow.__file__).parent)


def written(raw: bytes) -> dict[str, set[bytes]]:
    """The ways a secret may be written; base64 at each of its three alignments."""
    found = {name: set[bytes]() for name in FORMS}
    found["plain"].add(raw)
    found["quoted"] |= {quote(raw, safe="").encode(), quote(raw).encode(), quote(raw, safe="").lower().encode()}
    found["hex"] |= {raw.hex().encode(), raw.hex().upper().encode()}
    for shift in range(3):
        skipped = (4 * shift + 2) // 3  # characters that other bytes have a part in
        for name, encode in (("base64", b64encode), ("urlsafe", urlsafe_b64encode)):
            whole = encode(b"\0" * shift + raw).rstrip(b"=")
            found[name].add(whole[skipped : len(whole) - 1])
    found["tail"].add(raw[-16:])
    if b" " not in raw:
        found["tail"].add(raw[:16])  # cut off by a column or by an ellipsis
    return found


class Channels:
    """Everything that came out, by the door it took. Its repr tells nothing: it stands in tracebacks itself."""

    def __init__(self) -> None:
        self.secrets: dict[str, bytes] = {}
        self.out: dict[str, list[bytes]] = {}
        self.inside: list[tuple[str, bytes]] = []
        """Local variables of grantflow's own frames: (function, as printed)."""

    def keep(self, name: str, secret: Secret | str | bytes | None) -> str:
        """Note a canary; returns its plain text."""
        assert secret is not None, name
        plain = secret.value if isinstance(secret, Secret) else secret
        raw = plain.encode() if isinstance(plain, str) else plain
        assert len(raw) >= 16, name
        self.secrets[name] = raw
        return raw.decode("latin-1") if isinstance(plain, bytes) else plain

    def heard(self, door: str, text: str | bytes) -> None:
        """Something came out of a door."""
        assert door in CHANNELS, f"{door} is not in the table of channels"
        self.out.setdefault(door, []).append(
            text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
        )

    def shown(self, thing: object) -> None:
        """A returned object, as people and programs print it."""
        self.heard("repr", repr(thing))
        self.heard("pretty", pprint.pformat(thing))
        self.heard("pretty", pretty_repr(thing))
        ways: tuple[Callable[[], str], ...] = (lambda: f"{thing}", lambda: format(thing, ">1"), lambda: str(thing))
        for way in ways:
            with contextlib.suppress(TypeError, ValueError):
                self.heard("str", way())
        closed = _without_doors(thing)
        with contextlib.suppress(TypeError, ValueError):
            self.heard("asdict", repr(dataclasses.asdict(closed)))  # type: ignore[call-overload]  # TypeError where it is none
        with contextlib.suppress(TypeError, AttributeError, pickle.PicklingError):
            self.heard("pickle", pickle.dumps(closed))
        with contextlib.suppress(TypeError, AttributeError, pickle.PicklingError):
            self.heard("repr", repr(copy.deepcopy(closed)))

    async def fails(self, call: Awaitable[object], *, may_succeed: bool = False) -> Exception | None:
        """An error that must come, with its whole traceback."""
        try:
            answer = await call
        except Exception as error:  # noqa: BLE001 - every error is looked at
            self.raised(error)
            return error
        if not may_succeed:
            pytest.fail("an error was expected")
        self.shown(answer)
        return None

    def raised(self, error: BaseException) -> None:
        """An error and all that stands behind it."""
        self.heard("traceback", "".join(traceback.format_exception(error)))
        for one in _behind(error):
            self.heard(
                "error", f"{one} {one!r} {one.args!r} {getattr(one, 'hint', '')} {getattr(one, '__notes__', '')}"
            )
            self.heard("error", repr(getattr(one, "__dict__", {})))
            stack = traceback.StackSummary.extract(traceback.walk_tb(one.__traceback__), capture_locals=True)
            for frame in stack:
                shown = repr(frame.locals).encode("utf-8", "surrogatepass")
                if frame.filename.startswith(_OURS):
                    self.inside.append((f"{Path(frame.filename).stem}.{frame.name}", shown))
                else:
                    self.heard("locals", shown)

    def hits(self, *doors: str) -> list[tuple[str, str, str]]:
        """(secret, way of writing, door) of everything that leaked."""
        found = []
        looked_for = {name: written(raw) for name, raw in self.secrets.items()}
        for door in doors or tuple(self.out):
            everything = b"\n".join(dict.fromkeys(self.out.get(door, ())))
            found += [
                (name, form, door)
                for name, forms in looked_for.items()
                for form, texts in forms.items()
                if any(text in everything for text in texts)
            ]
        return found

    def seen_inside(self) -> dict[str, set[str]]:
        """Which secrets a crash reporter would find in the local variables of grantflow's own frames."""
        found: dict[str, set[str]] = {}
        for function, shown in self.inside:
            for name, raw in self.secrets.items():
                if any(text in shown for texts in written(raw).values() for text in texts):
                    found.setdefault(function, set()).add(name.rstrip(" 0123456789"))
        return found

    def files(self, folder: Path) -> list[str]:
        """Every file of a folder, as bytes; returns their suffixes."""
        names = sorted(path for path in folder.iterdir() if path.is_file())
        for path in names:
            self.heard("file", path.read_bytes())
        return [path.name.partition(".")[2] for path in names]


def _without_doors(thing: object) -> object:
    door = DOORS.get(type(thing).__name__)
    if door is None or not dataclasses.is_dataclass(thing) or isinstance(thing, type):
        return thing
    return dataclasses.replace(thing, **{door: ""})


def _behind(error: BaseException) -> Iterator[BaseException]:
    seen, waiting = set[int](), [error]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [more for more in (one.__cause__, one.__context__) if more is not None]
        waiting += getattr(one, "exceptions", ())


class _Ear(logging.Handler):
    def __init__(self, told: Channels) -> None:
        super().__init__(logging.NOTSET)
        self._told = told
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._told.heard("log", self.format(record))
        self._told.heard("log", repr(record.__dict__))
        if record.exc_info and isinstance(record.exc_info[1], BaseException):
            self._told.raised(record.exc_info[1])


@contextmanager
def every_logger(told: Channels) -> Iterator[None]:
    """Listen to everything that is logged, at DEBUG; open engines inside, some libraries look at levels only once."""
    names = dict.fromkeys([*LOGGERS, *logging.root.manager.loggerDict])
    before = {name: (logging.getLogger(name).level, logging.getLogger(name).disabled) for name in names}
    ear = _Ear(told)
    logging.getLogger().addHandler(ear)
    try:
        for name in names:
            logger = logging.getLogger(name)
            logger.setLevel(logging.DEBUG)
            logger.disabled = False
            if name and not logger.propagate:
                logger.addHandler(ear)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = lambda *said, **_: told.heard("warning", repr(said))
            warnings.warn("the ear for warnings hears", UserWarning, stacklevel=2)
            yield
    finally:
        for name, (level, disabled) in before.items():
            logging.getLogger(name).setLevel(level)
            logging.getLogger(name).disabled = disabled
            logging.getLogger(name).removeHandler(ear)


@asynccontextmanager
async def every_handler(told: Channels) -> AsyncIterator[None]:
    """Listen to the loop's exception handler too, with asyncio's debug mode on."""
    loop = asyncio.get_running_loop()
    debug, before = loop.get_debug(), loop.get_exception_handler()

    def handler(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        told.heard("loop", repr(context))
        error = context.get("exception")
        if isinstance(error, BaseException):
            told.raised(error)

    loop.set_debug(True)
    loop.set_exception_handler(handler)
    try:
        yield
        for _ in range(3):
            await asyncio.sleep(0)
            gc.collect()
    finally:
        loop.set_debug(debug)
        loop.set_exception_handler(before)


async def forgotten(call: Awaitable[object]) -> None:
    """A task that fails and that nobody asks: the loop's handler hears of it."""

    async def work() -> None:
        await call

    task = asyncio.get_running_loop().create_task(work())
    await asyncio.wait([task])
    del task
    gc.collect()
    await asyncio.sleep(0)


def excepthook(told: Channels, error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    """What the interpreter prints when nobody catches an error."""
    capsys.readouterr()
    sys.excepthook(type(error), error, error.__traceback__)
    told.heard("excepthook", capsys.readouterr().err)
