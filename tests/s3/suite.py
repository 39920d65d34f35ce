"""Runs a public S3 compatibility suite against a store of its own:
`make conformance SUITE=<bare git directory> KIT=<directory of run_s3tests.sh> [ARGS="-g copy"]`.

Here: a fresh store, the six accounts the suite wants, their keys in the environment of the kit's
script. Not here: the suite, its selection of cases and its report; nothing of them is kept.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.s3.accounts import create_account
from tests.support.local_store import LocalStore

USERS = ("MAIN", "ALT", "TENANT", "IAM", "IAM_ROOT", "IAM_ALT_ROOT")
SETTINGS = {
    "OBJSTORE_LIMITS_PART_MIN_BYTES": "5MiB",
    "OBJSTORE_LIMITS_BUCKETS": "100000",
    "OBJSTORE_CODING_SEGMENT_SIZE": "64MiB",
    "OBJSTORE_CODING_INLINE_FROM": "8MiB",
    "OBJSTORE_CODING_CELL_SIZE": "128KiB",
    "OBJSTORE_PACKING_SEAL_AFTER_S": "30",
    "OBJSTORE_PACKING_SEAL_MIN_BYTES": "4MiB",
}


def suite_environment(store: LocalStore) -> dict[str, str]:
    """Create the accounts and say of them what the suite asks."""
    environment = {
        "S3_ENDPOINT": store.access.endpoint.removeprefix("http://"),
        "S3_SECURE": "False",
    }
    for user in USERS:
        account = create_account(store, user.lower().replace("_", "-"))
        environment |= {
            f"S3_{user}_ACCESS_KEY": account.access_key,
            f"S3_{user}_SECRET_KEY": account.secret_key,
            f"S3_{user}_USER_ID": account.canonical_id,
            f"S3_{user}_DISPLAY_NAME": account.display_name,
            f"S3_{user}_EMAIL": account.email,
        }
    return environment


def run(suite: Path, kit: Path, arguments: list[str], home: Path) -> int:
    """Start a store in `home`, run the suite against it, stop the store."""
    store = LocalStore(home, SETTINGS)
    try:
        store.start()
        environment = {**os.environ, **suite_environment(store)}
        command = ["bash", str(kit / "run_s3tests.sh"), str(suite), *arguments]
        return subprocess.run(command, env=environment, check=False).returncode
    finally:
        store.stop()


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", type=Path, help="bare git directory of the suite")
    parser.add_argument("kit", type=Path, help="directory that holds run_s3tests.sh")
    parser.add_argument("--arguments", default="", help="passed on to run_s3tests.sh")
    asked = parser.parse_args()
    if not (asked.kit / "run_s3tests.sh").is_file():
        print(f"There is no run_s3tests.sh in {asked.kit}.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="objstore-suite-") as home:
        arguments = shlex.split(asked.arguments)
        return run(asked.suite.resolve(), asked.kit.resolve(), arguments, Path(home))


if __name__ == "__main__":
    sys.exit(main())
