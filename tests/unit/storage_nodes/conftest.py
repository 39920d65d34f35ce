"""A clock that moves only when told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core import clock
from tests.support.clock import FakeClock


@pytest.fixture
def time() -> Iterator[FakeClock]:
    with clock.use(FakeClock()) as fake:
        assert isinstance(fake, FakeClock)
        yield fake
