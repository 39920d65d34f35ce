"""Closes pack segments whose owner does not renew its lease any more.

The state flips first: from then on no commit of new bytes can follow, whatever the owner still
does. How far the segment reaches is asked of the extents by whoever codes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.failpoints import declare
from jobs.catalogue import SEAL
from jobs.step import Step
from storage_nodes import layouts
from workers.context import Context
from workers.registry import handles

BATCH = 100

FOUND = declare("seal.found", point="C15", doc="a lease has run out, the segment is still open")


@handles(SEAL)
def seal(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
    """Seal until none is left."""
    sealed = 0
    while found := layouts.leases_run_out(BATCH):
        for segment_id, epoch in found:
            FOUND.hit()
            layouts.seal(segment_id, epoch)
            sealed += 1
            yield Step(done=sealed)
        if len(found) < BATCH:
            return
