"""Look-ups: what one finds, in one snapshot, never from a memory that has gone stale."""

from __future__ import annotations

import asyncio

import pytest

from buckets import control
from core.errors import InvalidArgument
from core.names import new_id
from objects import wire
from objects.found import DATA, HEAD, NONE, Question
from tests.support.namespace import Namespace


async def test_many_questions_are_one_statement(space: Namespace) -> None:
    for number in range(20):
        await space.put(f"k{number}", bytes([number]))
    before = space.store.lookups._asked.batches

    found = await asyncio.gather(*(space.look(f"k{number}") for number in range(20)))

    assert [one.version.size for one in found if one.version] == [1] * 20
    # The lanes free at once take what has gathered, the rest travels together.
    assert space.store.lookups._asked.batches - before <= 3


async def test_each_question_gets_its_own_answer(space: Namespace, versioned: Namespace) -> None:
    await space.put("a", b"1")
    written = await versioned.put("a", b"22")
    await versioned.put("a", b"333")

    def ask(
        one: Namespace, key: str | None, version: str | None = None, want: int = HEAD
    ) -> Question:
        return Question(one.access_key, one.bucket, key, version, want)

    found = await asyncio.gather(
        *(
            space.store.look(question)
            for question in (
                ask(space, "a"),
                ask(versioned, "a"),
                ask(versioned, "a", written.version_id),
                ask(space, "a", "null"),
                ask(space, "missing"),
                ask(space, "a", want=NONE),
                Question(None, space.bucket, "a", None, HEAD),
                Question("unknown", "unknown", "a", None, HEAD),
                Question(),
            )
        )
    )

    assert [one.version and one.version.size for one in found] == [
        1, 3, 2, 1, None, None, 1, None, None,
    ]  # fmt: skip
    assert [one.caller is not None for one in found] == [True] * 6 + [False] * 3
    assert [one.bucket is not None for one in found] == [True] * 7 + [False] * 2


async def test_those_who_ask_the_same_share_an_answer(
    space: Namespace, versioned: Namespace
) -> None:
    asked = [
        (space.access_key, space.bucket),
        (versioned.access_key, versioned.bucket),
        (None, space.bucket),
        (space.access_key, None),
        (space.access_key, versioned.bucket),
        ("unknown", versioned.bucket),
        (None, None),
    ] * 3

    found = await asyncio.gather(*(space.store.look(Question(*names)) for names in asked))

    assert [
        (one.caller and one.caller.key_id, one.bucket and one.bucket.name) for one in found
    ] == [(None if name == "unknown" else name, bucket) for name, bucket in asked]


async def test_a_question_is_answered_alike_alone_and_in_company(versioned: Namespace) -> None:
    """What others in the batch want decides which statement answers all of them."""
    written = await versioned.put("a", b"22")
    await versioned.put("a", b"333")
    lookups = versioned.store.lookups

    def ask(key: str | None, version: str | None = None, want: int = DATA) -> Question:
        return Question(versioned.access_key, versioned.bucket, key, version, want)

    alone = [
        ask("a"), ask("missing"), ask("a", want=NONE), ask(None, want=NONE), Question(),
    ]  # fmt: skip
    answers = [(await lookups._send([one]))[0] for one in alone]
    current = await lookups._send(alone)
    together = await lookups._send([*alone, ask("a", written.version_id)])

    assert current == together[:-1]
    assert [row[10] for row in together] == [3, None, None, None, None, 2]
    assert [one[: len(row)] for row, one in zip(answers, together[:-1], strict=True)] == [*answers]
    assert [len(row) for row in answers] == [22, 22, 6, 6, 6]


async def test_the_caller_is_complete(space: Namespace) -> None:
    caller = (await space.look(want=NONE)).caller

    assert caller is not None
    assert caller.key_id == space.access_key
    assert caller.is_root
    assert caller.secret
    assert len(caller.account_id) == 12


async def test_what_is_remembered_is_used_again(space: Namespace) -> None:
    one, other = await space.look(want=NONE), await space.look(want=NONE)

    assert one.caller is other.caller
    assert one.bucket is other.bucket
    assert one.decision is other.decision


async def test_a_changed_bucket_is_seen_by_the_next_request(space: Namespace) -> None:
    found = await space.look(want=NONE)
    assert found.bucket is not None

    await space.store.control(control.put_document, found.bucket.id, "tagging", "<x/>")

    fresh = (await space.look(want=NONE)).bucket
    assert fresh is not None
    assert fresh.documents == {"tagging": "<x/>"}


async def test_a_bucket_that_changes_often_is_remembered_once(space: Namespace) -> None:
    found = await space.look(want=NONE)
    assert found.bucket is not None
    remembered = len(space.store.lookups._standings)

    for number in range(3):
        document = (found.bucket.id, "tagging", f"<x>{number}</x>")
        await space.store.control(control.put_document, *document)
        await space.look(want=NONE)

    assert len(space.store.lookups._standings) == remembered


async def test_a_disabled_key_is_seen_by_the_next_request(space: Namespace) -> None:
    await space.look(want=NONE)

    await space.sql("UPDATE access_key SET enabled = false WHERE id = %s", space.access_key)

    caller = (await space.look(want=NONE)).caller
    assert caller is not None
    assert not caller.enabled


async def test_a_suspended_tenant_is_seen_by_the_next_request(space: Namespace) -> None:
    caller = (await space.look(want=NONE)).caller
    assert caller is not None

    await space.sql("UPDATE tenant SET suspended = true WHERE id = %s", caller.tenant_id)

    fresh = (await space.look(want=NONE)).caller
    assert fresh is not None
    assert fresh.suspended


async def test_a_deleted_key_is_gone_at_once(space: Namespace) -> None:
    await space.look(want=NONE)

    await space.sql("DELETE FROM access_key WHERE id = %s", space.access_key)

    assert (await space.look(want=NONE)).caller is None


async def test_absence_is_not_remembered(space: Namespace) -> None:
    question = Question(space.access_key, space.bucket, "late", None, DATA)
    assert (await space.store.look(question)).version is None

    await space.put("late", b"x")

    assert (await space.store.look(question)).version is not None


@pytest.mark.parametrize(
    ("access_key", "bucket", "key"), [("a\0", "b", "c"), ("a", "b\0", "c"), ("a", "b", "c\0")]
)
async def test_names_the_database_cannot_hold_are_of_nothing(
    space: Namespace, access_key: str, bucket: str, key: str
) -> None:
    found = await space.store.look(Question(access_key, bucket, key, None, HEAD))

    assert (found.caller, found.bucket, found.version) == (None, None, None)


@pytest.mark.parametrize("text", ["", "nonsense", "A" * 32, "0" * 31])
def test_a_malformed_version_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        Question("a", "b", "c", text, HEAD)


def test_version_ids_are_shown_as_they_are_read() -> None:
    version = new_id()

    assert wire.version_id(wire.shown(version, is_null=False)) == version
    assert wire.version_id(wire.shown(version, is_null=True)) == wire.NULL_ID
