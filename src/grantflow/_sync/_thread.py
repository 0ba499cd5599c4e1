"""The thread an engine lives in: one event loop from open to close, asked by any other thread."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import AbstractAsyncContextManager
from typing import Any

from grantflow._engine import Engine
from grantflow.errors import ConfigurationError, EngineClosed

Opening = Callable[[], AbstractAsyncContextManager[Engine]]


class EngineThread:
    """Opens an engine in a thread of its own, carries calls to it, and closes it there."""

    def __init__(self, opening: Opening) -> None:
        self._process = os.getpid()
        self._started: Future[Engine] = Future()
        self._ended: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._closing = False
        self._under_way: set[asyncio.Task[Any]] = set()
        # A daemon: an engine that nobody closed must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, args=(opening,), name="grantflow", daemon=True)
        self._thread.start()
        try:
            self.engine = self._started.result()
        except BaseException:  # it did not open, or Ctrl-C came before it had
            self._end()
            raise

    # -- in the thread --------------------------------------------------------------------------
    def _run(self, opening: Opening) -> None:
        try:
            asyncio.run(self._live(opening))
        except BaseException as error:  # noqa: BLE001 - whoever opened or closes it is told
            if not self._started.done():
                self._started.set_exception(error)
                self._ended.set_result(None)
            else:
                self._ended.set_exception(error)
        else:
            self._ended.set_result(None)

    async def _live(self, opening: Opening) -> None:
        """Open and close in one task; what is under way when the end comes is finished first."""
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        async with opening() as engine:
            self._started.set_result(engine)
            await self._stop.wait()
            while self._under_way:
                await asyncio.wait(self._under_way)

    # -- from any other thread ------------------------------------------------------------------
    def ask(self, verb: Callable[..., Any], *args: Any, **values: Any) -> Any:
        """Carry a call to the engine and wait for what comes back.

        Whatever interrupts the wait, Ctrl-C above all, cancels the call and waits for its end: a transaction is then
        whole or was never there, and nothing goes on behind the caller's back.

        Raises:
            EngineClosed: it is closed, or was opened before this process was forked.
            ConfigurationError: the engine's own thread asks, which would wait for itself for ever.
        """
        loop = self._reachable()
        answer: Future[Any] = Future()
        tasks: list[asyncio.Task[Any]] = []
        context = contextvars.copy_context()

        def start() -> None:
            if self._stop is None or self._stop.is_set():
                answer.set_exception(EngineClosed())
                return
            task = loop.create_task(_called(verb, args, values), context=context)
            tasks.append(task)
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            task.add_done_callback(lambda done: _hand_over(done, answer))

        def stop() -> None:
            for task in tasks:
                task.cancel()
            if not tasks and not answer.done():  # interrupted before the call had reached the loop
                answer.set_exception(EngineClosed())

        try:
            _tell(loop, start)
            wait([answer])
        except EngineClosed:
            raise
        except BaseException:
            _tell(loop, stop)
            wait([answer])
            raise
        return answer.result()

    def close(self) -> None:
        """Finish what is under way, then close the engine; safe to call twice, and of no effect in a forked child.

        A child must not touch files and locks that are its parent's.
        """
        if os.getpid() != self._process:
            return
        if threading.get_ident() == self._thread.ident:
            raise ConfigurationError(_OWN_THREAD, hint=_OWN_THREAD_HINT)
        self._end()
        self._ended.result()

    def _end(self) -> None:
        self._closing = True
        if self._loop is not None and self._stop is not None and not self._ended.done():
            _tell(self._loop, self._stop.set)

    def _reachable(self) -> asyncio.AbstractEventLoop:
        if os.getpid() != self._process:
            msg = "this process was forked after the engine was opened, and its thread stayed behind"
            raise EngineClosed(msg, hint="open an engine in every process, after the fork")
        if threading.get_ident() == self._thread.ident:
            raise ConfigurationError(_OWN_THREAD, hint=_OWN_THREAD_HINT)
        if self._closing or self._loop is None:
            raise EngineClosed
        return self._loop


_OWN_THREAD = "an async function of the host asked the SyncEngine that it was called by"
_OWN_THREAD_HINT = "make it a plain function: those run in threads of their own"


async def _called(verb: Callable[..., Any], args: tuple[Any, ...], values: dict[str, Any]) -> Any:
    found = verb(*args, **values)
    return await found if inspect.isawaitable(found) else found


def _hand_over(task: asyncio.Task[Any], answer: Future[Any]) -> None:
    if task.cancelled():
        answer.set_exception(EngineClosed())
    elif (error := task.exception()) is not None:
        answer.set_exception(error)
    else:
        answer.set_result(task.result())


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(what)
    except RuntimeError:  # the loop was closed meanwhile
        raise EngineClosed from None
