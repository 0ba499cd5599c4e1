"""What a blocking host may pass: its functions plain or async, as it likes."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from grantflow._app import App
from grantflow._held import Granted, Identify
from grantflow._model import Account, Directory, Installation, Policy, Refusal, Veto
from grantflow._ports import Carrier, HttpRequest, HttpResponse
from grantflow._veto import HttpVeto
from grantflow_machines import Actor

AnyDirectory = Directory | Callable[[Actor], Sequence[Account]]
AnyIdentify = Identify | Callable[[App, Granted], str | None]
AnyVeto = Veto | HttpVeto | Callable[[str, str, str, Actor], str | None]
AnyPolicy = Policy | Callable[[Actor, str, Installation | None], Awaitable[bool | Refusal]]
AnyCarrier = Carrier | Callable[[HttpRequest], HttpResponse]

_THREADS = 32


class HostCalls:
    """Makes every function of the host async: a plain one runs in a thread, and may ask the engine itself."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="grantflow-host")

    def made_async(self, function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        """The same function, as the engine's loop may await it."""
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
            return function

        async def called(*args: Any) -> Any:
            run = contextvars.copy_context().run
            found = await asyncio.get_running_loop().run_in_executor(self._threads, run, function, *args)
            return await found if inspect.isawaitable(found) else found

        return called

    def close(self) -> None:
        """Let the threads go; one that is stuck in the host is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
