"""Folds the usage deltas of commits into one row per bucket.

Promise: each delta is counted exactly once, whatever stops where: it is deleted and added in one
statement. Buckets that are gone take their deltas with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jobs import statements
from jobs.catalogue import USAGE
from jobs.step import Step
from workers.context import Context
from workers.registry import handles

BATCH = 10_000

# SKIP LOCKED: two folds at once take different deltas. Buckets in order: they cannot deadlock.
FOLD = """
WITH taken AS (
    SELECT tableoid, ctid FROM usage_delta LIMIT %(batch)s FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM usage_delta d USING taken t
    WHERE d.tableoid = t.tableoid AND d.ctid = t.ctid
    RETURNING d.bucket_id, d.bytes, d.objects, d.versions
), sums AS (
    SELECT bucket_id, sum(bytes)::bigint AS bytes, sum(objects)::bigint AS objects,
           sum(versions)::bigint AS versions, count(*) AS deltas
    FROM gone GROUP BY bucket_id ORDER BY bucket_id
), folded AS (
    INSERT INTO usage AS u (bucket_id, bytes, objects, versions)
    SELECT s.bucket_id, s.bytes, s.objects, s.versions
    FROM sums s WHERE EXISTS (SELECT FROM bucket b WHERE b.id = s.bucket_id)
    ON CONFLICT (bucket_id) DO UPDATE SET
        bytes = u.bytes + excluded.bytes, objects = u.objects + excluded.objects,
        versions = u.versions + excluded.versions
)
SELECT coalesce(sum(deltas), 0)::bigint FROM sums
"""


@handles(USAGE)
def usage(subject: str, cursor: Any, context: Context) -> Iterator[Step]:
    """Fold until nothing is left."""
    folded = cursor or 0
    while number := statements.rows(FOLD, batch=BATCH)[0][0]:
        folded += number
        yield Step(done=folded, cursor=folded)
        if number < BATCH:
            return
