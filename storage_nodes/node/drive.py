"""One presence of a drive: every name on it, its space, the order of fsyncs that keeps promises.

Here: create, write, sync, publish, open, trash. Not here: who may ask (the doors), whether the
drive is still there each second (`slot`), files without a name yet (`drafts`), what a shard
contains. Blocking and thread-safe.

Promises: what `publish` and `trash` did survives a power cut once they returned; after any write or
fsync error the drive is fenced before the caller hears of it. Specified in node-protocol.md §1.
"""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias

from core import clock, failpoints
from core.errors import (
    DriveFenced,
    DriveFull,
    DriveGone,
    NodeUnreachable,
    ShardCorrupt,
    ShardExists,
    ShardMissing,
    StoreError,
)
from storage_nodes.node import listing
from storage_nodes.node.disk import OUT_OF_SPACE, Disk, OwnedFd, SyncFailed
from storage_nodes.node.drafts import Drafts, OpenFile
from storage_nodes.node.fence import Fence
from storage_nodes.node.folders import Folders
from storage_nodes.node.identity import Identity
from storage_nodes.node.page import GONE, Page
from storage_nodes.node.trash import Trash
from storage_nodes.shard_name import FileName, JournalName, ShardName
from storage_nodes.stores.base import Buffer, Purpose, ShardStat, Space

# Not the drive's fault: this process or machine is short of something.
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR})
_IfTaken: TypeAlias = Literal["refuse", "keep", "replace"]

_before_fsync = failpoints.declare(
    "node.write.before_fsync", point="C2", doc="bytes written, not yet synced"
)
_before_link = failpoints.declare(
    "node.publish.before_link", point="C3", doc="file durable, name not yet linked"
)
_before_folder_sync = failpoints.declare(
    "node.publish.before_folder_sync", point="C3", doc="name linked, folder not yet durable"
)
_before_reply = failpoints.declare(
    "node.publish.before_reply", point="C3", doc="shard published, answer not yet sent"
)


@dataclass(frozen=True, kw_only=True)
class DriveLimits:
    """How much of a file system is not for shards."""

    reserve_fraction: float
    reserve_bytes: int
    trash_s: float
    trash_fraction: float


class Drive:
    """A drive that is present and ours. `verify` raises DriveGone when it no longer is."""

    def __init__(
        self,
        identity: Identity,
        root: OwnedFd,
        *,
        disk: Disk,
        page: Page,
        fence: Fence,
        limits: DriveLimits,
        verify: Callable[[], None],
    ) -> None:
        self.identity = identity
        self.disk = disk
        self.fence = fence
        self._root = root
        self._page = page
        self._limits = limits
        self._verify = verify
        self._folders = Folders(disk, root)
        self._drafts = Drafts(disk, root, self._folders)
        if not fence.is_up:
            self._drafts.sweep()
        self.trash_bin = Trash(disk, root, self._folders)
        self.device = os.fstat(root.fd).st_dev

    # -- writing ------------------------------------------------------------------------------

    def create(
        self, name: FileName, purpose: Purpose, size_bytes: int | None, header: Buffer
    ) -> OpenFile:
        """A new file with its header; a 'pack' is published, durably, before this returns."""
        with self._guard("create"):
            self._make_room(max(size_bytes or 0, len(header), 1))
            file = self._drafts.new(name, self._page.presence)
            try:
                if size_bytes:
                    self.disk.allocate(file.fd.fd, size_bytes, as_length=purpose == "pack")
                if header:
                    self.disk.write(file.fd.fd, 0, [header])
                if purpose == "pack":
                    self._publish(file, if_taken="refuse")
            except BaseException:
                self.discard(file)
                raise
            return file

    def write(self, file: OpenFile, offset: int, buffers: Sequence[Buffer], *, sync: bool) -> None:
        """Bytes at their place; with `sync` durable. For clients without a descriptor."""
        with self._guard("write"):
            self._check_current(file)
            self._make_room(1)
            self.disk.write(file.fd.fd, offset, buffers)
            if sync:
                self._sync(file)

    def sync(self, file: OpenFile) -> None:
        """What was written is durable, and still named if it was."""
        with self._guard("sync"):
            self._check_current(file)
            self._sync(file)

    def publish(self, file: OpenFile, *, replace: bool = False) -> None:
        """File durable, then its name, then the folder. Idempotent. Who has the name already keeps
        it, or with `replace` goes to trash; at every moment one of the two has it.
        """
        with self._guard("publish"):
            self._check_current(file)
            if not file.published:
                self._publish(file, if_taken="replace" if replace else "keep")

    def discard(self, file: OpenFile, size_bytes: int | None = None) -> None:
        """Forget an unpublished file; of a published one, give back the room it did not need, when
        its writer has told its size.
        """
        if file.published and size_bytes is not None:
            with suppress(OSError, StoreError):
                self.check_writable()
                self._check_current(file)
                self.disk.trim(file.fd.fd, size_bytes)
        self._drafts.discard(file)

    def descriptor(self, file: OpenFile) -> int:
        """A read-write descriptor for another process, opened anew."""
        return self.disk.reopen(file.fd.fd, os.O_RDWR)

    # -- reading ------------------------------------------------------------------------------

    def open(self, name: FileName) -> tuple[int, int]:
        """A read-only descriptor, the caller's to close, and the size."""
        try:
            fd = self.disk.open(name.path, os.O_RDONLY, root=self._root.fd)
        except OSError as error:
            raise self._reading_failed(name, error) from error
        return fd, os.fstat(fd).st_size

    def read(self, name: FileName, offset: int, length: int) -> bytes:
        fd, _ = self.open(name)
        try:
            return os.pread(fd, length, offset)
        except OSError as error:
            raise self._reading_failed(name, error) from error
        finally:
            os.close(fd)

    def stat(self, name: FileName) -> ShardStat | None:
        for path, trashed in ((name.path, False), (self.trash_bin.find(name), True)):
            if path is None:
                continue
            try:
                found = os.stat(path, dir_fd=self._root.fd)
            except FileNotFoundError:
                continue
            return ShardStat(size_bytes=found.st_size, trashed=trashed)
        self._verify()
        return None

    def names(self, after: ShardName | None, limit: int) -> list[ShardName]:
        """Published shards in path order, behind `after`."""
        self._verify()
        return listing.shard_names(self.disk, self._root, after, limit)

    def journal_names(self, after: str, limit: int) -> list[JournalName]:
        """Published journal files in the order of their names, behind `after`."""
        self._verify()
        return listing.journal_names(self.disk, self._root, after, limit)

    # -- removing -----------------------------------------------------------------------------

    def trash(self, name: FileName) -> bool:
        with self._guard("trash"):
            return self.trash_bin.put(name)

    def restore(self, name: FileName) -> bool:
        with self._guard("restore"):
            return self.trash_bin.restore(name)

    def unlink_trash(self, older_than: float) -> int:
        with self._guard("unlink_trash"):
            return self.trash_bin.unlink_older(int(older_than * 1000))

    def tend_trash(self, sharers: int) -> None:
        """Enforce age and size. `sharers` drives of this node live on the same file system."""
        with self._guard("trash"):
            self.trash_bin.unlink_older(int((clock.timestamp() - self._limits.trash_s) * 1000))
            space = self.space()
            # A quarter of what is left at most: a nearly full drive needs its room for shards.
            cap = min(self._limits.trash_fraction * space.size_bytes, space.free_bytes / 4)
            self.trash_bin.shrink(at_most=int(cap / max(sharers, 1)))

    # -- state --------------------------------------------------------------------------------

    def space(self) -> Space:
        size, available = self.disk.room(self._root.fd)
        reserve = max(int(size * self._limits.reserve_fraction), self._limits.reserve_bytes)
        return Space(
            size_bytes=size,
            free_bytes=max(0, available - reserve),
            trash_bytes=self.trash_bin.size_bytes,
            device=self.device,
        )

    def report_error(self, name: FileName, number: int) -> None:
        """A holder of a descriptor met an error."""
        self.fence.put_up(number, f"{name}, reported by a writer")

    def check_writable(self) -> None:
        if self._page.state == GONE:
            raise DriveGone(drive=self.identity.drive)
        if self.fence.is_up:
            raise DriveFenced(drive=self.identity.drive, why=self.fence.reason)

    # -- steps --------------------------------------------------------------------------------

    def _publish(self, file: OpenFile, *, if_taken: _IfTaken) -> None:
        folder = self._folders.open(file.name.folder)
        _before_fsync.hit()
        self.disk.fsync(file.fd.fd)
        _before_link.hit()
        try:
            self._drafts.link(file, folder.fd)
        except FileExistsError:
            if if_taken == "refuse":
                raise ShardExists(shard=file.name) from None
            if if_taken == "replace":
                with self._drafts.named(file) as path:
                    self.trash_bin.supplant(file.name, path)
        self.discard(file)
        _before_folder_sync.hit()
        self._folders.sync(file.name.folder)
        # A drive that left or was fenced meanwhile has promised nothing.
        self._verify()
        self.check_writable()
        file.published = True
        _before_reply.hit()

    def _sync(self, file: OpenFile) -> None:
        _before_fsync.hit()
        self.disk.fdatasync(file.fd.fd)
        if file.published and os.fstat(file.fd.fd).st_nlink == 0:
            raise ShardMissing(shard=file.name)
        self._verify()
        self.check_writable()

    def _check_current(self, file: OpenFile) -> None:
        """A file opened before the drive left or was fenced may have lost bytes unheard."""
        if file.presence != self._page.presence:
            raise DriveGone("The file is from an earlier presence of the drive.", shard=file.name)

    def _make_room(self, size_bytes: int) -> None:
        free = self.space().free_bytes
        if free >= size_bytes:
            return
        self.trash_bin.shrink(at_most=1 << 62, but_at_least=size_bytes - free)
        if self.space().free_bytes < size_bytes:
            raise DriveFull(drive=self.identity.drive)

    @contextmanager
    def _guard(self, what: str) -> Iterator[None]:
        """Let only writable drives in; turn what the disk says into what it means."""
        self.check_writable()
        try:
            yield
        except SyncFailed as error:
            raise self._fenced(error, what) from error
        except OSError as error:
            if error.errno in OUT_OF_SPACE:
                raise DriveFull(drive=self.identity.drive) from error
            if error.errno in _OURS:
                raise NodeUnreachable(f"The node is short of resources: {error}.") from error
            # Names that vanish under us are the drive leaving, more often than it failing.
            self._verify()
            raise self._fenced(error, what) from error

    def _fenced(self, error: OSError, what: str) -> DriveFenced:
        self.fence.put_up(error.errno or errno.EIO, what)
        return DriveFenced(drive=self.identity.drive, why=f"{what}: {error.strerror}")

    def _reading_failed(self, name: FileName, error: OSError) -> Exception:
        if error.errno in _OURS:
            return NodeUnreachable(f"The node is short of resources: {error}.")
        self._verify()
        if isinstance(error, FileNotFoundError):
            return ShardMissing(shard=name)
        return ShardCorrupt(f"The drive cannot read the shard: {error.strerror}.", shard=name)
