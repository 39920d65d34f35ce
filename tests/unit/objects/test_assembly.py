"""What a list of parts makes: judged without a store."""

from __future__ import annotations

from uuid import UUID

import pytest

from core import clock
from core.errors import EntityTooLarge
from objects.assembly import MAX_OBJECT_BYTES, assemble
from objects.queries import Part, Upload
from tests.support.uploads import Listed

PART = 5 << 30


def upload() -> Upload:
    return Upload(
        id=UUID(int=1),
        bucket_id=UUID(int=2),
        key="a",
        initiated=clock.now(),
        headers={},
        metadata={},
        tags={},
        acl=None,
        storage_class="STANDARD",
        storage_policy="ec-6-3",
        checksum_algorithm=None,
        checksum_type=None,
        state="open",
        completed=None,
        version_id=None,
    )


def of_parts(count: int, size: int = PART) -> tuple[list[Listed], dict[int, Part]]:
    etag = "0" * 32
    sent = {
        number: Part(UUID(int=number), number, size, etag, {}, clock.now())
        for number in range(1, count + 1)
    }
    return [Listed(number, etag) for number in sent], sent


def test_an_object_has_at_most_five_tebibytes() -> None:
    listed, sent = of_parts(1024)
    assert assemble(upload(), listed, sent, part_min_bytes=0).size == MAX_OBJECT_BYTES == 5 << 40

    listed, sent = of_parts(1025)
    with pytest.raises(EntityTooLarge):
        assemble(upload(), listed, sent, part_min_bytes=0)
