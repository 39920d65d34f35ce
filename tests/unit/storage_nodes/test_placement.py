"""Where shards should go: in proportion, apart from one another, moving as little as possible."""

from collections import Counter
from dataclasses import dataclass, replace
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_nodes import placement
from storage_nodes.placement import place
from storage_nodes.policy import policy


@dataclass(frozen=True)
class Drive:
    id: int
    zone: str
    weight: float = 1.0


def drives(count: int, zones: int) -> list[Drive]:
    return [Drive(number, f"z{number % zones}") for number in range(1, count + 1)]


def segments(count: int) -> list[UUID]:
    random = Random(7)
    return [UUID(int=random.getrandbits(128)) for _ in range(count)]


segment_ids = st.integers(min_value=0, max_value=2**128 - 1).map(lambda number: UUID(int=number))


@given(segment_ids, st.integers(1, 30), st.integers(1, 6))
def test_no_drive_is_chosen_twice(segment_id: UUID, count: int, zones: int) -> None:
    chosen = place(drives(count, zones), policy("ec-6-3"), segment_id)

    assert len(set(chosen)) == len(chosen) == min(9, count)


@given(segment_ids)
def test_no_zone_holds_more_than_may_be_lost(segment_id: UUID) -> None:
    fleet = drives(12, 3)

    chosen = place(fleet, policy("ec-6-3"), segment_id)

    zones = Counter(drive.zone for drive in fleet if drive.id in chosen)
    assert max(zones.values()) == 3


@given(segment_ids)
def test_copies_lie_in_different_zones(segment_id: UUID) -> None:
    fleet = drives(12, 3)

    chosen = place(fleet, policy("ec-6-3").staged(), segment_id)

    assert {drive.zone for drive in fleet if drive.id in chosen} == {"z0", "z1", "z2"}


@given(segment_ids)
def test_too_few_zones_are_filled_evenly_rather_than_not_at_all(segment_id: UUID) -> None:
    fleet = drives(18, 2)

    chosen = place(fleet, policy("ec-6-3"), segment_id)

    zones = Counter(drive.zone for drive in fleet if drive.id in chosen)
    assert sorted(zones.values()) == [4, 5]


def test_the_same_segment_always_goes_to_the_same_drives() -> None:
    fleet = drives(12, 3)
    segment_id = UUID(int=42)

    assert place(fleet, policy("ec-6-3"), segment_id) == place(
        reversed(fleet), policy("ec-6-3"), segment_id
    )


def test_drives_of_equal_weight_hold_about_as_much() -> None:
    fleet = drives(12, 3)

    held = Counter(
        drive for each in segments(4000) for drive in place(fleet, policy("ec-6-3"), each)
    )

    assert max(held.values()) < 1.1 * min(held.values())


def test_a_drive_holds_in_proportion_to_its_weight() -> None:
    fleet = [Drive(number, f"z{number}", 2.0 if number == 1 else 1.0) for number in range(1, 21)]

    held = Counter(
        drive for each in segments(4000) for drive in place(fleet, policy("rep-3"), each)
    )

    others = sum(held[number] for number in range(2, 21)) / 19
    assert held[1] == pytest.approx(2 * others, rel=0.15)


def test_a_drive_without_weight_gets_nothing_new() -> None:
    fleet = [*drives(9, 3), Drive(10, "z1", 0.0)]

    assert all(10 not in place(fleet, policy("ec-6-3"), each) for each in segments(50))


def test_a_drive_that_leaves_moves_only_what_it_held() -> None:
    before = drives(20, 20)
    after = [drive for drive in before if drive.id != 5]

    for each in segments(300):
        old = set(place(before, policy("rep-3"), each))
        new = set(place(after, policy("rep-3"), each))
        assert old - new <= {5}


def test_a_new_drive_takes_only_what_it_wins() -> None:
    before = drives(20, 20)
    after = [*before, Drive(21, "z-new")]

    for each in segments(300):
        old = set(place(before, policy("rep-3"), each))
        new = set(place(after, policy("rep-3"), each))
        assert new - old <= {21}


def test_a_raised_weight_only_draws_shards_towards_its_drive() -> None:
    before = drives(20, 20)
    after = [replace(drive, weight=1.5) if drive.id == 3 else drive for drive in before]

    for each in segments(300):
        old = set(place(before, policy("rep-3"), each))
        new = set(place(after, policy("rep-3"), each))
        assert new - old <= {3}


@given(segment_ids)
def test_a_replacement_is_a_drive_the_segment_is_not_on(segment_id: UUID) -> None:
    fleet = drives(12, 3)
    keep = place(fleet, policy("ec-6-3"), segment_id)[:8]

    fresh = placement.replace(fleet, policy("ec-6-3"), segment_id, keep=keep, count=1)

    assert len(fresh) == 1
    assert fresh[0] not in keep


@given(segment_ids)
def test_a_replacement_respects_the_zones_while_they_last(segment_id: UUID) -> None:
    fleet = drives(15, 3)
    placed = place(fleet, policy("ec-6-3"), segment_id)
    lost, keep = placed[0], placed[1:]

    fresh = placement.replace(
        [drive for drive in fleet if drive.id != lost],
        policy("ec-6-3"),
        segment_id,
        keep=keep,
        count=1,
    )

    zones = Counter(drive.zone for drive in fleet if drive.id in [*keep, *fresh])
    assert max(zones.values()) == 3
