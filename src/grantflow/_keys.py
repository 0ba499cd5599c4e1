"""Sealing what must be kept: AES-256-GCM with the row and field as associated data."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from grantflow.errors import ConfigurationError, KeysMissing, Quarantined

_NONCE = 12
_KEY = 32


class KeyRing:
    """Keys by short id; the first one seals, all open.

    >>> ring = KeyRing.parse(KeyRing.new_key())
    >>> ring.open(ring.seal(b"x", "table/1/field"), "table/1/field")
    b'x'
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: Mapping[str, bytes] | None = None) -> None:
        self._keys = dict(keys or {})
        if any(len(key) != _KEY or not 0 < len(name) < _KEY or ":" in name for name, key in self._keys.items()):
            msg = "a key is 32 bytes under a short name"
            raise ConfigurationError(msg, hint="make one with KeyRing.new_key()")

    @classmethod
    def parse(cls, text: str) -> KeyRing:
        """Read `id:base64,id:base64`; an empty text is a ring without keys.

        Raises:
            ConfigurationError: the text is malformed (it is not repeated in the message).
        """
        keys: dict[str, bytes] = {}
        try:
            for item in filter(None, (part.strip() for part in text.split(","))):
                name, encoded = item.split(":", 1)
                keys[name] = base64.b64decode(encoded, altchars=b"-_", validate=True)
        except ValueError:
            msg = "the keys cannot be read"
            raise ConfigurationError(msg, hint="write them as id:base64, as KeyRing.new_key() does") from None
        return cls(keys)

    @classmethod
    def from_env(cls, name: str = "GRANTFLOW_KEYS") -> KeyRing:
        """Read the ring from an environment variable; unset is a ring without keys."""
        return cls.parse(os.environ.get(name, ""))

    @staticmethod
    def new_key() -> str:
        """A fresh key, as `parse` reads it."""
        return f"k{secrets.token_hex(3)}:{base64.urlsafe_b64encode(secrets.token_bytes(_KEY)).decode()}"

    def seal(self, plain: bytes, where: str) -> bytes:
        """Encrypt for one place; raises KeysMissing without a key."""
        if not self._keys:
            raise KeysMissing
        name, key = next(iter(self._keys.items()))
        nonce = secrets.token_bytes(_NONCE)
        bound = f"{where}/{name}".encode()
        return name.encode() + b":" + nonce + AESGCM(key).encrypt(nonce, plain, bound)

    def open(self, sealed: bytes, where: str) -> bytes:
        """Decrypt; raises KeysMissing for a key that is not here and Quarantined for damaged bytes."""
        name, _, rest = sealed.partition(b":")
        key = self._keys.get(name.decode("ascii", "replace"))
        if key is None:
            raise KeysMissing
        try:
            return AESGCM(key).decrypt(rest[:_NONCE], rest[_NONCE:], f"{where}/{name.decode()}".encode())
        except (InvalidTag, ValueError):
            msg = f"the sealed value at {where} does not open"
            raise Quarantined(msg) from None

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)})"
