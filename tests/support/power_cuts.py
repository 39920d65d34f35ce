"""Stores whose power is cut again and again under load: what the tests and `make chaos` share.

Here: the store that lives wholly on one file system (drives, PostgreSQL, journal, keys), and the
one each of whose nodes has a file system of its own; their lives between cuts; the judgement of
them all by one ledger kept elsewhere. Not here: how power is cut (`power`), how many times (the
tests say so).

At a cut whoever could answer a client is stopped first. A machine without power answers nobody,
whereas a system call that runs while a file system is shut down may still report success to a
process that lives on.
"""

from __future__ import annotations

import asyncio
import random
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

from benchmarks import processes
from core.errors import StoreError
from storage_nodes.node import keyfile
from storage_nodes.stores.http import HttpNode, HttpShardStore
from tests.support import campaign, faults
from tests.support.campaign import Campaign
from tests.support.judgement import Judgement
from tests.support.load import Mix
from tests.support.local_store import SMALL, LocalStore, wait_for
from tests.support.power import FileSystem

# Two buckets of three are versioned: there every acknowledged write is read in the end.
MIX = Mix(
    clients=6,
    keys=40,
    inline_bytes=600 << 10,
    part_bytes=64 << 10,
    buckets=("plain", "versioned", "versioned-too"),
)
SETTINGS = {
    **SMALL,
    **campaign.crash_settings(),
    "OBJSTORE_JOBS_WORKERS": "1",
    "OBJSTORE_S3_WORKERS": "1",
}
CARELESS = {"OBJSTORE_PROOF_SKIP_FSYNC": "true"}
# Descriptors that others hold would keep a node's file system from being unmounted.
NODES_APART = {"OBJSTORE_NODES_DESCRIPTORS": "false"}


class Lives:
    """One store in `home` and its clients, life after life."""

    def __init__(self, home: Path, ledger: Path, *, seed: int, settings: Mapping[str, str]) -> None:
        self.store = LocalStore(home, settings)
        self.cuts = 0
        self._ledger = ledger
        self._seed = seed
        self._chance = random.Random(seed)

    def live(self, *, writes: int = 10) -> Campaign:
        """Clients at work, so many of whose writes are acknowledged.

        Each life has a seed of its own: no value is ever written twice.
        """
        mix = replace(MIX, seed=self._seed * 1_000_000 + self.cuts)
        running = Campaign(self.store, self._ledger, mix)
        wait_for(lambda: _has_begun(running), "the clients to begin", within_s=campaign.WITHIN_S)
        running.expire_leases()
        running.make_progress(writes)
        return running

    def judge(self, *, attempts: int = 40) -> Judgement:
        """Write once more, then read everything any life was told is kept."""
        return self.live().finish(attempts=attempts)


class PowerCuts(Lives):
    """All of it on one file system."""

    def __init__(
        self, power: FileSystem, ledger: Path, *, seed: int, settings: Mapping[str, str] = SETTINGS
    ) -> None:
        super().__init__(power.root / "home", ledger, seed=seed, settings=settings)
        self._power = power

    def cut(self, running: Campaign, *, within_s: float) -> None:
        """Cut the power at some moment of the next seconds, and give it back.

        All processes are dead then, and the clients have ended.
        """
        gateways = faults.pids(self.store.home, "gateway")
        time.sleep(self._chance.uniform(0, within_s))
        faults.kill(gateways, signal.SIGSTOP)
        self._power.cut()
        running.stop_clients()
        self.store.kill_everything()
        running.end_clients()
        self.cuts += 1
        self._power.restore()

    def cut_a_start(self, *, within_s: float) -> None:
        """The same while the store starts, ready or not."""
        starting = threading.Thread(target=self._try_to_start, daemon=True)
        starting.start()
        time.sleep(self._chance.uniform(0, within_s))
        self._power.cut()
        while starting.is_alive():
            faults.kill(processes.of_home(self.store.home))
            starting.join(0.1)
        self.store.kill_everything()
        self.cuts += 1
        self._power.restore()

    def _try_to_start(self) -> None:
        with suppress(AssertionError, OSError):
            self.store.start()


class NodeCuts(Lives):
    """Each node on a file system of its own, everything else on one that lives on.

    `powers` are mounted where the drives of node 1, 2, ... of `home` are.
    """

    def __init__(
        self, home: Path, powers: Sequence[FileSystem], ledger: Path, *, seed: int
    ) -> None:
        super().__init__(home, ledger, seed=seed, settings={**SETTINGS, **NODES_APART})
        self._powers = powers

    def cut(self, running: Campaign, *, within_s: float) -> None:
        """Cut the power of one node at some moment of the next seconds, and give it back.

        One time in two the node outlives its drives for a while, as with a controller that dies:
        it fences them then, and an operator clears that. All are written again on return.
        """
        time.sleep(self._chance.uniform(0, within_s))
        power = self._chance.choice(self._powers)
        runner, node = faults.pids(self.store.home, "runner"), self._serving(power)
        faults.kill(runner, signal.SIGSTOP)
        try:
            outlives = self._chance.random() < 0.5
            if not outlives:
                faults.kill(node, signal.SIGSTOP)
            power.cut()
            if outlives:
                time.sleep(self._chance.uniform(0, within_s))
            faults.kill(node)
            self.cuts += 1
            power.restore()
            began = running.sql("SELECT clock_timestamp()")[0][0]
        finally:
            faults.kill(runner, signal.SIGCONT)
        wait_for(
            lambda: self._are_written_again(running, began),
            "the drives to be written again",
            within_s=campaign.WITHIN_S,
            tail=self.store.log_tail,
        )
        running.make_progress()

    def _serving(self, power: FileSystem) -> list[int]:
        """The node that was told to serve drives there."""
        found = []
        for pid in faults.pids(self.store.home, "node"):
            with suppress(OSError):
                if f"{power.root}/".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    def _are_written_again(self, running: Campaign, began: datetime) -> bool:
        away = running.sql(
            "SELECT d.state, d.uuid, n.address FROM drive d JOIN node n ON n.id = d.node_id"
            " WHERE d.state <> 'active'"
        )
        nodes = running.sql("SELECT 1 FROM node WHERE state <> 'up' OR last_seen < %s", began)
        for state, drive, address in away:
            if state == "fenced":
                with suppress(StoreError):
                    asyncio.run(self._clear_fence(drive, address))
        return not away and not nodes

    async def _clear_fence(self, drive: UUID, address: str) -> None:
        """What `manage.py drive clear-fence` asks of the node."""
        secret = keyfile.load(self.store.home / "keys" / "node.key").secret
        node = HttpNode(address, secret=secret, timeout_s=campaign.WITHIN_S)
        try:
            await HttpShardStore(drive, node).clear_fence()
        finally:
            await node.close()


def _has_begun(running: Campaign) -> bool:
    """A store just started may still refuse a request or two."""
    try:
        running.begin()
    except AssertionError:
        return False
    return True
