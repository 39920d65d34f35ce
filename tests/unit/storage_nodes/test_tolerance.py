"""What a cluster survives, and whether it says so truly."""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from uuid import UUID

import pytest

from storage_nodes.placement import place
from storage_nodes.policy import policy
from storage_nodes.tolerance import tolerance

EC63 = policy("ec-6-3")


@dataclass
class Placed:
    id: int
    zone: int
    node: int
    disk: object
    weight: float = 1.0


def cluster(zones: int, drives: int, *, shared_disk: bool = False) -> list[Placed]:
    """`drives` in each zone, one node per zone."""
    return [
        Placed(id=number + 1, zone=number % zones, node=number % zones, disk=shared_disk or number)
        for number in range(zones * drives)
    ]


def test_the_default_cluster_survives_three_drives_and_one_zone_but_not_its_disk() -> None:
    found = tolerance(cluster(3, 4, shared_disk=True), EC63)

    assert (found.drives, found.nodes, found.zones, found.disks) == (3, 1, 1, 0)
    assert found.layout == "coded"
    assert "share one physical disk" in found.reason


def test_nine_disks_in_three_zones_survive_three_of_them() -> None:
    found = tolerance(cluster(3, 3), EC63)

    assert (found.drives, found.zones, found.disks) == (3, 1, 3)
    assert "a disk of its own" in found.reason


def test_nine_zones_are_as_good_as_drives() -> None:
    found = tolerance(cluster(9, 1), EC63)

    assert (found.drives, found.nodes, found.zones, found.disks) == (3, 3, 3, 3)


def test_with_two_zones_no_zone_may_be_lost_and_that_is_said() -> None:
    found = tolerance(cluster(2, 6), EC63)

    assert (found.drives, found.zones) == (3, 0)
    assert "2 zones" in found.reason


def test_with_too_few_drives_data_is_copies_and_that_is_said() -> None:
    found = tolerance(cluster(3, 2), EC63)

    assert (found.layout, found.shards, found.drives) == ("replicated", 3, 2)
    assert found.reason == (
        "ec-6-3 needs 9 drives and 6 can be written to:"
        " new data is kept as 3 copies until there are more."
    )


def test_a_single_drive_survives_nothing() -> None:
    found = tolerance(cluster(1, 1), EC63)

    assert (found.drives, found.disks, found.until_coded) == (0, 0, 0)
    assert "1 copy" in found.reason


def test_no_drives_at_all_is_said() -> None:
    found = tolerance([], EC63)

    assert (found.drives, found.zones) == (0, 0)
    assert found.reason == "No drive can be written to."


def test_two_drives_on_each_disk_are_one_loss() -> None:
    drives = [Placed(id=n, zone=n % 3, node=n % 3, disk=n // 2) for n in range(2, 20)]
    found = tolerance(drives, EC63)

    assert found.drives == 3
    assert found.disks < 3
    assert "share" in found.reason


@pytest.mark.parametrize("name", ["ec-6-3", "ec-4-2", "rep-3"])
@pytest.mark.parametrize(("zones", "drives"), [(3, 4), (4, 3), (2, 6), (12, 1)])
def test_what_is_promised_holds_for_every_choice_of_losses(
    name: str, zones: int, drives: int
) -> None:
    placed = cluster(zones, drives)
    wanted = policy(name)
    found = tolerance(placed, wanted)
    zone_of = {one.id: one.zone for one in placed}
    segments = [place(placed, wanted, UUID(int=n << 96 | n)) for n in range(50)]

    for shards in segments:
        held = Counter(zone_of[one] for one in shards)
        for lost in combinations(range(zones), found.zones):
            assert len(shards) - sum(held[zone] for zone in lost) >= wanted.needed
