"""Sealing what must be kept: AES-256-GCM with the row and field as associated data."""

from __future__ import annotations

import base64
import codecs
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Lock
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from grantflow.errors import ConfigurationError, KeysMissing, Quarantined

_NONCE = 12
_KEY = 32
_NAME = re.compile(r"[A-Za-z0-9._-]{1,31}")
_OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH
_MAX_FILE = 65_536
_REST = 1.0
"""Seconds in which a source is not asked again for a key that it did not have."""
_MAX_MISSED = 64

Source = Callable[[], str]


class KeyRing:
    """Keys by short id; the first one seals, all open.

    A ring with a source (`from_file`, `from_callable`) reads it again when it meets a key id that it does not know,
    so a new key reaches running processes. A source that fails then takes no key away.

    >>> ring = KeyRing.parse(KeyRing.new_key())
    >>> ring.open(ring.seal(b"x", "table/1/field"), "table/1/field")
    b'x'
    """

    __slots__ = ("_keys", "_lock", "_missed", "_source")

    def __init__(self, keys: Mapping[str, bytes] | None = None) -> None:
        self._keys = _checked(dict(keys or {}))
        self._source: Source | None = None
        self._lock = Lock()  # values are opened on the loop and on the writer's thread
        self._missed: dict[str, float] = {}

    @classmethod
    def parse(cls, text: str) -> KeyRing:
        """Read `id:base64,id:base64`, on one or many lines, with # comments; an empty text is a ring without keys.

        >>> KeyRing.parse("# none yet").ids
        ()

        Raises:
            ConfigurationError: the text is malformed (it is not repeated in the message).
        """
        return cls(_parsed(text))

    @classmethod
    def from_env(cls, name: str = "GRANTFLOW_KEYS") -> KeyRing:
        """Read the ring from an environment variable, or from the file that `GRANTFLOW_KEYS_FILE` names.

        Where neither is set it is a ring without keys.

        Raises:
            ConfigurationError: both are set; or as `parse` and `from_file`.
        """
        text, file = os.environ.get(name, ""), os.environ.get(f"{name}_FILE", "")
        if text and file:
            msg = f"{name} and {name}_FILE are both set: which key comes first is unclear"
            raise ConfigurationError(msg, hint="unset one of them")
        return cls.from_file(file) if file else cls.parse(text)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> KeyRing:
        """Read the ring from a file that its owner alone may read or write; it is read again for an unknown key id.

        Raises:
            ConfigurationError: there is no such file, others may read or write it, or it holds no key.
        """
        ring = cls.from_callable(partial(_file_text, Path(path)))
        if not ring.ids:
            msg = f"the key file {path} holds no key"
            raise ConfigurationError(msg, hint="grantflow keys new makes one")
        return ring

    @classmethod
    def from_callable(cls, source: Source) -> KeyRing:
        """Read the ring from a callable that returns what `parse` reads; it is called again for an unknown key id.

        It is called where a value is opened, so it must be quick; at most once a second for one missing id.

        Raises:
            ConfigurationError: it fails, or what it returns is malformed.
        """
        ring = cls(_loaded(source))
        ring._source = source
        return ring

    @staticmethod
    def new_key() -> str:
        """A fresh key, as `parse` reads it."""
        return f"k{secrets.token_hex(3)}:{base64.urlsafe_b64encode(secrets.token_bytes(_KEY)).decode()}"

    @staticmethod
    def key_id(sealed: object) -> str | None:
        """The id of the key that sealed a value; None for what is no sealed value.

        >>> KeyRing.key_id(b"k1:...")
        'k1'
        """
        if not isinstance(sealed, bytes):
            return None
        name, colon, _ = sealed[:_KEY].partition(b":")
        text = name.decode("ascii", "replace")
        return text if colon and _NAME.fullmatch(text) else None

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the keys; the first one is active: it seals."""
        return tuple(self._keys)

    def reload(self) -> None:
        """Read the source again; nothing happens to a ring without one.

        Raises:
            ConfigurationError: the source fails or holds no key any more; the keys stay as they were.
        """
        if self._source is None:
            return
        with self._lock:
            self._take(self._source)

    def _take(self, source: Source) -> None:
        fresh = _loaded(source)
        if not fresh and self._keys:
            msg = "the source of the keys holds no key any more"
            raise ConfigurationError(msg, hint="the keys read before are still used")
        self._keys = fresh

    def seal(self, plain: bytes, where: str) -> bytes:
        """Encrypt for one place; raises KeysMissing without a key."""
        keys = self._keys
        if not keys:
            raise KeysMissing
        name, key = next(iter(keys.items()))
        nonce = secrets.token_bytes(_NONCE)
        bound = f"{where}/{name}".encode()
        return name.encode() + b":" + nonce + AESGCM(key).encrypt(nonce, plain, bound)

    def open(self, sealed: bytes, where: str) -> bytes:
        """Decrypt; raises KeysMissing for a key that is not here and Quarantined for damaged bytes."""
        name = self.key_id(sealed)
        if name is None:
            raise _damaged(where)
        key = self._keys.get(name)
        if key is None:
            key = self._asked_for(name)
        rest = sealed[len(name) + 1 :]
        try:
            return AESGCM(key).decrypt(rest[:_NONCE], rest[_NONCE:], f"{where}/{name}".encode())
        except (InvalidTag, ValueError):
            raise _damaged(where) from None

    def _asked_for(self, name: str) -> bytes:
        """A key that is not here, from the source; raises KeysMissing."""
        with self._lock:
            failed = None
            if self._source is not None and name not in self._keys and not self._missed_lately(name):
                try:
                    self._take(self._source)
                except ConfigurationError as error:
                    failed = str(error)
            key = self._keys.get(name)
        if key is not None:
            return key
        if not self._keys and failed is None:
            raise KeysMissing
        msg = f"the key {name} is not among the engine's keys" + (f": {failed}" if failed else "")
        raise KeysMissing(msg, hint=f"add {name} behind the first key; grantflow keys list counts what it sealed")

    def _missed_lately(self, name: str) -> bool:
        now = time.monotonic()
        if now - self._missed.get(name, -_REST) < _REST:
            return True
        if len(self._missed) >= _MAX_MISSED:  # damaged values may name any number of keys
            self._missed.clear()
        self._missed[name] = now
        return False

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)})"

    def __reduce__(self) -> NoReturn:
        msg = "keys are not pickled"
        raise TypeError(msg)


def _checked(keys: dict[str, bytes]) -> dict[str, bytes]:
    for name, key in keys.items():
        if not isinstance(name, str) or not isinstance(key, bytes) or len(key) != _KEY or not _NAME.fullmatch(name):
            msg = "a key is 32 bytes under a short name of letters, digits and ._-"
            raise ConfigurationError(msg, hint="make one with KeyRing.new_key()")
    return keys


def _parsed(text: str) -> dict[str, bytes]:
    lines = (line.partition("#")[0] for line in text.splitlines())
    items = [item for line in lines for part in line.split(",") if (item := part.strip())]
    keys: dict[str, bytes] = {}
    for number, item in enumerate(items, 1):
        name, colon, encoded = item.partition(":")
        key = _decoded(encoded)
        if not colon or key is None:
            msg = f"key {number} of {len(items)} cannot be read"
            raise ConfigurationError(msg, hint="write keys as id:base64, as KeyRing.new_key() does")
        if keys.setdefault(name, key) != key:
            msg = f"key {number} of {len(items)} has the id of an earlier one"
            raise ConfigurationError(msg, hint="an id stands for one key for ever; take another id")
    return _checked(keys)


def _decoded(encoded: str) -> bytes | None:
    try:
        return base64.b64decode(encoded, altchars=b"-_", validate=True)
    except ValueError:
        return None


def _loaded(source: Source) -> dict[str, bytes]:
    try:
        text = source()
    except ConfigurationError:
        raise
    except Exception as error:  # noqa: BLE001 - a host's callable; its message may hold a key and goes no further
        text, why = "", type(error).__name__
    else:
        why = "" if isinstance(text, str) else f"{type(text).__name__} is no text"
    if why:
        msg = f"the keys could not be loaded: {why}"
        raise ConfigurationError(msg, hint="the source of the keys must return id:base64 lines")
    return _parsed(text)


def _file_text(path: Path) -> str:
    why, text, mode = "there is no such file", b"", 0
    try:
        if path.is_file():  # nothing that could make the reader wait
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                text = file.read(_MAX_FILE + 1)
            why = f"it is larger than {_MAX_FILE} bytes" if len(text) > _MAX_FILE else ""
    except OSError as error:
        why = error.strerror or type(error).__name__
    if os.name == "posix" and mode & _OTHERS:
        msg = f"others than its owner may read or write the key file {path}"
        raise ConfigurationError(msg, hint=f"chmod 600 {path}")
    if why:
        msg = f"the key file {path} cannot be read: {why}"
        raise ConfigurationError(msg, hint="check the path and its permissions; grantflow keys new makes a key")
    return text.removeprefix(codecs.BOM_UTF8).decode("ascii", "replace")  # comments may be in any alphabet


def sealed_list(text: object) -> list[bytes]:
    """The ciphertexts of an app's client secrets; one empty value for a text that is no such list."""
    try:
        return [base64.b64decode(sealed, validate=True) for sealed, _ in json.loads(text)]  # type: ignore[arg-type]  # a damaged column may hold anything
    except (ValueError, TypeError):
        return [b""]


def _damaged(where: str) -> Quarantined:
    return Quarantined(f"the sealed value at {where} does not open")
