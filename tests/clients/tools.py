"""Running standard clients against a store, as their users would.

Here: their environment, their command lines, trees of files and comparing them. Not here: what is
expected of each (the tests say so).
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.client import Access

BIN = Path(sys.executable).parent
COMMAND_WITHIN_S = 900


class Client:
    """Command-line clients with the store's key."""

    def __init__(self, access: Access, home: Path) -> None:
        self.access = access
        self._home = home

    @property
    def environment(self) -> dict[str, str]:
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "OBJSTORE_"))}
        return {
            **kept,
            "HOME": str(self._home),
            "AWS_ACCESS_KEY_ID": self.access.access_key,
            "AWS_SECRET_ACCESS_KEY": self.access.secret_key,
            "AWS_DEFAULT_REGION": self.access.region,
            "AWS_REGION": self.access.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "S3_ENDPOINT_URL": self.access.endpoint,
        }

    def aws(self, *arguments: str) -> str:
        return self.run([str(BIN / "aws"), "--endpoint-url", self.access.endpoint, *arguments])

    def s5cmd(self, *arguments: str) -> str:
        return self.run([str(BIN / "s5cmd"), *arguments])

    def run(self, command: list[str], environment: Mapping[str, str] | None = None) -> str:
        """Its output; AssertionError with what it said when it failed."""
        done = subprocess.run(
            command,
            env={**self.environment, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN_S,
            check=False,
        )
        if done.returncode:
            said = (done.stdout + done.stderr)[-3000:]
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}: {said}")
        return done.stdout


def make_tree(root: Path, files: int, *, seed: int = 1, most_bytes: int = 20_000) -> None:
    """A tree of files with names and sizes of every kind."""
    chance = random.Random(seed)
    for number in range(files):
        name = chance.choice(["plain", "with space", "ünïcode", "plus+and&amp", "dot.dot..x"])
        folder = root / f"folder {number % 7}" / f"{number % 13}"
        folder.mkdir(parents=True, exist_ok=True)
        size = 0 if number % 50 == 0 else chance.randrange(1, most_bytes)
        (folder / f"{name}-{number}.bin").write_bytes(chance.randbytes(size))


def make_file(path: Path, size: int, *, seed: int = 1) -> None:
    """A file of that size, written piece by piece."""
    chance = random.Random(seed)
    with path.open("wb") as out:
        while size:
            piece = chance.randbytes(min(size, 1 << 20))
            out.write(piece)
            size -= len(piece)


def digests(root: Path) -> dict[str, str]:
    """Every file of a tree, by its relative path."""
    return {str(path.relative_to(root)): digest(path) for path in root.rglob("*") if path.is_file()}


def digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
