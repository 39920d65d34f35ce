"""What concurrent clients saw of a few keys could have happened one operation after another, also
when gateways are killed while they work.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import histories
from tests.support.histories import Plan
from tests.support.local_store import SMALL, LocalStore, running_store

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


@pytest.fixture
def store() -> Iterator[LocalStore]:
    # Two gateways at once: what one has committed the other must show.
    with running_store({**SMALL, "OBJSTORE_S3_WORKERS": "2"}) as made:
        yield made


def test_each_key_is_a_register_while_gateways_are_killed(
    store: LocalStore, tmp_path: Path
) -> None:
    assert histories.run_and_judge(store, tmp_path, Plan()) == []
