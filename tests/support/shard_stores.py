"""Shards written to and read from a ShardStore whole."""

from storage_nodes.shard_name import FileName
from storage_nodes.stores.base import ShardStore

BLOCK = bytes(range(256)) * 16


async def publish(store: ShardStore, name: FileName, *pieces: bytes) -> None:
    file = await store.create(name, purpose="shard")
    await file.write(0, pieces)
    await file.publish()


async def content(store: ShardStore, name: FileName) -> bytes:
    reader = await store.open(name)
    try:
        return await reader.read(0, 1 << 20)
    finally:
        await reader.close()
