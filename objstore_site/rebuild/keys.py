"""The node key of a home whose keys were lost with its database.

A home without a node key would make one for a new cluster, and refuse all its drives.
"""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

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
    keyfile.create(key_file, UUID(cluster))
    return f"{key_file} was made anew for this cluster: copy it to every host with drives."
