"""A gateway stalls between the durable bytes of a write and their commit, for as long as it takes
to seal its segment and to code it without those bytes. Then it goes on, and commits.

With the epoch check the commit is refused and the body is appended again. Without it (a switch
for this test alone) an acknowledged object names bytes that are nowhere: the judgement must say
so, or it would not notice a check that got lost.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import campaign, faults
from tests.support.campaign import Campaign
from tests.support.judgement import Judgement
from tests.support.load import Mix
from tests.support.local_store import SMALL, LocalStore, running_store, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

# Each key once: nothing may hide what was lost.
MIX = Mix(clients=6, keys=100_000, buckets=("plain",), weights={"put": 1})


def stalled(folder: Path, settings: dict[str, str]) -> Iterator[Judgement]:
    with running_store({**SMALL, **campaign.crash_settings(), **settings}) as store:
        yield stall(store, folder / "ledger")


def stall(store: LocalStore, ledger: Path) -> Judgement:
    running = Campaign(store, ledger, MIX)
    running.begin()
    running.make_progress()
    before = len(faults.fired(store.home))
    faults.arm(store.home, {"put.durable": "delay:3000*"})
    wait_for(lambda: len(faults.fired(store.home)) > before, "a write between bytes and commit")
    victims = faults.pids(store.home, "gateway")
    faults.kill(victims, signal.SIGSTOP)
    running.stop_clients()
    try:
        open_ones = [row[0] for row in running.sql("SELECT id FROM segment WHERE state = 'open'")]

        def are_coded() -> bool:
            running.expire_leases()
            left = running.sql(
                "SELECT 1 FROM segment WHERE id = ANY (%s) AND state IN ('open', 'sealed')",
                open_ones,
            )
            # An answer that could not be had looks like none.
            return bool(running.sql("SELECT 1")) and not left

        wait_for(are_coded, "the stalled gateway's segments to be coded", tail=store.log_tail)
    finally:
        faults.disarm(store.home)
        faults.kill(victims, signal.SIGCONT)
    return running.finish(attempts=4)


@pytest.fixture
def judgement(tmp_path: Path) -> Iterator[Judgement]:
    yield from stalled(tmp_path, {})


@pytest.fixture
def unchecked_judgement(tmp_path: Path) -> Iterator[Judgement]:
    yield from stalled(tmp_path, {"OBJSTORE_PROOF_SKIP_EPOCH_CHECK": "true"})


def test_a_stalled_gateway_loses_nothing_it_acknowledges(judgement):
    assert judgement.clean, str(judgement)
    assert judgement.acknowledged


def test_without_the_epoch_check_the_judgement_finds_what_was_lost(unchecked_judgement):
    assert not unchecked_judgement.clean
