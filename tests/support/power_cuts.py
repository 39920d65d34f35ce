"""A store whose power is cut again and again under load: what the tests and `make chaos` share.

Here: a store that lives wholly on one file system (drives, PostgreSQL, journal, keys), its lives
between cuts, and the judgement of them all by one ledger kept elsewhere. Not here: how power is
cut (`power`), how many times (the tests say so).

At a cut the gateways are stopped first. A machine without power answers nobody, whereas a system
call that runs while a file system is shut down may still report success to a living process.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

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


class PowerCuts:
    """One store on one file system, from its first start on."""

    def __init__(
        self, power: FileSystem, ledger: Path, *, seed: int, settings: Mapping[str, str] = SETTINGS
    ) -> None:
        self.store = LocalStore(power.root / "home", settings)
        self.cuts = 0
        self._power = power
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

    def cut(self, running: Campaign, *, within_s: float) -> None:
        """Cut the power at some moment of the next seconds, and start the store again."""
        gateways = faults.pids(self.store.home, "gateway")
        time.sleep(self._chance.uniform(0, within_s))
        faults.kill(gateways, signal.SIGSTOP)
        self._power.cut()
        running.stop_clients()
        self.store.kill_everything()
        running.end_clients()
        self.cuts += 1
        self._power.restore()
        self.store.start()

    def judge(self, *, attempts: int = 40) -> Judgement:
        """Write once more, then read everything any life was told is kept."""
        return self.live().finish(attempts=attempts)


def _has_begun(running: Campaign) -> bool:
    """A store just started may still refuse a request or two."""
    try:
        running.begin()
    except AssertionError:
        return False
    return True
