"""A clock that moves only when told."""

from __future__ import annotations

from datetime import UTC, datetime


class FakeClock:
    def __init__(self, start: datetime | None = None) -> None:
        self._time = (start or datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)).timestamp()
        self._monotonic = 1000.0

    def time(self) -> float:
        return self._time

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._time += seconds
        self._monotonic += seconds

    def set(self, moment: datetime) -> None:
        """Move the wall clock alone, as an operator or NTP would."""
        self._time = moment.timestamp()
