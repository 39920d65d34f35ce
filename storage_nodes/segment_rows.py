"""The SQL of segments as their owner and their readers ask it.

Here: opening, leases, sealing, abandoning, fresh locations, damage. Not here: what a commit does to
segments (`sql/segments.sql`, called by the commit functions), jobs that change layouts.

Leases count in the database's time. Writing calls that fail say nothing about whether they took
effect: every one of them may be repeated, or left to the lease's expiry.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

MISC = "misc"

_OPEN = """
INSERT INTO segment (id, storage_policy, layout, state, epoch, owner, lease_until, drives,
                     confirmed, cell_size)
VALUES (%s, %s, %s, %s, 1, %s, now() + make_interval(secs => %s), %s, %s, %s)
"""
_RENEW = """
UPDATE segment s SET
    lease_until = now() + make_interval(secs => %s),
    size = greatest(s.size, %s), confirmed = coalesce(%s::bigint[], s.confirmed)
WHERE s.id = %s AND s.owner = %s AND s.state IN ('open', 'writing') RETURNING s.id
"""
_SEAL = "SELECT segment_seal(%s, %s, %s, %s, %s::bigint[])"
_FINISH = """
UPDATE segment SET size = %s, drives = %s, confirmed = coalesce(%s::bigint[], confirmed),
                   changed = now()
WHERE id = %s AND owner = %s AND state = 'writing' RETURNING id
"""
_ABANDON = """
UPDATE segment SET state = 'dead', owner = NULL, lease_until = NULL, changed = now()
WHERE id = ANY(%s) AND owner = %s AND state = 'writing'
"""
_FRESH = "SELECT layout, state, epoch, drives, size, cell_size FROM segment WHERE id = %s"
_NOTICED = "SELECT segment_noticed(%s, %s, %s, %s)"


class Lanes(Protocol):
    """What is needed of `core.database.Lanes`."""

    async def fetch(
        self, role: str, sql: str, params: Any = None, *, writes: bool | None = None
    ) -> list[tuple[Any, ...]]: ...


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A segment's location as its row says now."""

    layout: str
    state: str
    epoch: int
    drives: Sequence[int]
    size: int
    cell_size: int | None


class SegmentRows:
    """The rows of segments, asked by one process (`owner`).

    Leases go through connections of their own, so that nothing busy can let them expire.
    """

    def __init__(self, lanes: Lanes, leases: Lanes, *, owner: str, lease_s: float) -> None:
        self._lanes = lanes
        self._leases = leases
        self._lease_s = lease_s
        self.owner = owner

    async def open_pack(self, segment_id: UUID, policy_name: str, drives: Sequence[int]) -> None:
        """A pack segment that may be appended to; committed before its first byte."""
        confirmed = [0] * len(drives)
        await self._open(segment_id, policy_name, "replicated", "open", drives, confirmed, None)

    async def open_own(
        self, segment_id: UUID, policy_name: str, drives: Sequence[int], cell_size: int | None
    ) -> None:
        """A segment of one upload: coded in cells of that size, or staged as copies."""
        layout = "coded" if cell_size else "replicated"
        confirmed = None if cell_size else [0] * len(drives)
        await self._open(segment_id, policy_name, layout, "writing", drives, confirmed, cell_size)

    async def _open(
        self,
        segment_id: UUID,
        policy_name: str,
        layout: str,
        state: str,
        drives: Sequence[int],
        confirmed: list[int] | None,
        cell_size: int | None,
    ) -> None:
        await self._lanes.fetch(
            MISC,
            _OPEN,
            (
                segment_id,
                policy_name,
                layout,
                state,
                self.owner,
                self._lease_s,
                list(drives),
                confirmed,
                cell_size,
            ),
            writes=True,
        )

    async def renew(
        self, segment_id: UUID, size: int = 0, confirmed: Sequence[int] | None = None
    ) -> bool:
        """Keep it ours, and record what each copy durably holds. False: it is no longer ours."""
        lengths = None if confirmed is None else list(confirmed)
        given = (self._lease_s, size, lengths, segment_id, self.owner)
        return bool(await self._leases.fetch(MISC, _RENEW, given, writes=True))

    async def seal(self, segment_id: UUID, epoch: int, size: int, confirmed: Sequence[int]) -> bool:
        """No commit of new bytes can follow; encode and repair are owed. False: not ours."""
        given = (segment_id, epoch, self.owner, size, list(confirmed))
        rows = await self._leases.fetch(MISC, _SEAL, given, writes=True)
        return bool(rows[0][0])

    async def finish_own(
        self,
        segment_id: UUID,
        *,
        size: int,
        drives: Sequence[int],
        confirmed: Sequence[int] | None,
    ) -> bool:
        """What was made durable of an upload's segment; drive 0 where a shard is still missing.

        The commit then makes it stored (or sealed) and owes the missing ones.
        """
        lengths = None if confirmed is None else list(confirmed)
        given = (size, list(drives), lengths, segment_id, self.owner)
        return bool(await self._lanes.fetch(MISC, _FINISH, given, writes=True))

    async def abandon(self, segment_ids: Sequence[UUID]) -> None:
        """These uploads' segments will not be committed; `collect` removes them."""
        await self._lanes.fetch(MISC, _ABANDON, (list(segment_ids), self.owner), writes=True)

    async def whereabouts(self, segment_id: UUID) -> Whereabouts | None:
        """Where the segment is now; None when there is no such segment any more."""
        rows = await self._lanes.fetch(MISC, _FRESH, (segment_id,), writes=False)
        return Whereabouts(*rows[0]) if rows else None

    async def noticed(self, segment_id: UUID, epoch: int, index: int, state: str) -> None:
        """A read met a shard that is `missing` or `corrupt`: remember it and owe a repair."""
        await self._lanes.fetch(MISC, _NOTICED, (segment_id, epoch, index, state), writes=True)
