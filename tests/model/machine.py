"""The store beside a dictionary: whatever is asked, in whatever order, both say the same.

Here: the machine of all rules, the one in which processes die as well, and running them. Not here:
the rules (objects, uploads, listings), how much of it is run (test_model, `make chaos`).
"""

from __future__ import annotations

import psycopg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from tests.model.both import keys, sizes
from tests.model.listings import Listings
from tests.model.objects import Objects
from tests.model.uploads import Uploads
from tests.s3.raw import Raw
from tests.support import faults
from tests.support.local_store import LocalStore, wait_for


class Model(Objects, Uploads, Listings):
    """One bucket; `here` is the dictionary, `there` the store."""

    @initialize(
        early=st.lists(keys, max_size=3),
        status=st.sampled_from(("", "Enabled", "Enabled", "Suspended")),
        late=st.lists(st.tuples(keys, sizes), min_size=2, max_size=8),
    )
    def make(self, early: list[str], status: str, late: list[tuple[str, int]]) -> None:
        """A bucket in which something lies already, from before and after its versioning."""
        assert self.there.ask("PUT").status == 200
        for key in early:
            self.put(key, 10, "red", {}, "")
        if status:
            self.set_versioning(status)
        for key, size in late:
            self.put(key, size, "green", {"a": "1"}, "")


class Hurt(Model):
    """The same while processes die between requests, and while what was stored is sealed, coded
    and collected; an example whose request met a dying process proves nothing.
    """

    store: LocalStore
    may_be_lost = True

    @rule(role=st.sampled_from(("gateway", "worker", "node", "dispatcher")))
    def kill(self, role: str) -> None:
        victims = faults.pids(self.store.home, role)[:1]
        faults.kill(victims)

        def is_back() -> bool:
            there = faults.pids(self.store.home, role)
            return bool(there) and not set(victims) & set(there) and self.store.is_ready()

        wait_for(is_back, f"another {role}", tail=self.store.log_tail)

    @rule()
    def let_work_be_done(self) -> None:
        """Every segment with content is coded before the next request."""

        def is_done() -> bool:
            # As if the leases of dead workers had run out: their jobs are taken up at once.
            sql(self.store, EXPIRE)
            return not sql(self.store, OPEN)

        wait_for(is_done, "everything to be coded", tail=self.store.log_tail)


EXPIRE = "UPDATE job SET lease_until = clock_timestamp() WHERE state = 'leased'"
OPEN = """
SELECT 1 FROM segment s WHERE state IN ('open', 'sealed')
AND EXISTS (SELECT FROM extent e WHERE e.segment_id = s.id) LIMIT 1
"""


def sql(store: LocalStore, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(store.database_url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def run(store: LocalStore, machine: type[Model], examples: int, steps: int) -> None:
    """Ask the same on every run: the examples are derived from the rules themselves."""
    access = store.access
    machine.raw = Raw(access.endpoint, access.access_key, access.secret_key)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def run_hurt(store: LocalStore, examples: int, steps: int) -> None:
    """The long form."""
    Hurt.store = store
    run(store, Hurt, examples, steps)
