"""The code: any k shards give the others back, the fast way exactly as the reference."""

from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import override
from core.errors import NotEnoughShards
from storage_nodes.coding import Buffer, Coder, IsalCoder, PyeclibCoder, coder

CODES = [(6, 3), (4, 2), (8, 4), (10, 4), (2, 1), (3, 2), (20, 12)]
LENGTH = 256


def shards(code: Coder, length: int = LENGTH, seed: int = 1) -> dict[int, Buffer]:
    random = Random(seed)
    cells: list[Buffer] = [random.randbytes(length) for _ in range(code.needed)]
    parity = [bytearray(length) for _ in range(code.parity)]
    code.encode(cells, parity)
    return dict(enumerate([*cells, *map(bytes, parity)]))


@pytest.mark.parametrize(("needed", "parity"), CODES)
def test_the_fast_code_gives_the_bytes_of_the_reference(needed: int, parity: int) -> None:
    assert shards(IsalCoder(needed, parity)) == shards(PyeclibCoder(needed, parity))


def test_the_fast_code_is_the_one_in_use() -> None:
    assert isinstance(coder(6, 3), IsalCoder)


def test_the_reference_is_used_where_the_fast_path_is_switched_off() -> None:
    with override(coding={"fast_path": False}):
        assert isinstance(coder(6, 3), PyeclibCoder)


@given(
    st.sampled_from(CODES),
    st.integers(1, 40).map(lambda blocks: blocks * 16),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60)
def test_any_k_shards_give_all_others_back(
    code: tuple[int, int], length: int, random: Random
) -> None:
    fast = IsalCoder(*code)
    whole = shards(fast, length, random.randrange(1000))
    have = random.sample(sorted(whole), fast.needed)
    want = [index for index in whole if index not in have]

    restored = fast.restore({index: whole[index] for index in have}, want)

    assert restored == {index: whole[index] for index in want}


@pytest.mark.parametrize("kind", [IsalCoder, PyeclibCoder])
def test_every_pattern_of_three_losses_of_six_plus_three_is_restored(
    kind: type[IsalCoder] | type[PyeclibCoder],
) -> None:
    code = kind(6, 3)
    whole = shards(code)

    for lost in combinations(range(9), 3):
        have = {index: shard for index, shard in whole.items() if index not in lost}
        assert code.restore(have, lost) == {index: whole[index] for index in lost}


def test_shards_at_hand_are_given_back_as_they_are() -> None:
    whole = shards(coder(4, 2))

    assert coder(4, 2).restore(whole, [0, 5]) == {0: whole[0], 5: whole[5]}


@pytest.mark.parametrize("kind", [IsalCoder, PyeclibCoder])
def test_fewer_than_k_shards_are_an_error(kind: type[IsalCoder] | type[PyeclibCoder]) -> None:
    code = kind(4, 2)
    whole = shards(code)

    with pytest.raises(NotEnoughShards):
        code.restore({index: whole[index] for index in (0, 1, 5)}, [2])


def test_cells_may_be_views_of_one_buffer() -> None:
    code = IsalCoder(4, 2)
    whole = shards(code)
    joined = bytearray(b"".join(whole[index] for index in range(4)))
    views = [memoryview(joined)[at * LENGTH : (at + 1) * LENGTH] for at in range(4)]
    out = memoryview(bytearray(2 * LENGTH))

    code.encode(views, [out[:LENGTH], out[LENGTH:]])

    assert bytes(out) == bytes(whole[4]) + bytes(whole[5])


@given(st.integers(1, 15), st.integers(0, 15))
@settings(max_examples=30)
def test_the_code_works_byte_by_byte(start_block: int, rest: int) -> None:
    """So that a range of a shard is restored from the same range of others."""
    code = IsalCoder(6, 3)
    whole = shards(code)
    start, stop = start_block * 8, start_block * 8 + rest * 8 + 8
    have = {index: whole[index][start:stop] for index in (1, 3, 4, 6, 7, 8)}

    assert code.restore(have, [0]) == {0: whole[0][start:stop]}
