"""What stands on the console's screen, as text and as picture, for a search."""

from __future__ import annotations

import html
import re
from typing import Any

from tests.security.channels import Channels
from tests.tui.fleet import screen_text

_TAG = re.compile(r"<[^>]+>")


def picture_text(svg: str) -> str:
    """The letters of a screenshot: its tags taken away, its blanks made blanks."""
    return html.unescape(_TAG.sub("", svg)).replace("\N{NO-BREAK SPACE}", " ")


def watched(told: Channels, app: Any) -> str:
    """Keep what the console shows now; returns the text."""
    text, svg = screen_text(app), app.export_screenshot()
    told.heard("screen", text)
    told.heard("screen", text.replace("\n", ""))
    told.heard("svg", svg)
    told.heard("svg", picture_text(svg))
    return text
