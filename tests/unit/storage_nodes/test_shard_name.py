"""The names of shard and journal files."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_nodes.shard_name import JournalName, ShardName, parse_name

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


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.sampled_from(["jrn", "snap"]))
def test_the_name_of_a_journal_file_is_read_back(number: int, attempt: int, kind: str) -> None:
    name = JournalName(number, attempt, "jrn" if kind == "jrn" else "snap")

    assert parse_name(str(name)) == name


def test_journal_names_sort_by_their_number() -> None:
    names = [JournalName(2, 1, "jrn"), JournalName(16, 0, "snap"), JournalName(255, 0, "jrn")]

    assert sorted(map(str, names)) == list(map(str, names))


@pytest.mark.parametrize(
    "text",
    [
        "1-2.jrn",
        "0000000000000001-0000000000000002",
        "0000000000000001-0000000000000002.txt",
        "000000000000000A-0000000000000002.jrn",
        "../0000000000000001-0000000000000002.jrn",
        "0000000000000001-0000000000000002.jrn\n",
    ],
)
def test_nothing_else_is_the_name_of_a_journal_file(text: str) -> None:
    with pytest.raises(ValueError):
        parse_name(text)
