"""The connections of one process: made, watched over, and ended together.

Here: how long each may be idle, slow or deaf, and stopping. Not here: one connection
(s3.connection), the processes that listen (objstore_site.gateway).
"""

from __future__ import annotations

import asyncio

from s3.connection import Connection
from s3.exchange import Application, bare_refusal


class Connections:
    """The connections of one process, and what they have in common.

    `refusing` answers what is no request: its scope says with `status` why, and holds of the
    request what could be read of it, empty where that is nothing.
    """

    def __init__(
        self,
        application: Application,
        *,
        keep_alive_s: float,
        head_s: float,
        stall_s: float,
        refusing: Application = bare_refusal,
    ) -> None:
        self.application = application
        self.refusing = refusing
        self.open: set[Connection] = set()
        self.is_stopping = False
        self._all_gone: asyncio.Future[None] | None = None
        self._keep_alive_s = keep_alive_s
        self._head_s = head_s
        self._stall_s = stall_s

    def __call__(self) -> Connection:
        """A protocol for a connection just accepted."""
        return Connection(self)

    async def watch(self) -> None:
        """End connections that sit idle, send their head too slowly, or do not read an answer."""
        every_s = min(self._keep_alive_s, self._head_s, self._stall_s) / 4
        while True:
            await asyncio.sleep(every_s)
            now = asyncio.get_running_loop().time()
            for one in list(self.open):
                one.look(now, self._keep_alive_s, self._head_s, self._stall_s)

    async def stop(self) -> None:
        """Take no further requests; return when those under way have been answered."""
        self.is_stopping = True
        for one in list(self.open):
            one.stop()
        if self.open:
            self._all_gone = asyncio.get_running_loop().create_future()
            await self._all_gone

    def gone(self, one: Connection) -> None:
        """A connection has ended."""
        self.open.discard(one)
        if self._all_gone is not None and not self.open and not self._all_gone.done():
            self._all_gone.set_result(None)
