"""Secrets of access keys, sealed under the master key, which lives outside the database.

Promise: a new master key is made only while there is no secret sealed under an older one; so a home
that lost its key says so, instead of making every existing key useless without a word.
"""

from __future__ import annotations

from pathlib import Path

from core import crypto
from core.config import config
from core.errors import BadFormat, ConfigurationError
from tenants.models import AccessKey


class Keyring:
    """Seals and opens under the master key of one file."""

    __slots__ = ("_file",)

    def __init__(self, file: Path) -> None:
        self._file = file

    def seal(self, secret: str, bound_to: str) -> bytes:
        """`secret` sealed; it opens only for the same access key id. Asks the database."""
        self.prepare()
        return crypto.seal(secret.encode(), _purpose(bound_to))

    def open(self, sealed: bytes, bound_to: str) -> str:
        """The secret. Never makes a master key, and asks nobody."""
        if not self._file.exists():
            raise ConfigurationError(f"The master key {self._file} is missing.")
        return crypto.open_sealed(bytes(sealed), _purpose(bound_to)).decode()

    def prepare(self) -> None:
        """Make the master key on first start; refuse to, or to use a wrong one, later."""
        witness = AccessKey.objects.values_list("id", "secret").order_by("created").first()
        if witness is None:
            crypto.key_file(self._file)
            return
        if not self._file.exists():
            raise ConfigurationError(
                f"The master key {self._file} is missing, and secrets are sealed under it: "
                "put it back from its backup."
            )
        try:
            self.open(bytes(witness[1]), witness[0])
        except BadFormat:
            raise ConfigurationError(
                f"{self._file} is not the master key the existing secrets are sealed under: "
                "put the right one back from its backup."
            ) from None


def keyring() -> Keyring:
    """The keyring this process is configured for, now."""
    return Keyring(config().crypto.master_key_file)


def _purpose(key_id: str) -> str:
    return f"access-key:{key_id}"
