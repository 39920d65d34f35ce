"""A shard or pack that takes over the name of another, in every ShardStore."""

import asyncio
from datetime import UTC, datetime, timedelta

from storage_nodes.shard_name import FileName, ShardName
from storage_nodes.stores.base import ShardStore
from tests.support.shard_stores import BLOCK, content, publish


async def replace(store: ShardStore, name: FileName, content: bytes) -> None:
    file = await store.create(name, purpose="shard")
    await file.write(0, [content])
    await file.publish(replace=True)


async def test_a_shard_that_replaces_another_has_its_name_and_the_other_is_in_the_trash(
    store: ShardStore, name: ShardName
) -> None:
    await publish(store, name, BLOCK)
    await store.unlink_trash(datetime.now(UTC) + timedelta(days=1))
    await replace(store, name, b"second")

    assert await content(store, name) == b"second"
    found = await store.stat(name)
    assert found is not None
    assert not found.trashed
    assert [each async for each in store.names()].count(name) == 1
    assert await store.unlink_trash(datetime.now(UTC) + timedelta(days=1)) == 1
    assert await content(store, name) == b"second"


async def test_a_pack_that_is_closed_may_be_replaced_and_again(
    store: ShardStore, name: ShardName
) -> None:
    await (await store.create(name, purpose="pack", header=BLOCK)).close()
    await replace(store, name, b"second")
    await replace(store, name, b"third")

    assert await content(store, name) == b"third"


async def test_an_abandoned_successor_leaves_the_name_as_it_was(
    store: ShardStore, name: ShardName
) -> None:
    await publish(store, name, BLOCK)
    file = await store.create(name, purpose="shard")
    await file.write(0, [b"second"], sync=True)
    await file.abandon()

    assert await content(store, name) == BLOCK


async def test_restoring_takes_no_name_from_a_successor(store: ShardStore, name: ShardName) -> None:
    await publish(store, name, BLOCK)
    await replace(store, name, b"second")

    assert await store.restore(name)
    assert await content(store, name) == b"second"


async def test_of_two_successors_at_once_one_has_the_name(
    store: ShardStore, name: ShardName
) -> None:
    await publish(store, name, b"first")
    files = [await store.create(name, purpose="shard") for _ in range(2)]
    for file in files:
        await file.write(0, [BLOCK])
    await asyncio.gather(*(file.publish(replace=True) for file in files))

    assert await content(store, name) == BLOCK


async def test_a_shard_may_replace_one_that_is_not_there(
    store: ShardStore, name: ShardName
) -> None:
    await replace(store, name, b"first")
    assert await content(store, name) == b"first"
    await store.trash(name)
    await replace(store, name, b"second")

    assert await content(store, name) == b"second"


async def test_a_replaced_shard_is_still_read_by_who_had_it_open(
    store: ShardStore, name: ShardName
) -> None:
    await publish(store, name, BLOCK)
    reader = await store.open(name)
    await replace(store, name, BLOCK)

    assert await reader.read(256, 16) == BLOCK[256:272]
    await reader.close()
