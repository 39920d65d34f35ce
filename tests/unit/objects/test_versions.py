"""Versions, markers, the null version and suspension, beside a dictionary that is obviously
right."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from core.errors import NoSuchKey, PreconditionFailed, StoreError
from objects import listing
from objects.draft import Conditions
from objects.found import NONE
from tests.support.namespace import Namespace, Stories

KEYS = ("a", "a/", "b")
ABSENT = "0" * 31 + "1"


@dataclass
class Model:
    """S3's rules: per key its versions, newest first, as (id, content); content None is a
    marker."""

    versioning: str = ""
    keys: dict[str, list[tuple[str, bytes | None]]] = field(default_factory=dict)

    def current(self, key: str) -> bytes | None:
        versions = self.keys.get(key, [])
        return versions[0][1] if versions else None

    def add(self, key: str, version_id: str, content: bytes | None) -> None:
        kept = self.keys.get(key, [])
        if version_id == "null":
            kept = [version for version in kept if version[0] != "null"]
        self.keys[key] = [(version_id, content), *kept]

    def remove(self, key: str, version_id: str) -> None:
        kept = [version for version in self.keys.get(key, []) if version[0] != version_id]
        self.keys[key] = kept

    def listed(self) -> list[tuple[str, str, bool, bool, int]]:
        return [
            (key, version_id, place == 0, content is None, len(content or b""))
            for key in sorted(self.keys)
            for place, (version_id, content) in enumerate(self.keys[key])
        ]

    def usage(self) -> tuple[int, int, int]:
        versions = [version for kept in self.keys.values() for version in kept]
        return (
            sum(len(content or b"") for _, content in versions),
            sum(1 for key in self.keys if self.current(key) is not None),
            len(versions),
        )


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(KEYS), st.integers(0, 30)),
        st.tuples(st.just("put"), st.sampled_from(KEYS), st.integers(0, 30)),
        st.tuples(st.just("delete"), st.sampled_from(KEYS), st.just(0)),
        st.tuples(st.just("delete_version"), st.sampled_from(KEYS), st.integers(0, 4)),
        st.tuples(st.just("put_if_absent"), st.sampled_from(KEYS), st.integers(0, 30)),
        st.tuples(st.just("put_if_match"), st.sampled_from(KEYS), st.integers(0, 1)),
        st.tuples(st.just("versioning"), st.just(""), st.integers(0, 1)),
    ),
    max_size=25,
)


async def step(space: Namespace, model: Model, action: str, key: str, number: int) -> None:
    """Do one thing to both."""
    content = bytes([number]) * number
    match action:
        case "put":
            written = await space.put(key, content)
            model.add(key, expected_id(model, written.version_id), content)
        case "delete":
            deleted = await space.delete(key)
            if model.versioning:
                assert deleted.is_marker
                model.add(key, expected_id(model, deleted.version_id), None)
            else:
                assert not deleted.is_marker
                model.remove(key, "null")
        case "delete_version":
            versions = model.keys.get(key, [])
            version_id = versions[number][0] if number < len(versions) else ABSENT
            deleted = await space.delete(key, version_id)
            assert deleted.version_id == version_id
            assert deleted.is_marker == ((version_id, None) in versions)
            model.remove(key, version_id)
        case "put_if_absent":
            conditions = Conditions(if_none_match="*")
            if model.current(key) is not None:
                await refused(space, key, conditions, PreconditionFailed)
            else:
                written = await space.put(key, content, conditions)
                model.add(key, expected_id(model, written.version_id), content)
        case "put_if_match":
            current = model.current(key)
            etag = hashlib.md5(current or b"").hexdigest() if number else "other"
            conditions = Conditions(if_match=f'"{etag}"')
            if current is None:
                await refused(space, key, conditions, NoSuchKey)
            elif not number:
                await refused(space, key, conditions, PreconditionFailed)
            else:
                written = await space.put(key, b"matched", conditions)
                model.add(key, expected_id(model, written.version_id), b"matched")
        case "versioning":
            model.versioning = "Enabled" if number else "Suspended"
            await space.set_versioning(model.versioning)


async def refused(
    space: Namespace, key: str, conditions: Conditions, error: type[StoreError]
) -> None:
    with pytest.raises(error):
        await space.put(key, b"never", conditions)


def expected_id(model: Model, version_id: str | None) -> str:
    assert version_id is not None
    assert (version_id == "null") == (model.versioning != "Enabled")
    return version_id


async def listed(space: Namespace) -> list[tuple[str, str, bool, bool, int]]:
    found = await space.look(want=NONE)
    assert found.bucket is not None
    page = await listing.list_versions(space.store, found.bucket, "", None, "", None, 1000)
    return [(*row[:4], row[6]) for row in page.entries]


async def usage(space: Namespace) -> tuple[int, int, int]:
    rows = await space.sql(
        "SELECT coalesce(sum(d.bytes), 0), coalesce(sum(d.objects), 0),"
        " coalesce(sum(d.versions), 0) FROM usage_delta d JOIN bucket b ON b.id = d.bucket_id"
        " WHERE b.name = %s",
        space.bucket,
    )
    return tuple(map(int, rows[0]))  # type: ignore[return-value]


async def compare(space: Namespace, model: Model) -> None:
    assert await listed(space) == model.listed()
    for key in KEYS:
        assert await space.get(key) == model.current(key)
    for key, version_id, _, is_marker, _ in model.listed():
        content = await space.get(key, version_id)
        assert content == dict(model.keys[key])[version_id], (key, version_id, is_marker)
    assert await usage(space) == model.usage()
    extents = await space.sql(
        "SELECT count(*) FROM extent e JOIN version v ON v.id = e.version_id"
        " JOIN bucket b ON b.id = v.bucket_id WHERE b.name = %s",
        space.bucket,
    )
    assert extents[0][0] == sum(1 for row in model.listed() if row[4])
    orphans = await space.sql(
        "SELECT count(*) FROM extent e WHERE e.version_id IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM version v WHERE v.id = e.version_id)"
    )
    assert orphans[0][0] == 0


@settings(max_examples=40)
@given(steps=STEPS)
def test_versions_follow_the_rules(stories: Stories, steps: list[tuple[str, str, int]]) -> None:
    async def story(space: Namespace) -> None:
        model = Model()
        for action, key, number in steps:
            await step(space, model, action, key, number)
        await compare(space, model)

    stories.tell(story)


async def test_deleting_the_marker_brings_the_object_back(versioned: Namespace) -> None:
    await versioned.put("a", b"kept")
    marker = await versioned.delete("a")

    assert await versioned.get("a") is None
    await versioned.delete("a", marker.version_id)

    assert await versioned.get("a") == b"kept"


async def test_repeated_deletes_stack_markers(versioned: Namespace) -> None:
    await versioned.delete("never")
    await versioned.delete("never")

    assert [row[3] for row in await listed(versioned)] == [True, True]


async def test_an_object_from_before_versioning_keeps_the_null_id(space: Namespace) -> None:
    await space.put("a", b"old")
    await space.set_versioning("Enabled")
    await space.put("a", b"new")

    assert await space.get("a", "null") == b"old"
    assert await space.get("a") == b"new"


async def test_the_null_version_is_not_found_under_the_id_it_has_inside(space: Namespace) -> None:
    await space.put("a", b"x")
    version = (await space.look("a")).version
    assert version is not None

    assert await space.get("a", version.id.hex) is None
    await space.delete("a", version.id.hex)

    assert await space.get("a") == b"x"


async def test_a_version_of_another_key_is_not_found(versioned: Namespace) -> None:
    written = await versioned.put("a", b"x")

    assert await versioned.get("b", written.version_id) is None
    await versioned.delete("b", written.version_id)

    assert await versioned.get("a") == b"x"


async def test_last_modified_never_falls_along_a_key(space: Namespace) -> None:
    await space.put("a", b"x")
    await space.sql("UPDATE version SET last_modified = last_modified + interval '1 hour'")
    before = (await space.look("a")).version
    assert before is not None

    written = await space.put("a", b"y")

    assert written.last_modified == before.last_modified


async def test_a_delete_by_condition_wants_the_current_version(space: Namespace) -> None:
    written = await space.put("a", b"x")

    for wrong in (
        Conditions(if_match="other"),
        Conditions(if_match_size=2),
        Conditions(if_match_last_modified=written.last_modified.replace(year=2001)),
    ):
        with pytest.raises(PreconditionFailed):
            await space.delete("a", conditions=wrong)
    await space.delete(
        "a",
        conditions=Conditions(
            if_match=f'"{written.etag}"',
            if_match_size=1,
            if_match_last_modified=written.last_modified,
        ),
    )

    assert await space.get("a") is None


async def test_a_conditional_delete_of_nothing_is_done(space: Namespace) -> None:
    assert not (await space.delete("a", conditions=Conditions(if_match="x"))).is_marker


async def test_a_marker_passes_only_the_star(versioned: Namespace) -> None:
    await versioned.put("a", b"x")
    await versioned.delete("a")

    with pytest.raises(PreconditionFailed):
        await versioned.delete("a", conditions=Conditions(if_match="x"))
    assert (await versioned.delete("a", conditions=Conditions(if_match="*"))).is_marker


async def test_if_none_match_may_name_an_etag(space: Namespace) -> None:
    written = await space.put("a", b"x")

    with pytest.raises(PreconditionFailed):
        await space.put("a", b"y", Conditions(if_none_match=f'"{written.etag}"'))
    await space.put("a", b"y", Conditions(if_none_match='"other"'))

    assert await space.get("a") == b"y"
