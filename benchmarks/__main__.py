"""`make bench`: a store of its own in a temporary home, measured by `benchmarks.s3`, and removed.

Arguments are those of `benchmarks.s3`; `--full` also runs the memory and keep-up measurements.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import processes
from tests.support.local_store import LocalStore

# What the store may use of a core while nothing is asked of it.
IDLE_SHARE = 0.25
SETTLES_WITHIN_S = 60.0


def wait_until_idle(home: Path) -> None:
    """Starting the background processes is not what is measured."""
    deadline = time.monotonic() + SETTLES_WITHIN_S
    while time.monotonic() < deadline:
        before = processes.cpu_by_role(home)
        time.sleep(2)
        if (processes.cpu_by_role(home) - before).total() < 2 * IDLE_SHARE:
            return


def main() -> int:
    """The worst exit status of what was run."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--full"]
    home = Path(tempfile.mkdtemp(prefix="objstore-bench-"))
    # As root, PostgreSQL runs as a user of its own, which must be able to enter the home.
    home.chmod(0o755)
    store = LocalStore(home, settings={})
    modules = ["benchmarks.s3"]
    if "--full" in sys.argv:
        modules += ["benchmarks.memory", "benchmarks.keep_up"]
    try:
        store.start()
        wait_until_idle(home)
        worst = 0
        for module in modules:
            given = arguments if module == "benchmarks.s3" else []
            command = [sys.executable, "-m", module, "--home", str(home), *given]
            worst = max(worst, subprocess.run(command, check=False).returncode)
        return worst
    finally:
        store.stop()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
