"""The cases of the long campaign: each starts a store, hurts it under load, and judges.

Here: what is done in each case. Not here: which cases run, in which order, what is remembered of
them (`__main__`). A case raises AssertionError, or returns a sentence about what it saw.
"""

from __future__ import annotations

import itertools
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import bit_rot, power_cuts
from tests.model import hurt
from tests.support import campaign, faults, histories, points
from tests.support.campaign import Campaign
from tests.support.histories import Plan
from tests.support.load import Mix
from tests.support.local_store import SMALL, LocalStore, wait_for

# Combinations of three lost shards that one store goes through.
BATCH = 12
KILLS = 60
HISTORY = 200_000
# Runs of the model, examples of each, steps of each.
MODELS, EXAMPLES, STEPS = 5, 60, 40
ROLES = ("gateway", "node", "worker", "dispatcher", "postgres", "redis", "beat")
SETTINGS = {**SMALL, **campaign.crash_settings()}


@dataclass(frozen=True)
class Case:
    name: str
    run: Callable[[Path], str]


def all_cases() -> list[Case]:
    """In the order in which they run."""
    cases = [
        Case(f"failpoints-{label}", lambda home, nth=nth: failpoints(home, nth))
        for label, nth in (("first", 1), ("second", 2), ("random", None))
    ]
    cases.append(Case("failpoints-error", errors))
    for number in range(84 // BATCH):
        cases.append(Case(f"losses-{number + 1}", lambda home, number=number: losses(home, number)))
    for seed in range(1, 6):
        cases.append(Case(f"kills-{seed}", lambda home, seed=seed: kills(home, seed)))
    for seed in range(1, 4):
        cases.append(Case(f"histories-{seed}", lambda home, seed=seed: history(home, seed)))
    for seed in range(1, MODELS + 1):
        cases.append(Case(f"model-{seed}", lambda home, seed=seed: model(home, seed)))
    cases += itertools.starmap(Case, power_cuts.runs())
    cases += itertools.starmap(Case, bit_rot.runs())
    return cases


def failpoints(home: Path, nth: int | None) -> str:
    """SIGKILL at the n-th hit of every failpoint; None: another n for each."""
    chance = random.Random(str(nth))
    names = points.registered()
    with hurt_store(home) as (store, running):
        for together in points.rounds(names):
            running.fire({name: f"kill@{nth or chance.randint(3, 6)}" for name in together})
            running.make_progress(writes=2)
        found = running.finish()
        missing = set(names) - set(faults.fired(store.home))
    assert not missing, f"never fired: {sorted(missing)}"
    return found.demand_clean()


def errors(home: Path) -> str:
    """An I/O error at every failpoint, not a kill; an operator clears the fences it leaves."""
    with hurt_store(home) as (store, running):
        for together in points.rounds(points.registered()):
            running.fire(campaign.armed(together, "raise:EIO"))
            running.make_progress(writes=2)
            for (drive,) in running.sql("SELECT id FROM drive WHERE state = 'fenced'"):
                store.manage("drive", "clear-fence", str(drive))
        found = running.finish()
    return found.demand_clean()


def kills(home: Path, seed: int) -> str:
    """Processes of every kind are killed or stopped for a while, at random moments."""
    chance = random.Random(seed)
    with hurt_store(home) as (store, running):
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.2, 2.0))
            victims = faults.pids(store.home, chance.choice(ROLES))
            if not victims:
                continue
            victim = chance.choice(victims)
            if chance.random() < 0.3:
                faults.kill([victim], signal.SIGSTOP)
                time.sleep(chance.uniform(0.5, 8.0))
                faults.kill([victim], signal.SIGCONT)
            else:
                faults.kill([victim])
            if chance.random() < 0.1:
                running.empty_redis()
            running.expire_leases()
        running.make_progress(writes=20)
        found = running.finish()
    return found.demand_clean()


def history(home: Path, seed: int) -> str:
    """A long history of few keys while gateways are killed is linearizable, key by key."""
    plan = Plan(clients=16, keys=20, operations=HISTORY, kills=100, seed=seed)
    with stored(home, {**SETTINGS, "OBJSTORE_S3_WORKERS": "2"}) as store:
        found = histories.run_and_judge(store, home, plan)
    assert not found, "\n".join(found[:20])
    return f"{HISTORY} operations on {plan.keys} keys, {plan.kills} gateways killed"


def model(home: Path, seed: int) -> str:
    """The store answers as a dictionary of versions does while processes die."""
    # Open uploads are part of the dictionary: they are not swept from under it.
    settings = {name: value for name, value in SETTINGS.items() if "UPLOAD_TTL" not in name}
    with stored(home, {**settings, "OBJSTORE_LIMITS_BUCKETS": "1000000"}) as store:
        return hurt.run_hurt(store, seed=seed, examples=EXAMPLES, steps=STEPS)


@contextmanager
def stored(home: Path, settings: Mapping[str, str]) -> Iterator[LocalStore]:
    """A store in `home`, stopped at the end, its home kept."""
    store = LocalStore(home, settings)
    store.start()
    try:
        yield store
    finally:
        store.stop()


def losses(home: Path, number: int) -> str:
    """Twelve of the 84 combinations of three shards are deleted from every segment and put back."""
    chosen = list(itertools.combinations(range(9), 3))[number * BATCH : (number + 1) * BATCH]
    mix = Mix(clients=2, keys=30, buckets=("plain",), inline_bytes=600 << 10)
    with hurt_store(home, mix) as (store, running):
        running.make_progress(writes=60)
        running.stop_clients()
        running.wait_until_coded()
        for lost in chosen:
            running.remove_shards(lost)
            wait_for(
                lambda: not running.sql("SELECT 1 FROM segment_shard"),
                f"the shards {lost} to be put back",
                within_s=campaign.WITHIN_S,
                tail=store.log_tail,
            )
        found = running.finish()
    return found.demand_clean()


class hurt_store:
    """A store in `home` with its clients at work; stopped at the end, its home kept."""

    def __init__(self, home: Path, mix: Mix = campaign.MIX) -> None:
        self._store = LocalStore(home, SETTINGS)
        self._mix = mix

    def __enter__(self) -> tuple[LocalStore, Campaign]:
        self._store.start()
        try:
            running = Campaign(self._store, self._store.home / "ledger", self._mix)
            running.begin()
            running.make_progress()
        except BaseException:
            self._store.stop()
            raise
        return self._store, running

    def __exit__(self, *_: object) -> None:
        self._store.stop()
