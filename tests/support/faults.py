"""Faults put into a running store from outside: failpoints armed through its home, processes
killed.

Here: writing `$home/failpoints`, reading `$home/failpoints.fired`, signals to processes of the
home by role, drives' directories removed. Not here: what must still hold afterwards
(`judgement`).
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks import processes


def arm(home: Path, armings: Mapping[str, str]) -> None:
    """Arm these in every process of the store, instead of what was armed: name -> action@n."""
    draft = home / "failpoints.new"
    draft.write_text("".join(f"{name}={action}\n" for name, action in armings.items()))
    draft.replace(home / "failpoints")


def disarm(home: Path) -> None:
    (home / "failpoints").unlink(missing_ok=True)


def fired(home: Path) -> list[str]:
    """Names of the failpoints that fired, in order, once per firing."""
    try:
        lines = (home / "failpoints.fired").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [line.split()[0] for line in lines if line.strip()]


def pids(home: Path, role: str) -> list[int]:
    """Processes of the store in this role."""
    return sorted(pid for pid, found in processes.of_home(home).items() if found == role)


def kill(victims: Iterable[int], how: signal.Signals = signal.SIGKILL) -> int:
    """Signal them; how many were there to be signalled."""
    done = 0
    for pid in victims:
        try:
            os.kill(pid, how)
        except ProcessLookupError:
            continue
        done += 1
    return done


def drive_folders(home: Path) -> list[Path]:
    """The drives' directories of a store that `make run` set up."""
    return sorted(path.parent for path in home.glob("drives/*/*/drive.json")) or sorted(
        path for path in (home / "drives").glob("*/*") if path.is_dir()
    )


def remove_drive(folder: Path) -> None:
    """As if the disk had been pulled out and thrown away."""
    shutil.rmtree(folder)
