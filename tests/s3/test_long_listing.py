"""Pages of a thousand keys, each as long as a key may be and full of what needs to be escaped."""

from __future__ import annotations

from urllib.parse import quote, unquote

import psycopg
import pytest

from benchmarks.client import Pair

FILLING = "é&<>\"'%+ ~\n\u2028/😀="
_FILL = """
INSERT INTO version (id, bucket_id, key, rank, is_latest, is_marker, is_null, size, etag, headers,
    metadata, tags, storage_class, storage_policy, lock_hold, last_modified)
SELECT gen_random_uuid(), b.id, key, -nextval('version_seq'), true, false, true, 0, 'e', '{}', '{}',
    '{}', 'STANDARD', 'ec-6-3', false, now()
FROM bucket b, unnest(%s::text[]) key WHERE b.name = %s
"""


def long_key(number: int) -> str:
    """A key of 1,024 bytes."""
    key = f"{number:05}{FILLING * 60}".encode()[:1024].decode(errors="ignore")
    return key + "x" * (1024 - len(key.encode()))


KEYS = [long_key(number) for number in range(1001)]


@pytest.fixture
def filled(store, bucket: str) -> str:
    """A bucket of such keys, put there by SQL."""
    with psycopg.connect(store.database_url) as connection:
        connection.execute(_FILL, (KEYS, bucket))
    return bucket


def going_on(query: str, page, last: str) -> list[Pair]:
    """What the next page is asked with."""
    if query == "list-type=2":
        return [("continuation-token", page.findtext("NextContinuationToken"))]
    if query == "versions":
        marker = page.findtext("NextKeyMarker")
        return [
            ("key-marker", unquote(marker) if page.findtext("EncodingType") else marker),
            ("version-id-marker", page.findtext("NextVersionIdMarker")),
        ]
    return [("marker", last)]


@pytest.mark.parametrize("encoding", ["", "url"])
@pytest.mark.parametrize("query", ["list-type=2", "versions", "prefix="])
def test_a_thousand_of_the_longest_keys_are_one_page(raw, filled, query: str, encoding) -> None:
    asked = f"/{filled}?{query}" + (f"&encoding-type={encoding}" if encoding else "")
    shown: list[str] = []
    more: list[Pair] = []

    while True:
        page = raw("GET", asked + "".join(f"&{k}={quote(v, safe='')}" for k, v in more)).xml
        found = [one.text for one in page.iterfind("*/Key")]
        assert len(found) in (1000, 1)
        shown += [unquote(key) if encoding else key for key in found]
        if page.findtext("IsTruncated") == "false":
            break
        more = going_on(query, page, shown[-1])

    assert all(len(key.encode()) == 1024 for key in KEYS)
    assert shown == KEYS


def test_the_longest_common_prefixes_are_shown_whole(raw, filled) -> None:
    delimiter = KEYS[7][-30:]
    asked = f"/{filled}?list-type=2&encoding-type=url&delimiter={quote(delimiter, safe='')}"

    page = raw("GET", asked).xml

    assert [unquote(one.text or "") for one in page.iterfind("CommonPrefixes/Prefix")] == sorted(
        {key[: key.index(delimiter) + len(delimiter)] for key in KEYS}
    )[:1000]
