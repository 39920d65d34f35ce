"""Which drives should hold which shard of a segment.

Weighted consistent hashing in its rendezvous form: every drive draws a number for every segment,
scaled by its weight (a drive is as many virtual nodes as its weight says, without a ring to keep),
and the segment lives on the drives that drew best. So a drive holds segments in proportion to its
weight, a new drive takes only what it now wins, and a drive that leaves moves only what it held.

Two drives never hold shards of the same segment on one drive: a rule. At most `policy.zone_cap`
shards in a zone: a preference, given up one shard at a time when the zones are too few.

Here: pure arithmetic. Not here: which drives are healthy (the caller gives those), moving bytes.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from hashlib import blake2b
from math import log
from typing import Protocol
from uuid import UUID

from storage_nodes.policy import StoragePolicy


class Candidate(Protocol):
    """What placement must know of a drive."""

    @property
    def id(self) -> int: ...

    @property
    def zone(self) -> object: ...

    @property
    def weight(self) -> float: ...


def place(drives: Iterable[Candidate], policy: StoragePolicy, segment_id: UUID) -> list[int]:
    """Drive ids for the shards 0..width-1 of a segment; fewer when there are too few drives."""
    return _choose(_ranked(drives, segment_id), policy.width, policy.zone_cap, Counter())


def replace(
    drives: Iterable[Candidate],
    policy: StoragePolicy,
    segment_id: UUID,
    *,
    keep: Collection[int],
    count: int,
) -> list[int]:
    """Up to `count` further drives for a segment whose other shards stay on the drives `keep`.

    Drives of `keep` are never chosen again; those not among `drives` still count as taken.
    """
    known = list(drives)
    zones = Counter(drive.zone for drive in known if drive.id in keep)
    free = (drive for drive in known if drive.id not in keep)
    return _choose(_ranked(free, segment_id), count, policy.zone_cap, zones)


def _choose(
    ranked: Sequence[Candidate], count: int, zone_cap: int, zones: Counter[object]
) -> list[int]:
    chosen: list[int] = []
    waiting = list(ranked)
    cap = zone_cap
    while waiting and len(chosen) < count:
        passed_over: list[Candidate] = []
        for drive in waiting:
            if len(chosen) < count and zones[drive.zone] < cap:
                zones[drive.zone] += 1
                chosen.append(drive.id)
            else:
                passed_over.append(drive)
        waiting = passed_over
        cap += 1
    return chosen


def _ranked(drives: Iterable[Candidate], segment_id: UUID) -> list[Candidate]:
    """Best draw first; drives without weight hold nothing new."""
    seed = segment_id.bytes
    draws = [(_draw(seed, drive), drive.id, drive) for drive in drives if drive.weight > 0]
    draws.sort(key=lambda each: each[:2])
    return [drive for _, _, drive in draws]


def _draw(seed: bytes, drive: Candidate) -> float:
    """Exponential with rate `weight`: the smallest of several is each one's in due proportion."""
    digest = blake2b(drive.id.to_bytes(8, "big"), digest_size=8, key=seed).digest()
    uniform = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)
    return -log(uniform) / drive.weight
