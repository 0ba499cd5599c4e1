"""What the console remembers, filters, theme and keys: small files that nobody else may read."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

MOST = 200
MAX_NAME = 60


class CannotSave(Exception):
    """The file could not be written; the message is for the status line."""


def default_path() -> Path:
    """Where the filters are by the XDG Base Directory Specification."""
    given = os.environ.get("XDG_CONFIG_HOME", "")
    home = Path(given) if Path(given).is_absolute() else Path.home() / ".config"
    return home / "grantflow" / "filters.json"


def theme(filters: Path) -> str | None:
    """The name of the theme that was chosen last; it stands in a file beside the filters."""
    name = _remembered(filters).get("theme")
    return name if isinstance(name, str) else None


def keys(filters: Path) -> object:
    """The keys a person chose, as they stand there: nobody looked at them yet."""
    return _remembered(filters).get("keys", {})


def _remembered(filters: Path) -> dict[str, object]:
    try:
        found = json.loads(_settings(filters).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def keep_theme(filters: Path, name: str) -> None:
    """Remember a theme.

    Raises CannotSave.
    """
    _replace(_settings(filters), {**_remembered(filters), "theme": name})


def _settings(filters: Path) -> Path:
    return filters.with_name("console.json")


def load(path: Path) -> dict[str, str]:
    """Name and filter; none where the file is missing or is not ours."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: text for name, text in list(found.items())[:MOST] if isinstance(text, str)}


def save(path: Path, name: str, text: str) -> None:
    """Keep one more filter; the file is replaced whole, mode 0600.

    Raises CannotSave.
    """
    kept = load(path)
    if path.exists() and not kept and path.stat().st_size > 2:
        msg = f"{path.name} is not ours: it is left as it is"
        raise CannotSave(msg)
    kept[name[:MAX_NAME]] = text
    if len(kept) > MOST:
        msg = f"there are {MOST} saved filters already"
        raise CannotSave(msg)
    _replace(path, kept)


def _replace(path: Path, kept: Mapping[str, object]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")  # mode 0600 from the start
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(kept, file, ensure_ascii=False, indent=1)
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        msg = f"not saved: {error.strerror or error}"
        raise CannotSave(msg) from error
