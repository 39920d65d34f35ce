"""Listings beside a sorted list, with any delimiter, paged anyhow."""

from __future__ import annotations

from dataclasses import dataclass

import hypothesis.strategies as st
import pytest
from hypothesis import assume, given, settings

from core.errors import InvalidArgument
from core.names import new_id
from objects import listing
from objects.found import NONE, BucketView
from objects.listing import after_prefix, bounds
from tests.support.namespace import Namespace, Stories

# Few characters, so that prefixes and delimiters meet; the highest code points of each length.
ALPHABET = "a/+0b\x7f߿\ud7ff\U0010ffff"
TEXTS = st.text(ALPHABET, min_size=1, max_size=6)
DELIMITERS = st.sampled_from([None, "/", "a", "/a", "\U0010ffff"])


@dataclass
class Row:
    key: str
    is_marker: bool = False
    noncurrent: int = 0


async def fill(space: Namespace, rows: list[Row]) -> BucketView:
    """Versions straight into their table: what a listing walks."""
    found = await space.look(want=NONE)
    assert found.bucket is not None
    values = []
    rank = 0
    for row in rows:
        for age in range(row.noncurrent + 1):
            rank += 1
            values.append(
                (new_id(), found.bucket.id, row.key, rank, age == 0, row.is_marker and age == 0)
            )
    await space.sql(
        "INSERT INTO version (id, bucket_id, key, rank, is_latest, is_marker, is_null, size, etag,"
        " headers, metadata, tags, storage_class, storage_policy, lock_hold, last_modified)"
        " SELECT i, b, k, r, l, m, false, 0, 'e', '{}', '{}', '{}', 'STANDARD', 'ec-6-3', false,"
        " now() FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::bigint[], %s::bool[],"
        " %s::bool[]) AS t (i, b, k, r, l, m)",
        *(list(column) for column in zip(*values, strict=True)),
    )
    return found.bucket


def rolled(key: str, prefix: str, delimiter: str | None) -> tuple[str, bool]:
    """What stands for a key, and whether that is a common prefix."""
    place = key.find(delimiter, len(prefix)) if delimiter else -1
    return (key, False) if place < 0 else (key[: place + len(delimiter or "")], True)


def expected(keys: list[str], prefix: str, delimiter: str | None) -> list[tuple[str, bool]]:
    wanted = sorted(key for key in keys if key.startswith(prefix))
    return list(dict.fromkeys(rolled(key, prefix, delimiter) for key in wanted))


async def all_pages(
    space: Namespace, bucket: BucketView, prefix: str, delimiter: str | None, size: int
) -> list[tuple[str, bool]]:
    shown: list[tuple[str, bool]] = []
    after = ""
    while True:
        page = await listing.list_objects(space.store, bucket, prefix, delimiter, after, size)
        entries = [(entry[0], False) for entry in page.entries]
        merged = sorted(entries + [(common, True) for common in page.prefixes])
        assert len(merged) <= size
        shown += merged
        if not page.truncated:
            return shown
        assert len(merged) == size
        assert page.next == merged[-1][0]
        after = page.next


@settings(max_examples=40)
@given(
    keys=st.lists(TEXTS, min_size=1, max_size=30, unique=True),
    markers=st.lists(TEXTS, max_size=10, unique=True),
    questions=st.lists(
        st.tuples(st.one_of(st.just(""), TEXTS), DELIMITERS, st.integers(1, 7)),
        min_size=1,
        max_size=6,
    ),
)
def test_pages_show_every_key_and_prefix_once_in_order(
    stories: Stories,
    keys: list[str],
    markers: list[str],
    questions: list[tuple[str, str | None, int]],
) -> None:
    async def story(space: Namespace) -> None:
        hidden = [Row(key, is_marker=True) for key in markers if key not in keys]
        bucket = await fill(space, [Row(key, noncurrent=len(key) % 2) for key in keys] + hidden)
        for prefix, delimiter, size in questions:
            shown = await all_pages(space, bucket, prefix, delimiter, size)
            assert shown == sorted(expected(keys, prefix, delimiter))

    stories.tell(story)


@settings(max_examples=30)
@given(
    keys=st.lists(TEXTS, min_size=1, max_size=15, unique=True),
    prefix=st.one_of(st.just(""), TEXTS),
    delimiter=DELIMITERS,
    size=st.integers(1, 5),
)
def test_pages_of_versions_show_each_once_in_order(
    stories: Stories, keys: list[str], prefix: str, delimiter: str | None, size: int
) -> None:
    async def story(space: Namespace) -> None:
        rows = [Row(key, is_marker=len(key) == 2, noncurrent=len(key) % 3) for key in keys]
        bucket = await fill(space, rows)
        shown: list[tuple[str, bool]] = []
        ids: list[str] = []
        key_marker, version_marker = "", None
        while True:
            page = await listing.list_versions(
                space.store, bucket, prefix, delimiter, key_marker, version_marker, size
            )
            shown += sorted(
                [(entry[0], False) for entry in page.entries]
                + [(common, True) for common in page.prefixes]
            )
            ids += [entry[1] for entry in page.entries]
            if not page.truncated:
                break
            assert page.next is not None
            key_marker, version_marker = page.next
        counted = [
            one
            for row in sorted(rows, key=lambda row: row.key)
            if row.key.startswith(prefix)
            for one in [rolled(row.key, prefix, delimiter)] * (row.noncurrent + 1)
        ]
        assert shown == [
            one for place, one in enumerate(counted) if not one[1] or one not in counted[:place]
        ]
        assert len(set(ids)) == len(ids)

    stories.tell(story)


@given(prefix=st.text(max_size=4), suffix=st.text(max_size=3), other=st.text(max_size=5))
def test_after_prefix_is_the_first_text_behind_all_that_begin_with_it(
    prefix: str, suffix: str, other: str
) -> None:
    bound = after_prefix(prefix)
    if bound is None:
        assert not prefix.strip("\U0010ffff")
        return

    assert prefix + suffix < bound
    assume(not other.startswith(prefix))
    assert (other < bound) == (other < prefix)


def test_after_prefix_steps_over_the_surrogates() -> None:
    assert after_prefix("\ud7ff") == "\ue000"


@pytest.mark.parametrize("prefix", ["\0", "a\0"])
def test_no_key_begins_with_what_no_key_can_hold(prefix: str) -> None:
    assert bounds(prefix, "", None) is None


def test_a_marker_behind_the_prefix_ends_the_listing() -> None:
    assert bounds("a/", "b", "/") is None


async def test_the_marker_need_not_exist(space: Namespace) -> None:
    bucket = await fill(space, [Row("a"), Row("c")])

    page = await listing.list_objects(space.store, bucket, "", None, "b", 10)

    assert [entry[0] for entry in page.entries] == ["c"]


async def test_exactly_a_page_is_not_truncated(space: Namespace) -> None:
    bucket = await fill(space, [Row("a"), Row("b")])

    page = await listing.list_objects(space.store, bucket, "", None, "", 2)

    assert (len(page.entries), page.truncated) == (2, False)


async def test_nothing_was_asked_for(space: Namespace) -> None:
    bucket = await fill(space, [Row("a")])

    page = await listing.list_objects(space.store, bucket, "", None, "", 0)

    assert (page.entries, page.truncated) == ([], False)


async def test_a_key_that_is_the_prefix_is_a_key(space: Namespace) -> None:
    bucket = await fill(space, [Row("asdf/"), Row("asdf/a/b")])

    page = await listing.list_objects(space.store, bucket, "asdf/", "/", "", 10)

    assert ([entry[0] for entry in page.entries], page.prefixes) == (["asdf/"], ["asdf/a/"])


async def test_a_start_inside_a_common_prefix_shows_it(space: Namespace) -> None:
    bucket = await fill(space, [Row("a/1"), Row("a/2"), Row("b")])

    page = await listing.list_objects(space.store, bucket, "", "/", "a/1", 10)

    assert (page.prefixes, [entry[0] for entry in page.entries]) == (["a/"], ["b"])


async def test_versions_go_on_when_the_marker_was_deleted_meanwhile(versioned: Namespace) -> None:
    for content in (b"1", b"2", b"3"):
        await versioned.put("a", content)
    bucket = (await versioned.look(want=NONE)).bucket
    assert bucket is not None
    first = await listing.list_versions(versioned.store, bucket, "", None, "", None, 1)
    assert first.next is not None
    await versioned.delete("a", first.next[1])

    rest = await listing.list_versions(versioned.store, bucket, "", None, *first.next, 10)

    assert len(rest.entries) == 2


async def test_a_malformed_version_marker_is_refused(space: Namespace) -> None:
    bucket = await fill(space, [Row("a")])

    with pytest.raises(InvalidArgument):
        await listing.list_versions(space.store, bucket, "", None, "a", "nonsense", 10)


async def test_a_listing_shows_what_was_just_put(space: Namespace) -> None:
    written = await space.put("a", b"hello", storage_class="GLACIER")
    bucket = (await space.look(want=NONE)).bucket
    assert bucket is not None

    page = await listing.list_objects(space.store, bucket, "", None, "", 10)

    kept = {"algorithm": "CRC64NVME", "type": "FULL_OBJECT", "value": ""}
    moment = f"{written.last_modified:%Y-%m-%d %H:%M:%S}"
    assert page.entries == [("a", moment, written.etag, 5, "GLACIER", kept)]
