"""One of a thing, and any other number of it."""

import pytest

from core.wording import counted


@pytest.mark.parametrize(
    ("number", "says"), [(0, "0 shards"), (1, "1 shard"), (2, "2 shards"), (21, "21 shards")]
)
def test_only_one_is_singular(number: int, says: str) -> None:
    assert counted(number, "shard") == says
