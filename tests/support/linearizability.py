"""Is a history of one key that of a linearizable register? Values are unique per write.

The rule is Gibbons and Korach's for registers whose every write has a value of its own ("Testing
shared memories", SIAM J. Comput. 26(4), 1997): the operations of one value form a zone; the history
is linearizable exactly when every read follows the beginning of its write, no two forward zones
overlap and no backward zone lies inside a forward one. It costs one sort.

Here: the rule and the exhaustive search it is tested against. Not here: the ledger it reads.

A write of unknown outcome that somebody read happened, at any time until its first reader ended;
one that nobody read may not have happened and is left out. The state before every write is a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.support.ledger import ABSENT, Entry

BEGINNING = -1
NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Operation:
    """One write or read of the register, between two ticks."""

    is_write: bool
    value: str
    start: int
    end: int


@dataclass(slots=True)
class Zone:
    """The span of one value. Forward: it was current throughout; backward: for a moment in it."""

    value: str
    first_end: int
    last_start: int

    @property
    def is_forward(self) -> bool:
        return self.first_end < self.last_start

    @property
    def low(self) -> int:
        return min(self.first_end, self.last_start)

    @property
    def high(self) -> int:
        return max(self.first_end, self.last_start)


def operations(entries: Iterable[Entry], initial: str = ABSENT) -> dict[str, list[Operation]]:
    """The operations of each key, with the write of its initial value before all of them."""
    histories: dict[str, list[Operation]] = {}
    for entry in entries:
        if entry.outcome == "refused" or (entry.kind == "get" and entry.outcome != "ok"):
            continue
        history = histories.setdefault(entry.key, [Operation(True, initial, BEGINNING, BEGINNING)])
        end = NEVER if entry.outcome == "unknown" else entry.end
        history.append(Operation(entry.kind != "get", entry.value, entry.start, end))
    return histories


def violation(history: Sequence[Operation]) -> str | None:
    """Why the history of one key is not linearizable, in one sentence; None when it is."""
    writes = {op.value: op for op in history if op.is_write}
    if len(writes) != sum(op.is_write for op in history):
        return "two writes have the same value"
    read = {op.value for op in history if not op.is_write}
    zones: dict[str, Zone] = {
        value: Zone(value, op.end, op.start)
        for value, op in writes.items()
        if op.end != NEVER or value in read
    }
    for op in history:
        if op.is_write:
            continue
        write = writes.get(op.value)
        if write is None:
            return f"{op.value} was read and never written"
        if op.end < write.start:
            return f"{op.value} was read before its write began"
        zone = zones[op.value]
        zone.first_end = min(zone.first_end, op.end)
        zone.last_start = max(zone.last_start, op.start)
    return _clash(list(zones.values()))


def _clash(zones: list[Zone]) -> str | None:
    forward = sorted((z for z in zones if z.is_forward), key=lambda z: z.low)
    for one, other in pairwise(forward):
        if other.low < one.high:
            return f"{one.value} and {other.value} were both current at the same time"
    backward = sorted((z for z in zones if not z.is_forward), key=lambda z: z.low)
    place = 0
    for zone in backward:
        while place < len(forward) and forward[place].high <= zone.low:
            place += 1
        if place < len(forward) and _lies_inside(zone, forward[place]):
            return f"{zone.value} came and went while {forward[place].value} was current"
    return None


def _lies_inside(inner: Zone, outer: Zone) -> bool:
    return outer.low < inner.low and inner.high < outer.high


def is_linearizable_by_search(history: Sequence[Operation]) -> bool:
    """The same question by trying every order; for small histories only."""
    read = {op.value for op in history if not op.is_write}
    ops = [op for op in history if not (op.is_write and op.end == NEVER and op.value not in read)]
    seen: set[tuple[frozenset[int], str | None]] = set()

    def search(left: frozenset[int], value: str | None) -> bool:
        if not left:
            return True
        if (left, value) in seen:
            return False
        seen.add((left, value))
        first_end = min(ops[i].end for i in left)
        for i in left:
            op = ops[i]
            if op.start > first_end:
                continue  # something that ended before this began has to come first
            if op.is_write:
                if search(left - {i}, op.value):
                    return True
            elif op.value == value and search(left - {i}, value):
                return True
        return False

    return search(frozenset(range(len(ops))), None)
