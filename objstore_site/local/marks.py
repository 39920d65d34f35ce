"""Knowing our own processes again, also after the runner that started them was killed.

Every child inherits a variable that names the home; grandchildren (workers of Celery, the gateway
and the console) inherit it too. A process id alone proves nothing: ids are used again.
"""

from __future__ import annotations

from pathlib import Path

import psutil

MARK = "STARTED_BY_STORE_RUNNER_OF"


def marked(home: Path) -> list[psutil.Process]:
    """Every living process a runner of this home started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(home) and _lives(process):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def end_marked(home: Path, *, grace_s: float) -> list[str]:
    """End them all, politely first; what they were."""
    left = marked(home)
    names = [_title(process) for process in left]
    for process in left:
        _signal(process.terminate)
    _, stubborn = psutil.wait_procs(left, timeout=grace_s)
    for process in stubborn:
        _signal(process.kill)
    psutil.wait_procs(stubborn, timeout=30)
    return names


def _lives(process: psutil.Process) -> bool:
    return bool(process.status() != psutil.STATUS_ZOMBIE)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()[1:4]) or process.name()
    except psutil.Error:
        return f"process {process.pid}"


def _signal(send: object) -> None:
    assert callable(send)
    try:
        send()
    except psutil.Error:
        return
