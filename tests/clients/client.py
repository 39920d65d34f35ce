"""What every client is asked to do, in its own way.

Here: the protocol behind the matrix of `test_clients.py`, the environment a client's process gets,
and running it. Not here: any client.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tests.s3.accounts import Account

# Far above what any command needs: a hanging client fails with its output, not with the whole run.
COMMAND_WITHIN_S = 240.0


class Client(Protocol):
    """One way to reach one bucket."""

    def put(self, key: str, file: Path) -> None: ...

    def put_in_parts(self, key: str, file: Path) -> None:
        """Store a file that is large enough for the client's multipart upload."""

    def get(self, key: str) -> bytes: ...

    def get_range(self, key: str, start: int, stop: int) -> bytes: ...

    def keys(self, prefix: str) -> set[str]: ...

    def copy(self, source: str, target: str) -> None: ...

    def delete(self, key: str) -> None: ...


def environment(account: Account, home: Path) -> dict[str, str]:
    """The environment of a client's process: the account, and no settings of whoever runs this."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "S3_", "RCLONE_", "RESTIC_", "OBJSTORE_", "DJANGO_"))
    }
    return {
        **kept,
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "AWS_ACCESS_KEY_ID": account.access_key,
        "AWS_SECRET_ACCESS_KEY": account.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": account.endpoint,
        "S3_ENDPOINT_URL": account.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "10",
    }


def run(
    command: Sequence[str | Path],
    settings: Mapping[str, str],
    *,
    within_s: float = COMMAND_WITHIN_S,
) -> bytes:
    """What the command printed; AssertionError with all it said when it failed."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, env=dict(settings), capture_output=True, timeout=within_s, check=False
    )
    if done.returncode:
        said = (done.stdout[-2000:] + done.stderr[-4000:]).decode(errors="replace")
        raise AssertionError(f"{' '.join(words)} ended with {done.returncode}:\n{said}")
    return done.stdout
