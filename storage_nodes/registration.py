"""Making a node and its drives known: the one place where drives are formatted.

Here: `register_node`, run on the node's own host, idempotent, before its daemon starts.
Not here: serving (the daemon never formats), observing (`health`).

Promise: a path whose drive the database knows is never formatted: if its identity is missing, the
drive is missing. A directory that holds anything but a drive of this cluster is refused.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.db import transaction

from core import clock, names
from core.config import config
from core.errors import ConfigurationError
from storage_nodes.models import Drive, Node, Zone
from storage_nodes.node.disk import CWD, Disk, OwnedFd
from storage_nodes.node.host import this_host
from storage_nodes.node.identity import DriveRefused, Identity, format_drive, read_identity
from storage_nodes.node.keyfile import load_or_create


@dataclass(frozen=True, kw_only=True)
class Registered:
    """What was found or made. `missing` are known drives whose identity is not at their path."""

    node: UUID
    drives: dict[str, int]
    missing: list[str]


def register_node(
    *, zone: str, name: str, address: str, socket: Path | None, drives: Sequence[Path]
) -> Registered:
    """Make node, zone and drives known; format new empty directories."""
    paths = [path.absolute() for path in drives]
    cluster = load_or_create(config().nodes.key_file).cluster
    known = set(
        Drive.objects.filter(node__name=name, path__in=map(str, paths))
        .exclude(state=Drive.State.REMOVED)
        .values_list("path", flat=True)
    )
    identities = {
        path: _identity(path, cluster, may_format=str(path) not in known) for path in paths
    }
    with transaction.atomic():
        node = _node_row(zone, name, address, socket)
        rows = {
            str(path): _drive_row(node, path, identity.drive).id
            for path, identity in identities.items()
            if identity is not None
        }
    missing = [str(path) for path, identity in identities.items() if identity is None]
    return Registered(node=node.id, drives=rows, missing=missing)


def _identity(path: Path, cluster: UUID, *, may_format: bool) -> Identity | None:
    """The identity at `path`; None where a known drive is missing."""
    try:
        if may_format:
            return format_drive(path, cluster)
        root = OwnedFd(Disk().open_folder(str(path), root=CWD))
        return read_identity(root.fd, cluster)
    except FileNotFoundError:
        return None
    except DriveRefused as refusal:
        if not may_format:
            return None
        raise ConfigurationError(f"{path} cannot be a drive. {refusal}") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be a drive: {error.strerror}.") from None


def _node_row(zone: str, name: str, address: str, socket: Path | None) -> Node:
    place, _ = Zone.objects.get_or_create(name=zone)
    said = {
        "zone": place,
        "address": address,
        "socket": str(socket) if socket else None,
        "host": this_host(),
        # A node is used from its registration on; health corrects this within seconds.
        "state": Node.State.UP,
    }
    node, _ = Node.objects.update_or_create(
        name=name, defaults=said, create_defaults={"id": names.new_id(), **said}
    )
    return node


def _drive_row(node: Node, path: Path, uuid: UUID) -> Drive:
    """The row of a drive that is in place; a removed one is not brought back."""
    found = os.statvfs(path)
    said = {
        "node": node,
        "path": str(path),
        "device": os.stat(path).st_dev,
        "size_bytes": found.f_blocks * found.f_frsize,
        "free_bytes": _free(found),
        "last_seen": clock.now(),
    }
    row, _ = Drive.objects.update_or_create(uuid=uuid, defaults=said)
    return row


def _free(found: os.statvfs_result) -> int:
    nodes = config().nodes
    size = found.f_blocks * found.f_frsize
    reserve = max(int(size * nodes.reserve_fraction), nodes.reserve_bytes)
    return max(0, found.f_bavail * found.f_frsize - reserve)
