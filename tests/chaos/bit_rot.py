"""A thousand corruptions of files on the drives of live stores, as cases of the long campaign.

Here: how many, of which objects. Not here: the kinds of damage and what must come of them
(`tests.support.bit_rot`, `rot_judgement`).
"""

from __future__ import annotations

import functools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.bit_rot import OF_CODED, OF_COPIES, Rot
from tests.support.local_store import SMALL, LocalStore
from tests.support.rot_judgement import judge

# Runs, and rounds of each: a round hurts some ninety shards.
RUNS = 5
ROUNDS = 3
POLICIES = ("ec-6-3", "ec-4-2", "rep-3", "rep-4", "rep-5")


def runs() -> Iterator[tuple[str, Callable[[Path], str]]]:
    """The name of each and what it does in a folder of its own."""
    for seed in range(1, RUNS + 1):
        yield f"rot-{seed}", functools.partial(rot, seed=seed)


def rot(home: Path, *, seed: int) -> str:
    """Round after round of fresh objects, coded ones and copies, hurt as much as they can bear."""
    store = LocalStore(home, SMALL)
    done: Counter[str] = Counter()
    store.start()
    try:
        for turn in range(ROUNDS):
            for harm in [*coded(store, seed, turn), *copies(store, seed, turn)]:
                done[harm] += 1
    finally:
        store.stop()
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(done.items()))
    return f"{done.total()} shards hurt and found, all of them mended: {kinds}"


def coded(store: LocalStore, seed: int, turn: int) -> list[str]:
    """The kinds of damage done to coded segments."""
    chance = random.Random(f"{seed}:{turn}")
    made = Rot(store, seed=chance.getrandbits(32))
    name = f"coded-{seed}-{turn}"
    made.put(f"{name}-large", [chance.randrange(520_000, 3_000_000) for _ in range(14)])
    made.put(f"{name}-long", [chance.randrange(5_000_000, 12_000_000)])
    made.put(f"{name}-small", [chance.randrange(1, 500_000) for _ in range(12)])
    made.put(f"{name}-narrow", [chance.randrange(1, 900_000) for _ in range(10)], "ec-4-2")
    made.rest("stored")
    judge(made, lambda: made.hurt_fully(OF_CODED))
    return [harm.kind for harm in made.harms]


def copies(store: LocalStore, seed: int, turn: int) -> list[str]:
    """The kinds of damage done to segments that are not coded, or not yet."""
    chance = random.Random(f"{seed}:{turn}:copies")
    made = Rot(store, seed=chance.getrandbits(32))
    with made.paused("encode"):
        for policy in POLICIES:
            sizes = [chance.randrange(1, 400_000) for _ in range(8)]
            made.put(f"copies-{seed}-{turn}-{policy}", sizes, policy)
        sizes = [chance.randrange(520_000, 2_000_000) for _ in range(4)]
        made.put(f"copies-{seed}-{turn}-staged", sizes, "rep-3")
        made.rest("sealed")
        judge(made, lambda: made.hurt_fully(OF_COPIES))
    return [harm.kind for harm in made.harms]
