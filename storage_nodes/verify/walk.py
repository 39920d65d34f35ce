"""One verification: every segment the database knows, then every file the drives know.

Here: the order of things, segments that move meanwhile, what is owed, what is summed up. Not here:
reading shards (`coded`, `copies`), the command.

Promise: what is said to be wrong was wrong in the layout the segment's row named before and after
it was read. Nothing is deleted and no file is changed. The walk ends: segments that come into being
after it began are not followed. Memory does not grow with the store: findings beyond `LISTED` are
counted only.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from uuid import UUID

from core import bridge, clock
from core.errors import NodeUnreachable, StoreError
from storage_nodes import garbage, layouts, orphans
from storage_nodes.coded_layout import CodedLayout
from storage_nodes.copies import end_of
from storage_nodes.layouts import SegmentRow
from storage_nodes.policy import policy
from storage_nodes.shard_name import ShardName
from storage_nodes.stores.base import ShardStore
from storage_nodes.verify import coded, copies, rows
from storage_nodes.verify.copies import Replicated
from storage_nodes.verify.findings import OWED, Finding, Store, Tally, Throttle

# Findings that are listed one by one.
LISTED = 10_000
# A drive that did not answer is not waited for again for so long; its shards count as unreachable.
AWAY_S = 30.0
# A segment that moves while it is read is read again, so often at most.
TRIES = 4

Progress = Callable[[Tally, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What a walk goes through."""

    id: UUID
    store: Store
    drives: tuple[int, ...]  # those that may hold files


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to verify, and how. `rate` is in bytes per second."""

    drive: int | None = None
    segment: UUID | None = None
    repair: bool = True
    rate: float | None = None


@dataclass(slots=True)
class Result:
    """What a walk has found."""

    tally: Tally
    writing: int = 0  # segments passed over: uploads are still writing them
    seconds: float = 0.0
    found: Counter[str] = field(default_factory=Counter)
    owed: int = 0
    findings: list[Finding] = field(default_factory=list)
    unreachable: Counter[int] = field(default_factory=Counter)  # drive -> shards not read
    unlisted: list[int] = field(default_factory=list)  # drives whose files could not be listed

    @property
    def is_whole(self) -> bool:
        """Orphans do no harm: `collect` removes them when they are old enough."""
        return not any(count for kind, count in self.found.items() if kind != "orphan")

    def add(self, finding: Finding) -> None:
        self.found[finding.kind] += 1
        if finding.kind == "unreachable":
            self.unreachable[finding.drive or 0] += 1
        elif len(self.findings) < LISTED:
            self.findings.append(finding)
        self.owed += finding.owed

    def document(self) -> dict[str, Any]:
        """For programs; its keys are an interface."""
        listed = len(self.findings) + sum(self.unreachable.values())
        return {
            "whole": self.is_whole,
            **asdict(self.tally),
            "seconds": round(self.seconds, 3),
            "writing": self.writing,
            "found": dict(sorted(self.found.items())),
            "owed": self.owed,
            "unreachable": [
                {"drive": drive, "shards": count}
                for drive, count in sorted(self.unreachable.items())
            ],
            "unlisted": self.unlisted,
            "findings": [asdict(one) | {"sentence": one.sentence()} for one in self.findings],
            "findings_left_out": self.found.total() - listed,
        }


def verify(cluster: Cluster, wanted: Wanted, progress: Progress | None = None) -> Result:
    """Read what is wanted, and owe the repair of what is wrong."""
    began = clock.monotonic()
    away = _Away(cluster.store)
    cluster = replace(cluster, store=away.store)
    tally = Tally()
    result = Result(tally)
    throttle = Throttle(tally, wanted.rate)
    total, listed = _segments(wanted, result)
    if progress is not None:
        throttle.watch = lambda now: progress(now, total, result.found.total())
    for row in listed:
        for finding in _segment(cluster, row, wanted, throttle):
            if finding.kind == "unreachable":
                away.add(finding.drive)
            result.add(finding)
        tally.segments += 1
    if wanted.segment is None:
        for drive in cluster.drives:
            if wanted.drive in (None, drive):
                try:
                    orphans = _orphans(cluster.store(drive), drive)
                except (StoreError, OSError):
                    result.unlisted.append(drive)
                    continue
                for finding in orphans:
                    result.add(finding)
    result.seconds = clock.monotonic() - began
    return result


class _Away:
    """Drives that did not answer a moment ago: one wait for them is enough."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._until: dict[int | None, float] = {}

    def add(self, drive: int | None) -> None:
        if not self._is_away(drive):
            self._until[drive] = clock.monotonic() + AWAY_S

    def store(self, drive: int) -> ShardStore:
        if self._is_away(drive):
            raise NodeUnreachable()
        return self._store(drive)

    def _is_away(self, drive: int | None) -> bool:
        return self._until.get(drive, 0.0) > clock.monotonic()


def _segments(wanted: Wanted, result: Result) -> tuple[int, Iterator[SegmentRow]]:
    """How many segments there are to read, and these."""
    if wanted.segment is not None:
        row = rows.segment(wanted.segment)
        return (1, iter([row])) if row is not None else (0, iter(()))
    there = rows.scope(wanted.drive)
    result.writing = there.writing
    return there.count, rows.segments(there.last, wanted.drive)


def _segment(
    cluster: Cluster, row: SegmentRow, wanted: Wanted, throttle: Throttle
) -> list[Finding]:
    """What is wrong with one segment, in a layout that is still its own afterwards."""
    now: SegmentRow | None = row
    for _ in range(TRIES):
        assert now is not None
        row = now
        indexes = None
        if wanted.drive is not None:
            indexes = [at for at, drive in enumerate(row.drives) if drive == wanted.drive]
        found = _read(cluster, row, indexes, throttle)
        if not found:
            return []
        now = rows.segment(row.id)
        if now is None:
            return []  # nobody reads it any more
        if now.is_where(row):
            break
    return [_owed(row, finding) for finding in found] if wanted.repair else found


def _read(
    cluster: Cluster, row: SegmentRow, indexes: list[int] | None, throttle: Throttle
) -> list[Finding]:
    if row.layout == "coded":
        as_coded = CodedLayout(
            cluster=cluster.id,
            segment=row.id,
            epoch=row.epoch,
            policy=policy(row.policy),
            cell_size=row.cell_size or 0,
            size=row.size,
            drives=row.drives,
        )
        return bridge.run(coded.check(as_coded, cluster.store, throttle, indexes))
    records = rows.named_records(row.id)
    # An open one's copies grow at their own pace: each holds what its owner says is durable there.
    is_open = row.state == "open"
    due = row.confirmed if is_open else None
    replicated = Replicated(
        cluster=cluster.id,
        segment=row.id,
        epoch=row.epoch,
        drives=row.drives,
        records=records,
        due=due or [0 if is_open else end_of(records)] * len(row.drives),
    )
    return bridge.run(copies.check(replicated, cluster.store, throttle, indexes))


def _owed(row: SegmentRow, finding: Finding) -> Finding:
    """The finding, its repair owed where one can mend it."""
    if finding.kind not in OWED or finding.index is None:
        return finding
    state = "missing" if finding.kind == "missing" else "corrupt"
    return replace(finding, owed=layouts.noticed(row, finding.index, state))


def _orphans(store: ShardStore, drive: int) -> list[Finding]:
    """Files of a drive that no row names, looked at twice: rows may follow their files."""
    suspects: list[tuple[UUID, int, int]] = []
    after: ShardName | None = None
    while page := bridge.run(garbage.page_of_names(store, after)):
        suspects += orphans.among(drive, page)
        del suspects[LISTED:]
        after = ShardName(*page[-1])
    found = []
    for segment, epoch, index in orphans.among(drive, suspects):
        name = ShardName(segment, epoch, index)
        there = bridge.run(store.stat(name))
        if there is not None and not there.trashed:
            found.append(
                Finding(
                    kind="orphan",
                    segment=name.segment,
                    epoch=name.epoch,
                    index=name.index,
                    drive=drive,
                    detail=f"No row names it; it has {there.size_bytes} bytes.",
                )
            )
    return found
