"""File systems whose power can be cut: an image file, mounted through a loop device.

Here: making, cutting, mounting again and removing one; whether this machine lets us, and why not.
Not here: what runs on it, and what must still be there afterwards (`power_cuts`).

A cut is the file-system shutdown ioctl without a flush of its log: from then on nothing reaches
the image, and what had not been made durable is gone when it is mounted again.

Promise: `close` leaves neither mount nor loop device, whatever had happened; those that a killed
test run left are removed by the next one.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

# Each kind, and the package that makes it.
_PACKAGES = {"ext4": "e2fsprogs", "xfs": "xfsprogs"}
KINDS = tuple(_PACKAGES)
# _IOR('X', 125, __u32), the same number for both; the flag leaves the log unflushed.
_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2
_FROZEN_S = 20
# Requests that a device takes which is meant to hang.
_FEW = 4
# Sparse: what it takes is what is written. mkfs.xfs wants 300 MiB.
SIZE_BYTES = 3 << 30
_SMALLEST_BYTES = 320 << 20
_ROOM_BYTES = 3 << 30
_COMMAND_WITHIN_S = 120.0
_UNMOUNT_WITHIN_S = 120.0
_FOLDER = re.compile(r"/objstore-power-(\d+)-[^/]*")


class NoPower(Exception):
    """A step of handling a file system failed; the message says which and why."""


class FileSystem:
    """One file system in `folder`, mounted there or at `at`."""

    def __init__(
        self, kind: str, folder: Path, *, at: Path | None = None, size_bytes: int = SIZE_BYTES
    ) -> None:
        assert kind in KINDS
        self.kind = kind
        self.root = at or folder / "root"
        self._image = folder / f"{self.root.name}.{kind}"
        self._size_bytes = size_bytes

    def make(self) -> None:
        """An empty one, mounted; everybody may enter it, as PostgreSQL's account must."""
        _forget(self.root)
        self.root.mkdir(parents=True, exist_ok=True)
        with self._image.open("wb") as image:
            image.truncate(self._size_bytes)
        force = "-F" if self.kind == "ext4" else "-f"
        _run(f"mkfs.{self.kind}", "-q", force, str(self._image))
        self._mount()
        self.root.chmod(0o755)
        _run("sync", "-f", str(self.root))

    def cut(self) -> None:
        """The power is gone: nothing is written any more, every later sync fails."""
        root = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(root, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(root)

    def restore(self) -> None:
        """The power is back: mounted again from what had reached the image.

        Whoever used it must be dead, or let go of it soon.
        """
        deadline = time.monotonic() + _UNMOUNT_WITHIN_S
        while True:
            try:
                _run("umount", str(self.root))
                break
            except NoPower:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        self._mount()

    def sync(self) -> None:
        """Make durable everything written so far, whoever wrote it."""
        _run("sync", "-f", str(self.root))

    @contextmanager
    def device(self, kind: str) -> Iterator[FileSystem]:
        """Another file system, whose device is a file of this one: it hangs while this is frozen.

        Unlike a frozen file system, one whose device hangs takes writes until it has to wait: here
        soon, for the device takes few at a time.
        """
        folder = self.root / "device"
        folder.mkdir()
        made = FileSystem(kind, folder, size_bytes=_SMALLEST_BYTES)
        try:
            made.make()
            (name,) = made._devices()
            with suppress(OSError):  # a sandbox need not let us
                Path("/sys/block", Path(name).name, "queue/nr_requests").write_text(f"{_FEW}\n")
            yield made
        finally:
            made.close()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Whoever writes waits until this ends, as on a drive that hangs; or `_FROZEN_S` at most,
        thawed from outside, for a test that waits with them.
        """
        root = shlex.quote(str(self.root))
        # First: whoever is about to freeze it may be held up before it could start anything more.
        saviour = subprocess.Popen(["sh", "-c", f"sleep {_FROZEN_S}; fsfreeze --unfreeze {root}"])
        try:
            _run("fsfreeze", "--freeze", str(self.root))
            yield
        finally:
            saviour.kill()
            saviour.wait()
            _output("fsfreeze", "--unfreeze", str(self.root))

    def close(self) -> None:
        """Unmount, and give the loop device back; the image stays. Nothing is raised."""
        _forget(self.root)
        for device in self._devices():
            _output("losetup", "-d", device)

    def _devices(self) -> list[str]:
        return _output("losetup", "-n", "-O", "NAME", "-j", str(self._image)).split()

    def _mount(self) -> None:
        _run("mount", "-t", self.kind, "-o", "loop", str(self._image), str(self.root))


@contextmanager
def file_system(kind: str, *, size_bytes: int = SIZE_BYTES) -> Iterator[FileSystem]:
    """An empty one in a folder of its own, removed afterwards."""
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"objstore-power-{os.getpid()}-"))
    folder.chmod(0o755)
    made = FileSystem(kind, folder, size_bytes=size_bytes)
    try:
        made.make()
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def obstacle(kind: str) -> str | None:
    """Why power cannot be cut on this kind of file system here; None when it can be.

    Tried on a small one: what was synced must outlast a cut, what was not must be gone.
    """
    if not sys.platform.startswith("linux"):
        return f"{kind}: only Linux has loop devices"
    if os.geteuid() != 0:
        return f"{kind}: mounting needs root"
    if _program(f"mkfs.{kind}") is None:
        return f"{kind}: there is no mkfs.{kind} (Debian: {_PACKAGES[kind]})"
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < _ROOM_BYTES:
        return f"{kind}: {tempfile.gettempdir()} has {free >> 20} MiB free, of 3 GiB needed"
    try:
        with file_system(kind, size_bytes=_SMALLEST_BYTES) as tried:
            return _unlike_a_cut(tried)
    except (NoPower, OSError) as why:
        return f"{kind}: {why}"


def usable() -> list[str]:
    """The kinds whose power can be cut here."""
    return [kind for kind in KINDS if obstacle(kind) is None]


def need(kind: str) -> None:
    """Skip the test, with a warning that says why, where the power of this kind cannot be cut."""
    why = obstacle(kind)
    if why is not None:
        said = f"NO POWER WAS CUT on {why}"
        warnings.warn(said, stacklevel=2)
        pytest.skip(said)


def _unlike_a_cut(tried: FileSystem) -> str | None:
    kept, gone = tried.root / "kept", tried.root / "gone"
    kept.write_bytes(b"x")
    tried.sync()
    gone.write_bytes(b"x")
    tried.cut()
    try:
        (tried.root / "late").write_bytes(b"x")
    except OSError as why:
        if why.errno not in (errno.EIO, errno.EROFS):
            raise
    else:
        return f"{tried.kind}: writes still succeed after the shutdown ioctl"
    tried.restore()
    if not kept.exists():
        return f"{tried.kind}: a synced file did not outlast the shutdown ioctl"
    if gone.exists():
        return f"{tried.kind}: an unsynced file outlasted the shutdown ioctl"
    return None


def _sweep() -> None:
    """Remove what test runs that were killed left mounted."""
    try:
        mounts = Path("/proc/self/mounts").read_text()
    except OSError:
        return
    # What was mounted last lies on what was mounted before.
    for line in reversed(mounts.splitlines()):
        point = line.split()[1]
        found = _FOLDER.search(point)
        if found and not Path(f"/proc/{found[1]}").exists():
            _forget(Path(point))
            shutil.rmtree(point[: found.end()], ignore_errors=True)


def _forget(root: Path) -> None:
    """Unmount as far as it goes: at once, or as soon as nobody uses it any more."""
    if not _is_mounted(root):
        return
    for _ in range(50):
        _output("umount", str(root))
        if not _is_mounted(root):
            return
        time.sleep(0.1)
    _output("umount", "-l", str(root))


def _is_mounted(root: Path) -> bool:
    try:
        mounts = Path("/proc/self/mounts").read_text()
    except OSError:
        return False
    return any(line.split()[1] == str(root) for line in mounts.splitlines())


def _program(name: str) -> str | None:
    return shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")


def _run(name: str, *arguments: str) -> str:
    program = _program(name)
    if program is None:
        raise NoPower(f"there is no {name}")
    try:
        done = subprocess.run(
            [program, *arguments],
            capture_output=True,
            text=True,
            timeout=_COMMAND_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as why:
        raise NoPower(f"{name}: {why}") from why
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise NoPower(f"{name} failed: {said or f'exit code {done.returncode}'}")
    return done.stdout


def _output(name: str, *arguments: str) -> str:
    """The same, where failing is none of our business."""
    try:
        return _run(name, *arguments)
    except NoPower:
        return ""
