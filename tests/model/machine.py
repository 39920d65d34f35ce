"""The store beside a dictionary: whatever is asked, in whatever order, both say the same.

Here: the machine of all rules, and running it while nothing goes wrong. Not here: the rules
(objects, uploads, listings), what happens while processes die (hurt), how much of it is run
(test_model, `make chaos`).
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from tests.model.both import keys, sizes
from tests.model.listings import Listings
from tests.model.objects import Objects
from tests.model.uploads import Uploads
from tests.s3.raw import Raw
from tests.support.local_store import LocalStore


class Model(Objects, Uploads, Listings):
    """One bucket; `here` is the dictionary, `there` the store."""

    @initialize(
        early=st.lists(keys, max_size=3),
        status=st.sampled_from(("", "Enabled", "Enabled", "Suspended")),
        late=st.lists(st.tuples(keys, sizes), min_size=2, max_size=8),
    )
    def make(self, early: list[str], status: str, late: list[tuple[str, int]]) -> None:
        """A bucket in which something lies already, from before and after its versioning."""
        assert self.there.ask("PUT", again=True).status == 200
        for key in early:
            self.put(key, 10, "red", {}, "")
        if status:
            self.set_versioning(status)
        for key, size in late:
            self.put(key, size, "green", {"a": "1"}, "")


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
