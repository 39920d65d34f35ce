"""A store of one's own to measure: in a temporary home, with the settings everybody gets.

Here: starting it, waiting until it has come to rest, stopping and removing it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import processes
from tests.support.local_store import LocalStore

# What the store may use of a core while nothing is asked of it.
IDLE_SHARE = 0.25
SETTLES_WITHIN_S = 60.0


@contextmanager
def own_store() -> Iterator[LocalStore]:
    """A store that runs; afterwards nothing is left of it."""
    home = Path(tempfile.mkdtemp(prefix="objstore-bench-"))
    # As root, PostgreSQL runs as a user of its own, which must be able to enter the home.
    home.chmod(0o755)
    store = LocalStore(home, settings={})
    try:
        store.start()
        yield store
    finally:
        store.stop()
        shutil.rmtree(home, ignore_errors=True)


def wait_until_idle(home: Path) -> None:
    """What its processes still have to do, starting or coding, is not what is measured next."""
    deadline = time.monotonic() + SETTLES_WITHIN_S
    while time.monotonic() < deadline:
        before = processes.cpu_by_role(home)
        time.sleep(2)
        if (processes.cpu_by_role(home) - before).total() < 2 * IDLE_SHARE:
            return
