"""The node key: which cluster this host belongs to, and the secret its machines share.

Made once on the first host and copied to the others; nothing in the database can replace it.
"""

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from core.errors import ConfigurationError
from core.files import create_durably


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
    """The key at `path`, made for a new cluster when there is none."""
    if not path.exists():
        create(path, uuid4())
    return load(path)


def create(path: Path, cluster: UUID) -> None:
    """Make a key for that cluster durably, unless there is one. Of rival makers one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    key = {"cluster": str(cluster), "key": secrets.token_hex(32)}
    create_durably(path, json.dumps(key) + "\n")


def _secret(text: str) -> bytes:
    secret = bytes.fromhex(text)
    if len(secret) != 32:
        raise ValueError
    return secret
