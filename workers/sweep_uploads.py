"""Aborts multipart uploads that were left behind, and forgets those completed long ago.

An upload is left behind when neither it nor a part of it is younger than `jobs.upload_ttl_s`, and
when two rounds found it so, unchanged, at least a period of theirs apart: after a jump of the
clock whoever still sends parts has that long to send one. Each time it is decided under the
upload's lock, so a part that arrives meanwhile saves it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from core.config import config
from core.failpoints import declare
from jobs import queries
from jobs.catalogue import SWEEP_UPLOADS
from jobs.step import Step
from objects import stale_uploads
from workers.context import Context
from workers.registry import handles

BATCH = 100

FOUND = declare("sweep.found", point="C16", doc="a stale upload is found, not yet aborted")


@handles(SWEEP_UPLOADS)
def sweep_uploads(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
    """Abort until none is left."""
    ttl_s = config().jobs.upload_ttl_s
    certain_s = queries.interval_s(SWEEP_UPLOADS) or 0
    aborted, after = cursor or [0, str(UUID(int=0))]
    while found := stale_uploads.stale_uploads(ttl_s, UUID(after), BATCH):
        for upload_id in found:
            FOUND.hit()
            aborted += stale_uploads.abort_stale(upload_id, ttl_s, certain_s)
            after = str(upload_id)
            yield Step(done=aborted, cursor=[aborted, after])
    while stale_uploads.forget_completed(ttl_s, BATCH):
        yield Step(done=aborted, cursor=[aborted, after])
