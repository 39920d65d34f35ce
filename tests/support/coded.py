"""What coded segments on drives in memory hold, decoded from whatever shards are there."""

from __future__ import annotations

from uuid import UUID

from core import bridge
from storage_nodes import layouts, rebuild
from storage_nodes.coded_layout import CodedLayout
from storage_nodes.pack_format import parse_record, record_length
from storage_nodes.policy import policy
from storage_nodes.rebuild import Sources
from storage_nodes.striping import Striping
from tests.support.drives import CLUSTER, MemoryStorage, located


def coded(row: layouts.SegmentRow) -> CodedLayout:
    assert row.layout == "coded"
    return CodedLayout(
        cluster=CLUSTER,
        segment=row.id,
        epoch=row.epoch,
        policy=policy(row.policy),
        cell_size=row.cell_size or 0,
        size=row.size,
        drives=row.drives,
    )


def content(drives: MemoryStorage, segment_id: UUID) -> bytes:
    """The address space of a coded segment, decoded from whatever shards are there."""
    row = layouts.segment(segment_id)
    described = coded(row)
    needed = described.policy.needed

    async def read() -> bytes:
        sources = Sources(described)
        await sources.open(drives.stores, [])
        cells = []
        striping = Striping(row.size, needed, row.cell_size)
        for start in range(0, described.shard_length, row.cell_size):
            stop = min(start + row.cell_size, described.shard_length)
            have = await sources.read(start, stop)
            whole = rebuild.coder(needed, described.policy.parity).restore(have, range(needed))
            cells.append(b"".join(whole[n] for n in range(needed)))
        await sources.close()
        assert len(b"".join(cells)) >= striping.size
        return b"".join(cells)[: row.size]

    return bridge.run(read())


def payload_of(drives: MemoryStorage, version: UUID) -> bytes:
    segment_id, offset, length = located(version)
    whole = content(drives, segment_id)[offset : offset + record_length(length)]
    return bytes(parse_record(whole, segment_id, offset))
