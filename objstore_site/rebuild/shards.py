"""Segments' rows and the shards on drives made to agree.

Here: for each segment which shards are there, which are elsewhere than its row says, which are
missing; what is on drives and in no row. Not here: putting missing shards back (repair is owed).

The row's layout counts while enough of its shards verify. If not, another complete layout of the
same segment is taken: the bytes are the same. Shards of segments nobody knows, of uploads that
never committed, and packs with records nobody knows are kept in quarantine, whatever becomes of
their names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from core.names import made_at
from objstore_site.rebuild.directories import Directory, FoundShard
from objstore_site.rebuild.report import Report
from storage_nodes.pack_format import scan
from storage_nodes.policy import policy
from storage_nodes.shard_file import HEADER_SIZE
from storage_nodes.shard_name import ShardName

Connection = psycopg.Connection[tuple[Any, ...]]

UNKNOWN = "unknown-segment"
UNCOMMITTED = "uncommitted-upload"
UNKNOWN_RECORDS = "unknown-records"
NOT_THERE = "It was not there when the database was rebuilt."

_SEGMENTS = """
SELECT id, storage_policy, layout, state, epoch, drives, size, cell_size FROM segment ORDER BY id
"""
_DRIVES = "SELECT id, uuid, path FROM drive"
_FOUND_AT = "UPDATE drive SET path = %s WHERE id = %s AND path <> %s"
_GONE = """
UPDATE drive SET state = 'gone', gone_since = now(), reason = %s
WHERE id = ANY(%s) AND state NOT IN ('removed', 'gone')
"""
_LOCATED = """
UPDATE segment SET layout = %s, state = %s, epoch = %s, drives = %s, size = %s, cell_size = %s,
    confirmed = CASE WHEN %s = layout AND epoch = %s THEN confirmed END, changed = now()
WHERE id = %s
"""
_MISSING = """
INSERT INTO segment_shard (segment_id, epoch, index, drive_id, state)
SELECT %s, %s, index, nullif(drive, 0), 'missing'
FROM unnest(%s::int[], %s::int[]) AS lost (index, drive)
ON CONFLICT DO NOTHING
"""
_UNREADABLE = """
SELECT count(DISTINCT version_id) FROM extent WHERE segment_id = ANY(%s) AND version_id IS NOT NULL
"""
_REACH = """
SELECT coalesce(max("offset" + coalesce(segment_record_length(record_size), length)), 0)
FROM extent WHERE segment_id = %s
"""
_NAMED = """
SELECT "offset" FROM extent WHERE segment_id = %s
"""
_MADE = """
SELECT (payload #>> '{body,id}')::uuid FROM event WHERE kind IN ('put', 'complete', 'part')
"""


@dataclass(slots=True)
class Segment:
    """A row, as it is changed here."""

    id: UUID
    policy: str
    layout: str
    state: str
    epoch: int
    drives: list[int]
    size: int
    cell_size: int | None

    @property
    def needed(self) -> int:
        return policy(self.policy).needed if self.layout == "coded" else 1


# Of one segment: layout epoch -> index -> drive -> the file.
Layouts = dict[int, dict[int, dict[int, FoundShard]]]


class Reconciler:
    """One pass over all segments."""

    def __init__(
        self, connection: Connection, directories: Sequence[Directory], report: Report
    ) -> None:
        self._connection = connection
        self._report = report
        self._by_drive: dict[int, Directory] = {}
        self._strangers: list[Directory] = []
        self._away: set[int] = set()
        self._found: dict[UUID, Layouts] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(dict))
        )
        self._trashed: dict[ShardName, dict[int, Directory]] = defaultdict(dict)
        self._learn(directories)
        self.newest_epoch = max(
            (epoch for layouts in self._found.values() for epoch in layouts), default=1
        )

    def run(self, began: datetime) -> None:
        """`began`: when the snapshot was taken; younger records must have an entry."""
        rows = self._connection.execute(_SEGMENTS).fetchall()
        known = {row[0] for row in rows}
        made = {row[0] for row in self._connection.execute(_MADE)}
        lost: list[UUID] = []
        for row in rows:
            segment = Segment(row[0], row[1], row[2], row[3], row[4], list(row[5]), row[6], row[7])
            if segment.state == "dead":
                continue
            if segment.state == "writing":
                self._quarantine(segment.id, UNCOMMITTED)
            elif segment.state == "open":
                self._look_for_records(segment, made, began)
                self._move_to_where_found(segment)
            elif not self._settle(segment):
                lost.append(segment.id)
        for unknown in sorted(set(self._found) - known):
            self._quarantine(unknown, UNKNOWN)
        self._report.segments_lost = [str(each) for each in lost]
        if lost:
            [unreadable] = self._connection.execute(_UNREADABLE, (lost,)).fetchone() or (0,)
            self._report.versions_unreadable = unreadable

    # -- what there is --------------------------------------------------------------------------

    def _learn(self, directories: Sequence[Directory]) -> None:
        at = {directory.drive: directory for directory in directories}
        for drive, uuid, path in self._connection.execute(_DRIVES).fetchall():
            directory = at.pop(uuid, None)
            if directory is None:
                self._away.add(drive)
                self._report.drives_missing.append(f"{drive}: {uuid}, last at {path}")
                continue
            self._by_drive[drive] = directory
            here = str(directory.path)
            self._connection.execute(_FOUND_AT, (here, drive, here))
        self._connection.execute(_GONE, (NOT_THERE, sorted(self._away)))
        for stranger in at.values():
            self._strangers.append(stranger)
            self._report.notes.append(
                f"{stranger.path}: drive {stranger.drive} is in no journal entry; its shards are"
                " not used until it is registered"
            )
        for drive, directory in self._by_drive.items():
            for shard in directory.shards:
                name = shard.name
                self._found[name.segment][name.epoch][name.index][drive] = shard
            for name in directory.trashed:
                self._trashed[name][drive] = directory
            self._report.shards_verified += len(directory.shards)
            self._report.shards_damaged += [
                f"{directory.path}: {name}: {why}" for name, why in directory.damaged.items()
            ]

    # -- segments that have come to rest ----------------------------------------------------------

    def _settle(self, segment: Segment) -> bool:
        """Make the row say what is there; whether the segment can be read."""
        self._restore_trashed(segment)
        present = self._present(segment.id, segment.epoch, segment.layout)
        if len(present) < segment.needed and not self._may_be_away(segment, present):
            self._adopt(segment)
            present = self._present(segment.id, segment.epoch, segment.layout)
        self._move_to_where_found(segment)
        missing = [
            index
            for index, drive in enumerate(segment.drives)
            if drive not in self._away and drive not in present.get(index, {})
        ]
        if missing:
            self._owe(segment, missing)
        return len(present) >= segment.needed

    def _present(
        self, segment: UUID, epoch: int, layout: str
    ) -> Mapping[int, Mapping[int, FoundShard]]:
        found = self._found.get(segment, {}).get(epoch, {})
        return {
            index: holders
            for index, holders in found.items()
            if all(shard.layout == layout for shard in holders.values())
        }

    def _may_be_away(self, segment: Segment, present: Mapping[int, object]) -> bool:
        """Shards on drives that were not given may make up for what is missing here."""
        away = sum(1 for drive in segment.drives if drive in self._away)
        return len(present) + away >= segment.needed and not self._complete_layouts(segment)

    def _restore_trashed(self, segment: Segment) -> None:
        for index, drive in enumerate(segment.drives):
            name = ShardName(segment.id, segment.epoch, index)
            directory = self._trashed.get(name, {}).get(drive)
            holders = self._found.get(segment.id, {}).get(segment.epoch, {}).get(index, {})
            if directory is None or drive in holders or not directory.restore(name):
                continue
            restored = directory.shards[-1]
            if restored.name == name:
                self._found[segment.id][segment.epoch][index][drive] = restored
                self._report.shards_restored += 1

    def _complete_layouts(self, segment: Segment) -> list[int]:
        """Epochs of other coded layouts of which enough shards are here."""
        complete = []
        for epoch, indexes in self._found.get(segment.id, {}).items():
            shards = [shard for holders in indexes.values() for shard in holders.values()]
            if epoch != segment.epoch and all(shard.layout == "coded" for shard in shards):
                sizes = {(s.needed, s.parity, s.cell_size, s.segment_size) for s in shards}
                if len(sizes) == 1 and len(indexes) >= shards[0].needed:
                    complete.append(epoch)
        return sorted(complete)

    def _adopt(self, segment: Segment) -> None:
        """Take the newest complete layout in place of the row's, which cannot be read."""
        reach = self._reach(segment)
        for epoch in reversed(self._complete_layouts(segment)):
            indexes = self._found[segment.id][epoch]
            one = next(iter(next(iter(indexes.values())).values()))
            width = one.needed + one.parity
            if policy(segment.policy).width != width or one.segment_size < reach:
                continue
            drives = [min(indexes.get(index, {0: one})) for index in range(width)]
            segment.layout, segment.state, segment.epoch = "coded", "stored", epoch
            segment.drives, segment.size, segment.cell_size = (
                drives,
                one.segment_size,
                one.cell_size,
            )
            self._write(segment)
            self._report.layouts_adopted.append(f"{segment.id}: layout {epoch}")
            return

    def _reach(self, segment: Segment) -> int:
        """How far extents reach; coding leaves out what lies behind the last one."""
        [reach] = self._connection.execute(_REACH, (segment.id,)).fetchone() or (0,)
        return int(reach)

    def _move_to_where_found(self, segment: Segment) -> None:
        present = self._present(segment.id, segment.epoch, segment.layout)
        moved = 0
        for index, drive in enumerate(segment.drives):
            holders = present.get(index, {})
            elsewhere = [each for each in sorted(holders) if each not in segment.drives]
            if drive not in holders and elsewhere and drive not in self._away:
                segment.drives[index] = elsewhere[0]
                moved += 1
        if moved:
            self._write(segment)
            self._report.shards_moved += moved

    def _write(self, segment: Segment) -> None:
        self._connection.execute(
            _LOCATED,
            (
                segment.layout,
                segment.state,
                segment.epoch,
                segment.drives,
                segment.size,
                segment.cell_size,
                segment.layout,
                segment.epoch,
                segment.id,
            ),
        )

    def _owe(self, segment: Segment, missing: list[int]) -> None:
        drives = [segment.drives[index] for index in missing]
        self._connection.execute(_MISSING, (segment.id, segment.epoch, missing, drives))
        self._connection.execute("SELECT owe('repair', %s)", (str(segment.id),))
        self._report.shards_missing += len(missing)

    # -- what no entry names ----------------------------------------------------------------------

    def _quarantine(self, segment: UUID, reason: str) -> None:
        for epoch, indexes in sorted(self._found.get(segment, {}).items()):
            for index, holders in sorted(indexes.items()):
                for drive in sorted(holders):
                    name = ShardName(segment, epoch, index)
                    self._keep(self._by_drive[drive], name, reason)

    def _keep(self, directory: Directory, name: ShardName, reason: str) -> None:
        kept = directory.quarantine(name, reason)
        told = "" if kept else " (could not be linked)"
        self._report.quarantined.append(f"{directory.path}: {name}: {reason}{told}")

    def _look_for_records(self, segment: Segment, made: set[UUID], began: datetime) -> None:
        """Records of an open pack that neither an extent nor any entry knows."""
        named = {row[0] for row in self._connection.execute(_NAMED, (segment.id,))}
        for index, holders in self._found.get(segment.id, {}).get(segment.epoch, {}).items():
            for drive in holders:
                name = ShardName(segment.id, segment.epoch, index)
                directory = self._by_drive[drive]
                content = directory.file(name).read_bytes()[HEADER_SIZE:]
                strays = [
                    record
                    for record in scan(content, segment.id)
                    if record.position not in named
                    and record.version_id not in made
                    and made_at(record.version_id) >= began
                ]
                if strays:
                    self._keep(directory, name, UNKNOWN_RECORDS)
                self._report.records_without_entry += [
                    f"{directory.path}: {name} at {record.position}: version"
                    f" {record.version_id.hex}, {record.length} bytes"
                    for record in strays
                ]
