"""Every client of the matrix by its name: the quick ones are part of `make test`, the others of
`make clients`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients import installed
from tests.clients.client import Client
from tests.clients.commands import AwsCli, Program, Rclone, S3cmd, S5cmd
from tests.clients.libraries import (
    Boto3,
    Boto3Crt,
    DjangoStorages,
    MinioPy,
    Obstore,
    SmartOpen,
)
from tests.s3.accounts import Account

Maker = Callable[[Account, str, Path], Client]


def _s3fs(account: Account, bucket: str, scratch: Path) -> Client:
    program = installed.PROGRAMS / "s3fs_client.py"
    command: list[str | Path] = [installed.S3FS_PYTHON, program]
    if not installed.S3FS_PYTHON.exists():
        pytest.fail("s3fs is not installed: run `make clients`, which makes its environment")
    return Program(account, bucket, scratch, command=command)


def _pyarrow(account: Account, bucket: str, scratch: Path) -> Client:
    program = installed.PROGRAMS / "pyarrow_client.py"
    return Program(account, bucket, scratch, command=[sys.executable, program])


def _sdk(account: Account, bucket: str, scratch: Path) -> Client:
    node = shutil.which("node")
    if node is None or not installed.NODE_MODULES.exists():
        pytest.skip("NOT TESTED: aws-sdk-js needs node and npm, which this machine does not have")
    made = Program(account, bucket, scratch, command=[node, installed.PROGRAMS / "sdk_client.cjs"])
    made.settings["NODE_PATH"] = str(installed.NODE_MODULES)
    return made


def _rclone(account: Account, bucket: str, scratch: Path) -> Client:
    program = installed.found(installed.RCLONE, "rclone")
    if program is None:
        pytest.skip("NOT TESTED: apt could not give us rclone on this machine")
    return Rclone(account, bucket, scratch, program=program)


QUICK: dict[str, Maker] = {
    "awscli": AwsCli,
    "boto3": Boto3,
    "boto3-crt": Boto3Crt,
    "django-storages": DjangoStorages,
    "minio-py": MinioPy,
    "obstore": Obstore,
    "s3cmd": S3cmd,
    "s5cmd": S5cmd,
    "smart_open": SmartOpen,
}
OTHER: dict[str, Maker] = {
    "aws-sdk-js": _sdk,
    "pyarrow": _pyarrow,
    "rclone": _rclone,
    "s3fs": _s3fs,
}
MAKERS: dict[str, Maker] = {**QUICK, **OTHER}

MATRIX = [
    *QUICK,
    *(pytest.param(name, marks=pytest.mark.clients) for name in OTHER),
]
