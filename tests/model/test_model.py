"""The live store beside a dictionary of versions, a small form of it; `make chaos` runs more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.model.machine import Model, run
from tests.support.local_store import SMALL, LocalStore, running_store

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def store() -> Iterator[LocalStore]:
    with running_store({**SMALL, "OBJSTORE_LIMITS_BUCKETS": "1000000"}) as local:
        yield local


def test_the_store_answers_as_the_dictionary_does(store: LocalStore) -> None:
    run(store, Model, examples=40, steps=25)
