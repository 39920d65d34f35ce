"""Making nodes and drives known, and never formatting what must not be formatted."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from core import config as configuration
from core.errors import ConfigurationError
from storage_nodes.models import Drive, Node, Zone
from storage_nodes.node.identity import format_drive
from storage_nodes.registration import Registered, register_node
from tests.support.nodes import files_below

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_key(tmp_path: Path) -> Iterator[None]:
    with configuration.override(nodes={"key_file": tmp_path / "keys" / "node.key"}):
        yield


def register(tmp_path: Path, name: str = "node-1", drives: int = 2) -> Registered:
    return register_node(
        zone=f"zone of {name}",
        name=name,
        address="http://127.0.0.1:9101",
        socket=tmp_path / "node.sock",
        drives=[tmp_path / name / f"drive-{n}" for n in range(drives)],
    )


def test_a_new_node_gets_its_zone_its_key_and_formatted_drives(tmp_path: Path) -> None:
    found = register(tmp_path)

    assert found.missing == []
    assert (tmp_path / "keys" / "node.key").exists()
    node = Node.objects.get(name="node-1")
    assert node.zone.name == "zone of node-1"
    drives = list(Drive.objects.filter(node=node).order_by("path"))
    assert {drive.path: drive.pk for drive in drives} == found.drives
    assert [drive.state for drive in drives] == ["active", "active"]
    assert all(0 <= drive.free_bytes <= drive.size_bytes for drive in drives)
    assert files_below(Path(drives[0].path)) == ["objstore.json"]


def test_registering_again_changes_nothing(tmp_path: Path) -> None:
    first = register(tmp_path)
    uuids = set(Drive.objects.values_list("uuid", flat=True))
    second = register(tmp_path)

    assert second == first
    assert set(Drive.objects.values_list("uuid", flat=True)) == uuids


def test_states_and_weights_outlive_a_registration(tmp_path: Path) -> None:
    register(tmp_path)
    Drive.objects.update(state="draining", draining=True, weight=2.5)
    register(tmp_path)

    assert set(Drive.objects.values_list("state", "draining", "weight")) == {
        ("draining", True, 2.5)
    }


def test_a_node_may_gain_drives_and_move_zone(tmp_path: Path) -> None:
    register(tmp_path)
    Zone.objects.filter(name="zone of node-1").update(name="before")
    found = register(tmp_path, drives=3)

    assert len(found.drives) == 3
    assert Node.objects.get(name="node-1").zone.name == "zone of node-1"


def test_a_known_drive_that_is_missing_is_never_formatted_anew(tmp_path: Path) -> None:
    register(tmp_path)
    lost = tmp_path / "node-1" / "drive-0"
    shutil.rmtree(lost)
    lost.mkdir()
    found = register(tmp_path)

    assert found.missing == [str(lost)]
    assert files_below(lost) == []
    assert Drive.objects.count() == 2


def test_a_known_drive_whose_directory_is_away_is_missing(tmp_path: Path) -> None:
    register(tmp_path)
    shutil.rmtree(tmp_path / "node-1" / "drive-0")
    found = register(tmp_path)

    assert found.missing == [str(tmp_path / "node-1" / "drive-0")]
    assert not (tmp_path / "node-1" / "drive-0").exists()


def test_a_drive_moved_to_another_node_keeps_its_row(tmp_path: Path) -> None:
    first = register(tmp_path)
    moved = tmp_path / "node-2" / "drive-0"
    moved.parent.mkdir()
    (tmp_path / "node-1" / "drive-0").rename(moved)
    second = register(tmp_path, name="node-2", drives=1)

    number = first.drives[str(tmp_path / "node-1" / "drive-0")]
    assert second.drives == {str(moved): number}
    assert Drive.objects.get(pk=number).node.name == "node-2"


def test_drives_of_a_lost_database_are_taken_up(tmp_path: Path) -> None:
    register(tmp_path)
    uuids = set(Drive.objects.values_list("uuid", flat=True))
    Drive.objects.all().delete()
    Node.objects.all().delete()
    register(tmp_path)

    assert set(Drive.objects.values_list("uuid", flat=True)) == uuids


def test_a_directory_in_use_is_refused_and_no_row_is_made(tmp_path: Path) -> None:
    used = tmp_path / "node-1" / "drive-1"
    used.mkdir(parents=True)
    (used / "photo.jpg").write_bytes(b"precious")
    with pytest.raises(ConfigurationError, match="not empty"):
        register(tmp_path)

    assert files_below(used) == ["photo.jpg"]
    assert Node.objects.count() == 0


def test_a_drive_of_another_cluster_is_refused(tmp_path: Path) -> None:
    format_drive(tmp_path / "node-1" / "drive-0", UUID(int=1))
    with pytest.raises(ConfigurationError, match="another cluster"):
        register(tmp_path)
