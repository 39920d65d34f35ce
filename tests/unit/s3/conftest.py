"""A gateway over a store of one tenant, with a stand-in for every handler and a clock that stands
still; and a connection to an application that says what it heard.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

from core import clock
from tests.support.clock import FakeClock
from tests.support.peer import Peer, echo

if TYPE_CHECKING:
    from tests.support.asgi import Client, FakeStore, Handled


@pytest.fixture
def moment() -> Iterator[FakeClock]:
    """The time the gateway's requests are signed at; it goes on only when told."""
    with clock.use(FakeClock(_asgi().NOW)) as fake:
        assert isinstance(fake, FakeClock)
        yield fake


@pytest.fixture
def store() -> FakeStore:
    return _asgi().FakeStore()


@pytest.fixture
def handled() -> Handled:
    return _asgi().Handled()


@pytest.fixture
def client(moment: FakeClock, handled: Handled, store: FakeStore) -> Client:
    return _asgi().make_client(handled, store=store)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = Peer(echo)
    yield made
    made.leave()


def _asgi():  # type: ignore[no-untyped-def]
    """A conftest may be loaded before Django is set up, and models need that."""
    return importlib.import_module("tests.support.asgi")
