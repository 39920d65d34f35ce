"""Trees of thousands of files and files of gigabytes, up and down again, byte for byte.

CLIENTS=full makes them as large as a release is asked for; without it they fit into a coffee break.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from botocore.client import BaseClient

from tests.clients import installed
from tests.clients.commands import AwsCli, Rclone, S5cmd
from tests.clients.conftest import BUCKET
from tests.clients.trees import digest, digests, make_file, make_tree
from tests.s3.accounts import Account

FULL = os.environ.get("CLIENTS") == "full"
FILES = 5_000 if FULL else 400
LARGE_BYTES = (2 << 30) if FULL else (100 << 20)
LONG_AGO = 1_700_000_000

pytestmark = [pytest.mark.clients, pytest.mark.cluster, pytest.mark.timeout(3600)]


@pytest.fixture
def aws(account: Account, witness: BaseClient, tmp_path: Path) -> AwsCli:
    return AwsCli(account, BUCKET, tmp_path, within_s=3000)


def test_awscli_syncs_a_tree_up_and_down_again(aws: AwsCli, prefix: str, tmp_path: Path) -> None:
    up, down = make_tree(tmp_path / "up", FILES), tmp_path / "down"

    aws.aws("s3", "sync", "--only-show-errors", up, aws.url(prefix))
    aws.aws("s3", "sync", "--only-show-errors", aws.url(prefix), down)

    assert digests(down) == digests(up)


def test_a_second_sync_of_awscli_has_nothing_to_do(
    aws: AwsCli, prefix: str, tmp_path: Path
) -> None:
    up = make_tree(tmp_path / "up", 50)
    for file in up.rglob("*"):
        # Old: an object's time is in whole seconds, and a file must not be younger.
        os.utime(file, (LONG_AGO, LONG_AGO))
    aws.aws("s3", "sync", "--only-show-errors", up, aws.url(prefix))

    assert aws.aws("s3", "sync", "--no-progress", up, aws.url(prefix)) == b""


def test_awscli_removes_what_it_had_synced(aws: AwsCli, prefix: str, tmp_path: Path) -> None:
    up = make_tree(tmp_path / "up", FILES, seed=2)
    aws.aws("s3", "sync", "--only-show-errors", up, aws.url(prefix))

    aws.aws("s3", "rm", "--recursive", "--only-show-errors", aws.url(prefix))

    # No key is left, which this command says by ending with 1.
    with pytest.raises(AssertionError, match="ended with 1"):
        aws.keys(prefix)


def test_awscli_copies_a_large_file_both_ways(aws: AwsCli, prefix: str, tmp_path: Path) -> None:
    up, down = make_file(tmp_path / "up", LARGE_BYTES), tmp_path / "down"

    aws.aws("s3", "cp", "--only-show-errors", up, aws.url(prefix + "large"))
    aws.aws("s3", "cp", "--only-show-errors", aws.url(prefix + "large"), down)

    assert digest(down) == digest(up)


def test_s5cmd_syncs_a_tree_up_and_down_again(
    account: Account, witness: BaseClient, prefix: str, tmp_path: Path
) -> None:
    s5cmd = S5cmd(account, BUCKET, tmp_path, within_s=3000)
    up, down = make_tree(tmp_path / "up", FILES, seed=3), tmp_path / "down"
    down.mkdir()

    s5cmd.s5cmd("sync", f"{up}/", s5cmd.url(prefix))
    s5cmd.s5cmd("sync", s5cmd.url(prefix) + "*", f"{down}/")

    assert digests(down) == digests(up)


def test_rclone_syncs_and_checks_a_tree(
    account: Account, witness: BaseClient, prefix: str, tmp_path: Path
) -> None:
    program = installed.found(installed.RCLONE, "rclone")
    if program is None:
        pytest.skip("NOT TESTED: apt could not give us rclone on this machine")
    rclone = Rclone(account, BUCKET, tmp_path, program=program)
    up, down = make_tree(tmp_path / "up", 200, seed=4), tmp_path / "down"

    rclone.rclone("sync", up, rclone.url(prefix))
    rclone.rclone("check", "--download", up, rclone.url(prefix))
    rclone.rclone("sync", rclone.url(prefix), down)

    assert digests(down) == digests(up)
