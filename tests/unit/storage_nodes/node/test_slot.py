"""A path with and without its drive: presence, identity, lock, fence."""

import errno
import os
import shutil
from pathlib import Path
from uuid import UUID

import pytest

from core.errors import DriveFenced, DriveGone
from storage_nodes.node.disk import CWD, Disk, OwnedFd
from storage_nodes.node.identity import DriveRefused, format_drive, read_identity
from storage_nodes.node.page import PageView
from storage_nodes.node.slot import Slots
from storage_nodes.shard_name import ShardName
from tests.support.disks import NO_LIMITS, DriveOnDisk, TestDisk
from tests.support.nodes import files_below

NAME = ShardName(UUID(int=9), 1, 0)


def serve(path: Path, cluster: int = 42) -> Slots:
    slots = Slots([path], UUID(int=cluster), limits=NO_LIMITS, state=path.parent, disk=Disk())
    slots.slots[0].look()
    return slots


def test_an_unformatted_path_is_refused_and_left_empty(tmp_path: Path) -> None:
    slots = serve(tmp_path)

    assert slots.slots[0].describe()["state"] == "gone"
    assert "never formatted" in slots.slots[0].reason
    assert files_below(tmp_path) == []
    slots.close()


def test_a_drive_of_another_cluster_is_refused(tmp_path: Path) -> None:
    format_drive(tmp_path / "drive", UUID(int=1))
    slots = serve(tmp_path / "drive")

    assert "another cluster" in slots.slots[0].reason
    slots.close()


def test_a_damaged_identity_is_refused(on_disk: DriveOnDisk) -> None:
    (on_disk.path / "objstore.json").write_text("{")
    on_disk.restart()

    assert "damaged" in on_disk.slot.reason


def test_an_identity_of_a_newer_format_is_refused(on_disk: DriveOnDisk) -> None:
    identity = on_disk.path / "objstore.json"
    identity.write_text(identity.read_text().replace('"version": 1', '"version": 2'))
    on_disk.restart()

    assert "newer" in on_disk.slot.reason


def test_formatting_again_keeps_the_identity(on_disk: DriveOnDisk) -> None:
    assert format_drive(on_disk.path, on_disk.cluster) == on_disk.identity


def test_formatting_refuses_a_directory_in_use(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"precious")
    with pytest.raises(DriveRefused, match="not empty"):
        format_drive(tmp_path, UUID(int=1))

    assert files_below(tmp_path) == ["photo.jpg"]


def test_the_identity_is_durable_before_it_has_its_name(tmp_path: Path, disk: TestDisk) -> None:
    format_drive(tmp_path / "drive", UUID(int=1), disk=disk)

    steps = [entry for entry in disk.trace if entry.startswith(("write", "fsync", "rename"))]
    draft = "objstore.json.new"
    drive, parent = str(tmp_path / "drive"), str(tmp_path)
    assert steps == [
        *(f"write {draft}", f"fsync {draft}", f"rename {draft}"),
        *(f"fsync {drive}", f"fsync {parent}"),
    ]


def test_a_half_made_identity_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "objstore.json.new").write_text("{")
    format_drive(tmp_path, UUID(int=1))

    root = OwnedFd(Disk().open_folder(str(tmp_path), root=CWD))
    assert read_identity(root.fd, UUID(int=1)).cluster == UUID(int=1)


def test_a_drive_has_one_owner(on_disk: DriveOnDisk) -> None:
    second = serve(on_disk.path)
    assert "lock" in second.slots[0].reason

    on_disk.slots.close()
    second.slots[0].look()
    assert second.slots[0].drive is not None
    second.close()
    on_disk.slots = serve(on_disk.path)


def test_a_copy_of_a_drive_is_not_served_beside_it(on_disk: DriveOnDisk, tmp_path: Path) -> None:
    shutil.copytree(on_disk.path, tmp_path / "copy")
    slots = Slots(
        [on_disk.path, tmp_path / "copy"],
        on_disk.cluster,
        limits=NO_LIMITS,
        state=tmp_path,
        disk=Disk(),
    )
    on_disk.slots.close()
    for slot in slots.slots:
        slot.look()

    assert slots.slots[0].drive is not None
    assert "another path" in slots.slots[1].reason
    slots.close()
    on_disk.slots = serve(on_disk.path)


def test_a_drive_whose_directory_vanished_is_gone_at_once(on_disk: DriveOnDisk) -> None:
    on_disk.publish(NAME)
    drive = on_disk.drive
    shutil.rmtree(on_disk.path)

    with pytest.raises(DriveGone):
        drive.read(NAME, 0, 1)
    with pytest.raises(DriveGone):
        on_disk.slot.present()


def test_nothing_is_written_below_a_directory_that_took_the_drives_place(
    on_disk: DriveOnDisk, tmp_path: Path
) -> None:
    drive = on_disk.drive
    on_disk.path.rename(tmp_path / "elsewhere")
    on_disk.path.mkdir()

    with pytest.raises(DriveGone):
        drive.create(NAME, "pack", None, b"header")
    assert files_below(on_disk.path) == []


def test_a_drive_that_comes_back_is_served_again(on_disk: DriveOnDisk, tmp_path: Path) -> None:
    on_disk.publish(NAME)
    on_disk.path.rename(tmp_path / "elsewhere")
    on_disk.slot.look()
    assert on_disk.slot.describe()["state"] == "gone"

    (tmp_path / "elsewhere").rename(on_disk.path)
    on_disk.slot.look()
    assert on_disk.drive.read(NAME, 0, 5) == b"bytes"
    assert on_disk.slot.describe()["uuid"] == str(on_disk.identity.drive)


def test_files_opened_before_a_drive_left_are_void_when_it_is_back(
    on_disk: DriveOnDisk, tmp_path: Path
) -> None:
    file = on_disk.drive.create(NAME, "shard", None, b"bytes")
    on_disk.path.rename(tmp_path / "elsewhere")
    on_disk.slot.look()
    (tmp_path / "elsewhere").rename(on_disk.path)
    on_disk.slot.look()

    with pytest.raises(DriveGone, match="earlier presence"):
        on_disk.drive.publish(file)


def test_another_drive_at_the_path_is_another_drive(on_disk: DriveOnDisk, tmp_path: Path) -> None:
    on_disk.path.rename(tmp_path / "elsewhere")
    other = format_drive(on_disk.path, on_disk.cluster)
    on_disk.slot.look()

    assert on_disk.slots.find(other.drive) is on_disk.slot
    with pytest.raises(DriveGone):
        on_disk.slots.find(on_disk.identity.drive)


def test_holders_see_on_the_page_that_a_drive_was_fenced(on_disk: DriveOnDisk) -> None:
    view = PageView(on_disk.slot.page.share())
    before = view.stamp()
    assert view.is_serving()

    on_disk.drive.report_error(NAME, errno.EIO)
    assert view.stamp() != before
    assert not view.is_serving()


def test_holders_see_on_the_page_that_a_drive_left_and_that_it_is_another_presence_after(
    on_disk: DriveOnDisk, tmp_path: Path
) -> None:
    view = PageView(on_disk.slot.page.share())
    before = view.stamp()
    on_disk.path.rename(tmp_path / "elsewhere")
    on_disk.slot.look()
    assert view.is_gone()

    (tmp_path / "elsewhere").rename(on_disk.path)
    on_disk.slot.look()
    assert view.is_serving()
    assert view.stamp() != before


def test_a_page_cannot_be_written_by_its_holders(on_disk: DriveOnDisk) -> None:
    fd = on_disk.slot.page.share()
    with pytest.raises(OSError):
        os.write(fd, b"x")
    os.close(fd)


def test_a_fence_outlives_the_daemon(on_disk: DriveOnDisk) -> None:
    on_disk.publish(NAME)
    on_disk.drive.report_error(NAME, errno.EIO)
    on_disk.restart()

    assert on_disk.drive.read(NAME, 0, 5) == b"bytes"
    with pytest.raises(DriveFenced, match="EIO"):
        on_disk.drive.trash(NAME)


@pytest.mark.parametrize("lost", ["drive", "state"])
def test_one_of_the_two_fence_files_suffices(on_disk: DriveOnDisk, lost: str) -> None:
    on_disk.drive.report_error(NAME, errno.EIO)
    files = {
        "drive": on_disk.path / "fence",
        "state": on_disk.state / f"{on_disk.identity.drive}.fence",
    }
    files[lost].unlink()
    on_disk.restart()

    assert on_disk.slot.describe()["state"] == "fenced"


def test_a_drive_that_refuses_its_fence_file_is_fenced_beside_it(
    on_disk: DriveOnDisk, disk: TestDisk
) -> None:
    drive = on_disk.drive
    disk.fail("fsync", errno.EIO)
    drive.report_error(NAME, errno.EIO)
    disk.faults.clear()
    on_disk.restart()

    assert on_disk.slot.describe()["state"] == "fenced"


def test_a_fence_is_durable(on_disk: DriveOnDisk, disk: TestDisk) -> None:
    disk.trace.clear()
    on_disk.drive.report_error(NAME, errno.EIO)

    assert disk.trace.index("fsync fence") < disk.trace.index("fsync .")


def test_a_lifted_fence_stays_lifted(on_disk: DriveOnDisk) -> None:
    on_disk.drive.report_error(NAME, errno.EIO)
    on_disk.drive.fence.take_down()
    on_disk.publish(NAME)
    on_disk.restart()

    assert on_disk.slot.describe()["state"] == "serving"


def test_a_drive_that_cannot_be_swept_at_start_is_served_fenced(
    on_disk: DriveOnDisk, disk: TestDisk
) -> None:
    on_disk.publish(NAME)
    on_disk.slots.close()
    shutil.rmtree(on_disk.path / "tmp")
    disk.fail("mkdir", errno.EROFS)
    on_disk.restart()

    assert on_disk.slot.describe()["state"] == "fenced"
    assert on_disk.drive.read(NAME, 0, 5) == b"bytes"
