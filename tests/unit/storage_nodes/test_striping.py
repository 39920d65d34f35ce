"""Where bytes of a segment lie in its shards."""

from hypothesis import given
from hypothesis import strategies as st

from storage_nodes.striping import BLOCK, Striping

CELL = 8192
stripings = st.builds(
    Striping, size=st.integers(1, 40 * CELL), needed=st.integers(2, 10), cell_size=st.just(CELL)
)


@given(stripings, st.data())
def test_the_pieces_of_a_range_make_it_up_exactly(striping: Striping, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, striping.size))
    stop = data.draw(st.integers(start, striping.size))

    pieces = list(striping.pieces(start, stop))

    assert sum(length for _, _, length in pieces) == stop - start
    assert all(0 <= index < striping.needed for index, _, _ in pieces)
    assert all(offset + length <= striping.shard_length for _, offset, length in pieces)


@given(stripings)
def test_no_two_bytes_share_a_place(striping: Striping) -> None:
    places = [
        (index, offset)
        for at in range(0, striping.size, 509)
        for index, offset, _ in striping.pieces(at, at + 1)
    ]

    assert len(set(places)) == len(places)


@given(stripings)
def test_shards_are_little_longer_than_their_part_of_the_segment(striping: Striping) -> None:
    surplus = striping.shard_length * striping.needed - striping.size

    assert 0 <= surplus < striping.needed * 4096 + striping.needed


@given(stripings, st.data())
def test_blocks_cover_the_range_they_are_asked_for(striping: Striping, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, striping.shard_length - 1))
    length = data.draw(st.integers(1, striping.shard_length - offset))

    first, last = striping.blocks(offset, length)

    assert first <= offset
    assert last >= offset + length
    assert first % BLOCK == 0
    assert last % BLOCK == 0 or last == striping.shard_length


def test_the_last_stripe_has_shorter_cells_of_whole_disk_blocks() -> None:
    striping = Striping(size=3 * 4 * CELL + 10_000, needed=4, cell_size=CELL)

    assert (striping.full_stripes, striping.tail_cell) == (3, 4096)
    assert list(striping.pieces(3 * 4 * CELL, striping.size)) == [
        (0, 3 * CELL, 4096),
        (1, 3 * CELL, 4096),
        (2, 3 * CELL, 10_000 - 8192),
    ]
