"""The power is cut under load, again and again; nothing acknowledged is lost.

The whole store lies on a file system of its own, PostgreSQL's directory included. The file system
is shut down without its log being flushed, every process is killed, and the store starts from
what had been durable. The same campaign must fail when the store leaves its fsyncs out.

Where loop mounts are not allowed these tests are skipped, and a warning says why.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import power, power_cuts
from tests.support.power import FileSystem
from tests.support.power_cuts import PowerCuts

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]

CUTS = 10
WITHIN_S = 2.0
# Every object lost is asked for more than once: few are enough.
CARELESS_CUTS = 20
CARELESS_WITHIN_S = 0.2


@pytest.fixture
def any_disk() -> Iterator[FileSystem]:
    kind = next(iter(power.usable()), power.KINDS[0])
    power.need(kind)
    with power.file_system(kind) as made:
        yield made


def test_nothing_acknowledged_is_lost_when_the_power_is_cut(disk, tmp_path):
    life = PowerCuts(disk, tmp_path / "ledger", seed=1)
    try:
        life.store.start()
        for _ in range(CUTS // len(power.usable())):
            life.cut(life.live(), within_s=WITHIN_S)
            life.store.start()
        found = life.judge()
    finally:
        life.store.kill_everything()

    assert found.clean, str(found)
    assert found.acknowledged > 10 * life.cuts


def test_with_the_fsyncs_left_out_power_cuts_lose_what_was_acknowledged(any_disk, tmp_path):
    settings = {**power_cuts.SETTINGS, **power_cuts.CARELESS}
    life = PowerCuts(any_disk, tmp_path / "ledger", seed=2, settings=settings)
    try:
        life.store.start()
        any_disk.sync()
        found = None
        while life.cuts < CARELESS_CUTS and (found is None or found.clean):
            life.cut(life.live(), within_s=CARELESS_WITHIN_S)
            life.store.start()
            found = life.judge(attempts=2)
    finally:
        life.store.kill_everything()

    assert found is not None
    assert not found.clean


def test_a_machine_that_cannot_cut_power_says_why(monkeypatch):
    monkeypatch.setattr(power, "_program", lambda name: None)
    power.obstacle.cache_clear()
    try:
        assert power.obstacle("ext4")
    finally:
        power.obstacle.cache_clear()
