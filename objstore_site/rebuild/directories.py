"""Drives as directories: owned for the length of a rebuild, their files read, never changed.

Here: which directories are drives of one cluster, what files they hold, whether those are whole,
hard links into quarantine and out of the trash. Not here: what the files mean to the database.

The lock of each drive is held: no node daemon serves it meanwhile. Names are made in `quarantine/`,
and under `shards/` for what is taken back from the trash; no name is removed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from core.errors import ConfigurationError, StoreError
from storage_nodes.node.disk import CWD, Disk, OwnedFd
from storage_nodes.node.identity import IDENTITY, DriveRefused, lock, read_identity
from storage_nodes.shard_file import HEADER_SIZE, footer_size, parse_footer
from storage_nodes.shard_file import parse_header as parse_shard_header
from storage_nodes.shard_name import JOURNAL, JournalName, ShardName, parse_name

QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class FoundShard:
    """One shard file that is what its name says; `segment_size` is 0 where it does not tell."""

    name: ShardName
    layout: str
    needed: int
    parity: int
    cell_size: int
    size: int
    segment_size: int


class Directory:
    """One drive."""

    def __init__(self, path: Path, cluster: UUID | None) -> None:
        self.path = path
        self._root = OwnedFd(Disk().open_folder(str(path), root=CWD))
        self.cluster = cluster or _cluster_of(path)
        identity = read_identity(self._root.fd, self.cluster)
        self.drive = identity.drive
        self._lock = lock(self._root.fd)
        self.shards: list[FoundShard] = []
        self.trashed: dict[ShardName, Path] = {}
        # Names of files that are not what they should be, and why.
        self.damaged: dict[str, str] = {}

    def journal(self) -> list[JournalName]:
        """Every file of the journal, whole or not."""
        return sorted(
            name for _, name in self._named(self.path / JOURNAL) if isinstance(name, JournalName)
        )

    def survey(self) -> None:
        """Look at the header and the footer of every shard, and at the trash."""
        for folder in sorted((self.path / "shards").glob("??/??")):
            for path, name in self._named(folder):
                if isinstance(name, ShardName):
                    self._look_at(path, name)
        for path, name in self._named(self.path / "trash", prefix=True):
            if isinstance(name, ShardName):
                self.trashed[name] = path

    def file(self, name: ShardName | JournalName) -> Path:
        return self.path / name.path

    def quarantine(self, name: ShardName, reason: str) -> bool:
        """Keep these bytes whatever becomes of the name; False where the drive takes no link."""
        folder = self.path / QUARANTINE / reason
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.link(self.file(name), folder / str(name))
            for each in (folder, folder.parent, self.path):
                _sync(each)
        except OSError:
            return False
        return True

    def restore(self, name: ShardName) -> bool:
        """Give a trashed shard that is still needed its name back."""
        try:
            self.file(name).parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.link(self.trashed[name], self.file(name))
            for each in (self.file(name).parent, self.file(name).parent.parent):
                _sync(each)
            self._look_at(self.file(name), name)
        except OSError:
            return False
        return True

    def _look_at(self, path: Path, name: ShardName) -> None:
        try:
            self.shards.append(_examine(path, name, self.cluster))
        except (StoreError, OSError) as why:
            self.damaged[str(name)] = str(why)

    def _named(
        self, folder: Path, *, prefix: bool = False
    ) -> Iterator[tuple[Path, ShardName | JournalName]]:
        try:
            listed = sorted(os.listdir(folder))
        except FileNotFoundError:
            return
        for text in listed:
            with suppress(ValueError):
                yield folder / text, parse_name(text.split("-", 1)[1] if prefix else text)


def open_all(paths: Sequence[Path]) -> tuple[list[Directory], dict[Path, str]]:
    """The drives at these paths, and why others are none. All are of one cluster."""
    found: list[Directory] = []
    refused: dict[Path, str] = {}
    for path in paths:
        try:
            found.append(Directory(path.absolute(), found[0].cluster if found else None))
        except DriveRefused as why:
            if "daemon" in str(why):
                raise ConfigurationError(f"{path}: {why} Stop its node first.") from None
            refused[path] = str(why)
        except OSError as why:
            refused[path] = why.strerror or str(why)
    return found, refused


def survey(directories: Sequence[Directory]) -> None:
    """Look at all drives, each in a thread of its own."""
    with ThreadPoolExecutor(max(1, len(directories))) as pool:
        for _ in pool.map(Directory.survey, directories):
            pass


def _examine(path: Path, name: ShardName, cluster: UUID) -> FoundShard:
    """Header and footer only: the blocks are for readers and for `cluster verify`."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = parse_shard_header(file.read(HEADER_SIZE))
        if header.name != name or header.cluster != cluster:
            raise ConfigurationError(f"the header is that of {header.name}")
        segment_size = 0
        if header.layout == "coded":
            # The footer's length follows from the payload's: at most a few bytes are read in vain.
            length = min(size - HEADER_SIZE, footer_size(size))
            file.seek(size - length)
            footer = parse_footer(file.read(length), name, size)
            segment_size = footer.segment_size
    return FoundShard(
        name=name,
        layout=header.layout,
        needed=header.needed,
        parity=header.parity,
        cell_size=header.cell_size,
        size=size,
        segment_size=segment_size,
    )


def _cluster_of(path: Path) -> UUID:
    """Which cluster the first drive says it belongs to."""
    try:
        return UUID(json.loads((path / IDENTITY).read_text())["cluster"])
    except FileNotFoundError:
        raise DriveRefused("There is no identity file: unmounted, or never formatted.") from None
    except (ValueError, KeyError, TypeError):
        raise DriveRefused("The identity file is damaged.") from None


def _sync(folder: Path) -> None:
    held = OwnedFd(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    os.fsync(held.fd)
