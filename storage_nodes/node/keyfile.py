"""The node key: which cluster this host belongs to, and the secret its machines share.

Made once on the first host and copied to the others; nothing in the database can replace it.
"""

import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from core.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class NodeKey:
    """Cluster id and shared secret. The secret is never shown."""

    cluster: UUID
    secret: bytes = field(repr=False)


def load(path: Path) -> NodeKey:
    """Read the key; ConfigurationError in one sentence when it cannot be used."""
    try:
        stored = json.loads(path.read_text())
        return NodeKey(cluster=UUID(stored["cluster"]), secret=_secret(stored["key"]))
    except FileNotFoundError:
        raise ConfigurationError(f"There is no node key at {path}.") from None
    except OSError as error:
        raise ConfigurationError(f"The node key {path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"The node key {path} is damaged.") from None


def load_or_create(path: Path) -> NodeKey:
    """The key at `path`, made durably when there is none. Of rival makers one wins."""
    if not path.exists():
        _create(path)
    return load(path)


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"cluster": str(uuid4()), "key": secrets.token_hex(32)}) + "\n"
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, text.encode())
        os.fsync(fd)
    finally:
        os.close(fd)
    with suppress(FileExistsError):
        os.link(temporary, path)
    os.unlink(temporary)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _secret(text: str) -> bytes:
    secret = bytes.fromhex(text)
    if len(secret) != 32:
        raise ValueError
    return secret
