"""What stands for Redis where the dispatcher is asked what it publishes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from uuid import UUID

from workers.tasks import Due


class Queue:
    """Stands for Redis: what arrived, in order; can be down."""

    def __init__(self) -> None:
        self.arrived: list[UUID] = []
        self.is_down = False
        self.something = threading.Event()

    def __call__(self, batch: Sequence[Due]) -> None:
        if self.is_down:
            raise ConnectionError("no broker")
        self.arrived += [due.job_id for due in batch]
        if batch:
            self.something.set()

    def lying(self, _: Sequence[str]) -> list[UUID]:
        """All that arrived."""
        return self.arrived
