"""Trash: durable to enter, bounded in age and size, restorable until unlinked."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from core import failpoints
from core.errors import DriveFenced, DriveFull, FailpointRaised
from storage_nodes.node.drive import DriveLimits
from storage_nodes.shard_name import ShardName
from tests.support.clock import FakeClock
from tests.support.disks import DriveOnDisk, TestDisk
from tests.support.nodes import files_below

NAMES = [ShardName(UUID(int=number), 1, 0) for number in range(1, 6)]
NAME = NAMES[0]
BLOCK = bytes(1 << 16)
DAY_S = 86_400
LIMITS = DriveLimits(reserve_fraction=0, reserve_bytes=0, trash_s=DAY_S, trash_fraction=1)


@pytest.fixture
def on_disk(tmp_path: Path, disk: TestDisk, time: FakeClock) -> Iterator[DriveOnDisk]:
    made = DriveOnDisk(tmp_path, disk=disk, limits=LIMITS)
    yield made
    made.close()


def fill(on_disk: DriveOnDisk, time: FakeClock) -> None:
    """Trash five shards, a minute apart."""
    for name in NAMES:
        on_disk.publish(name, BLOCK)
        on_disk.drive.trash(name)
        time.advance(60)


def left(on_disk: DriveOnDisk) -> list[ShardName]:
    return [name for name in NAMES if on_disk.drive.trash_bin.find(name)]


def test_entering_the_trash_is_durable_on_both_sides(on_disk: DriveOnDisk, disk: TestDisk) -> None:
    on_disk.publish(NAME, BLOCK)
    disk.trace.clear()
    on_disk.drive.trash(NAME)

    steps = [entry for entry in disk.trace if entry.startswith(("mkdir", "rename", "fsync"))]
    assert steps == [
        *("mkdir trash", "fsync trash", "fsync ."),
        *(f"rename {NAME.path}", "fsync trash", f"fsync {NAME.folder}"),
    ]


def test_leaving_the_trash_is_durable_before_the_entry_goes(
    on_disk: DriveOnDisk, disk: TestDisk
) -> None:
    on_disk.publish(NAME, BLOCK)
    on_disk.drive.trash(NAME)
    disk.trace.clear()
    on_disk.drive.restore(NAME)

    steps = [entry.split("/")[0] for entry in disk.trace]
    assert steps == ["link shards", "fsync shards", "unlink trash", "fsync trash"]


def test_the_trash_is_known_again_after_a_restart(on_disk: DriveOnDisk) -> None:
    on_disk.publish(NAME, BLOCK)
    on_disk.drive.trash(NAME)
    on_disk.restart()

    assert on_disk.drive.restore(NAME)
    assert on_disk.drive.read(NAME, 0, 1 << 20) == BLOCK


def test_trash_is_kept_for_its_time_and_no_longer(on_disk: DriveOnDisk, time: FakeClock) -> None:
    fill(on_disk, time)
    time.advance(DAY_S - 4 * 60 + 1)
    on_disk.drive.tend_trash(sharers=1)
    assert left(on_disk) == NAMES[2:]

    time.advance(DAY_S)
    on_disk.drive.tend_trash(sharers=1)
    assert files_below(on_disk.path / "trash") == []


def test_too_much_trash_is_unlinked_oldest_first(on_disk: DriveOnDisk, time: FakeClock) -> None:
    fill(on_disk, time)
    on_disk.drive.trash_bin.shrink(at_most=3 * len(BLOCK))

    assert left(on_disk) == NAMES[2:]


def test_drives_of_one_file_system_share_the_room_for_trash(
    on_disk: DriveOnDisk, disk: TestDisk, time: FakeClock
) -> None:
    fill(on_disk, time)
    # A quarter of what is free is trash's at most: four entries, two for each of two drives.
    disk.told_room = (1 << 40, 4 * 4 * len(BLOCK))
    on_disk.drive.tend_trash(sharers=2)

    assert left(on_disk) == NAMES[3:]


def test_trash_takes_its_part_of_the_drive_and_no_more(
    on_disk: DriveOnDisk, disk: TestDisk, time: FakeClock
) -> None:
    fill(on_disk, time)
    on_disk.limits = replace(LIMITS, trash_fraction=0.05)
    disk.told_room = (20 * 3 * len(BLOCK), 1 << 40)
    on_disk.restart()
    on_disk.drive.tend_trash(sharers=1)

    assert left(on_disk) == NAMES[2:]


def test_trash_makes_room_for_shards(tmp_path: Path, time: FakeClock) -> None:
    on_disk = DriveOnDisk(tmp_path, limits=LIMITS)
    fill(on_disk, time)
    with pytest.raises(DriveFull):
        on_disk.drive.create(NAME, "shard", 1 << 60, b"")

    assert left(on_disk) == []
    on_disk.close()


def test_strangers_in_the_trash_are_left_alone(on_disk: DriveOnDisk) -> None:
    on_disk.publish(NAME, BLOCK)
    on_disk.drive.trash(NAME)
    (on_disk.path / "trash" / "12-notes").write_text("x")
    on_disk.restart()
    on_disk.drive.unlink_trash(4e9)

    assert files_below(on_disk.path / "trash") == ["12-notes"]


def test_a_restore_cut_short_after_the_link_is_finished_by_the_next(
    on_disk: DriveOnDisk,
    disk: TestDisk,
) -> None:
    on_disk.publish(NAME, BLOCK)
    on_disk.drive.trash(NAME)
    disk.fail("unlink", errno.EIO)
    with pytest.raises(DriveFenced):
        on_disk.drive.restore(NAME)
    disk.faults.clear()
    on_disk.drive.fence.take_down()

    assert on_disk.drive.restore(NAME)
    assert on_disk.drive.read(NAME, 0, 1 << 20) == BLOCK
    assert files_below(on_disk.path / "trash") == []


@pytest.mark.parametrize("point", ["node.trash.renamed", "node.trash.durable"])
def test_a_crash_while_trashing_leaves_the_shard_restorable(
    on_disk: DriveOnDisk, disarmed: None, point: str
) -> None:
    on_disk.publish(NAME, BLOCK)
    failpoints.arm(f"{point}=raise")
    with pytest.raises(FailpointRaised):
        on_disk.drive.trash(NAME)
    failpoints.arm("")
    on_disk.restart()

    assert on_disk.drive.restore(NAME)
    assert on_disk.drive.read(NAME, 0, 1 << 20) == BLOCK


def test_a_crash_while_a_shard_is_replaced_leaves_the_old_one_under_its_name(
    on_disk: DriveOnDisk, disarmed: None, time: FakeClock
) -> None:
    on_disk.publish(NAME, BLOCK)
    successor = on_disk.drive.create(NAME, "shard", None, b"second")
    failpoints.arm("node.trash.durable=raise")
    with pytest.raises(FailpointRaised):
        on_disk.drive.publish(successor, replace=True)
    failpoints.arm("")
    on_disk.restart()
    time.advance(2 * DAY_S)
    on_disk.drive.tend_trash(sharers=1)

    assert on_disk.drive.read(NAME, 0, 1 << 20) == BLOCK
    assert files_below(on_disk.path / "trash") == []
    assert files_below(on_disk.path / "tmp") == []


def test_of_one_name_the_trash_keeps_what_came_last(on_disk: DriveOnDisk) -> None:
    for number in (1, 2, 3):
        drive = on_disk.drive
        drive.publish(drive.create(NAME, "shard", None, bytes([number])), replace=True)
        if number == 2:
            drive.trash(NAME)
            drive.publish(drive.create(NAME, "shard", None, b"between"))

    entries = files_below(on_disk.path / "trash")
    assert [(on_disk.path / "trash" / one).read_bytes() for one in entries] == [b"between"]
    assert on_disk.drive.read(NAME, 0, 10) == bytes([3])


def test_a_crash_before_unlinking_leaves_the_shard_restorable(
    on_disk: DriveOnDisk, disarmed: None
) -> None:
    on_disk.publish(NAME, BLOCK)
    on_disk.drive.trash(NAME)
    failpoints.arm("node.trash.before_unlink=raise")
    with pytest.raises(FailpointRaised):
        on_disk.drive.unlink_trash(4e9)
    failpoints.arm("")
    on_disk.restart()

    assert on_disk.drive.restore(NAME)
