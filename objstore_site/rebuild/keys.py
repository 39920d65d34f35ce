"""The node key of a home whose keys were lost with its database.

A home without a node key would make one for a new cluster, and refuse all its drives.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from core.errors import ConfigurationError
from storage_nodes.node import keyfile


def keep_cluster(key_file: Path, cluster: str) -> str:
    """Make a node key for that cluster where there is none; what was done, in a sentence."""
    if key_file.exists():
        known = str(keyfile.load(key_file).cluster)
        if known != cluster:
            raise ConfigurationError(
                f"{key_file} is the key of cluster {known}, the drives are of {cluster}: put the"
                " right one in its place."
            )
        return ""
    key_file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"cluster": cluster, "key": secrets.token_hex(32)}) + "\n"
    fd = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, text.encode())
        os.fsync(fd)
    finally:
        os.close(fd)
    return f"{key_file} was made anew for this cluster: copy it to every host with drives."
