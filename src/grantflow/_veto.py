"""An app's own objection to an admin's install, update or uninstall, asked over HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit

from grantflow._model import Veto
from grantflow._ports import HttpRequest, HttpResponse
from grantflow.errors import CarrierError, ConfigurationError
from grantflow_machines import Actor

_log = logging.getLogger("grantflow")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_MAX_TEXT = 300
_SILENT = "the app did not say whether it objects"

Carry = Callable[[HttpRequest], Awaitable[HttpResponse]]


@dataclass(frozen=True, slots=True)
class HttpVeto:
    """Asks a veto handler over HTTP; made by `http_veto`, carried by the engine it is passed to."""

    url: str
    timeout: timedelta
    unanswered: Literal["veto", "allow"]
    headers: Mapping[str, str] = field(repr=False)

    def through(self, carry: Carry) -> Veto:
        """The veto as the engine asks it, over the engine's own carrier."""

        async def veto(verb: str, app: str, account: str, actor: Actor) -> str | None:
            asked = {"app": app, "account": account, "verb": verb, "actor": str(actor)}
            headers = {"Content-Type": "application/json", "Accept": "application/json"} | dict(self.headers)
            try:
                async with asyncio.timeout(self.timeout.total_seconds()):
                    answer = await carry(HttpRequest("POST", self.url, headers, json.dumps(asked).encode()))
                return _objection(answer)
            except (CarrierError, TimeoutError, ValueError) as error:
                why = type(error).__name__
            _log.warning("the veto handler of %s did not answer (%s)", app, why)
            return _SILENT if self.unanswered == "veto" else None

        return veto


def http_veto(
    url: str,
    *,
    timeout: timedelta = timedelta(seconds=10),
    unanswered: Literal["veto", "allow"] = "veto",
    headers: Mapping[str, str] | None = None,
) -> HttpVeto:
    """A veto handler behind a URL, for `Engine.open(veto=…)`. Source: S-01, S-37.

    It is sent `{"app": …, "account": …, "verb": …, "actor": "admin:maria"}` with POST before an admin's install,
    update or uninstall. 204 and `{"veto": null}` let it happen; `{"veto": "why"}` stops it with that text.

    Args:
        url: https, or http on loopback. No redirect is followed.
        timeout: For the whole answer; the engine's `http_timeout` bounds it as well.
        unanswered: What no usable answer means, in time: `veto` fails closed, `allow` fails open.
        headers: Sent along, for example an Authorization the handler knows.

    Raises:
        ConfigurationError: the URL, the timeout or `unanswered` is malformed.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not secure or not parts.hostname or timeout <= timedelta(0) or unanswered not in {"veto", "allow"}:
        msg = "a veto handler needs an https URL (http on loopback), a timeout above zero, and veto or allow"
        raise ConfigurationError(msg, hint='for example http_veto("https://app.example/veto")')
    return HttpVeto(url, timeout, unanswered, dict(headers or {}))


def _objection(answer: HttpResponse) -> str | None:
    """The text of an objection or None; raises ValueError for what is no answer."""
    if answer.status == 204:
        return None
    found = json.loads(answer.body) if answer.status == 200 else None
    if not isinstance(found, dict) or "veto" not in found:
        raise ValueError(answer.status)
    why = found["veto"]
    if why is None:
        return None
    text = "".join(c for c in str(why)[:_MAX_TEXT] if c.isprintable()).strip()
    return text or "it gave no reason"
