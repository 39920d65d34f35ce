"""Which published files a drive holds, in the order of their paths, page by page."""

import os
from collections.abc import Iterator

from storage_nodes.node.disk import Disk, OwnedFd
from storage_nodes.shard_name import JOURNAL, JournalName, ShardName

_SHARDS = "shards"


def shard_names(disk: Disk, root: OwnedFd, after: ShardName | None, limit: int) -> list[ShardName]:
    """Up to `limit` shards behind `after`. Strangers among them are passed over."""
    found: list[ShardName] = []
    start = after.path if after else ""
    for path, folder in _leaves(disk, root, start):
        for text in sorted(os.listdir(folder.fd)):
            if f"{path}/{text}" > start and (name := _shard_name(text)):
                found.append(name)
                if len(found) == limit:
                    return found
    return found


def journal_names(disk: Disk, root: OwnedFd, after: str, limit: int) -> list[JournalName]:
    """Up to `limit` journal files whose names come behind `after`."""
    try:
        folder = OwnedFd(disk.open_folder(JOURNAL, root=root.fd))
    except FileNotFoundError:
        return []
    found = (_journal_name(text) for text in sorted(os.listdir(folder.fd)) if text > after)
    return [name for name in found if name][:limit]


def _leaves(disk: Disk, root: OwnedFd, start: str) -> Iterator[tuple[str, OwnedFd]]:
    """The leaf folders in order, leaving out those wholly before `start`."""
    for first in _subfolders(disk, root, _SHARDS):
        above = f"{_SHARDS}/{first}"
        if above < start[: len(above)]:
            continue
        for second in _subfolders(disk, root, above):
            leaf = f"{above}/{second}"
            if leaf >= start[: len(leaf)]:
                yield leaf, OwnedFd(disk.open_folder(leaf, root=root.fd))


def _subfolders(disk: Disk, root: OwnedFd, path: str) -> list[str]:
    try:
        folder = OwnedFd(disk.open_folder(path, root=root.fd))
    except FileNotFoundError:
        return []
    return sorted(text for text in os.listdir(folder.fd) if len(text) == 2)


def _shard_name(text: str) -> ShardName | None:
    try:
        return ShardName.parse(text)
    except ValueError:
        return None


def _journal_name(text: str) -> JournalName | None:
    try:
        return JournalName.parse(text)
    except ValueError:
        return None
