"""Names in every ShardStore: trashed and brought back, listed, of shards and of journal files."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from core.errors import ShardMissing
from storage_nodes.shard_name import JournalName, ShardName
from storage_nodes.stores.base import ShardStore
from tests.support.shard_stores import BLOCK, content, publish

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def test_a_trashed_shard_is_missing_and_comes_back(
    store: ShardStore, name: ShardName
) -> None:
    await publish(store, name, BLOCK)

    assert await store.trash(name)
    with pytest.raises(ShardMissing):
        await store.open(name)
    trashed = await store.stat(name)
    assert trashed is not None
    assert trashed.trashed

    assert await store.restore(name)
    assert await content(store, name) == BLOCK


async def test_trashing_and_restoring_may_be_repeated(store: ShardStore, name: ShardName) -> None:
    await publish(store, name, BLOCK)

    assert await store.trash(name)
    assert not await store.trash(name)
    assert await store.restore(name)
    assert await store.restore(name)
    assert await content(store, name) == BLOCK


async def test_restoring_what_was_never_there_does_nothing(
    store: ShardStore, name: ShardName
) -> None:
    assert not await store.restore(name)
    assert await store.stat(name) is None


async def test_only_old_trash_is_unlinked(store: ShardStore, name: ShardName) -> None:
    await publish(store, name, BLOCK)
    await store.trash(name)

    assert await store.unlink_trash(LONG_AGO) == 0
    assert await store.stat(name) is not None
    assert await store.unlink_trash(datetime.now(UTC) + timedelta(days=1)) >= 1
    assert await store.stat(name) is None
    assert not await store.restore(name)


async def test_names_lists_what_is_published_and_goes_on_behind_any_of_them(
    store: ShardStore,
) -> None:
    made = {ShardName(UUID(int=number << 40 | number), 1, 0) for number in range(1, 30)}
    for each in made:
        await publish(store, each, b"x")

    listed = [each async for each in store.names()]
    assert made <= set(listed)
    assert len(listed) == len(set(listed))
    behind = [each async for each in store.names(after=listed[10])]
    assert behind == listed[11:]


async def test_names_leaves_out_the_trash(store: ShardStore, name: ShardName) -> None:
    await publish(store, name, BLOCK)
    await store.trash(name)

    assert name not in [each async for each in store.names()]


async def test_a_journal_file_is_kept_like_a_shard_and_is_none(store: ShardStore) -> None:
    name = JournalName(77, 1 << 63, "jrn")
    await publish(store, name, BLOCK, b"tail")

    assert await content(store, name) == BLOCK + b"tail"
    assert name in [each async for each in store.journal_names()]
    assert name not in [each async for each in store.names()]


async def test_journal_files_are_listed_by_number(store: ShardStore) -> None:
    made = [JournalName(1000 + n, 9 - n, "snap" if n == 3 else "jrn") for n in range(6)]
    for each in reversed(made):
        await publish(store, each, b"x")

    listed = [each async for each in store.journal_names()]
    assert [each for each in listed if each.number >= 1000] == made


async def test_a_trashed_journal_file_comes_back(store: ShardStore) -> None:
    name = JournalName(78, 1, "snap")
    await publish(store, name, BLOCK)

    assert await store.trash(name)
    assert name not in [each async for each in store.journal_names()]
    assert await store.restore(name)
    assert await content(store, name) == BLOCK
