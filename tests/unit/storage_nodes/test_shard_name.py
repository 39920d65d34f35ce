"""The names of shard files."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_nodes.shard_name import ShardName

SEGMENT = UUID("0190a0b0-c0d0-7000-8000-00000000abcd")


def test_a_path_fans_out_by_the_tail_of_the_id() -> None:
    name = ShardName(SEGMENT, 12, 3)

    assert name.path == "shards/cd/ab/0190a0b0c0d07000800000000000abcd.12.3"


@given(st.uuids(), st.integers(0, 9_999_999_999), st.integers(0, 9999))
def test_what_is_written_is_read_back(segment: UUID, epoch: int, index: int) -> None:
    name = ShardName(segment, epoch, index)

    assert ShardName.parse(str(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "0190a0b0c0d07000800000000000abcd",
        "0190a0b0c0d07000800000000000abcd.1",
        "0190a0b0c0d07000800000000000abcd.01.2",
        "0190a0b0c0d07000800000000000abcd.1.-2",
        "0190A0B0C0D07000800000000000ABCD.1.2",
        "0190a0b0-c0d0-7000-8000-00000000abcd.1.2",
        "../../../../etc/passwd.1.2",
        "0190a0b0c0d07000800000000000abcd.1.2\n",
        "0190a0b0c0d07000800000000000abcd.1.2/..",
        "0190a0b0c0d07000800000000000abcd.١.2",
    ],
)
def test_anything_but_the_canonical_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        ShardName.parse(text)
