"""The format of shard files: what is written is read back, and nothing else is."""

from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadFormat, ShardCorrupt
from storage_nodes.shard_file import (
    HEADER_SIZE,
    TRAILER_SIZE,
    BlockSums,
    ShardHeader,
    block_checksum,
    footer_size,
    parse_footer,
    parse_header,
    salt,
    verify_blocks,
)
from storage_nodes.shard_name import ShardName
from storage_nodes.striping import BLOCK
from tests.support.repository import REPOSITORY

GOLDEN = REPOSITORY / "tests" / "golden" / "shard-1.0"
NAME = ShardName(UUID("01890a5d-ac96-774b-bcce-b302099a8057"), 3, 7)
HEADER = ShardHeader(
    cluster=UUID("2d1e0f6a-55a1-4a0c-9c1f-0a1b2c3d4e5f"),
    name=NAME,
    layout="coded",
    needed=6,
    parity=3,
    cell_size=131072,
)


def payload(length: int) -> bytes:
    return Random(length).randbytes(length)


def shard(length: int) -> bytes:
    """A whole file as it lies on a drive."""
    content = payload(length)
    sums = BlockSums(NAME)
    sums.update(content)
    return HEADER.pack() + content + sums.footer(6 * length).pack(NAME)


def test_a_header_is_read_back() -> None:
    assert len(HEADER.pack()) == HEADER_SIZE
    assert parse_header(HEADER.pack()) == HEADER


@given(st.integers(0, HEADER_SIZE * 8 - 1))
def test_a_header_with_one_wrong_bit_is_refused(bit: int) -> None:
    packed = bytearray(HEADER.pack())
    packed[bit // 8] ^= 1 << bit % 8

    with pytest.raises((BadFormat, ShardCorrupt)):
        parse_header(packed)


@given(st.binary(max_size=200))
def test_anything_else_is_not_a_header(noise: bytes) -> None:
    with pytest.raises((BadFormat, ShardCorrupt)):
        parse_header(noise.ljust(HEADER_SIZE, b"\0"))


@pytest.mark.parametrize("length", [0, 1, 4096, BLOCK, BLOCK + 1, 3 * BLOCK + 4096])
def test_a_footer_is_read_back_from_the_end_of_the_file(length: int) -> None:
    whole = shard(length)

    footer = parse_footer(whole[-footer_size(length) :], NAME, len(whole))

    assert (footer.payload_length, footer.segment_size) == (length, 6 * length)
    assert verify_blocks(payload(length), 0, footer.checksums, salt(NAME)) is None


def test_pieces_of_any_length_give_the_same_footer() -> None:
    content = payload(200_000)
    at_once, piecemeal = BlockSums(NAME), BlockSums(NAME)

    at_once.update(content)
    for start in range(0, len(content), 777):
        piecemeal.update(content[start : start + 777])

    assert piecemeal.footer(1) == at_once.footer(1)


@given(st.integers(0, (4 * 4 + TRAILER_SIZE) * 8 - 1))
def test_a_footer_with_one_wrong_bit_is_refused(bit: int) -> None:
    whole = bytearray(shard(4 * BLOCK))
    tail = whole[-footer_size(4 * BLOCK) :]
    tail[bit // 8] ^= 1 << bit % 8

    with pytest.raises(ShardCorrupt):
        parse_footer(tail, NAME, len(whole))


@pytest.mark.parametrize("missing", [1, 64, 80, 4096])
def test_a_file_cut_short_is_not_complete(missing: int) -> None:
    whole = shard(2 * BLOCK)[:-missing]

    with pytest.raises(ShardCorrupt):
        parse_footer(whole[-footer_size(2 * BLOCK) :], NAME, len(whole))


@pytest.mark.parametrize(
    "other",
    [
        ShardName(NAME.segment, NAME.epoch, 6),
        ShardName(NAME.segment, 2, NAME.index),
        ShardName(UUID(int=NAME.segment.int ^ 1), NAME.epoch, NAME.index),
    ],
    ids=["another index", "an earlier epoch", "another segment"],
)
def test_a_whole_shard_under_anothers_name_is_refused(other: ShardName) -> None:
    whole = shard(BLOCK)

    with pytest.raises(ShardCorrupt):
        parse_footer(whole[-footer_size(BLOCK) :], other, len(whole))


def test_a_block_in_anothers_place_does_not_verify() -> None:
    block = payload(BLOCK)

    assert block_checksum(block, 0, salt(NAME)) != block_checksum(block, 1, salt(NAME))


@given(st.integers(0, 3 * BLOCK - 1))
def test_a_wrong_byte_is_found_in_its_block(at: int) -> None:
    content = bytearray(payload(3 * BLOCK))
    sums = BlockSums(NAME)
    sums.update(content)
    checksums = sums.footer(0).checksums
    content[at] ^= 0x10

    assert verify_blocks(content, 0, checksums, salt(NAME)) == at // BLOCK


def test_a_file_of_version_1_0_is_still_what_we_write() -> None:
    """`tests/golden` keeps it: a change of these bytes is a new version of the format."""
    assert GOLDEN.read_bytes() == shard(4096)


def test_a_newer_major_version_is_refused() -> None:
    packed = bytearray(HEADER.pack())
    packed[8] = 2

    with pytest.raises(BadFormat, match="newer"):
        parse_header(packed)
