"""File systems of a test's own, whose power can be cut and which can hang."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import power
from tests.support.power import FileSystem


@pytest.fixture(params=power.KINDS)
def disk(request: pytest.FixtureRequest) -> Iterator[FileSystem]:
    """One of each kind."""
    power.need(request.param)
    with power.file_system(request.param) as made:
        yield made
