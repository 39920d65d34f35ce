"""The room of a drive: set aside when it is asked for, full before it is broken."""

import errno
import os
from pathlib import Path
from uuid import UUID

import pytest

from core.errors import DriveFull
from storage_nodes.node.drive import DriveLimits
from storage_nodes.shard_name import ShardName
from tests.support.disks import DriveOnDisk, TestDisk
from tests.support.nodes import files_below

NAME = ShardName(UUID("0190a0b0-c0d0-7000-8000-00000000abcd"), 7, 2)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_full_and_not_broken(
    on_disk: DriveOnDisk, disk: TestDisk, number: int
) -> None:
    disk.fail("write", number)
    with pytest.raises(DriveFull):
        on_disk.drive.create(NAME, "pack", None, b"header")
    disk.faults.clear()

    assert files_below(on_disk.path / "shards") == []
    on_disk.publish(NAME)


def test_room_is_set_aside_when_a_file_is_opened(on_disk: DriveOnDisk) -> None:
    file = on_disk.drive.create(NAME, "shard", 1 << 20, b"")

    found = os.fstat(file.fd.fd)
    assert found.st_blocks * 512 >= 1 << 20
    assert found.st_size == 0


@pytest.mark.parametrize(
    ("size", "available", "free"),
    [(1000 << 30, 60 << 30, 10 << 30), (10 << 30, 5 << 30, 3 << 30), (10 << 30, 1 << 30, 0)],
    ids=["five percent", "two gibibytes", "never negative"],
)
def test_the_reserve_is_five_percent_and_at_least_two_gibibytes(
    tmp_path: Path, disk: TestDisk, size: int, available: int, free: int
) -> None:
    limits = DriveLimits(
        reserve_fraction=0.05, reserve_bytes=2 << 30, trash_s=1e9, trash_fraction=1
    )
    on_disk = DriveOnDisk(tmp_path, limits=limits, disk=disk)
    disk.told_room = (size, available)

    assert on_disk.drive.space().free_bytes == free
    on_disk.close()


def test_the_reserve_is_never_given_away(on_disk: DriveOnDisk, disk: TestDisk) -> None:
    disk.told_room = (1 << 40, 4096)
    with pytest.raises(DriveFull):
        on_disk.drive.create(NAME, "shard", 4097, b"")

    on_disk.drive.create(NAME, "shard", 4096, b"")


def test_a_writer_without_a_descriptor_stops_at_the_reserve(
    on_disk: DriveOnDisk, disk: TestDisk
) -> None:
    file = on_disk.drive.create(NAME, "shard", None, b"")
    disk.told_room = (1 << 40, 0)

    with pytest.raises(DriveFull):
        on_disk.drive.write(file, 0, [b"bytes"], sync=True)


def test_removing_works_on_a_full_drive(on_disk: DriveOnDisk, disk: TestDisk) -> None:
    on_disk.publish(NAME)
    disk.told_room = (1 << 40, 0)

    assert on_disk.drive.trash(NAME)
    assert on_disk.drive.unlink_trash(4e9) == 1
