"""Batches, their rows, lost answers and what caches knew are counted."""

from __future__ import annotations

import asyncio

import pytest

from core import failpoints, metrics
from core.names import new_id
from objects.commits import Row
from objects.draft import Draft
from objects.found import NONE, Found
from objects.identities import Remembered
from objects.write import described
from tests.support.namespace import Namespace


def row(found: Found, key: str) -> Row:
    """A version without bytes."""
    assert found.bucket is not None
    body = described(new_id(), found.bucket, key, Draft())
    return Row("put", found, key, body | {"size": 0, "etag": "e", "checksums": None, "extents": []})


async def test_questions_that_travel_together(space: Namespace) -> None:
    await space.look("a")
    batches, rows = metrics.lookup_batches.value(), metrics.lookup_rows.value()

    await asyncio.gather(*(space.look(f"k{number}") for number in range(20)))

    # The lanes free at once take what has gathered, the rest travels together.
    assert 1 <= metrics.lookup_batches.value() - batches <= 3
    assert metrics.lookup_rows.value() - rows == 20


async def test_changes_that_travel_together(space: Namespace) -> None:
    found = await space.look(want=NONE)
    batches, rows = metrics.commit_batches.value(), metrics.commit_rows.value()

    await space.store.commits._send([row(found, f"k{number}") for number in range(5)])

    assert metrics.commit_batches.value() - batches == 1
    assert metrics.commit_rows.value() - rows == 5


async def test_changes_whose_answer_was_lost(space: Namespace, disarmed: None) -> None:
    found = await space.look(want=NONE)
    batches, unknown = metrics.commit_batches.value(), metrics.commit_unknown.value()
    failpoints.arm("commit.unanswered=raise")

    await space.store.commits._send([row(found, f"k{number}") for number in range(4)])

    assert metrics.commit_unknown.value() - unknown == 4
    assert metrics.commit_batches.value() == batches


@pytest.mark.parametrize("kind", ["access_keys", "buckets"])
async def test_what_caches_knew_and_what_not(space: Namespace, kind: str) -> None:
    hits, misses = metrics.cache_hits.value((kind,)), metrics.cache_misses.value((kind,))

    for _ in range(4):
        await space.look(want=NONE)

    assert metrics.cache_misses.value((kind,)) - misses == 1
    assert metrics.cache_hits.value((kind,)) - hits == 3
    assert metrics.cache_size.value((kind,)) > 0


class Loads:
    """A source whose answers are set by hand."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[tuple[int, ...], bytes]] = {}

    async def load(self, name: str) -> tuple[tuple[int, ...], bytes] | None:
        return self.answers.get(name)


async def test_a_caches_size_follows_what_it_holds() -> None:
    source = Loads()
    cache = Remembered("test", source.load, 2)

    def size() -> float:
        return float(metrics.cache_size.value(("test",)))

    try:
        source.answers["a"] = (1,), bytes(10_000)
        await cache.fresh("a")
        assert 10_000 < size() < 11_000
        source.answers["a"] = (2,), bytes(20_000)
        await cache.fresh("a")
        assert 20_000 < size() < 21_000
        for name in "bc":
            source.answers[name] = (1,), bytes(1000)
            await cache.fresh(name)
        assert 2000 < size() < 4000
        source.answers.clear()
        for name in "bc":
            await cache.fresh(name)
        assert size() == 0
    finally:
        for metric in (metrics.cache_size, metrics.cache_hits, metrics.cache_misses):
            metric.values.pop(("test",), None)
