"""Disks that write down what was asked of them, and fail when told to."""

import os
from pathlib import Path
from uuid import UUID

from core.ring import Ring
from storage_nodes.node.disk import Buffers, Disk, OwnedFd, SyncFailed
from storage_nodes.node.drive import Drive, DriveLimits
from storage_nodes.node.identity import format_drive
from storage_nodes.node.slot import Slot, Slots
from storage_nodes.shard_name import ShardName

NO_LIMITS = DriveLimits(reserve_fraction=0, reserve_bytes=0, trash_s=1e9, trash_fraction=1)


class TestDisk(Disk):
    """The real thing, with a trace of what durability hangs on and faults by operation."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__()
        self.trace: list[str] = []
        self.faults: dict[str, int] = {}
        self.names: dict[int, str] = {}
        # Size and room of the file system, where a test wants its own.
        self.told_room: tuple[int, int] | None = None

    def fail(self, operation: str, errno: int) -> None:
        """Every further `operation` fails; or only those on one thing: `fsync shards`."""
        self.faults[operation] = errno

    def open_unnamed(self, folder: int) -> int:
        if "open_unnamed" in self.faults:
            number = self.faults["open_unnamed"]
            raise OSError(number, os.strerror(number))
        fd = super().open_unnamed(folder)
        self.names[fd] = "file"
        return fd

    def open_folder(self, path: str, *, root: int) -> int:
        fd = super().open_folder(path, root=root)
        self.names[fd] = path
        return fd

    def open(self, path: str, flags: int, *, root: int) -> int:
        fd = super().open(path, flags, root=root)
        self.names[fd] = path
        return fd

    def write(self, fd: int, offset: int, buffers: Buffers) -> int:
        self._meet("write", self.names.get(fd, "?"))
        return super().write(fd, offset, buffers)

    def write_durably(self, fd: int, offset: int, buffers: Buffers) -> int:
        self._meet("write_durably", self.names.get(fd, "?"))
        return super().write_durably(fd, offset, buffers)

    async def write_durably_by(
        self, ring: Ring, fd: OwnedFd, offset: int, buffers: Buffers
    ) -> bool:
        self._meet("write_durably_by", self.names.get(fd.fd, "?"))
        return await super().write_durably_by(ring, fd, offset, buffers)

    def allocate(self, fd: int, size_bytes: int, *, as_length: bool = False) -> None:
        self._meet("allocate", "")
        super().allocate(fd, size_bytes, as_length=as_length)

    def fsync(self, fd: int) -> None:
        self._meet_sync("fsync", fd)
        super().fsync(fd)

    def fdatasync(self, fd: int) -> None:
        self._meet_sync("fdatasync", fd)
        super().fdatasync(fd)

    def room(self, fd: int) -> tuple[int, int]:
        return self.told_room or super().room(fd)

    def mkdir(self, path: str, *, root: int) -> None:
        self._meet("mkdir", path)
        super().mkdir(path, root=root)

    def link_unnamed(self, fd: int, name: str, *, folder: int) -> None:
        self._meet("link", name)
        super().link_unnamed(fd, name, folder=folder)

    def link(self, source: str, target: str, *, root: int) -> None:
        self._meet("link", target)
        super().link(source, target, root=root)

    def rename(self, source: str, target: str, *, root: int) -> None:
        self._meet("rename", source)
        super().rename(source, target, root=root)

    def unlink(self, path: str, *, root: int) -> None:
        self._meet("unlink", path)
        super().unlink(path, root=root)

    def _meet(self, operation: str, what: str) -> None:
        step = f"{operation} {what}".strip()
        self.trace.append(step)
        number = self.faults.get(operation) or self.faults.get(step)
        if number:
            raise OSError(number, os.strerror(number))

    def _meet_sync(self, operation: str, fd: int) -> None:
        try:
            self._meet(operation, self.names.get(fd, "?"))
        except OSError as error:
            raise SyncFailed(error.errno, error.strerror) from error


class DriveOnDisk:
    """A formatted directory and the slot that serves it, without a daemon."""

    def __init__(
        self, path: Path, *, disk: Disk | None = None, limits: DriveLimits = NO_LIMITS
    ) -> None:
        self.path = path / "drive"
        self.state = path / "state"
        self.state.mkdir(exist_ok=True)
        self.cluster = UUID(int=42)
        self.identity = format_drive(self.path, self.cluster)
        self.disk = disk or TestDisk()
        self.limits = limits
        self.slots = self._slots()

    @property
    def slot(self) -> Slot:
        return self.slots.slots[0]

    @property
    def drive(self) -> Drive:
        return self.slot.present()

    def publish(self, name: ShardName, content: bytes = b"bytes") -> None:
        """Store a shard."""
        self.drive.publish(self.drive.create(name, "shard", None, content))

    def restart(self) -> None:
        """What a new daemon finds."""
        self.slots.close()
        self.slots = self._slots()

    def close(self) -> None:
        self.slots.close()

    def _slots(self) -> Slots:
        slots = Slots(
            [self.path], self.cluster, limits=self.limits, state=self.state, disk=self.disk
        )
        slots.slots[0].look()
        return slots
