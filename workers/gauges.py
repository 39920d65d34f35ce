"""What the rows say about the store as a whole, as metrics. The dispatcher measures now and then.

Here: gauges read from tables. Not here: counters, which the process that counts keeps.
"""

from __future__ import annotations

from core import clock, metrics
from core.config import config
from jobs import queries, statements
from jobs.catalogue import FAMILIES
from jobs.models import STATES
from storage_nodes.models import Drive

MEASURE_EVERY_S = 10.0
# More buckets than this are not listed one by one: a label per bucket has its price.
MOST_BUCKETS = 1000

USAGE = """
SELECT b.name, u.objects, u.bytes FROM usage u JOIN bucket b ON b.id = u.bucket_id
ORDER BY u.bytes DESC LIMIT %(most)s
"""
DRIVES = "SELECT state, count(*) FROM drive GROUP BY state"
ROOM = "SELECT id, size_bytes, free_bytes FROM drive WHERE state <> 'removed'"
# Replicated policies are never coded, however long they lie.
ENCODE_LAG = """
SELECT extract(epoch FROM now() - min(sealed_at)) FROM segment
WHERE state = 'sealed' AND layout = 'replicated' AND storage_policy LIKE 'ec-%%'
"""

# The oldest change that is in no journal file; one probe of the index, however many wait.
JOURNAL_LAG = """
SELECT extract(epoch FROM now() - at) FROM change
WHERE (xid, id) > (coalesce((SELECT xid FROM journal_state), '0'),
                   coalesce((SELECT id FROM journal_state), 0))
ORDER BY xid, id LIMIT 1
"""


class Gauges:
    """Measures when it is time to, and writes this process's numbers down."""

    def __init__(self) -> None:
        self._measure_at = 0.0
        self._write_at = 0.0

    def keep(self) -> None:
        """Called each round; does nothing most of the time."""
        now = clock.monotonic()
        if now >= self._measure_at:
            self._measure_at = now + MEASURE_EVERY_S
            measure()
        if now >= self._write_at:
            self._write_at = now + config().metrics.write_every_s
            metrics.write(config().home / "run" / "metrics", "dispatcher")


def measure() -> None:
    """Set every gauge from the rows as they are now."""
    counts = queries.counts()
    metrics.jobs_waiting.values = {
        (family, state): counts.get((family, state), 0) for family in FAMILIES for state in STATES
    }
    usage = statements.rows(USAGE, most=MOST_BUCKETS)
    metrics.objects_stored.values = {(name,): objects for name, objects, _ in usage}
    metrics.bytes_stored.values = {(name,): size for name, _, size in usage}
    counted = dict(statements.rows(DRIVES))
    metrics.drives.values = {(state,): counted.get(state, 0) for state in Drive.State.values}
    room = statements.rows(ROOM)
    metrics.drive_size.values = {(str(number),): size for number, size, _ in room}
    metrics.drive_free.values = {(str(number),): free for number, _, free in room}
    lag_s = statements.rows(ENCODE_LAG)[0][0]
    metrics.encode_lag.set(0.0 if lag_s is None else float(lag_s))
    oldest = statements.rows(JOURNAL_LAG)
    metrics.journal_lag.set(float(oldest[0][0]) if oldest else 0.0)
