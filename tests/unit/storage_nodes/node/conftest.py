"""A drive in a directory of the test's own, on a disk whose faults the test makes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.disks import DriveOnDisk, TestDisk


@pytest.fixture
def disk() -> TestDisk:
    return TestDisk()


@pytest.fixture
def on_disk(tmp_path: Path, disk: TestDisk) -> Iterator[DriveOnDisk]:
    made = DriveOnDisk(tmp_path, disk=disk)
    yield made
    made.close()
