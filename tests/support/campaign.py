"""Load, faults and judgement on one running store: what the crash tests and `make chaos` share.

Here: keeping clients busy while failpoints fire and processes die, bringing about what a failpoint
needs, and the judgement in the end. Not here: which faults, how many (the tests say so).
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import redis

from benchmarks.home import redis_url
from storage_nodes.shard_name import ShardName
from tests.support import faults, ledger
from tests.support.final_reads import list_keys, read_all, read_versions
from tests.support.judgement import Judgement, judge
from tests.support.load import Load, Mix
from tests.support.local_store import LocalStore, wait_for

# What is owed to slow clocks: a campaign waits for conditions, and this long for each.
WITHIN_S = 600.0
TRICKLE = "trickle"
# Scheduled families come round at once, so that a campaign need not wait for them.
EVERY_S = {"collect": 3, "seal": 1, "sweep_uploads": 1, "usage": 5}
# A segment held open by somebody alive, who renews its lease of 5 s long before.
HELD_OPEN = "SELECT 1 FROM segment WHERE state = 'open' AND lease_until > now() + interval '3 s'"
MIX = Mix(
    clients=6,
    keys=40,
    inline_bytes=600 << 10,
    part_bytes=64 << 10,
    buckets=("plain", "versioned"),
)


class Campaign:
    """Clients at work on a store that is being hurt."""

    def __init__(self, store: LocalStore, ledger_path: Path, mix: Mix = MIX) -> None:
        self.store = store
        self._mix = mix
        self._ledger = ledger.Ledger(ledger_path)
        self._load = Load(store.access, self._ledger, mix)
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def begin(self) -> None:
        """Make the buckets, hurry the schedule, start the clients."""
        asyncio.run(self._load.make_buckets(TRICKLE))
        self.sql("UPDATE bucket SET storage_policy = 'ec-4-2' WHERE name = %s", TRICKLE)
        for family, every_s in EVERY_S.items():
            self.sql(
                "INSERT INTO job_family (name, paused, interval_s, changed)"
                " VALUES (%s, false, %s, now())"
                " ON CONFLICT (name) DO UPDATE SET interval_s = excluded.interval_s",
                family,
                every_s,
            )
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    def fire(self, armings: dict[str, str]) -> None:
        """Arm these failpoints, bring about what they need, and wait until each has fired."""
        before = len(faults.fired(self.store.home))
        waiting = set(armings)
        faults.arm(self.store.home, armings)

        def all_fired() -> bool:
            waiting.difference_update(faults.fired(self.store.home)[before:])
            self._check()
            for name in waiting:
                self._provoke(name)
            return not waiting

        wait_for(all_fired, f"{sorted(waiting)} to fire", within_s=WITHIN_S, tail=self._tail)
        faults.disarm(self.store.home)
        self.expire_leases()

    def make_progress(self, writes: int = 10) -> None:
        """Wait until clients have so many more writes acknowledged."""
        until = self._load.counts["put ok"] + writes

        def enough() -> bool:
            self._check()
            return self._load.counts["put ok"] >= until

        wait_for(enough, f"{writes} writes", within_s=WITHIN_S, tail=self._tail)

    def stall_a_gateway(self) -> None:
        """Stop the gateways between durable bytes and their commit, until the segments they had
        open are sealed and coded, or buried; then let them go on.
        """
        before = len(faults.fired(self.store.home))
        faults.arm(self.store.home, {"put.durable": "delay:3000*"})
        wait_for(
            lambda: len(faults.fired(self.store.home)) > before,
            "a write between bytes and commit",
            within_s=WITHIN_S,
            tail=self._tail,
        )
        victims = faults.pids(self.store.home, "gateway")
        faults.kill(victims, signal.SIGSTOP)
        try:
            held = [row[0] for row in self.sql("SELECT id FROM segment WHERE state = 'open'")]

            def are_settled() -> bool:
                left = self.sql(
                    "SELECT count(*) FROM segment"
                    " WHERE id = ANY (%s) AND state IN ('open', 'sealed')",
                    held,
                )
                return bool(left) and left[0][0] == 0

            wait_for(are_settled, "its segments to be coded", within_s=WITHIN_S, tail=self._tail)
        finally:
            faults.disarm(self.store.home)
            faults.kill(victims, signal.SIGCONT)

    def expire_leases(self) -> None:
        """As if the leases of dead workers had run out: their jobs are taken up at once.

        Living ones lose theirs too and bear it; asked all the time they would never finish.
        """
        self.sql("UPDATE job SET lease_until = clock_timestamp() WHERE state = 'leased'")

    def empty_redis(self) -> None:
        """One that is dead just now keeps nothing and comes back empty."""
        with suppress(redis.ConnectionError):
            redis.Redis.from_url(redis_url(self.store.home)).flushall()

    def stop_clients(self) -> None:
        """No new operation begins; those under way are still waited for."""
        self._load.stop()

    def end_clients(self) -> None:
        """No operation is under way any more; the ledger, closed now, says how each ended."""
        self.stop_clients()
        assert self._thread is not None
        self._thread.join(WITHIN_S)
        assert not self._thread.is_alive(), "the clients do not end"
        self._check()
        self._ledger.close()

    def finish(self, *, attempts: int = 40) -> Judgement:
        """Stop the clients, let the store come to rest, and read everything back; a key that
        cannot be read is tried so many times.
        """
        faults.disarm(self.store.home)
        self.end_clients()
        self.store.wait_until_ready()
        return asyncio.run(self._judge(attempts))

    def counts(self) -> dict[str, int]:
        return dict(self._load.counts)

    def wait_until_coded(self) -> None:
        """Every segment with something in it is coded."""

        self.expire_leases()

        def none_left() -> bool:
            return not self.sql(
                "SELECT 1 FROM segment s WHERE state IN ('open', 'sealed') AND EXISTS"
                " (SELECT FROM extent e WHERE e.segment_id = s.id) LIMIT 1"
            )

        wait_for(none_left, "everything to be coded", within_s=WITHIN_S, tail=self._tail)

    def sql(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """One statement on the store's database; nothing when it is away just now."""
        try:
            with psycopg.connect(self.store.database_url, autocommit=True) as connection:
                cursor = connection.execute(statement, parameters)
                return cursor.fetchall() if cursor.description else []
        except psycopg.OperationalError:
            return []

    async def _judge(self, attempts: int) -> Judgement:
        entries = list(ledger.read(self._ledger.path))
        written = [e for e in entries if e.kind != "get"]
        access = self.store.access
        final = await read_all(access, {entry.key for entry in written}, attempts=attempts)
        versions = await read_versions(
            access,
            {
                (e.key, e.version)
                for e in written
                if e.kind == "put" and e.outcome == "ok" and e.version
            },
            attempts=attempts,
        )
        found = judge(entries, final, versions)
        for bucket in (*self._mix.buckets, TRICKLE):
            listed = await list_keys(access, bucket)
            there = {
                key
                for key, value in final.items()
                if key.startswith(f"{bucket}/") and value != "absent"
            }
            found.unexplained += [f"{key}: listed or read, not both" for key in listed ^ there]
        return found

    def _run(self) -> None:
        async def everything() -> None:
            await asyncio.gather(self._load.run(), self._load.trickle(TRICKLE))

        try:
            asyncio.run(everything())
        except BaseException as why:
            self._failure = why

    def _check(self) -> None:
        if self._failure is not None:
            raise AssertionError(f"the clients stopped: {self._failure!r}") from self._failure

    def _provoke(self, name: str) -> None:
        """Bring about what a failpoint needs and the load alone does not."""
        if name.startswith("repair."):
            self._damage()
        elif name.startswith("gather."):
            self._hold_small_segments()
        elif name == "journal.snapshot":
            self._owe_snapshot()
        elif name.startswith("seal.") and self.sql(HELD_OPEN):
            faults.kill(faults.pids(self.store.home, "gateway")[-1:])

    def _damage(self) -> None:
        """Take one shard of a coded segment away and owe its repair."""
        for segment_id, epoch, drives in self.sql(
            "SELECT id, epoch, drives FROM segment WHERE layout = 'coded' AND state = 'stored'"
            " ORDER BY random() LIMIT 1"
        ):
            self._remove_shard(segment_id, epoch, 0, drives)

    def remove_shards(self, indexes: Sequence[int]) -> None:
        """Take these shards of every segment coded 6+3 away and owe their repair."""
        for segment_id, epoch, drives in self.sql(
            "SELECT id, epoch, drives FROM segment WHERE layout = 'coded' AND state = 'stored'"
            " AND storage_policy = 'ec-6-3'"
        ):
            for index in indexes:
                self._remove_shard(segment_id, epoch, index, drives)

    def _remove_shard(self, segment_id: Any, epoch: Any, index: int, drives: Any) -> None:
        for (path,) in self.sql("SELECT path FROM drive WHERE id = %s", drives[index]):
            shard = ShardName(segment_id, epoch, index)
            (Path(str(path)) / shard.path).unlink(missing_ok=True)
        self.sql("SELECT segment_noticed(%s, %s, %s, 'missing')", segment_id, epoch, index)

    def _owe_snapshot(self) -> None:
        """The journal's newest snapshot is of the day before yesterday."""
        self.sql(
            "UPDATE journal_state SET segments = segments + 1,"
            " snapshot_at = now() - interval '2 days'"
        )
        self.sql("SELECT owe('journal', 'snapshot')")

    def _hold_small_segments(self) -> None:
        """Stop encoding until two small segments wait, then let it go on."""
        waiting = self.sql(
            "SELECT count(*) FROM segment WHERE state = 'sealed' AND storage_policy = 'ec-4-2'"
            " AND size < 65536"
        )
        is_enough = bool(waiting) and waiting[0][0] >= 2
        self.sql(
            "INSERT INTO job_family (name, paused, changed) VALUES ('encode', %s, now())"
            " ON CONFLICT (name) DO UPDATE SET paused = excluded.paused, changed = now()",
            not is_enough,
        )

    def _tail(self) -> str:
        """What a failure's message should say of the store."""
        jobs = self.sql(
            "SELECT family, state, count(*), max(attempts), max(last_error), min(run_at - now())"
            " FROM job GROUP BY 1, 2 ORDER BY 1, 2"
        )
        segments = self.sql(
            "SELECT storage_policy, state, layout, count(*), min(size), min(created)"
            " FROM segment GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
        families = self.sql("SELECT name, paused, interval_s FROM job_family ORDER BY 1")
        lines = [str(self.counts()), *map(str, [*jobs, *segments, *families])]
        return "\n".join([*lines, self.store.log_tail()])


def crash_settings() -> dict[str, str]:
    """What a store needs so that every failpoint is passed within seconds."""
    return {
        "OBJSTORE_JOBS_UPLOAD_TTL_S": "3",
        "OBJSTORE_JOBS_TRASH_S": "2",
        "OBJSTORE_JOBS_SAVE_EVERY_S": "1",
        "OBJSTORE_PACKING_OPEN_MAX_S": "3",
        "OBJSTORE_JOBS_WORKERS": "2",
        "OBJSTORE_S3_WORKERS": "2",
    }


def armed(names: Sequence[str], action: str = "kill") -> dict[str, str]:
    return dict.fromkeys(names, action)
