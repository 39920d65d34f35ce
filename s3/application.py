"""One gateway process: opens the store, serves requests through `Gateway`, closes what it opened.

Here: what a worker opens and closes. Not here: a request (s3.gateway), connections
(s3.connection), the processes (objstore_site.gateway).
"""

from __future__ import annotations

import asyncio
import gc
import logging

from core import metrics
from core.config import Config
from core.logs import set_up
from objects.store import Store
from s3.access_log import AccessLog
from s3.body import Receive
from s3.gateway import Gateway, Scope, Send

log = logging.getLogger("s3.gateway")


class Application:
    """The ASGI application of a worker process."""

    def __init__(self) -> None:
        self._gateway: Gateway | None = None
        self._store: Store | None = None
        self._log: AccessLog | None = None
        self._counting: asyncio.Task[None] | None = None
        self._settings: Config | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._gateway is not None
        await self._gateway.serve(scope, receive, send)

    async def refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what came instead of a request."""
        assert self._gateway is not None
        await self._gateway.refuse(scope, receive, send)

    async def open(self, settings: Config) -> None:
        """Open the store; what fails here, a new worker could not do either."""
        set_up("gateway", settings.logs.level)
        self._store = await Store.open(settings)
        wants_log = settings.s3.access_log and settings.logs.level in ("debug", "info")
        self._log = AccessLog() if wants_log else None
        self._gateway = Gateway(settings, self._store, self._log)
        self._settings = settings
        self._counting = asyncio.create_task(_write_metrics(settings))
        # What is here now stays: the collector need not look at it again for each request.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)

    async def close(self) -> None:
        """Hand over what is open. Requests are over."""
        if self._counting is not None:
            self._counting.cancel()
        if self._gateway is not None:
            await self._gateway.close()
        if self._store is not None:
            await self._store.close()
        if self._settings is not None:
            _write(self._settings)  # what was counted since the last time, sealing included
        if self._log is not None:
            self._log.write()  # last: whoever reads it may take a while


async def _write_metrics(settings: Config) -> None:
    while True:
        await asyncio.sleep(settings.metrics.write_every_s)
        _write(settings)


def _write(settings: Config) -> None:
    try:
        metrics.write(settings.home / "run" / "metrics", "gateway")
    except OSError as why:
        log.warning("metrics cannot be written", extra={"why": str(why)})


app = Application()
