"""What a policy's name says."""

import pytest

from core.errors import InvalidArgument
from storage_nodes.policy import OFFERED, policy


@pytest.mark.parametrize(
    ("name", "width", "needed", "quorum"),
    [
        ("ec-6-3", 9, 6, 8),
        ("ec-4-2", 6, 4, 5),
        ("ec-8-4", 12, 8, 11),
        ("ec-10-4", 14, 10, 13),
        ("ec-2-1", 3, 2, 3),
        ("ec-5-1", 6, 5, 6),
        ("rep-3", 3, 1, 2),
        ("rep-3-3-1", 3, 1, 3),
        ("rep-1", 1, 1, 1),
        ("rep-2", 2, 1, 2),
    ],
)
def test_the_name_gives_the_numbers(name: str, width: int, needed: int, quorum: int) -> None:
    found = policy(name)

    assert (found.width, found.needed, found.write_quorum) == (width, needed, quorum)
    assert found.parity == width - needed


@pytest.mark.parametrize("name", OFFERED)
def test_what_is_offered_survives_the_loss_of_an_acknowledged_shard(name: str) -> None:
    assert policy(name).write_quorum > policy(name).needed


@pytest.mark.parametrize(
    "name",
    [
        "", "ec", "ec-6", "ec-6-0", "ec-0-3", "ec-1-2", "ec-30-3", "ec-06-3", "EC-6-3", "ec-6-3 ",
        "rep-0", "rep-33", "rep-3-1", "rep-3-4-1", "rep-3-1-1", "rep-3-2-1-1", "ec-٦-3",
    ],
)  # fmt: skip
def test_a_name_that_makes_no_sense_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument):
        policy(name)


def test_a_coded_policy_is_staged_as_three_copies_of_which_two_make_a_write() -> None:
    staged = policy("ec-6-3").staged()

    assert (staged.layout, staged.copies) == ("replicated", 3)
    assert staged.acknowledged_copies("fast") == 2
    assert staged.acknowledged_copies("strict") == 3


def test_a_replicated_policy_stays_what_it_is() -> None:
    assert policy("rep-3").staged() is policy("rep-3")


def test_no_zone_should_hold_more_shards_than_may_be_lost() -> None:
    assert policy("ec-6-3").zone_cap == 3
    assert policy("rep-3").zone_cap == 1
