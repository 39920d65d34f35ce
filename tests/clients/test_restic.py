"""restic keeps a repository in the store: backups, restores, forgetting, and its own checks."""

from __future__ import annotations

import filecmp
import random
from pathlib import Path

import pytest
from botocore.client import BaseClient

from tests.clients import installed
from tests.clients.client import environment, run
from tests.s3.accounts import Account

pytestmark = [pytest.mark.clients, pytest.mark.cluster]


@pytest.fixture(scope="session")
def restic() -> Path:
    program = installed.found(installed.RESTIC, "restic")
    if program is None:
        pytest.skip("NOT TESTED: apt could not give us restic on this machine")
    return program


def test_a_restic_repository_gives_back_what_was_backed_up(
    restic: Path, account: Account, witness: BaseClient, tmp_path: Path
) -> None:
    tree, restored = tmp_path / "tree", tmp_path / "restored"
    _grow(tree)
    settings = environment(account, tmp_path) | {
        "RESTIC_REPOSITORY": f"s3:{account.endpoint}/restic",
        "RESTIC_PASSWORD": "a password of this test",
        "RESTIC_CACHE_DIR": str(tmp_path / "cache"),
    }

    run([restic, "init"], settings)
    run([restic, "backup", tree], settings)
    (tree / "new").write_bytes(b"in the second backup only")
    run([restic, "backup", tree], settings)
    run([restic, "forget", "--keep-last", "1", "--prune"], settings)
    run([restic, "check", "--read-data"], settings)
    run([restic, "restore", "latest", "--target", restored], settings)

    found = restored / tree.relative_to("/")
    names = sorted(str(file.relative_to(tree)) for file in tree.rglob("*") if file.is_file())
    same, _, _ = filecmp.cmpfiles(tree, found, names, shallow=False)
    assert same == names


def _grow(tree: Path) -> None:
    """Files of many sizes, one of them larger than a pack of restic's."""
    numbers = random.Random(3)
    for number in range(40):
        file = tree / f"d{number % 5}" / f"file {number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(numbers.randbytes(numbers.randrange(100_000)))
    (tree / "large").write_bytes(numbers.randbytes(20_000_000))
