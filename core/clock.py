"""What time it is. The only module that asks; tests put a clock of their own here.

`now()` is called at the edge and handed down; `monotonic()` measures time-outs and leases in this
process.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def time(self) -> float:
        """Seconds since 1970 UTC."""

    def monotonic(self) -> float:
        """Seconds that never go backwards."""


class SystemClock:
    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


_clock: Clock = SystemClock()


def timestamp() -> float:
    """Seconds since 1970 UTC."""
    return _clock.time()


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.fromtimestamp(_clock.time(), UTC)


def monotonic() -> float:
    return _clock.monotonic()


def today() -> str:
    """The UTC day as `2026-01-31`."""
    return now().strftime("%Y-%m-%d")


def ago(seconds: float) -> datetime:
    return now() - timedelta(seconds=seconds)


@contextmanager
def use(clock: Clock) -> Iterator[Clock]:
    """Run a block under another clock (tests)."""
    global _clock
    before, _clock = _clock, clock
    try:
        yield clock
    finally:
        _clock = before
