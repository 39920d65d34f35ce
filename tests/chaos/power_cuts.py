"""A thousand power cuts on ext4 and xfs, as cases of the long campaign.

Here: how many, in which life of the store each falls. Not here: cutting and judging
(`tests.support.power`, `tests.support.power_cuts`). Where power cannot be cut a case fails and
says why.
"""

from __future__ import annotations

import functools
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support import power
from tests.support.power import FileSystem
from tests.support.power_cuts import NodeCuts, PowerCuts

# Cuts of each run; for each kind of file system so many runs of each form.
CUTS = 50
STORES, NODES, STARTS = 7, 2, 1
# How long a life lasts at most: hardly begun, or with everything encoded and collected meanwhile.
LIVES_S = (0.5, 2.0, 2.0, 8.0)
START_S = 6.0
JUDGE_EVERY = 10
# The runner starts a process that dies again and again later and later.
CUTS_BEFORE_RESTART = 6


def runs() -> Iterator[tuple[str, Callable[[Path], str]]]:
    """The name of each and what it does in a folder of its own."""
    for form, how_many in ((whole_store, STORES), (single_nodes, NODES), (first_starts, STARTS)):
        for number in range(1, how_many + 1):
            for kind in power.KINDS:
                name = f"power-{form.__name__.replace('_', '-')}-{kind}-{number}"
                yield name, functools.partial(form, kind=kind, seed=number)


def whole_store(folder: Path, *, kind: str, seed: int) -> str:
    """Everything loses its power at once, under load and now and then while it starts."""
    refuse_without_power(kind)
    chance = random.Random(f"{kind}:{seed}")
    disk = FileSystem(kind, folder)
    life = PowerCuts(disk, _ledger(folder), seed=seed)
    try:
        disk.make()
        life.store.start()
        while life.cuts < CUTS:
            life.cut(life.live(), within_s=chance.choice(LIVES_S))
            if chance.random() < 0.2:
                life.cut_a_start(within_s=START_S)
            life.store.start()
            if life.cuts % JUDGE_EVERY == 0:
                life.judge().demand_clean()
        return f"{life.cuts} cuts on {kind}: {life.judge().demand_clean()}"
    finally:
        life.store.kill_everything()
        disk.close()


def single_nodes(folder: Path, *, kind: str, seed: int) -> str:
    """One node after another loses its power while the rest of the store lives on."""
    refuse_without_power(kind)
    chance = random.Random(f"{kind}:{seed}")
    home = folder / "home"
    disks = [FileSystem(kind, folder, at=home / "drives" / f"node-{n}") for n in (1, 2, 3)]
    life = NodeCuts(home, disks, _ledger(folder), seed=seed)
    try:
        for disk in disks:
            disk.make()
        while life.cuts < CUTS:
            life.store.start()
            running = life.live()
            for _ in range(min(CUTS_BEFORE_RESTART, CUTS - life.cuts)):
                life.cut(running, within_s=chance.choice(LIVES_S))
            found = running.finish().demand_clean()
            life.store.stop()
        return f"{life.cuts} cuts of single nodes on {kind}: {found}"
    finally:
        life.store.kill_everything()
        for disk in disks:
            disk.close()


def first_starts(folder: Path, *, kind: str, seed: int) -> str:
    """Power goes while a new store is set up; the next start brings it about, or the one after."""
    refuse_without_power(kind)
    chance = random.Random(f"{kind}:{seed}")
    cuts = stores = 0
    while cuts < CUTS:
        mine = folder / str(stores)
        disk = FileSystem(kind, mine)
        life = PowerCuts(disk, _ledger(mine), seed=seed * 1000 + stores)
        try:
            disk.make()
            while not life.cuts or chance.random() < 0.5:
                life.cut_a_start(within_s=START_S)
            life.store.start()
            life.judge().demand_clean()
        finally:
            life.store.kill_everything()
            disk.close()
        shutil.rmtree(mine)
        cuts, stores = cuts + life.cuts, stores + 1
    return f"{cuts} cuts in the first starts of {stores} stores on {kind}"


def refuse_without_power(kind: str) -> None:
    why = power.obstacle(kind)
    assert why is None, f"NO POWER WAS CUT on {why}"


def _ledger(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "ledger"
