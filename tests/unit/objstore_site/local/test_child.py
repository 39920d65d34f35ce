"""A child of the runner: watched, restarted with back-off, ended with all it started."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from objstore_site.local.child import Child
from objstore_site.local.waiting import wait_until

LONG_ENOUGH_S = 60


@pytest.fixture
def make_child(tmp_path: Path) -> Iterator[object]:
    made: list[Child] = []

    def make(code: str) -> Child:
        child = Child(
            name="test",
            command=[sys.executable, "-c", code],
            environment=dict(os.environ),
            directory=tmp_path,
            log=tmp_path / "test.log",
            stop_order=1,
        )
        made.append(child)
        return child

    yield make
    for child in made:
        child.finish(within_s=0)


def _dies(child: Child) -> str:
    told: list[str | None] = []

    def died() -> bool:
        told.append(child.death())
        return told[-1] is not None

    wait_until(died, what="the child to die", timeout_s=LONG_ENOUGH_S)
    return str(told[-1])


def test_a_death_is_told_once_with_its_reason(make_child) -> None:
    child = make_child("import sys; sys.exit(3)")
    child.start()

    assert _dies(child) == "exit code 3"
    assert child.death() is None


def test_a_killed_child_says_by_which_signal(make_child) -> None:
    child = make_child("import signal; signal.pause()")
    child.start()

    os.kill(child.process.pid, signal.SIGKILL)

    assert _dies(child) == "killed by SIGKILL"


def test_each_death_doubles_the_wait(make_child) -> None:
    child = make_child("")
    waits = []

    for _ in range(3):
        waits.append(child.backoff_s())
        child.start()
        _dies(child)

    assert waits == [0.5, 1.0, 2.0]


def test_the_wait_has_an_end_however_many_deaths(make_child) -> None:
    child = make_child("")
    child.deaths = 5000

    assert child.backoff_s() == 30.0


def test_a_child_takes_its_own_children_along(make_child, tmp_path: Path) -> None:
    child = make_child(
        "import subprocess, sys, pathlib\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        f"pathlib.Path({str(tmp_path / 'new')!r}).write_text(str(p.pid))\n"
        f"pathlib.Path({str(tmp_path / 'new')!r}).rename({str(tmp_path / 'pid')!r})\n"
        "raise SystemExit(1)"
    )
    child.start()
    wait_until((tmp_path / "pid").exists, what="the grandchild", timeout_s=LONG_ENOUGH_S)
    grandchild = int((tmp_path / "pid").read_text())

    _dies(child)

    wait_until(lambda: _is_gone(grandchild), what="its end", timeout_s=LONG_ENOUGH_S)


def test_a_deaf_child_is_killed_in_the_end(make_child, tmp_path: Path) -> None:
    child = make_child(
        "import signal, pathlib\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"pathlib.Path({str(tmp_path / 'deaf')!r}).touch()\n"
        "while True: signal.pause()"
    )
    child.start()
    wait_until((tmp_path / "deaf").exists, what="deafness", timeout_s=LONG_ENOUGH_S)

    child.ask_to_stop()

    assert not child.finish(within_s=0.1)
    assert child.process is None


def test_last_words_are_the_error_not_the_farewell(make_child) -> None:
    child = make_child("print('Error: no disk', flush=True); print('bye', flush=True)")
    child.start()
    _dies(child)

    assert child.last_words() == "Error: no disk"


def test_last_words_of_an_earlier_start_do_not_count(make_child) -> None:
    child = make_child("print('bye', flush=True)")
    child.log.write_text("Error: long ago\n")
    child.start()
    _dies(child)

    assert child.last_words() == "bye"


def _is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
