"""The verbs of the engine and of its other doors, derived from the async classes one by one.

What a type checker sees stands in `_engine.pyi`, made of the same classes by `python -m tests.engine.sync_stub`.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, Self

from grantflow._engine import Engine
from grantflow._sync._hosts import HostCalls
from grantflow._sync._thread import EngineThread


class _Door:
    """What every door holds: the thread, and the async room that is asked there."""

    def __init__(self, thread: EngineThread, room: object) -> None:
        self._thread = thread
        self._room = room


@functools.cache
def _blocking(room: type) -> type:
    """A class with every public verb of an async one, each waiting for its answer."""
    verbs = {name: _verb(found) for name, found in inspect.getmembers(room, inspect.isfunction) if name[0] != "_"}
    return type(f"Sync{room.__name__}", (_Door,), {"__doc__": room.__doc__, **verbs})


def _verb(original: Any) -> Any:
    @functools.wraps(original)
    def ask(self: _Door, /, *args: Any, **values: Any) -> Any:
        found = self._thread.ask(original, self._room, *args, **values)
        if inspect.isfunction(found):  # what ends a subscription
            return functools.partial(self._thread.ask, found)
        return found

    return ask


class SyncEngine(_blocking(Engine)):
    """The engine for hosts that block (Django, Flask, scripts): the same verbs and doors, without `await`.

        with SyncEngine.open("sqlite:///grants.db", directory=accounts_of) as engine:
            engine.apps.list()

    One background thread runs one event loop; any number of threads may ask it at once. Functions of the host may be
    plain or async: plain ones run in threads of their own and may ask the engine; an async one runs in the engine's
    loop, must not block and must not ask the SyncEngine. Ctrl-C cancels the verb it meets, and the transaction is
    whole or was never there.

    A process that is forked afterwards cannot use it: every verb raises EngineClosed there, and `close` does nothing.
    Open one in each process, after the fork.
    """

    @classmethod
    def open(cls, database: str, **options: Any) -> Self:
        """Open an engine, to be closed by `with` or `close`; takes and raises what Engine.open does.

        The functions among the options may be plain or async.
        """
        hosts = HostCalls()
        functions = {name: hosts.made_async(value) for name, value in options.items() if callable(value)}
        try:
            thread = EngineThread(lambda: Engine.open(database, **(options | functions)))
        except BaseException:
            hosts.close()
            raise
        return cls(thread, hosts)

    def __init__(self, thread: EngineThread, hosts: HostCalls) -> None:
        super().__init__(thread, thread.engine)
        self._hosts = hosts
        for name, room in vars(thread.engine).items():
            if not name.startswith("_"):
                setattr(self, name, _blocking(type(room))(thread, room))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish the verbs under way and close; safe to call twice, and without effect in a forked child."""
        self._thread.close()
        self._hosts.close()

    @functools.wraps(Engine.subscribe)
    def subscribe(self, callback: Any) -> Any:
        leave = self._thread.ask(self._room.subscribe, self._hosts.made_async(callback))
        return functools.partial(self._thread.ask, leave)


_OPTIONS = inspect.signature(Engine.open).parameters.values()
_CLASS = inspect.Parameter("cls", inspect.Parameter.POSITIONAL_ONLY)
SyncEngine.open.__func__.__signature__ = inspect.Signature([_CLASS, *_OPTIONS], return_annotation=SyncEngine)
