"""Which machine this is: what tells two nodes of one host from two hosts."""

from functools import cache
from pathlib import Path


@cache
def this_host() -> str:
    """The kernel's boot id: the same for all containers of a machine, new with each boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
