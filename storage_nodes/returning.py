"""Shards that come back out of their drives' trash because the segment's row names them there.

That is so when the database went back to a backup: what it named then has been replaced and trashed
since. It is also so when a collector that had lost its job trashed a file that came to be named.

Here: the rows and the drives' part. Not here: which shards, reading them through (workers.repair).

Promise: nothing comes out that the row does not name at that moment, or it is retired anew; what
came out is on record as missing until somebody has read it through, whatever crashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from core.errors import StoreError
from jobs import statements
from storage_nodes.layouts import SegmentRow
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.base import ShardStore


def begin(row: SegmentRow, index: int) -> bool:
    """May the shard be taken out of trash on its drive? It is on record as missing from here on."""
    asked = "SELECT shard_returns(%s, %s, %s, %s)"
    return bool(statements.one(asked, row.id, row.epoch, index, row.drives[index]))


async def take_out(
    row: SegmentRow, indexes: Iterable[int], stores: Mapping[int, ShardStore]
) -> None:
    """Give the shards their names back. What a drive will not do now stays in its trash."""
    for index in indexes:
        with suppress(StoreError, OSError, KeyError):
            await stores[row.drives[index]].restore(ShardName(row.id, row.epoch, index))


def end(row: SegmentRow, index: int) -> bool:
    """The shard may be out of trash; where the row has ceased to name it, it is retired anew."""
    asked = "SELECT shard_returned(%s, %s, %s, %s, %s)"
    return bool(statements.one(asked, row.id, row.epoch, list(row.drives), row.layout, index))
