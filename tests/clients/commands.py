"""Clients that are commands: awscli, s5cmd, s3cmd, rclone, and our small programs around libraries
that need a process of their own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.clients.client import COMMAND_WITHIN_S, environment, run
from tests.s3.accounts import Account

BIN = Path(sys.executable).parent


class Command:
    """What all of them have: a bucket, an environment, a directory to write to."""

    def __init__(
        self,
        account: Account,
        bucket: str,
        scratch: Path,
        *,
        within_s: float = COMMAND_WITHIN_S,
    ) -> None:
        self.account = account
        self.bucket = bucket
        self.scratch = scratch
        self.within_s = within_s
        self.settings = environment(account, scratch)

    def url(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def run(self, *command: str | Path) -> bytes:
        return run(command, self.settings, within_s=self.within_s)

    @property
    def landing(self) -> Path:
        """A file that is not there yet, for a download."""
        file = self.scratch / "landed"
        file.unlink(missing_ok=True)
        return file


class AwsCli(Command):
    program = str(BIN / "aws")

    def aws(self, *words: str | Path) -> bytes:
        return self.run(self.program, *words)

    def put(self, key: str, file: Path) -> None:
        self.aws("s3", "cp", "--no-progress", file, self.url(key))

    # Its threshold for parts is 8 MiB.
    put_in_parts = put

    def get(self, key: str) -> bytes:
        return self.aws("s3", "cp", self.url(key), "-")

    def get_range(self, key: str, start: int, stop: int) -> bytes:
        file = self.landing
        wanted = f"bytes={start}-{stop - 1}"
        self.aws(
            *("s3api", "get-object", "--bucket", self.bucket, "--key", key),
            *("--range", wanted, file),
        )
        return file.read_bytes()

    def keys(self, prefix: str) -> set[str]:
        lines = self.aws("s3", "ls", "--recursive", self.url(prefix)).decode().splitlines()
        return {line.split(None, 3)[3] for line in lines}

    def copy(self, source: str, target: str) -> None:
        self.aws("s3", "cp", "--no-progress", self.url(source), self.url(target))

    def delete(self, key: str) -> None:
        self.aws("s3", "rm", self.url(key))


class S5cmd(Command):
    def s5cmd(self, *words: str | Path) -> bytes:
        return self.run(BIN / "s5cmd", "--json", "--retry-count", "10", *words)

    def put(self, key: str, file: Path) -> None:
        self.s5cmd("cp", file, self.url(key))

    def put_in_parts(self, key: str, file: Path) -> None:
        self.s5cmd("cp", "--part-size", "5", file, self.url(key))

    def get(self, key: str) -> bytes:
        file = self.landing
        self.s5cmd("cp", self.url(key), file)
        return file.read_bytes()

    def get_range(self, key: str, start: int, stop: int) -> bytes:
        """It has no command for a range; an object above its part size is fetched by ranges."""
        file = self.landing
        self.s5cmd("cp", "--part-size", "5", self.url(key), file)
        return file.read_bytes()[start:stop]

    def keys(self, prefix: str) -> set[str]:
        lines = self.s5cmd("ls", self.url(prefix) + "*").splitlines()
        return {json.loads(line)["key"].removeprefix(self.url("")) for line in lines}

    def copy(self, source: str, target: str) -> None:
        self.s5cmd("cp", self.url(source), self.url(target))

    def delete(self, key: str) -> None:
        self.s5cmd("rm", self.url(key))


class S3cmd(Command):
    def s3cmd(self, *words: str | Path) -> bytes:
        host = self.account.endpoint.removeprefix("http://")
        return self.run(
            *(BIN / "s3cmd", "--no-ssl", "--host", host, "--host-bucket", host),
            *("--region", "us-east-1", "--no-progress", *words),
        )

    def put(self, key: str, file: Path) -> None:
        self.s3cmd("put", file, self.url(key))

    def put_in_parts(self, key: str, file: Path) -> None:
        self.s3cmd("put", "--multipart-chunk-size-mb", "5", file, self.url(key))

    def get(self, key: str) -> bytes:
        file = self.landing
        self.s3cmd("get", self.url(key), file)
        return file.read_bytes()

    def get_range(self, key: str, start: int, stop: int) -> bytes:
        """Its range is the rest of an interrupted download."""
        file = self.landing
        self.s3cmd("get", self.url(key), file)
        with file.open("r+b") as interrupted:
            interrupted.truncate(start)
        self.s3cmd("get", "--continue", self.url(key), file)
        return file.read_bytes()[start:stop]

    def keys(self, prefix: str) -> set[str]:
        lines = self.s3cmd("ls", "--recursive", self.url(prefix)).decode().splitlines()
        return {line.split(None, 3)[3].removeprefix(self.url("")) for line in lines}

    def copy(self, source: str, target: str) -> None:
        self.s3cmd("cp", self.url(source), self.url(target))

    def delete(self, key: str) -> None:
        self.s3cmd("del", self.url(key))


class Rclone(Command):
    def __init__(self, account: Account, bucket: str, scratch: Path, *, program: Path) -> None:
        super().__init__(account, bucket, scratch)
        self.program = program
        self.settings |= {
            "RCLONE_CONFIG": str(scratch / "rclone.conf"),
            "RCLONE_CONFIG_STORE_TYPE": "s3",
            "RCLONE_CONFIG_STORE_PROVIDER": "Other",
            "RCLONE_CONFIG_STORE_ENV_AUTH": "true",
            "RCLONE_CONFIG_STORE_REGION": "us-east-1",
            "RCLONE_CONFIG_STORE_ENDPOINT": account.endpoint,
            "RCLONE_CONFIG_STORE_UPLOAD_CUTOFF": "5Mi",
            "RCLONE_CONFIG_STORE_CHUNK_SIZE": "5Mi",
        }

    def rclone(self, *words: str | Path) -> bytes:
        return self.run(self.program, *words)

    def url(self, key: str) -> str:
        return f"store:{self.bucket}/{key}"

    def put(self, key: str, file: Path) -> None:
        self.rclone("copyto", file, self.url(key))

    # Above the cutoff set here it uploads parts.
    put_in_parts = put

    def get(self, key: str) -> bytes:
        return self.rclone("cat", self.url(key))

    def get_range(self, key: str, start: int, stop: int) -> bytes:
        return self.rclone(
            "cat", "--offset", str(start), "--count", str(stop - start), self.url(key)
        )

    def keys(self, prefix: str) -> set[str]:
        found = self.rclone("lsf", "--recursive", "--files-only", self.url(prefix)).decode()
        return {prefix + line for line in found.splitlines()}

    def copy(self, source: str, target: str) -> None:
        self.rclone("copyto", self.url(source), self.url(target))

    def delete(self, key: str) -> None:
        self.rclone("deletefile", self.url(key))


class Program(Command):
    """One of `programs/`, whose commands are the methods of `Client`."""

    def __init__(
        self, account: Account, bucket: str, scratch: Path, *, command: list[str | Path]
    ) -> None:
        super().__init__(account, bucket, scratch)
        self.command = command

    def ask(self, *words: str | Path) -> bytes:
        return self.run(*self.command, self.bucket, *words)

    def put(self, key: str, file: Path) -> None:
        self.ask("put", key, file)

    def put_in_parts(self, key: str, file: Path) -> None:
        self.ask("put_in_parts", key, file)

    def get(self, key: str) -> bytes:
        return self.ask("get", key)

    def get_range(self, key: str, start: int, stop: int) -> bytes:
        return self.ask("get_range", key, str(start), str(stop))

    def keys(self, prefix: str) -> set[str]:
        return set(json.loads(self.ask("keys", prefix)))

    def copy(self, source: str, target: str) -> None:
        self.ask("copy", source, target)

    def delete(self, key: str) -> None:
        self.ask("delete", key)
