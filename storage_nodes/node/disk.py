"""Every touch of a file system that durability hangs on, in one class that tests can make fail.

Here: thin system calls with a fixed meaning, blocking but for one. Not here: in which order they
make a promise (`drive`, `trash`, `identity`). Paths are relative to a directory descriptor.
"""

import ctypes
import errno
import fcntl
import os
from collections.abc import Sequence

from core.ring import Ring

Buffers = Sequence[bytes | bytearray | memoryview]

_libc = ctypes.CDLL(None, use_errno=True)
_KEEP_SIZE = 1
# AT_FDCWD: paths that are absolute anyway.
CWD = -100
# What a file system answers that cannot do the optional thing it was asked for.
UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EISDIR})
OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
# What a ring answers that could not do it this way, or not now; the drive is not to blame.
_NOT_BY_RING = UNSUPPORTED | {errno.EAGAIN, errno.EINTR, errno.ECANCELED, errno.ENOMEM}
# Buffers one pwritev takes (IOV_MAX).
_MAX_BUFFERS = 1024


class SyncFailed(OSError):
    """An fsync failed: pages may be marked clean that never reached the disk. Never retried."""


class OwnedFd:
    """A descriptor closed when the last user lets go, never while a thread is still using it.

    Keep the object in a variable for as long as its `fd` is used.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


class Disk:
    """The system calls. `skip_fsync` exists to prove that the campaigns notice a missing fsync."""

    def __init__(self, *, skip_fsync: bool = False) -> None:
        self.skip_fsync = skip_fsync

    def open(self, path: str, flags: int, *, root: int) -> int:
        return os.open(path, flags | os.O_CLOEXEC, 0o600, dir_fd=root)

    def open_folder(self, path: str, *, root: int) -> int:
        return self.open(path, os.O_RDONLY | os.O_DIRECTORY, root=root)

    def open_unnamed(self, folder: int) -> int:
        """A file without a name in `folder`, which may be linked into it later."""
        return self.open(".", os.O_TMPFILE | os.O_RDWR, root=folder)

    def reopen(self, fd: int, flags: int) -> int:
        """The same file opened anew: an open file description with its own error record."""
        return os.open(f"/proc/self/fd/{fd}", flags | os.O_CLOEXEC)

    def write(self, fd: int, offset: int, buffers: Buffers) -> int:
        """All buffers one after another at `offset`; how many bytes that were.

        What cannot go past the page cache (a part of a block, an odd address) goes through it.
        """
        return _written(fd, offset, buffers, 0)

    def write_durably(self, fd: int, offset: int, buffers: Buffers) -> int:
        """The same, and they are as durable as after an fdatasync (RWF_DSYNC, pwritev2(2)); what
        was written before is not.

        One system call instead of two, which also lets the kernel flush less, where it has the
        flag; a sandbox need not.
        """
        try:
            return _written(fd, offset, buffers, 0 if self.skip_fsync else os.RWF_DSYNC)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
                raise
        written = _written(fd, offset, buffers, 0)
        self.fdatasync(fd)
        return written

    async def write_durably_by(
        self, ring: Ring, fd: OwnedFd, offset: int, buffers: Buffers
    ) -> bool:
        """`write_durably` without a thread. False when that could not be done, or not whole: then
        nothing counts, and the same call with a thread puts it right.
        """
        flags = 0 if self.skip_fsync else os.RWF_DSYNC
        asked = ring.write(fd.fd, offset, buffers, flags, fd)
        if asked is None:
            return False
        try:
            return await asked == sum(map(len, buffers))
        except OSError as error:
            if error.errno not in _NOT_BY_RING:
                raise
            return False

    def bypass_cache(self, fd: int) -> None:
        """Write past the page cache from now on, where the file system can."""
        try:
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_DIRECT)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise

    def allocate(self, fd: int, size_bytes: int, *, as_length: bool = False) -> None:
        """Set room aside: ENOSPC now rather than later. The file's length stays as it is, or
        becomes that size: zeros are read where nothing was written.
        """
        mode = 0 if as_length else _KEEP_SIZE
        if _libc.fallocate(fd, mode, ctypes.c_long(0), ctypes.c_long(size_bytes)) == 0:
            return
        number = ctypes.get_errno()
        if number not in UNSUPPORTED:
            raise OSError(number, os.strerror(number))

    def trim(self, fd: int, size_bytes: int) -> None:
        """Give back the room set aside beyond that."""
        os.ftruncate(fd, size_bytes)

    def fsync(self, fd: int) -> None:
        try:
            if not self.skip_fsync:
                os.fsync(fd)
        except OSError as error:
            raise SyncFailed(error.errno, f"fsync: {error.strerror}") from error

    def fdatasync(self, fd: int) -> None:
        try:
            if not self.skip_fsync:
                os.fdatasync(fd)
        except OSError as error:
            raise SyncFailed(error.errno, f"fdatasync: {error.strerror}") from error

    def room(self, fd: int) -> tuple[int, int]:
        """Size of the file system and what an ordinary user may still take, in bytes."""
        found = os.fstatvfs(fd)
        return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize

    def mkdir(self, path: str, *, root: int) -> None:
        os.mkdir(path, 0o700, dir_fd=root)

    def link_unnamed(self, fd: int, name: str, *, folder: int) -> None:
        # dst_dir_fd makes CPython use linkat(AT_SYMLINK_FOLLOW); plain link() would fail EXDEV.
        os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=folder, follow_symlinks=True)

    def link(self, source: str, target: str, *, root: int) -> None:
        os.link(source, target, src_dir_fd=root, dst_dir_fd=root, follow_symlinks=False)

    def rename(self, source: str, target: str, *, root: int) -> None:
        os.rename(source, target, src_dir_fd=root, dst_dir_fd=root)

    def unlink(self, path: str, *, root: int) -> None:
        os.unlink(path, dir_fd=root)


def _written(fd: int, offset: int, buffers: Buffers, flags: int) -> int:
    """`_write_all`, through the page cache when the bytes cannot go past it."""
    try:
        return _write_all(fd, offset, buffers, flags)
    except OSError as error:
        opened = fcntl.fcntl(fd, fcntl.F_GETFL)
        if error.errno != errno.EINVAL or not opened & os.O_DIRECT:
            raise
        fcntl.fcntl(fd, fcntl.F_SETFL, opened & ~os.O_DIRECT)
        return _write_all(fd, offset, buffers, flags)


def _write_all(fd: int, offset: int, buffers: Buffers, flags: int) -> int:
    """pwritev until everything is written: a short write is no error, but not an end either."""
    start = offset
    for first in range(0, len(buffers), _MAX_BUFFERS):
        group = buffers[first : first + _MAX_BUFFERS]
        length = sum(map(len, group))
        written = os.pwritev(fd, group, offset, flags) if length else 0
        if written < length:
            rest = memoryview(b"".join(group))
            while written < length:
                count = os.pwritev(fd, [rest[written:]], offset + written, flags)
                if count == 0:
                    raise OSError(errno.EIO, "a write made no progress")
                written += count
        offset += length
    return offset - start
