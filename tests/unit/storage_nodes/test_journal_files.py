"""Files of the journal on several drives."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from storage_nodes import journal_files
from storage_nodes.journal_files import SYNC_EVERY, Writing, new_attempt
from storage_nodes.journal_format import Encoder, JournalHeader, Place
from storage_nodes.shard_name import FileName, JournalName
from storage_nodes.stores.memory import MemoryShardStore
from tests.support.shard_stores import AttendedStore

PIECE = 4 << 20
HEADER = JournalHeader(
    kind="snap", cluster=UUID(int=1), lineage=UUID(int=2), number=1, after=Place(0, 0)
)


async def test_a_long_file_is_made_durable_on_its_way_written_or_copied() -> None:
    """A drive is waited for so long and no longer, and a snapshot may be of any size."""
    synced: Counter[UUID] = Counter()

    def attended() -> AttendedStore:
        store = MemoryShardStore()

        async def attend(step: str, _: FileName) -> None:
            synced[store.drive] += step == "sync"

        return AttendedStore(store, attend)

    stores = {drive: attended() for drive in (1, 2, 3, 4)}
    name = JournalName(1, new_attempt(), "snap")
    encoder = Encoder(HEADER)
    writing = await Writing.begin(stores, [1, 2, 3], name)
    await writing.append([encoder.head()])
    for number in range(2 * SYNC_EVERY // PIECE):
        await writing.append([encoder.entry(1, number, bytes(PIECE))])
    await writing.append([encoder.foot()])
    await writing.publish()

    assert await journal_files.mend(stores, name, {1, 2, 3}, [1, 2, 3, 4])

    assert synced == {store.drive: 2 for store in stores.values()}
