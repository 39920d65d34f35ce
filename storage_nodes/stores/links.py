"""The connections of this process to one drive's node, and which of them a request takes.

A node answers one connection's requests in order, by one thread: quick requests have a connection
of their own, those that wait for the disk a few.
"""

import asyncio
from pathlib import Path
from uuid import UUID

from core.errors import NodeUnreachable
from storage_nodes.stores.link import Link

# Connections for requests that wait for the disk; quick ones have one of their own.
_SLOW_LINKS = 4


class Links:
    """Made when needed, and anew when lost. Belongs to one event loop.

    Behind a request that was given up, and not answered since, others would wait in vain. Those
    that may not (`queues` is false) raise NodeUnreachable at once when no connection is free of
    such a one; clients' requests line up, for a drive may wake up in time.
    """

    def __init__(
        self, drive: UUID, *, socket: Path, secret: bytes, timeout_s: float, queues: bool
    ) -> None:
        self._drive = drive
        self._socket = socket
        self._secret = secret
        self._timeout_s = timeout_s
        self._queues = queues
        self._quick: Link | None = None
        self._slow: list[Link] = []
        self._connecting = asyncio.Lock()

    @property
    def is_silent(self) -> bool:
        """Whether no quick request, or no slow one, would be answered before what was given up."""
        silent = [link for link in self._slow if link.is_alive and link.is_overdue]
        quick = self._quick
        return len(silent) == _SLOW_LINKS or (
            quick is not None and quick.is_alive and quick.is_overdue
        )

    @property
    def quick_now(self) -> Link | None:
        """The connection for quick requests, if it can be used as it is."""
        link = self._quick
        return link if link is not None and link.is_alive and self._is_useful(link) else None

    async def quick(self) -> Link:
        """The connection for quick requests."""
        async with self._connecting:
            if self._quick is None or not self._quick.is_alive:
                self._quick = await self._connect()
            if not self._is_useful(self._quick):
                raise self.unanswered()
            return self._quick

    async def slow(self) -> Link:
        """The least busy connection; a further one while all are busy and there is room."""
        async with self._connecting:
            self._slow = [link for link in self._slow if link.is_alive]
            useful = filter(self._is_useful, self._slow)
            best = min(useful, key=lambda link: link.load, default=None)
            if (best is None or best.load) and len(self._slow) < _SLOW_LINKS:
                best = await self._connect()
                self._slow.append(best)
            if best is None:
                raise self.unanswered()
            return best

    def unanswered(self) -> NodeUnreachable:
        """The error for a drive that was waited for long enough."""
        return NodeUnreachable("The drive does not answer.", drive=self._drive)

    def close(self) -> None:
        for link in (self._quick, *self._slow):
            if link is not None:
                link.close()
        self._quick, self._slow = None, []

    def _is_useful(self, link: Link) -> bool:
        return self._queues or not link.is_overdue

    async def _connect(self) -> Link:
        return await Link.connect(self._socket, self._drive, self._secret, self._timeout_s)
