"""Names and secrets the engine makes: public ids, codes, tokens and their hashes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import uuid
import zlib

from grantflow_machines import Instant


def new_id(now: Instant) -> str:
    """A UUIDv7: sorts by creation, tells nothing else (RFC 9562 §5.7)."""
    value = (now // 1000 & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def new_secret(prefix: str) -> str:
    """A random secret of 256 bits with a prefix that tells what it is.

    >>> new_secret("gfa").startswith("gfa_")
    True
    """
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def hashed(secret: str) -> bytes:
    """What is stored instead of a secret of full entropy: SHA-256."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def same(left: bytes, right: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(left, right)


def s256(verifier: str) -> str:
    """The PKCE challenge of a verifier (RFC 7636 §4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii", "replace")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def new_pkce() -> tuple[str, str]:
    """A fresh (verifier, challenge) pair for an app (RFC 7636 §4.1).

    >>> verifier, challenge = new_pkce()
    >>> challenge == s256(verifier)
    True
    """
    verifier = secrets.token_urlsafe(48)
    return verifier, s256(verifier)


def bucket_of(account: str) -> int:
    """The partition an account belongs to, the same in every process.

    >>> bucket_of("acme")
    62
    """
    return zlib.crc32(account.encode("utf-8", "surrogatepass")) % 256
