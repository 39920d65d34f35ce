"""Giving up root for a server that refuses to run as root.

Here: which account an embedded PostgreSQL runs under, and the step between fork and exec that
changes to it. Not here: starting anything.

PostgreSQL refuses uid 0. As root we run it under a system account of its own (made on first use;
`nobody` where accounts cannot be made). Where that account cannot enter the directories above the
program or the data (a clone under /root), it keeps the one capability that lets it pass through
them.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "objstore-postgres"
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_CAPABILITY_VERSION_3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True)
class Account:
    """Who a server runs as."""

    uid: int
    gid: int


def server_account() -> Account | None:
    """The account PostgreSQL runs under, or None when we are not root and it runs as we do."""
    if os.geteuid() != 0:
        return None
    for name in (ACCOUNT, "nobody"):
        entry = _entry(name) or (_make_account(name) if name == ACCOUNT else None)
        if entry is not None:
            return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    raise RuntimeError("there is no account PostgreSQL could run under; start as an ordinary user")


def own(path: Path, account: Account | None) -> None:
    """Give one directory to the account, and to nobody else."""
    path.chmod(0o700)
    if account is not None:
        os.chown(path, account.uid, account.gid)


def can_enter(path: Path, account: Account) -> bool:
    """May this account pass through every directory above `path`?"""
    return all(_searchable(directory, account) for directory in path.absolute().parents)


def becoming(
    account: Account | None, reached: list[Path], *, at_parents_death: signal.Signals
) -> Callable[[], None]:
    """What a child does between fork and exec: become the account, and die with its parent."""
    passes = account is not None and not all(can_enter(path, account) for path in reached)
    capability = _passing_capability() if passes else None

    def step() -> None:
        if account is not None:
            _become(account, capability)
        # After the change of user, which would clear it.
        _libc.prctl(_PR_SET_PDEATHSIG, int(at_parents_death), 0, 0, 0)

    return step


def dying_with_parent(at_parents_death: signal.Signals) -> Callable[[], None]:
    """The same without a change of user."""
    return becoming(None, [], at_parents_death=at_parents_death)


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _make_account(name: str) -> pwd.struct_passwd | None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        return None
    command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
    # The exit code is not asked: another store may make the same account at the same moment.
    subprocess.run(command, check=False, capture_output=True)
    return _entry(name)


def _searchable(directory: Path, account: Account) -> bool:
    found = directory.stat()
    if found.st_uid == account.uid:
        return bool(found.st_mode & 0o100)
    if found.st_gid == account.gid:
        return bool(found.st_mode & 0o010)
    return bool(found.st_mode & 0o001)


def _passing_capability() -> int:
    held = _permitted_capabilities()
    for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        if held & (1 << capability):
            return capability
    raise PermissionError(
        f"the account {ACCOUNT} cannot enter the directories above this store, and root here may"
        " not let it pass; put the clone and OBJSTORE_HOME where other users may enter"
    )


def _permitted_capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            return int(line.split()[1], 16)
    return 0


def _become(account: Account, capability: int | None) -> None:
    if capability is not None:
        _libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
    if capability is not None:
        _keep_only(capability)


def _keep_only(capability: int) -> None:
    """Permitted, effective, inheritable and ambient: this capability and no other."""
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    bits = 1 << capability
    sets = struct.pack("6I", bits, bits, bits, 0, 0, 0)
    if _libc.capset(header, sets) != 0:
        os._exit(126)
    if _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0:
        os._exit(126)
