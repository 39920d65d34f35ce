"""Sealing small secrets with AES-256-GCM under the master key.

The master key is a file outside the database: losing it loses every access key's secret, copying
the database alone gives none away. A sealed value names its version, so that keys can be rotated
later.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.config import config
from core.errors import BadFormat, ConfigurationError
from core.files import create_durably

_VERSION = b"\x01"
_NONCE = 12
KEY_BYTES = 32


def seal(secret: bytes, purpose: str) -> bytes:
    """`secret` encrypted; only `open_sealed` with the same purpose gives it back."""
    nonce = os.urandom(_NONCE)
    return _VERSION + nonce + _cipher().encrypt(nonce, secret, purpose.encode())


def open_sealed(sealed: bytes, purpose: str) -> bytes:
    """The secret; `BadFormat` when it was altered, or sealed otherwise than this."""
    if sealed[:1] != _VERSION:
        raise BadFormat("The sealed value has an unknown version.")
    nonce, body = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
    try:
        return _cipher().decrypt(nonce, body, purpose.encode())
    except InvalidTag:
        raise BadFormat("The sealed value does not open under this master key.") from None


def key_file(path: Path) -> bytes:
    """The 32-byte key a file holds as hex; made on first use, readable by its owner only.

    The file appears whole or not at all, and is on stable storage before the key is used.
    """
    try:
        return _read_key(path)
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    create_durably(path, os.urandom(KEY_BYTES).hex() + "\n")
    return _read_key(path)


def _read_key(path: Path) -> bytes:
    text = path.read_text().strip()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError(f"{path} does not hold {KEY_BYTES} bytes in hex.")
    return key


def _cipher() -> AESGCM:
    return _cipher_of(config().crypto.master_key_file)


@lru_cache(maxsize=8)
def _cipher_of(path: Path) -> AESGCM:
    return AESGCM(key_file(path))
