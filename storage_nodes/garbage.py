"""Taking files off drives: into the trash first, out of it later.

Here: the byte side of collecting. Not here: the decision that nobody names a file (`layouts`,
`objects.rewrite`), which is made under locks before any of this is called.

Promise: everything here may be repeated, and may stop anywhere; until `empty` has run, every file
can be restored by its node.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from core.errors import StoreError
from core.failpoints import declare
from storage_nodes.layouts import RetiredRow, SegmentRow
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.base import ShardStore

TRASHED = declare(
    "collect.trashed", point="C13", doc="files renamed into trash, the row not updated"
)
UNLINKING = declare("collect.unlinking", point="C13", doc="before trash is unlinked")

# A drive lists this many files between two questions to the database.
PAGE = 500


async def trash(row: RetiredRow, drives: Sequence[int], stores: Mapping[int, ShardStore]) -> bool:
    """Trash the row's files on these drives (by index; 0: none). False: some could not be asked."""

    async def one(index: int, drive: int) -> bool:
        try:
            await stores[drive].trash(ShardName(row.segment, row.epoch, index))
        except (StoreError, OSError, KeyError):
            return False
        return True

    done = await asyncio.gather(*(one(i, drive) for i, drive in enumerate(drives) if drive))
    await TRASHED.reach()
    return all(done)


async def present(row: SegmentRow, stores: Mapping[int, ShardStore]) -> int:
    """How many shards of the present layout are where the row says."""

    async def one(index: int, drive: int) -> bool:
        try:
            stat = await stores[drive].stat(ShardName(row.id, row.epoch, index))
        except (StoreError, OSError, KeyError):
            return False
        return stat is not None and not stat.trashed

    return sum(await asyncio.gather(*(one(i, drive) for i, drive in enumerate(row.drives))))


async def empty(
    store: ShardStore, now: datetime, *, keep_s: float, least_s: float, fraction: float
) -> int:
    """Unlink what has lain in a drive's trash for `keep_s`, and how many files went.

    While the trash takes more than `fraction` of the drive, the oldest go earlier, but nothing
    younger than `least_s`.
    """
    await UNLINKING.reach()
    gone = await store.unlink_trash(now - timedelta(seconds=keep_s))
    while keep_s > least_s:
        space = await store.space()
        if space.trash_bytes <= fraction * space.size_bytes:
            break
        keep_s = max(least_s, keep_s / 2)
        gone += await store.unlink_trash(now - timedelta(seconds=keep_s))
    return gone


async def page_of_names(store: ShardStore, after: ShardName | None) -> list[tuple[UUID, int, int]]:
    """The next files of a drive as (segment, epoch, index); empty at the end."""
    page: list[tuple[UUID, int, int]] = []
    async for name in store.names(after):
        page.append((name.segment, name.epoch, name.index))
        if len(page) == PAGE:
            break
    return page
