"""Replays a ledger against what the store answers in the end: lost, wrong, resurrected,
unexplained.

A value may be read if some write of it can have been the last to happen before the read: it began
before the read ended, and no acknowledged write began after it ended and itself ended before the
read began. Writes of unknown outcome may have happened at any time after they began, or never.

This is a necessary condition for a linearizable register, cheap enough for every campaign.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.support.ledger import ABSENT, Entry

UNREADABLE = "unreadable"


@dataclass
class Judgement:
    """Each finding is one sentence."""

    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    resurrected: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    keys: int = 0
    acknowledged: int = 0
    unknown: int = 0

    @property
    def clean(self) -> bool:
        return not (self.lost or self.wrong or self.resurrected or self.unexplained)

    def demand_clean(self) -> str:
        """What was judged, in words; an AssertionError with the findings when there are any."""
        assert self.clean, str(self)
        return str(self)

    def __str__(self) -> str:
        counts = (
            f"{self.acknowledged} acknowledged writes, {self.unknown} unknown, {self.keys} keys: "
            f"{len(self.lost)} lost, {len(self.wrong)} wrong, {len(self.resurrected)} resurrected, "
            f"{len(self.unexplained)} unexplained"
        )
        findings = [*self.lost, *self.wrong, *self.resurrected, *self.unexplained]
        return "\n  ".join([counts, *findings[:20]])


@dataclass(frozen=True)
class Read:
    """What a read saw, and between which ticks it ran."""

    value: str
    start: int
    end: int


def judge(
    entries: Iterable[Entry],
    final: Mapping[str, str],
    versions: Mapping[tuple[str, str], str] | None = None,
) -> Judgement:
    """Judge every read of the ledger, the final value of each key and of each acknowledged version.

    `final` maps a key to the value read once everything had ended (`ABSENT`, `UNREADABLE` or a
    hash); `versions` maps (key, version id) to the value read under that id.
    """
    found = Judgement()
    writes: dict[str, list[Entry]] = defaultdict(list)
    reads: dict[str, list[Read]] = defaultdict(list)
    latest = 0
    for entry in entries:
        latest = max(latest, entry.start, entry.end if entry.outcome != "unknown" else 0)
        if entry.kind == "get":
            if entry.outcome == "ok":
                reads[entry.key].append(Read(entry.value, entry.start, entry.end))
        elif entry.outcome != "refused":
            writes[entry.key].append(entry)
            found.acknowledged += entry.outcome == "ok"
            found.unknown += entry.outcome == "unknown"
    for key, value in final.items():
        reads[key].append(Read(value, latest + 1, latest + 2))
    found.keys = len(writes)
    for key in writes.keys() - final.keys():
        found.unexplained.append(f"{key}: was written but never read in the end")
    for key, seen in reads.items():
        for read in seen:
            _judge_read(found, key, read, writes[key])
    _judge_versions(found, writes, versions)
    return found


def possible(read: Read, writes: list[Entry]) -> set[str]:
    """The values this read may have seen."""
    before = [w for w in writes if w.outcome == "ok" and w.end < read.start]
    # The youngest acknowledged start before the read: whatever ended earlier has been overwritten.
    floor = max((w.start for w in before), default=-1)
    values = {w.value for w in writes if w.start < read.end and w.end >= floor}
    if floor < 0:
        values.add(ABSENT)
    return values


def _judge_read(found: Judgement, key: str, read: Read, writes: list[Entry]) -> None:
    if read.value == UNREADABLE:
        found.unexplained.append(f"{key}: cannot be read")
        return
    allowed = possible(read, writes)
    if read.value in allowed:
        return
    about = f"{key}: read {read.value[:12]}, possible were {sorted(v[:12] for v in allowed)}"
    if read.value == ABSENT:
        found.lost.append(about)
    elif all(w.value != read.value for w in writes):
        found.wrong.append(about)
    else:
        found.resurrected.append(about)


def _judge_versions(
    found: Judgement,
    writes: Mapping[str, list[Entry]],
    versions: Mapping[tuple[str, str], str] | None,
) -> None:
    if versions is None:
        return
    for key, entries in writes.items():
        for entry in entries:
            if entry.kind != "put" or entry.outcome != "ok" or entry.version is None:
                continue
            value = versions.get((key, entry.version), ABSENT)
            about = f"{key} version {entry.version}: read {value[:12]}, stored {entry.value[:12]}"
            if value == ABSENT:
                found.lost.append(about)
            elif value == UNREADABLE:
                found.unexplained.append(about)
            elif value != entry.value:
                found.wrong.append(about)
