"""`manage.py cluster` and `manage.py drive`: what an operator is told and may decide."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError
from django.db import connection

from core import clock
from core import config as configuration
from storage_nodes.models import Drive, Node, SegmentShard
from storage_nodes.registration import register_node
from storage_nodes.segment_models import Segment
from tenants.models import Audit
from tests.support.commands import run, run_json
from tests.support.nodes import RunningNode, running_node

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def settings(tmp_path: Path) -> Iterator[None]:
    nodes = {"key_file": tmp_path / "node.key", "reserve_bytes": 0, "reserve_fraction": 0.0}
    with configuration.override(nodes=nodes, coding={"segment_size": 1 << 20}):
        yield


@pytest.fixture
def three_zones(tmp_path: Path) -> list[Drive]:
    """The default cluster: three zones with a node of four drives each, on one disk."""
    for number in (1, 2, 3):
        register_node(
            zone=f"zone-{number}",
            name=f"node-{number}",
            address=f"http://127.0.0.1:{9100 + number}",
            socket=tmp_path / f"node-{number}.sock",
            drives=[tmp_path / f"node-{number}" / f"drive-{n}" for n in range(1, 5)],
        )
    return list(Drive.objects.order_by("node__name", "path"))


def test_the_default_cluster_says_that_it_does_not_survive_its_disk(
    three_zones: list[Drive],
) -> None:
    found = run_json("cluster", "status")

    promise = found["tolerance"]
    assert (promise["policy"], promise["drives"], promise["zones"]) == ("ec-6-3", 3, 1)
    assert promise["disks"] == 0
    assert promise["reason"] == (
        "All 12 drives share one physical disk: the loss of drives as directories is survived,"
        " the loss of that disk is not."
    )
    assert found["metadata"]["synchronous_standbys"] == 0


def test_drives_on_one_disk_are_counted_once(three_zones: list[Drive]) -> None:
    Drive.objects.update(size_bytes=1000 << 20, free_bytes=400 << 20)
    found = run_json("cluster", "status")

    assert found["capacity"] == {
        "disks": 1,
        "size_bytes": 1000 << 20,
        "free_bytes": 400 << 20,
    }
    assert [zone["drives"] for zone in found["zones"]] == [4, 4, 4]


def test_drives_on_disks_of_their_own_are_told_apart_by_machine(
    three_zones: list[Drive],
) -> None:
    for node in Node.objects.all():
        Node.objects.filter(pk=node.pk).update(host=node.name)
    for number, drive in enumerate(three_zones):
        Drive.objects.filter(pk=drive.pk).update(device=number % 4)
    found = run_json("cluster", "status")

    assert found["capacity"]["disks"] == 12
    assert "a disk of its own" in found["tolerance"]["reason"]
    # The metadata's one disk is the weaker part of the promise.
    assert found["tolerance"]["disks"] == 0
    assert found["policies"][0]["disks"] == 3


def test_drives_out_of_service_lower_what_is_survived(three_zones: list[Drive]) -> None:
    gone = [drive.pk for drive in three_zones[:4]]
    Drive.objects.filter(pk__in=gone).update(state="gone")
    found = run_json("cluster", "status")

    assert found["tolerance"]["reason"].startswith("ec-6-3 needs 9 drives and 8 can be written to")
    assert found["policies"][0]["layout"] == "replicated"


def test_segments_short_of_shards_are_counted(three_zones: list[Drive]) -> None:
    numbers = [drive.pk for drive in three_zones]
    for number, drives in enumerate([numbers[:9], numbers[:9], numbers[3:12], [0, *numbers[4:12]]]):
        Segment.objects.create(
            id=UUID(int=number + 1),
            storage_policy="ec-6-3",
            layout="coded",
            state="stored",
            size=10,
            drives=drives,
            cell_size=4096,
        )
    SegmentShard.objects.create(segment_id=UUID(int=2), epoch=1, index=0, state="missing")
    found = run_json("cluster", "status")
    assert found["segments"] == {"states": {"stored": {"count": 4, "bytes": 40}}, "degraded": 2}

    Drive.objects.filter(pk=numbers[9]).update(state="gone")
    assert run_json("cluster", "status")["segments"]["degraded"] == 3


def test_states_nobody_has_looked_at_lately_are_called_outdated(
    three_zones: list[Drive],
) -> None:
    Node.objects.update(last_seen=clock.now())
    assert "outdated" not in run("cluster", "status")

    Node.objects.update(last_seen=clock.now() - timedelta(minutes=5))
    assert "outdated" in run("cluster", "status")


def test_the_page_for_people_has_the_promise_and_every_drive(three_zones: list[Drive]) -> None:
    page = run("cluster", "status")

    assert "survives the loss of 3 drives, 1 node, 1 zone\nor 0 physical disks." in page
    for drive in three_zones:
        assert drive.path in page


def test_an_empty_cluster_has_a_status(tmp_path: Path) -> None:
    register_node(zone="z", name="n", address="http://127.0.0.1:1", socket=None, drives=[])
    found = run_json("cluster", "status")

    assert found["tolerance"]["reason"] == "No drive can be written to."
    assert run("cluster", "status")


def test_a_node_is_registered_by_command(tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    found = run_json(
        *("cluster", "register", "node-9", "--zone", "attic"),
        *("--address", "http://10.0.0.9:9101", "--drives", str(drive)),
    )

    assert found["missing"] == []
    assert list(found["drives"]) == [str(drive)]
    node = Node.objects.get(name="node-9")
    assert (node.zone.name, node.address) == ("attic", "http://10.0.0.9:9101")
    assert str(node.socket).endswith("node-9.sock")


def test_a_directory_in_use_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    with pytest.raises(CommandError, match="not empty"):
        run(
            *("cluster", "register", "node-9", "--zone", "attic"),
            *("--address", "http://10.0.0.9:9101", "--drives", str(tmp_path / "used")),
        )


def test_drives_are_listed(three_zones: list[Drive]) -> None:
    assert [line["path"] for line in run_json("drive", "list")] == [d.path for d in three_zones]
    assert run("drive", "list").splitlines()[0].split() == [
        *("ID", "ZONE", "NODE", "PATH", "STATE", "WEIGHT", "SIZE", "FREE", "REASON")
    ]


@pytest.mark.parametrize("by", ["pk", "uuid", "path"])
def test_a_weight_is_set_by_number_identity_or_path(three_zones: list[Drive], by: str) -> None:
    drive = three_zones[5]
    found = run_json("drive", "weight", str(getattr(drive, by)), "2.5")

    drive.refresh_from_db()
    assert drive.weight == found["weight"] == 2.5
    assert Audit.objects.get().action == "drive.weight"


@pytest.mark.parametrize("weight", ["-1", "nan", "inf"])
def test_a_weight_that_is_none_is_refused(three_zones: list[Drive], weight: str) -> None:
    with pytest.raises(CommandError):
        run("drive", "weight", str(three_zones[0].pk), "--", weight)

    assert set(Drive.objects.values_list("weight", flat=True)) == {1.0}


@pytest.mark.parametrize("drive", ["99999", "/nowhere", str(UUID(int=1)), "99999999999999999999"])
def test_a_drive_nobody_knows_is_one_sentence(three_zones: list[Drive], drive: str) -> None:
    with pytest.raises(CommandError, match="There is no drive"):
        run("drive", "weight", drive, "1")


def test_a_dead_disk_is_replaced_by_a_new_drive_at_its_path(three_zones: list[Drive]) -> None:
    dead = three_zones[0]
    shutil.rmtree(dead.path)
    Drive.objects.filter(pk=dead.pk).update(state="gone")
    run("drive", "remove", str(dead.pk))
    found = run_json(
        *("cluster", "register", "node-1", "--zone", "zone-1"),
        *("--address", "http://127.0.0.1:9101", "--drives", dead.path),
    )

    assert found["missing"] == []
    assert found["drives"][dead.path] != dead.pk
    dead.refresh_from_db()
    assert dead.state == "removed"


def test_a_drive_that_is_not_gone_is_not_removed(three_zones: list[Drive]) -> None:
    with pytest.raises(CommandError, match="this one is active"):
        run("drive", "remove", str(three_zones[0].pk))


@pytest.mark.cluster
def test_a_fence_is_lifted_by_command() -> None:
    with running_node() as node:
        _register(node)
        _report_error(node)
        Drive.objects.update(state="fenced", reason="EIO")
        with configuration.override(nodes={"key_file": node.home / "keys" / "node.key"}):
            run("drive", "clear-fence", str(node.drives[0]))

        assert not (node.paths[0] / "fence").exists()
        assert list(Drive.objects.values_list("state", "reason")) == [("active", "")]


def test_a_fence_of_a_node_that_does_not_answer_stays(three_zones: list[Drive]) -> None:
    Node.objects.update(address="http://127.0.0.1:1")
    Drive.objects.filter(pk=three_zones[0].pk).update(state="fenced")
    with pytest.raises(CommandError, match="cannot be reached"):
        run("drive", "clear-fence", str(three_zones[0].pk))

    assert Drive.objects.get(pk=three_zones[0].pk).state == "fenced"


@pytest.mark.parametrize("model", ["zone", "node", "drive", "segment", "segmentshard"])
def test_every_row_has_its_page_in_admin(
    three_zones: list[Drive], admin_client: Any, model: str
) -> None:
    assert admin_client.get(f"/admin/storage_nodes/{model}/").status_code == 200
    assert admin_client.get(f"/admin/storage_nodes/{model}/?q=node-1").status_code == 200


def test_a_weight_edited_in_admin_leaves_the_rest_of_the_row_alone(
    three_zones: list[Drive], admin_client: Any
) -> None:
    page = f"/admin/storage_nodes/drive/{three_zones[0].pk}/change/"
    assert admin_client.post(page, {"weight": "3"}).status_code == 302

    drive = Drive.objects.get(pk=three_zones[0].pk)
    assert (drive.weight, drive.state, drive.uuid) == (3.0, "active", three_zones[0].uuid)
    assert Audit.objects.get().action == "drive.change"


def _register(node: RunningNode) -> None:
    with configuration.override(nodes={"key_file": node.home / "keys" / "node.key"}):
        register_node(
            zone="zone-1",
            name=node.name,
            address=node.address,
            socket=node.socket,
            drives=node.paths,
        )


def _report_error(node: RunningNode) -> None:
    (node.paths[0] / "fence").touch()
    node.kill()
    node.start()
    with connection.cursor() as cursor:
        cursor.execute("update node set address = %s", [node.address])
