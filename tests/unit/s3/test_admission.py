"""More requests at once than allowed: the surplus is told to come back, and both are counted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core import metrics
from core.config import Config
from s3.gateway import Gateway
from s3.wire import Call, Reply
from tests.support.asgi import Client, FakeStore, Handled, assert_refused

pytestmark = pytest.mark.usefixtures("moment")


class Holding(Handled):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def __call__(self, call: Call, store: Any) -> Reply:
        self.has_begun.set()
        await self.may_go_on.wait()
        return await super().__call__(call, store)


async def test_what_is_beyond_the_limit_is_refused_and_counted() -> None:
    handled = Holding()
    settings = Config.from_env({"OBJSTORE_S3_INFLIGHT": "1"})
    client = Client(Gateway(settings, FakeStore(), None, handled.find))
    accepted, rejected = metrics.rate_accepted.value(), metrics.rate_rejected.value()

    first = asyncio.create_task(client.signed("GET", "/bucket/a"))
    await asyncio.wait_for(handled.has_begun.wait(), 60)
    refused = await client.signed("GET", "/bucket/b")
    handled.may_go_on.set()
    answered = await first
    again = await client.signed("GET", "/bucket/c")

    assert_refused(refused, 503, "SlowDown")
    assert "retry-after" in refused
    assert (answered.status, again.status) == (200, 200)
    assert metrics.rate_accepted.value() - accepted == 2
    assert metrics.rate_rejected.value() - rejected == 1
