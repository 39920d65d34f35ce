"""One suite over every policy that is offered: what is written is read back, after any loss that
the policy survives, and never after more.

Every pattern of losses of every code is tried on the code itself; whole writes and reads go through
patterns that lose data, parity and both.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import combinations
from random import Random
from uuid import UUID

import pytest

from core.config import config
from core.errors import NotEnoughShards
from storage_nodes.coding import IsalCoder, PyeclibCoder, coder
from storage_nodes.located import Located
from storage_nodes.policy import OFFERED, StoragePolicy, policy
from storage_nodes.segments import Segments
from storage_nodes.shard_name import ShardName
from tests.support.segments import MemoryFleet, MemoryRows, located

CODED = [name for name in OFFERED if policy(name).layout == "coded"]
OTHERS = ["ec-2-1", "ec-3-2", "ec-5-4", "rep-2", "rep-4-3-2"]
BODY = Random(5).randbytes(1_700_000)
SMALL = Random(6).randbytes(70_000)
LENGTH = 64


def patterns(code: StoragePolicy) -> Iterator[tuple[int, ...]]:
    """Every loss of as many shards as may be lost; fewer are part of these."""
    return combinations(range(code.width), code.parity)


@pytest.mark.parametrize("name", [*CODED, "ec-3-2", "ec-5-5"])
def test_every_pattern_of_losses_is_restored_by_the_code(name: str) -> None:
    """All 84 of 6+3, 495 of 8+4, 1001 of 10+4."""
    code = policy(name)
    chance = Random(3)
    cells = [chance.randbytes(LENGTH) for _ in range(code.needed)]
    parity = [bytearray(LENGTH) for _ in range(code.parity)]
    made = coder(code.needed, code.parity)
    made.encode(cells, parity)
    whole = dict(enumerate([*cells, *map(bytes, parity)]))

    for lost in patterns(code):
        have = {index: shard for index, shard in whole.items() if index not in lost}
        restored = made.restore(have, lost)
        assert restored == {index: whole[index] for index in lost}, lost


@pytest.mark.parametrize("name", CODED)
def test_the_reference_restores_what_the_fast_code_made(name: str) -> None:
    code = policy(name)
    chance = Random(4)
    cells = [chance.randbytes(LENGTH) for _ in range(code.needed)]
    parity = [bytearray(LENGTH) for _ in range(code.parity)]
    IsalCoder(code.needed, code.parity).encode(cells, parity)
    whole = dict(enumerate([*cells, *map(bytes, parity)]))
    lost = chance.sample(range(code.width), code.parity)

    restored = PyeclibCoder(code.needed, code.parity).restore(
        {index: shard for index, shard in whole.items() if index not in lost}, lost
    )

    assert restored == {index: whole[index] for index in lost}


class Store:
    """Segments over drives in memory, one zone each."""

    def __init__(self, name: str) -> None:
        self.policy = policy(name)
        self.fleet = MemoryFleet(self.policy.width + 2, zones=self.policy.width + 2)
        self.rows = MemoryRows()
        self.segments = Segments(
            self.rows,  # type: ignore[arg-type]  # a fake with the same methods
            self.fleet,
            config(),
        )

    async def write(self) -> list[Located]:
        writer = await self.segments.write(self.policy.name, "fast")
        await writer.feed(BODY)
        return [self._place(stored) for stored in await writer.finish()]

    async def append(self) -> list[Located]:
        ack = "strict"  # every copy is there, so that any may be lost
        return [self._place(await self.segments.append(self.policy.name, ack, UUID(int=9), SMALL))]

    def _place(self, stored: object) -> Located:
        stored.settle()  # type: ignore[attr-defined]
        return located(self.rows, stored)  # type: ignore[arg-type]

    async def read(self, places: list[Located]) -> bytes:
        stream = self.segments.stream(places, 0, sum(place.length for place in places))
        content = bytearray()
        while piece := await stream.next():
            content += piece
        return bytes(content)

    def lose(self, places: list[Located], lost: tuple[int, ...]) -> None:
        for place in places:
            for index in lost:
                store = self.fleet.stores[place.drives[index]]
                store.shards.pop(ShardName(place.segment_id, place.epoch, index), None)


@asynccontextmanager
async def opened(name: str) -> AsyncIterator[Store]:
    store = Store(name)
    try:
        yield store
    finally:
        await store.segments.close()


@pytest.mark.parametrize("name", [*OFFERED, *OTHERS])
async def test_a_large_body_is_read_back(name: str) -> None:
    async with opened(name) as store:
        assert await store.read(await store.write()) == BODY


@pytest.mark.parametrize("name", [*OFFERED, *OTHERS])
async def test_a_small_body_is_read_back(name: str) -> None:
    async with opened(name) as store:
        assert await store.read(await store.append()) == SMALL


@pytest.mark.parametrize("name", [*OFFERED, *OTHERS])
async def test_no_two_shards_share_a_drive(name: str) -> None:
    async with opened(name) as store:
        for place in await store.write():
            assert len(set(place.drives)) == store.policy.width
            assert 0 not in place.drives


@pytest.mark.parametrize("name", [*OFFERED, *OTHERS])
@pytest.mark.parametrize("which", ["first", "last", "mixed"])
async def test_a_large_body_survives_every_loss_that_was_promised(name: str, which: str) -> None:
    async with opened(name) as store:
        places = await store.write()
        width, parity = store.policy.width, store.policy.parity
        lost = {
            "first": tuple(range(parity)),
            "last": tuple(range(width - parity, width)),
            "mixed": tuple(Random(8).sample(range(width), parity)),
        }[which]

        store.lose(places, lost)

        assert await store.read(places) == BODY


@pytest.mark.parametrize("name", [*OFFERED, *OTHERS])
async def test_a_small_body_survives_the_loss_of_all_copies_but_one(name: str) -> None:
    async with opened(name) as store:
        places = await store.append()
        store.lose(places, tuple(range(1, store.policy.copies)))

        assert await store.read(places) == SMALL


@pytest.mark.parametrize("name", [*OFFERED, *OTHERS])
async def test_one_loss_more_is_an_error_and_never_other_bytes(name: str) -> None:
    async with opened(name) as store:
        places = await store.write()
        store.lose(places, tuple(range(store.policy.parity + 1)))

        with pytest.raises(NotEnoughShards):
            await store.read(places)
