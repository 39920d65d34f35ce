"""How many losses data written now would survive, and why not more. Pure.

Here: what placement would really do with the drives there are, judged by its worst sample.
Not here: what was written before (`cluster` counts that), the metadata's own tolerance.

Losing a drive, a node, a zone or a physical disk loses all shards on it. Two drives on one file
system are one disk, whatever they are called: the answer for disks is the honest one.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from storage_nodes.placement import Candidate, place
from storage_nodes.policy import StoragePolicy

# Segments whose placement is tried; fixed ids, so that the answer is stable.
_SAMPLES = [
    UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128)) for number in range(1, 97)
]


class Placed(Candidate, Protocol):
    """A drive, and what it shares its fate with."""

    @property
    def node(self) -> Hashable: ...

    @property
    def disk(self) -> Hashable: ...


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """Losses survived, of each kind alone, by data written under a policy now."""

    policy: str
    layout: str
    shards: int
    needed: int
    drives: int
    nodes: int
    zones: int
    disks: int
    until_coded: int  # drives that may be lost while a fresh small object is not coded yet
    reason: str


def tolerance(drives: Sequence[Placed], policy: StoragePolicy) -> Tolerance:
    """What data written under `policy` onto these drives would survive."""
    now = policy if len(drives) >= policy.width else policy.staged()
    placements = [place(drives, now, sample) for sample in _SAMPLES]
    shards = min(map(len, placements))
    spare = shards - now.needed
    by_id = {drive.id: drive for drive in drives}

    def survived(unit: Callable[[Placed], Hashable]) -> int:
        return min(
            _losses(Counter(unit(by_id[one]) for one in placed), spare) for placed in placements
        )

    kinds = {
        "drives": survived(lambda drive: drive.id),
        "nodes": survived(lambda drive: drive.node),
        "zones": survived(lambda drive: drive.zone),
        "disks": survived(lambda drive: drive.disk),
    }
    return Tolerance(
        policy=policy.name,
        layout=now.layout,
        shards=shards,
        needed=now.needed,
        until_coded=max(0, min(policy.copies_fast, len(drives)) - 1),
        reason=_reason(drives, policy, now, kinds),
        **kinds,
    )


def _losses(held: Counter[Hashable], spare: int) -> int:
    """How many units may be lost, the fullest first, while `spare` shards suffice."""
    survived = 0
    for count in sorted(held.values(), reverse=True):
        spare -= count
        if spare < 0:
            break
        survived += 1
    return survived


def _reason(
    drives: Sequence[Placed], policy: StoragePolicy, now: StoragePolicy, kinds: dict[str, int]
) -> str:
    """What limits it, in one sentence: the gravest first."""
    count = len(drives)
    disks = len({drive.disk for drive in drives})
    zones = len({drive.zone for drive in drives})
    if not drives:
        return "No drive can be written to."
    if count < policy.width:
        few = f"{policy.name} needs {policy.width} drives and {count} can be written to"
        copies = min(now.width, count)
        kept = f"{copies} {'copy' if copies == 1 else 'copies'}"
        return f"{few}: new data is kept as {kept} until there are more."
    if disks == 1:
        return (
            f"All {count} drives share one physical disk: the loss of drives as directories is"
            " survived, the loss of that disk is not."
        )
    if kinds["disks"] < kinds["drives"]:
        return f"The {count} drives share {disks} physical disks: one may hold several shards."
    if kinds["zones"] == 0:
        return f"With {zones} zone{'s' * (zones > 1)} one zone holds more shards than may be lost."
    return f"Every shard of a segment is on a disk of its own, spread over {zones} zones."
