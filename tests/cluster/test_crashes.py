"""Processes die at every point where it could matter, under load; nothing acknowledged is lost.

One store, one ledger. Every registered failpoint fires once with SIGKILL, points of different
kinds of process at the same time; then PostgreSQL, a node and the workers are killed and Redis is
emptied. In the end everything the ledger says was acknowledged is read back.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import campaign, faults, points
from tests.support.campaign import Campaign
from tests.support.local_store import SMALL, LocalStore, running_store

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]


@pytest.fixture
def store() -> Iterator[LocalStore]:
    with running_store({**SMALL, **campaign.crash_settings()}) as made:
        yield made


def test_nothing_acknowledged_is_lost_whichever_process_dies_where(store, tmp_path):
    names = points.registered()
    running = Campaign(store, tmp_path / "ledger")
    running.begin()
    running.make_progress()

    for together in points.rounds(names):
        running.fire(campaign.armed(together))
        running.make_progress(writes=2)
    for role in ("postgres", "node", "worker", "dispatcher", "redis"):
        faults.kill(faults.pids(store.home, role))
        running.make_progress(writes=2)
    running.stall_a_gateway()
    running.empty_redis()
    running.make_progress()
    found = running.finish()

    assert set(faults.fired(store.home)) >= set(names)
    assert found.clean, str(found)
    assert found.acknowledged > 100
