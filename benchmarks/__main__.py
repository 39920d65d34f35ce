"""`make bench`: a store of its own in a temporary home, measured by `benchmarks.s3`, and removed.

Arguments are those of `benchmarks.s3`; `--full` also runs the memory, keep-up and listing
measurements; `--yardsticks` runs `benchmarks.yardsticks` with these arguments instead.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.own_store import own_store, wait_until_idle

FULL, YARDSTICKS = "--full", "--yardsticks"


def main() -> int:
    """The worst exit status of what was run."""
    arguments = [argument for argument in sys.argv[1:] if argument not in (FULL, YARDSTICKS)]
    first = "benchmarks.yardsticks" if YARDSTICKS in sys.argv else "benchmarks.s3"
    modules = [first]
    if FULL in sys.argv:
        modules += ["benchmarks.memory", "benchmarks.keep_up", "benchmarks.listing"]
    worst = 0
    with own_store() as store:
        wait_until_idle(store.home)
        for module in modules:
            given = arguments if module == first else []
            command = [sys.executable, "-m", module, "--home", str(store.home), *given]
            worst = max(worst, subprocess.run(command, check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
