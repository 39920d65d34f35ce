"""A path the daemon was told to serve, whether or not its drive is there.

Here: taking a drive up, noticing within a second that it left, taking it up again. Not here: what
is done with it (`drive`). A path that cannot be served says why, and is looked at again.
"""

import errno
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from uuid import UUID

from core.clock import monotonic
from core.errors import DriveGone, StoreError
from storage_nodes.node.disk import CWD, Disk, OwnedFd
from storage_nodes.node.drive import Drive, DriveLimits
from storage_nodes.node.fence import Fence
from storage_nodes.node.identity import DriveRefused, Identity, Place, lock, place_of, read_identity
from storage_nodes.node.page import FENCED, Page
from storage_nodes.stores.base import Space

log = logging.getLogger(__name__)
# Blocking calls of remote clients one drive works on at once; a hung drive holds up no other.
_THREADS = 8
_LOOK_EVERY_S = 1.0
_TEND_EVERY = 10
# How long a start waits for drives that are slow to answer.
_FIRST_LOOK_S = 5.0
# A look that takes this long means that the disk hangs.
_HUNG_S = 15.0
_NOTHING = Space(size_bytes=0, free_bytes=0, trash_bytes=0, device=0)


class Slots:
    """All paths of one daemon."""

    def __init__(
        self, paths: list[Path], cluster: UUID, *, limits: DriveLimits, state: Path, disk: Disk
    ) -> None:
        self.cluster = cluster
        self.limits = limits
        self.state = state
        self.disk = disk
        self.slots = [Slot(path, self) for path in paths]

    def watch(self) -> None:
        """Look at every path from now on: each in a thread of its own, as one may hang."""
        for slot in self.slots:
            slot.watcher.start()
        deadline = monotonic() + _FIRST_LOOK_S
        for slot in self.slots:
            slot.looked.wait(max(0.0, deadline - monotonic()))

    def find(self, drive: UUID) -> "Slot":
        """The slot whose drive is, or last was, `drive`."""
        for slot in self.slots:
            if slot.uuid == drive:
                return slot
        raise DriveGone("This node does not serve that drive.", drive=drive)

    def close(self) -> None:
        for slot in self.slots:
            slot.close()

    def sharers(self, device: int) -> int:
        """How many drives of this node live on one file system."""
        drives = [slot.drive for slot in self.slots]
        return sum(1 for drive in drives if drive is not None and drive.device == device)


class Slot:
    """One path. `uuid` stays known while its drive is away."""

    def __init__(self, path: Path, house: Slots) -> None:
        self.path = path
        self.uuid: UUID | None = None
        self.drive: Drive | None = None
        self.reason = "It has not been looked at yet."
        self.page = Page()
        self.pool = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"drive {path.name}")
        self._house = house
        self._place: Place | None = None
        self._lock: OwnedFd | None = None
        self._looking = threading.Lock()
        self.looked = threading.Event()
        self._stop = threading.Event()
        self._space = _NOTHING
        self._looked_at = monotonic()
        self.watcher = threading.Thread(target=self._watch, name=f"watch {path}", daemon=True)

    def present(self) -> Drive:
        """The drive, or DriveGone with the reason."""
        drive = self.drive
        if drive is None:
            raise DriveGone(drive=self.uuid, why=self.reason)
        return drive

    def look(self) -> None:
        """Take the drive up when it is there, let it go when it is not."""
        with self._looking:
            if self._stop.is_set():
                return
            if self.drive is not None and not self._is_in_place():
                self._leave("The path no longer leads to the drive.")
            if self.drive is None:
                self._try_to_serve()
            self._measure()

    def verify(self) -> None:
        """DriveGone unless the path still leads to the drive that was taken up."""
        if not self._is_in_place():
            with self._looking:
                if self.drive is not None and not self._is_in_place():
                    self._leave("The path no longer leads to the drive.")
            raise DriveGone(drive=self.uuid, why=self.reason)

    def describe(self) -> dict[str, object]:
        """The line of this path in the answer to `drives`; touches no disk."""
        drive, space = self.drive, self._space
        state, reason = "gone", self.reason
        if drive is not None:
            state = "fenced" if self.page.state == FENCED else "serving"
            reason = drive.fence.reason
        if monotonic() - self._looked_at > _HUNG_S:
            state, reason = "gone", "The drive does not answer."
        return {
            "path": str(self.path),
            "uuid": str(self.uuid) if self.uuid else None,
            "state": state,
            "reason": reason,
            "size": space.size_bytes,
            "free": space.free_bytes,
            "trash": space.trash_bytes,
            "device": space.device,
        }

    def close(self) -> None:
        if self._stop.is_set():
            return
        self._stop.set()
        with self._looking:
            self._leave("The node is stopping.")
        self.pool.shutdown(wait=True, cancel_futures=True)
        self.page.close()

    def _watch(self) -> None:
        for turn in count():
            self.look()
            self.looked.set()
            if turn % _TEND_EVERY == 0:
                self._tend_trash()
            if self._stop.wait(_LOOK_EVERY_S):
                return

    def _tend_trash(self) -> None:
        drive = self.drive
        if drive is None or drive.fence.is_up:
            return
        try:
            drive.tend_trash(self._house.sharers(drive.device))
        except StoreError as error:
            log.warning("trash not tended", extra={"path": str(self.path), "why": str(error)})

    def _measure(self) -> None:
        self._space = _NOTHING
        if self.drive is not None:
            try:
                self._space = self.drive.space()
            except OSError as error:
                self._leave(f"The file system does not answer: {error.strerror}.")
        self._looked_at = monotonic()

    def _try_to_serve(self) -> None:
        try:
            self._serve()
        except DriveRefused as refusal:
            self._refuse(str(refusal))
        except OSError as error:
            self._refuse(f"{error.strerror}: {error.filename or self.path}")

    def _serve(self) -> None:
        house = self._house
        root = OwnedFd(house.disk.open_folder(str(self.path), root=CWD))
        identity = read_identity(root.fd, house.cluster)
        if any(other.uuid == identity.drive for other in house.slots if other is not self):
            raise DriveRefused(f"The drive {identity.drive} is served at another path already.")
        held = lock(root.fd)
        place = place_of(str(self.path))
        if place.root != _device_and_inode(root.fd):
            raise DriveRefused("The path changed while it was being looked at.")
        if identity.drive != self.uuid:
            # Holders of the other identity's page must not see this drive's state in it.
            self.page = Page() if self.uuid else self.page
            self.uuid = identity.drive
        fence = Fence(house.disk, root, house.state / f"{identity.drive}.fence", self.page)
        self.page.serve(fenced=bool(fence.reason))
        self._place, self._lock = place, held
        try:
            self.drive = self._build(root, identity=identity, fence=fence)
        except BaseException:
            self._leave("It could not be taken up.")
            raise
        self.reason = ""
        log.info("drive served", extra={"path": str(self.path), "drive": str(self.uuid)})

    def _build(self, root: OwnedFd, *, identity: Identity, fence: Fence) -> Drive:
        house = self._house

        def build() -> Drive:
            return Drive(
                identity,
                root,
                disk=house.disk,
                page=self.page,
                fence=fence,
                limits=house.limits,
                verify=self.verify,
            )

        try:
            return build()
        except OSError as error:
            # It is there but refuses: readable as far as it goes, fenced.
            fence.put_up(error.errno or errno.EIO, "taking the drive up")
            return build()

    def _refuse(self, reason: str) -> None:
        if reason != self.reason:
            log.warning("drive not served", extra={"path": str(self.path), "why": reason})
        self.reason = reason

    def _leave(self, reason: str) -> None:
        self.page.leave()
        if self.drive is not None:
            log.warning("drive gone", extra={"path": str(self.path), "why": reason})
        self.drive, self._lock, self._place, self.reason = None, None, None, reason

    def _is_in_place(self) -> bool:
        try:
            return place_of(str(self.path)) == self._place
        except OSError:
            return False


def _device_and_inode(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino
