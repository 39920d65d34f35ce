"""The model beside a store whose processes die, also in the middle of requests.

Here: the rules that kill, restart and wait for background work, and running all of it. Not here:
what a lost answer means (tests.model.unsure), how much is run (`make chaos`).
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.model.client import BACK_WITHIN_S
from tests.model.unsure import Unsure
from tests.model.walk import Walk
from tests.s3.raw import Raw
from tests.support import campaign, faults, points
from tests.support.local_store import LocalStore, wait_for

ROLES = (
    "gateway", "gateway", "gateway", "gateway", "node", "worker", "postgres", "postgres",
    "dispatcher", "redis",
)  # fmt: skip
# The first of a role's processes is the one that starts the others: without it they are away for
# as long as the runner waits before it starts a process that dies again and again.
WHICH = (0, 1, 2, 1, 2, 1, 2, 4)
# What a request passes on its way, and the work that changes what requests find.
OF_REQUESTS = (
    "abort.before_commit", "coded.mid-stripes", "coded.published", "commit.in_transaction",
    "commit.unanswered", "complete.before_commit", "complete.committed", "delete.committed",
    "pack.mid-group", "pack.mid-record", "pack.mid-seal", "pack.opened", "put.committed",
    "put.durable", "put.receiving",
)  # fmt: skip
OF_WORK = (
    "collect.burying", "collect.trashed", "encode.all-shards", "encode.swapped",
    "encode.swapping", "gather.moving", "node.publish.before_link", "node.publish.before_reply",
    "node.write.before_fsync", "seal.found",
)  # fmt: skip
AT_COMMIT = ("commit.unanswered", "put.committed", "delete.committed", "complete.committed")
POINTS = (*OF_REQUESTS, *OF_WORK, *AT_COMMIT * 3)
ACTIONS = {"commit.unanswered": ("kill", "raise")}
# Beside 1 for every rule that asks something: a walk is spent on requests, not on restarts.
WEIGHTS = {"kill_soon": 1.0, "kill_at": 2.0, "let_work_be_done": 0.15, "restart": 0.03}
LEASES_END_EVERY_S = 5.0
EXPIRE = "UPDATE job SET lease_until = clock_timestamp() WHERE state = 'leased'"
OPEN = """
SELECT 1 FROM segment s WHERE state IN ('open', 'sealed')
AND EXISTS (SELECT FROM extent e WHERE e.segment_id = s.id) LIMIT 1
"""
HURRY = """
INSERT INTO job_family (name, paused, interval_s, changed) VALUES (%s, false, %s, now())
ON CONFLICT (name) DO UPDATE SET interval_s = excluded.interval_s
"""
# Statements of requests whose process may be dead; the one that asks this is not one of them.
UNDER_WAY = """
SELECT 1 FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND xact_start < %s
"""


class Hurt(Unsure):
    """Processes die between requests and during them, wherever they are."""

    store: LocalStore
    kills: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self._timers: list[threading.Timer] = []

    @rule(role=st.sampled_from(ROLES), which=st.sampled_from(WHICH), after_ms=st.integers(0, 120))
    def kill_soon(self, role: str, which: int, after_ms: int) -> None:
        """A process of this role dies during one of the next requests."""
        timer = threading.Timer(after_ms / 1000, self._kill, (role, which))
        timer.start()
        self._timers.append(timer)

    @rule(point=st.sampled_from(POINTS), nth=st.integers(1, 2), choice=st.integers(0, 1))
    def kill_at(self, point: str, nth: int, choice: int) -> None:
        """Whichever process gets there next, dies there."""
        actions = ACTIONS.get(point, ("kill",))
        faults.arm(self.store.home, {point: f"{actions[choice % len(actions)]}@{nth}"})

    @rule(how=st.sampled_from(("stop", "kill")))
    def restart(self, how: str) -> None:
        if how == "stop":
            self.store.stop()
        else:
            self.store.kill_everything()
        self.store.start()
        self.kills[f"all: {how}"] += 1

    @rule()
    def let_work_be_done(self) -> None:
        """Every segment with content is coded before the next request."""
        looked = -LEASES_END_EVERY_S

        def is_done() -> bool:
            nonlocal looked
            # As if the leases of dead workers had run out: their jobs are taken up again.
            if time.monotonic() > looked + LEASES_END_EVERY_S:
                looked = time.monotonic()
                sql(self.store, EXPIRE)
            return sql(self.store, OPEN) == []

        wait_for(is_done, "everything to be coded", tail=self.store.log_tail)

    def teardown(self) -> None:
        for timer in self._timers:
            timer.join()
        super().teardown()

    def outwait_lost_requests(self) -> None:
        now = wait_for(
            lambda: sql(self.store, "SELECT clock_timestamp()") or [],
            "PostgreSQL to be back",
            within_s=BACK_WITHIN_S,
            tail=self.store.log_tail,
        )
        wait_for(
            lambda: sql(self.store, UNDER_WAY, *now[0]) == [],
            "the statements of lost requests to end",
            within_s=BACK_WITHIN_S,
        )

    def _kill(self, role: str, which: int) -> None:
        victims = faults.pids(self.store.home, role)
        if victims:
            self.kills[role] += faults.kill([victims[which % len(victims)]])


def sql(store: LocalStore, statement: str, *parameters: object) -> list[tuple[Any, ...]] | None:
    """One statement on the store's database; None while that is away."""
    try:
        with psycopg.connect(store.database_url, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []
    except psycopg.OperationalError:
        return None


def run_hurt(store: LocalStore, *, seed: int, examples: int, steps: int) -> str:
    """Walk; a sentence about what happened, or AssertionError."""
    unheard_of = set(POINTS) - points.registered().keys()
    assert not unheard_of, f"no such failpoints: {sorted(unheard_of)}"
    access = store.access
    Hurt.store = store
    kills: Counter[str] = Counter()
    Hurt.kills = kills
    Hurt.raw = Raw(access.endpoint, access.access_key, access.secret_key)
    for family, every_s in campaign.EVERY_S.items():
        sql(store, HURRY, family, every_s)
    walk = Walk(Hurt, seed=seed, weights=WEIGHTS)
    unknown: Counter[str] = Counter()
    for number in range(examples):
        unknown += walk.example(number, steps).unknown
    fired = faults.fired(store.home)
    faults.disarm(store.home)
    assert unknown["been done"], "no write was done without an answer"
    assert unknown["not been done"], "no write was lost with its answer"
    return (
        f"seed {seed}: {examples} examples of {steps} steps; processes killed: {dict(kills)},"
        f" at failpoints: {len(fired)}; writes without an answer that had {dict(unknown)}"
    )
