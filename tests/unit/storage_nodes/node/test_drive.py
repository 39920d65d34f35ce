"""What a drive promises, step by step and fault by fault."""

import errno
import re
from uuid import UUID

import pytest

from core.errors import DriveFenced, DriveGone, ShardExists, ShardMissing
from storage_nodes.node.drafts import OpenFile
from storage_nodes.shard_name import ShardName
from tests.support.disks import DriveOnDisk, TestDisk
from tests.support.nodes import files_below

NAME = ShardName(UUID("0190a0b0-c0d0-7000-8000-00000000abcd"), 7, 2)
FOLDER = "shards/cd/ab"


def shards(on_disk: DriveOnDisk) -> list[str]:
    return files_below(on_disk.path / "shards")


def draft(on_disk: DriveOnDisk, content: bytes) -> OpenFile:
    """A file that is to have the name, not published yet."""
    file = on_disk.drive.create(NAME, "shard", None, b"")
    on_disk.drive.write(file, 0, [content], sync=False)
    return file


def test_a_shard_lies_under_the_tail_of_its_segment(on_disk: DriveOnDisk) -> None:
    on_disk.publish(NAME)

    assert shards(on_disk) == [f"cd/ab/{NAME.segment.hex}.7.2"]


def test_a_shard_is_durable_before_its_name_and_its_name_before_the_answer(
    on_disk: DriveOnDisk, disk: TestDisk
) -> None:
    drive = on_disk.drive
    file = drive.create(NAME, "shard", None, b"")
    drive.write(file, 0, [b"bytes"], sync=False)
    disk.trace.clear()
    drive.publish(file)

    assert disk.trace[:3] == ["fsync file", f"link {NAME}", f"fsync {FOLDER}"]


def test_a_name_is_taken_over_when_both_files_are_durable_under_another(
    on_disk: DriveOnDisk, disk: TestDisk
) -> None:
    on_disk.publish(NAME, b"first")
    file = draft(on_disk, b"second")
    disk.trace.clear()
    on_disk.drive.publish(file, replace=True)

    named = [step.replace(str(NAME), "NAME") for step in disk.trace]
    assert [re.sub(r"\.[0-9a-f]{16}$|[0-9]{13}-", "", step) for step in named] == [
        *("fsync file", "link NAME"),  # which is taken
        *("link NAME", "mkdir trash", "fsync trash", "fsync ."),
        *("link trash/NAME", "fsync trash"),
        *("rename tmp/NAME", "unlink tmp/NAME", f"fsync {FOLDER}"),
    ]
    assert on_disk.drive.read(NAME, 0, 10) == b"second"
    assert files_below(on_disk.path / "tmp") == []


@pytest.mark.parametrize("unnamed", [True, False], ids=["unnamed", "without unnamed files"])
@pytest.mark.parametrize("step", ["link", "rename", "fsync trash", f"fsync {FOLDER}"])
def test_a_failing_step_of_a_replacement_leaves_one_of_the_two_under_the_name(
    on_disk: DriveOnDisk, disk: TestDisk, step: str, unnamed: bool
) -> None:
    on_disk.publish(NAME, b"first")
    if not unnamed:
        disk.fail("open_unnamed", errno.EOPNOTSUPP)
    file = draft(on_disk, b"second")
    disk.fail(step, errno.EIO)
    with pytest.raises(DriveFenced):
        on_disk.drive.publish(file, replace=True)
    disk.faults.clear()

    assert on_disk.drive.read(NAME, 0, 10) == (b"second" if FOLDER in step else b"first")


def test_publishing_in_place_of_oneself_changes_nothing(
    on_disk: DriveOnDisk, disk: TestDisk
) -> None:
    on_disk.publish(NAME, b"first")
    file = draft(on_disk, b"second")
    on_disk.drive.publish(file, replace=True)
    trash = files_below(on_disk.path / "trash")
    file.published = False  # as a second request sees it that came before the first was answered
    on_disk.drive.publish(file, replace=True)

    assert on_disk.drive.read(NAME, 0, 10) == b"second"
    assert files_below(on_disk.path / "trash") == trash
    assert [(on_disk.path / "trash" / one).read_bytes() for one in trash] == [b"first"]
    assert files_below(on_disk.path / "tmp") == []


def test_new_folders_are_durable_with_all_their_parents(
    on_disk: DriveOnDisk, disk: TestDisk
) -> None:
    disk.trace.clear()
    on_disk.publish(NAME)

    made = [entry for entry in disk.trace if entry.startswith(("mkdir", "fsync", "link"))]
    assert made == [
        *("mkdir shards", "mkdir shards/cd", "mkdir shards/cd/ab"),
        *("fsync file", f"link {NAME}", f"fsync {FOLDER}"),
        *("fsync shards/cd", "fsync shards", "fsync ."),
    ]


def test_parents_are_made_durable_once(on_disk: DriveOnDisk, disk: TestDisk) -> None:
    on_disk.publish(NAME)
    disk.trace.clear()
    on_disk.publish(ShardName(NAME.segment, 8, 0))

    assert [entry for entry in disk.trace if entry.startswith("fsync")] == [
        *("fsync file", f"fsync {FOLDER}")
    ]


def test_a_neighbouring_folder_makes_its_own_way_durable(
    on_disk: DriveOnDisk, disk: TestDisk
) -> None:
    on_disk.publish(NAME)
    disk.trace.clear()
    on_disk.publish(ShardName(UUID(NAME.segment.hex[:-4] + "eecd"), 1, 0))

    assert [entry for entry in disk.trace if entry.startswith("fsync")] == [
        *("fsync file", "fsync shards/cd/ee", "fsync shards/cd")
    ]


def test_a_failed_fsync_of_a_parent_is_not_an_answer_and_is_not_forgotten(
    on_disk: DriveOnDisk, disk: TestDisk
) -> None:
    disk.fail("fsync shards/cd", errno.EIO)
    with pytest.raises(DriveFenced):
        on_disk.publish(NAME)
    disk.faults.clear()
    on_disk.drive.fence.take_down()
    disk.trace.clear()
    on_disk.publish(ShardName(NAME.segment, 8, 0))

    assert "fsync shards/cd" in disk.trace


def test_folders_found_at_start_are_made_durable_again(
    on_disk: DriveOnDisk, disk: TestDisk
) -> None:
    (on_disk.path / FOLDER).mkdir(parents=True)
    disk.trace.clear()
    on_disk.publish(NAME)

    assert "fsync shards/cd" in disk.trace


def test_a_pack_is_durable_with_header_and_name_before_it_is_handed_out(
    on_disk: DriveOnDisk, disk: TestDisk
) -> None:
    on_disk.drive.create(NAME, "pack", 1 << 20, b"header")

    at = disk.trace.index("allocate")
    published = ["fsync file", f"link {NAME}", f"fsync {FOLDER}"]
    assert disk.trace[at : at + 5] == ["allocate", "write file", *published]


def test_without_unnamed_files_a_shard_is_published_all_the_same(
    on_disk: DriveOnDisk, disk: TestDisk
) -> None:
    disk.fail("open_unnamed", errno.EOPNOTSUPP)
    on_disk.publish(NAME)

    assert on_disk.drive.read(NAME, 0, 10) == b"bytes"
    assert files_below(on_disk.path / "tmp") == []


def test_without_unnamed_files_a_name_is_still_never_taken_twice(
    on_disk: DriveOnDisk, disk: TestDisk
) -> None:
    disk.fail("open_unnamed", errno.EOPNOTSUPP)
    on_disk.publish(NAME, b"first")
    on_disk.publish(NAME, b"second")
    with pytest.raises(ShardExists):
        on_disk.drive.create(NAME, "pack", None, b"third")

    assert on_disk.drive.read(NAME, 0, 10) == b"first"
    assert files_below(on_disk.path / "tmp") == []


def test_leftovers_of_a_crash_are_swept_at_start(on_disk: DriveOnDisk) -> None:
    (on_disk.path / "tmp" / "leftover").write_bytes(b"x")
    on_disk.restart()

    assert files_below(on_disk.path / "tmp") == []


@pytest.mark.parametrize("step", ["fsync", "link", "write", "open_unnamed", "mkdir", "allocate"])
def test_a_failing_step_of_writing_fences_the_drive_and_publishes_nothing(
    on_disk: DriveOnDisk, disk: TestDisk, step: str
) -> None:
    disk.fail(step, errno.EIO)
    with pytest.raises(DriveFenced):
        on_disk.drive.create(NAME, "pack", 4096, b"header")
    disk.faults.clear()

    assert shards(on_disk) == []
    assert on_disk.slot.describe()["state"] == "fenced"


def test_a_failed_fsync_of_the_folder_is_not_an_answer(
    on_disk: DriveOnDisk, disk: TestDisk
) -> None:
    drive = on_disk.drive
    file = drive.create(NAME, "shard", None, b"")
    disk.fail("link", errno.EIO)
    with pytest.raises(DriveFenced):
        drive.publish(file)

    assert not file.published


def test_a_failed_fsync_is_never_tried_again(on_disk: DriveOnDisk, disk: TestDisk) -> None:
    drive = on_disk.drive
    file = drive.create(NAME, "shard", None, b"")
    disk.fail("fdatasync", errno.EIO)
    with pytest.raises(DriveFenced):
        drive.sync(file)
    disk.faults.clear()
    drive.fence.take_down()

    with pytest.raises(DriveGone, match="earlier presence"):
        drive.sync(file)
    with pytest.raises(DriveGone, match="earlier presence"):
        drive.publish(file)


@pytest.mark.parametrize("is_fenced", [False, True])
def test_a_closed_pack_is_cut_to_its_end_where_the_drive_takes_writes(
    on_disk: DriveOnDisk, *, is_fenced: bool
) -> None:
    drive = on_disk.drive
    file = drive.create(NAME, "pack", 1 << 20, b"head")
    if is_fenced:
        drive.fence.put_up(errno.EIO, "test")
    drive.discard(file, 4)

    assert (on_disk.path / NAME.path).stat().st_size == (1 << 20 if is_fenced else 4)


def test_a_fsync_without_space_fences_too(on_disk: DriveOnDisk, disk: TestDisk) -> None:
    drive = on_disk.drive
    file = drive.create(NAME, "shard", None, b"")
    disk.fail("fdatasync", errno.ENOSPC)

    with pytest.raises(DriveFenced):
        drive.sync(file)


def test_a_removed_file_does_not_count_as_durable(on_disk: DriveOnDisk) -> None:
    drive = on_disk.drive
    file = drive.create(NAME, "pack", None, b"header")
    (on_disk.path / NAME.path).unlink()

    with pytest.raises(ShardMissing):
        drive.write(file, 6, [b"more"], sync=True)


def test_a_shard_that_cannot_be_found_is_missing_and_fences_nothing(on_disk: DriveOnDisk) -> None:
    with pytest.raises(ShardMissing):
        on_disk.drive.read(NAME, 0, 1)

    on_disk.publish(NAME)


def test_names_are_listed_in_path_order_in_pages(on_disk: DriveOnDisk) -> None:
    names = [ShardName(UUID(int=number * 0x1F00F), 1, 0) for number in range(40)]
    for name in names:
        on_disk.publish(name)
    ordered = sorted(names, key=lambda name: name.path)

    first = on_disk.drive.names(None, 15)
    second = on_disk.drive.names(first[-1], 15)
    third = on_disk.drive.names(second[-1], 15)
    assert [*first, *second, *third] == ordered


def test_strangers_among_the_shards_are_passed_over(on_disk: DriveOnDisk) -> None:
    on_disk.publish(NAME)
    (on_disk.path / FOLDER / "notes.txt").write_text("not a shard")

    assert on_disk.drive.names(None, 10) == [NAME]
