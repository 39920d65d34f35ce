"""Waiting for a condition with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable


class NotInTime(RuntimeError):
    """What was waited for did not happen."""


def wait_until(
    condition: Callable[[], bool], *, what: str, timeout_s: float, every_s: float = 0.02
) -> None:
    """Return as soon as the condition holds; `NotInTime` names what did not come."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise NotInTime(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(every_s)
