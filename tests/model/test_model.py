"""The live store beside a dictionary of versions, a small form of it; `make chaos` runs more.

And the walk that `make chaos` takes: it copes with lost answers, and it notices a store that is
wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.model.machine import Model, run
from tests.model.tampering import WRONGS, Deaf
from tests.model.unsure import Unsure
from tests.model.walk import Walk
from tests.s3.raw import Answer, Raw
from tests.support.local_store import SMALL, LocalStore, running_store

Asks = Callable[..., Answer]

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def store() -> Iterator[LocalStore]:
    with running_store({**SMALL, "OBJSTORE_LIMITS_BUCKETS": "1000000"}) as local:
        yield local


def test_the_store_answers_as_the_dictionary_does(store: LocalStore) -> None:
    run(store, Model, examples=40, steps=25)


def test_a_write_without_an_answer_is_done_or_not_as_the_store_shows(store: LocalStore) -> None:
    walk = Walk(unsure(Deaf(raw(store), seed=1)), seed=1)
    unknown: Counter[str] = Counter()

    for number in range(6):
        unknown += walk.example(number, steps=25).unknown

    assert unknown["been done"]
    assert unknown["not been done"]


@pytest.mark.parametrize("wrong", WRONGS)
def test_a_store_that_is_wrong_is_noticed(store: LocalStore, wrong: Callable[[Raw], Asks]) -> None:
    walk = Walk(unsure(wrong(raw(store))), seed=1)

    with pytest.raises(AssertionError, match=r"seed 1, example .*\n    make\("):
        for number in range(20):
            walk.example(number, steps=25)


def test_the_same_seed_takes_the_same_steps(store: LocalStore) -> None:
    taken = []
    for _ in range(2):
        walk = Walk(unsure(raw(store)), seed=2)
        walk.example(1, steps=30)
        taken.append(walk.steps)

    assert len(taken[0]) == 32
    assert taken[0] == taken[1]


def raw(store: LocalStore) -> Raw:
    access = store.access
    return Raw(access.endpoint, access.access_key, access.secret_key)


def unsure(asks: Asks) -> type[Unsure]:
    """The machine whose requests go through `asks`."""
    return type("Machine", (Unsure,), {"raw": asks})
