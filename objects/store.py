"""The store of one process: connections, look-ups, commits, segments, and the verbs' way to them.

Here: opening and closing, deciding anew when configuration moved, the door to synchronous code.
Not here: the verbs (write, read, delete, multipart, listing, ...), each its own module.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, close_old_connections

from core.config import Config
from core.database import Lanes
from core.errors import NoSuchBucket, SlowDown, StaleRevision, UnknownOutcome
from objects.commits import Commits, Outcome, Row
from objects.found import Found, Question
from objects.identities import buckets, callers
from objects.intake import Intake
from objects.lookup import Lookups
from objects.segments import Segments
from storage_nodes.segments import Segments as DriveSegments
from tenants.keyring import keyring

P = ParamSpec("P")
T = TypeVar("T")

# MD5 and SHA-256 of a body each have a thread; more than a few at once only wait for cores.
_HASHING_THREADS = 4
_CONTROL_THREADS = 2
_REDECISIONS = 5


class Store:
    """Everything a verb needs, one per process."""

    __slots__ = (
        "_control", "_threads", "commits", "config", "intake", "lanes", "lookups",
        "segments",
    )  # fmt: skip

    def __init__(self, config: Config, lanes: Lanes, segments: Segments) -> None:
        database = config.database
        self.config = config
        self.lanes = lanes
        self.segments = segments
        self.lookups = Lookups(
            lanes,
            callers(lanes, keyring(), config.caches.identities),
            buckets(lanes, config.caches.identities),
            database.lookup_connections,
        )
        self.commits = Commits(
            lanes,
            connections=database.commit_connections,
            waiting=database.waiting_connections,
            admits=not config.proof.skip_epoch_check,
        )
        self._threads = ThreadPoolExecutor(_HASHING_THREADS, "hashing")
        self._control = ThreadPoolExecutor(_CONTROL_THREADS, "control")
        self.intake = Intake(
            segments,
            self._threads,
            inline_from=config.coding.inline_from,
            memory_budget=config.packing.memory_budget,
            spill=Path(config.home) / "tmp",
        )

    @classmethod
    async def open(cls, config: Config) -> Store:
        """With the configured database and the cluster's drives."""
        lanes = Lanes(config.database)
        try:
            return cls(config, lanes, await DriveSegments.open(config, lanes))
        except BaseException:
            await lanes.close()
            raise

    async def close(self) -> None:
        """Answer what was begun, hand over what is open."""
        await self.commits.drain()
        await self.lookups.drain()
        await self.segments.close()
        await self.lanes.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._control.shutdown(wait=False, cancel_futures=True)

    async def look(self, question: Question) -> Found:
        """What there is, as of now; one snapshot, shared with others' questions."""
        return await self.lookups.look(question)

    async def commit(self, row: Row, found: Found) -> Outcome:
        """Make a row true; decide anew while the configuration moves under the decision."""
        group = found.bucket.tenant_id if found.bucket is not None else None
        outcome = await self.commits.commit(row, group)
        for _ in range(_REDECISIONS):
            if outcome.outcome != "moved":
                return outcome
            row.decision = (await self.decide_again(found)).decision
            outcome = await self.commits.commit(row, group)
        raise SlowDown()

    async def decide_again(self, found: Found) -> Found:
        """Look again and repeat the decision; raises what the request is refused with by now."""
        fresh = await self.look(found.question)
        assert found.bucket is not None
        if fresh.bucket is None or fresh.bucket.id != found.bucket.id:
            raise NoSuchBucket(bucket_name=found.bucket.name)
        if found.check is not None:
            found.check(fresh)
        elif found.caller is not None:
            # Nobody told how this was decided: the client may ask again.
            raise StaleRevision()
        return fresh

    async def control(self, verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run synchronous code that uses the ORM, in a thread with a sound connection.

        `UnknownOutcome` where the database went away, was locked or too slow: it may be back soon.
        """

        def run() -> T:
            close_old_connections()
            try:
                return verb(*args, **kwargs)
            except (OperationalError, InterfaceError) as why:
                raise UnknownOutcome() from why
            finally:
                close_old_connections()

        return await asyncio.get_running_loop().run_in_executor(self._control, run)
