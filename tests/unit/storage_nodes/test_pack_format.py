"""Records of pack segments: made, verified, and found again without the database."""

from random import Random
from uuid import UUID

import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadFormat, ShardCorrupt
from storage_nodes.pack_format import (
    RECORD_HEADER,
    FoundRecord,
    SegmentRecords,
    aligned,
    parse_record,
    record_length,
    scan,
)
from storage_nodes.striping import BLOCK
from tests.support.repository import REPOSITORY

GOLDEN = REPOSITORY / "tests" / "golden" / "pack-space-1"
SEGMENT = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
VERSION = UUID("01890a5e-0000-7abc-8def-0123456789ab")
SIZES = [0, 1, 100, 4096, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK]


def payload(length: int) -> bytes:
    return Random(length).randbytes(length)


def record(length: int, position: int = 0, segment: UUID = SEGMENT) -> bytes:
    records = SegmentRecords(segment)
    content = payload(length)
    head = records.header(VERSION.bytes, length, position)
    return head + content + records.table([content], position)


def space(*lengths: int) -> bytes:
    """Two groups: all records but the last, then the last at a fresh block."""
    content = bytearray()
    for length in lengths[:-1]:
        content += record(length, len(content))
        content += bytes(aligned(len(content)) - len(content))
    content += bytes(aligned(len(content), 4096) - len(content))
    return bytes(content + record(lengths[-1], len(content)))


@pytest.mark.parametrize("length", SIZES)
def test_a_record_is_read_back(length: int) -> None:
    whole = record(length, 8192)

    assert len(whole) == record_length(length)
    assert bytes(parse_record(whole, SEGMENT, 8192)) == payload(length)


@pytest.mark.parametrize("length", [100, 2 * BLOCK + 5])
def test_a_table_does_not_depend_on_how_the_payload_comes(length: int) -> None:
    content = payload(length)
    records = SegmentRecords(SEGMENT)
    sums = records.sums(64)
    for start in range(0, length, 999):
        sums.update(content[start : start + 999])

    assert sums.finish() == records.table([content], 64)
    assert records.table([content[:70], content[70:]], 64) == records.table([content], 64)


@given(st.integers(0, record_length(300) * 8 - 1))
def test_a_record_with_one_wrong_bit_is_refused(bit: int) -> None:
    whole = bytearray(record(300))
    whole[bit // 8] ^= 1 << bit % 8

    with pytest.raises((ShardCorrupt, BadFormat)):
        parse_record(whole, SEGMENT, 0)


def test_a_record_of_another_segment_is_refused() -> None:
    with pytest.raises(ShardCorrupt):
        parse_record(record(100), UUID(int=1), 0)


def test_a_record_in_another_place_is_refused() -> None:
    with pytest.raises(ShardCorrupt):
        parse_record(record(100, 4096), SEGMENT, 8192)


def test_a_block_of_another_place_does_not_verify() -> None:
    records = SegmentRecords(SEGMENT)
    content = payload(100)

    assert not records.verify_blocks(content, 0, records.table([content], 0), 4096)
    assert not records.verify_blocks(content, 1, records.table([content], 0), 0)


def test_blocks_in_the_middle_verify_by_their_part_of_the_table() -> None:
    records = SegmentRecords(SEGMENT)
    content = payload(4 * BLOCK)
    table = records.table([content], 0)

    assert records.verify_blocks(content[BLOCK : 3 * BLOCK], 1, table[4:12], 0)


@given(st.lists(st.integers(0, 9000), min_size=1, max_size=8))
def test_a_scan_finds_every_record(lengths: list[int]) -> None:
    found = list(scan(space(*lengths), SEGMENT))

    assert [each.length for each in found] == lengths
    assert all(each.version_id == VERSION for each in found)


def test_a_scan_ends_where_a_write_was_cut_off() -> None:
    whole = space(100, 200, 300)
    second = aligned(record_length(100))

    found = list(scan(whole[: second + 10], SEGMENT))

    assert found == [FoundRecord(version_id=VERSION, position=0, length=100)]


def test_a_scan_passes_over_a_gap_before_a_fresh_block() -> None:
    whole = bytearray(space(100, 50))
    gap = slice(record_length(100), 4096)
    whole[gap] = payload(4096)[gap]

    assert [each.position for each in scan(whole, SEGMENT)] == [0, 4096]


def test_a_record_of_a_newer_version_is_refused() -> None:
    records = SegmentRecords(SEGMENT)
    head = bytearray(records.header(VERSION.bytes, 0, 0)[:60])
    head[4] = 2

    with pytest.raises(BadFormat):
        records.verify_header(head + crc32c(bytes(head)).to_bytes(4, "little"), 0, 0)


def test_a_space_of_version_1_is_still_what_we_write() -> None:
    """`tests/golden` keeps it: a change of these bytes is a new version of the format."""
    assert GOLDEN.read_bytes() == space(0, 1, 1000, 4096)


def test_a_header_is_as_long_as_specified() -> None:
    assert len(SegmentRecords(SEGMENT).header(VERSION.bytes, 5, 0)) == RECORD_HEADER
