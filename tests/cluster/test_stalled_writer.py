"""The campaign's judgement notices a lost epoch check.

A gateway stalls between the durable bytes of a write and their commit, for as long as it takes to
seal its segment and to code it without those bytes. Then it goes on, and commits. The commit is
refused, and the body is appended again (`test_crashes` does this as well). With the check switched
off, which only this test does, an acknowledged object names bytes that are nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import campaign
from tests.support.campaign import Campaign
from tests.support.load import Mix
from tests.support.local_store import SMALL, LocalStore, running_store

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

# Hardly any key is written twice: nothing may hide what was lost.
MIX = Mix(clients=6, keys=100_000, buckets=("plain",), weights={"put": 1})


@pytest.fixture
def unchecked_store() -> Iterator[LocalStore]:
    unchecked = {"OBJSTORE_PROOF_SKIP_EPOCH_CHECK": "true"}
    with running_store({**SMALL, **campaign.crash_settings(), **unchecked}) as store:
        yield store


def test_without_the_epoch_check_the_judgement_finds_what_was_lost(unchecked_store, tmp_path):
    running = Campaign(unchecked_store, tmp_path / "ledger", MIX)
    running.begin()
    running.make_progress()

    running.stall_a_gateway()
    found = running.finish(attempts=4)

    assert not found.clean
