"""Readiness: what keeps a gateway from serving is named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.config import Config
from core.database import Lanes
from s3.health import Readiness

PATIENCE_S = 120.0
NOWHERE = "redis://127.0.0.1:1/0"


class Store:
    def __init__(self, url: str) -> None:
        patient = {"DATABASE_URL": url, "OBJSTORE_DATABASE_CONNECT_TIMEOUT_S": "120"}
        self.lanes = Lanes(Config.from_env(patient).database)


class CountedDrives:
    """A database that only knows how many drives are active."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.lanes: Any = self

    async def fetch(self, *_: object) -> list[tuple[int]]:
        return [(self.number,)]


@pytest.fixture
async def store(module_database: str) -> AsyncIterator[Store]:
    opened = Store(module_database)
    yield opened
    await opened.lanes.close()


async def test_too_few_drives_are_named(store: Store, redis_url: str) -> None:
    readiness = Readiness(store, redis_url, answer_within_s=PATIENCE_S)

    assert await readiness.problems() == ["0 drives active, 3 needed"]
    await readiness.close()


async def test_a_single_drive_is_named_as_one() -> None:
    readiness = Readiness(CountedDrives(1), "")

    assert await readiness.problems() == ["1 drive active, 3 needed"]


async def test_redis_that_does_not_answer_is_named(store: Store) -> None:
    readiness = Readiness(store, NOWHERE, answer_within_s=PATIENCE_S)

    assert "Redis does not answer" in await readiness.problems()
    await readiness.close()


async def test_a_database_that_does_not_answer_is_named(
    module_database: str, redis_url: str
) -> None:
    readiness = Readiness(
        Store(module_database + "_of_nobody"), redis_url, answer_within_s=PATIENCE_S
    )

    assert await readiness.problems() == ["the database does not answer"]
    await readiness.close()
