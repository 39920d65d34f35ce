"""A process of the store dies in the middle of a sync: the client carries on, and every file it
said was stored is there.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from botocore.client import BaseClient

from benchmarks import processes
from tests.clients.commands import AwsCli
from tests.clients.conftest import BUCKET
from tests.clients.trees import digests, make_tree
from tests.s3.accounts import Account
from tests.support.local_store import LocalStore

pytestmark = [pytest.mark.clients, pytest.mark.cluster, pytest.mark.timeout(3600)]

# Enough that the death of any process falls among them.
FILES = 400


@pytest.mark.parametrize("role", ["gateway", "node", "worker", "postgres", "runner"])
def test_a_sync_survives_the_death_of_a_process(
    role: str,
    store: LocalStore,
    account: Account,
    witness: BaseClient,
    prefix: str,
    tmp_path: Path,
) -> None:
    aws = AwsCli(account, BUCKET, tmp_path, within_s=3000)
    up, down = make_tree(tmp_path / "up", FILES), tmp_path / "down"

    acknowledged = _sync_and_kill(aws, up, prefix, store, role)

    lost = [name for name in sorted(acknowledged) if not _is_stored(witness, up, prefix, name)]
    assert lost == []
    aws.aws("s3", "sync", "--only-show-errors", up, aws.url(prefix))
    aws.aws("s3", "sync", "--only-show-errors", aws.url(prefix), down)
    assert digests(down) == digests(up)


def _sync_and_kill(aws: AwsCli, up: Path, prefix: str, store: LocalStore, role: str) -> set[str]:
    """Sync `up`, kill one process of the role when a quarter is done; the files the client
    reported. Whether it gave up afterwards does not matter here.
    """
    told: set[str] = set()
    target = aws.url(prefix)
    command = [aws.program, "s3", "sync", "--no-progress", str(up), target]
    with subprocess.Popen(
        command, env=aws.settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as sync:
        assert sync.stdout is not None
        for line in sync.stdout:
            if line.startswith("upload: "):
                told.add(line.rstrip("\n").rpartition(" to " + target)[2])
            if len(told) == FILES // 4:
                _kill(store, role)
    assert len(told) >= FILES // 4
    store.wait_until_ready()
    return told


def _kill(store: LocalStore, role: str) -> None:
    if role == "runner":
        store.kill_runner()
        store.start()
        return
    # The first of them is the one that has children, if any has.
    pid = min(pid for pid, found in processes.of_home(store.home).items() if found == role)
    os.kill(pid, signal.SIGKILL)


def _is_stored(witness: BaseClient, up: Path, prefix: str, name: str) -> bool:
    answer = witness.get_object(Bucket=BUCKET, Key=prefix + name)
    return bool(answer["Body"].read() == (up / name).read_bytes())
