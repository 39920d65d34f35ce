"""Who may not is refused: every operation of the table, by everyone it is not for, in every form.

Here: the matrix of operations x identities x ways to sign, generated from the operations table over
a gateway with PostgreSQL behind it; and that a refusal tells no stranger what there is. Not here:
what those who may do get (the other tests of this directory), the right to each operation
(tests.support.attempts).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from core import clock
from core.names import random_hex
from s3.operations import TABLE, Operation
from tests.support.asgi import Response
from tests.support.attempts import FORMS, PUBLIC, RIGHTS, Attempt, right_to
from tests.support.house import House, Target
from tests.support.raw_asgi import Request

# What the owner is told when the right alone does not suffice.
OWNER_IS_TOLD = {
    "DeleteBucket": {409},
    "GetBucketTagging": {200, 404},
    "GetBucketOwnershipControls": {200, 404},
}
DENIED = (403, "AccessDenied")
# What a stranger may do like anybody: these concern no bucket of anyone, or only a name.
STRANGER_IS_TOLD = {
    "ListBuckets": (200, ""),
    "ListDirectoryBuckets": (501, "NotImplemented"),
    "WriteGetObjectResponse": (501, "NotImplemented"),
    "CreateBucket": (409, "BucketAlreadyExists"),
}
ROWS = [row for row in TABLE if row.name not in PUBLIC]


def case(row: Operation) -> str:
    return "-".join((row.name, *(("version",) if "versionId" in row.query else ())))


@pytest.fixture
def target(house: House) -> Target:
    return house.furnish()


def told(answer: Response) -> tuple[int, str]:
    """Status and error code; a HEAD's code is what its status stands for."""
    code = answer.body.partition(b"<Error><Code>")[2].partition(b"<")[0].decode()
    return answer.status, code


def is_told(method: str, answer: Response, expected: tuple[int, str]) -> bool:
    """Whether the answer is the expected one; to HEAD only its status shows."""
    return told(answer) == (expected if method != "HEAD" else (expected[0], ""))


def test_every_operation_has_a_row_here_and_none_is_left_over() -> None:
    assert {row.name for row in TABLE} == RIGHTS.keys() | PUBLIC


def test_every_row_upon_a_version_has_a_right_of_its_own() -> None:
    versioned = {row.name for row in TABLE if "versionId" in row.query}

    assert versioned == {name for name, rights in RIGHTS.items() if len(rights) == 2}


def identities(
    row: Operation, house: House, attempt: Attempt
) -> Iterator[tuple[str, Request, tuple[int, str]]]:
    """Everyone who may not, in every form, and what each is told."""
    past = {"now": clock.now() - timedelta(days=2)}
    for form in FORMS:
        yield f"nobody, {form}", attempt.by_nobody(form, house), DENIED
        stranger = STRANGER_IS_TOLD.get(row.name, DENIED)
        yield f"stranger, {form}", attempt.signed(form, house.stranger), stranger
        user = DENIED if row.name != "DeleteObjects" else (200, "")
        yield f"user, {form}", attempt.signed(form, house.user), user
        disabled = (403, "InvalidAccessKeyId")
        yield f"disabled, {form}", attempt.signed(form, house.disabled), disabled
        expired = DENIED if form == "presigned" else (403, "RequestTimeTooSkewed")
        yield f"expired, {form}", attempt.signed(form, house.owner, **past), expired


@pytest.mark.parametrize("row", ROWS, ids=case)
def test_who_may_not_is_refused_and_changes_nothing(
    house: House, target: Target, row: Operation
) -> None:
    attempt = Attempt(row, target)
    house.forbid_user(right_to(row))
    cases = list(identities(row, house, attempt))
    before = house.state()

    answers = house.send_all([request for _, request, _ in cases])

    wrong = [
        (who, told(answer), expected)
        for (who, _, expected), answer in zip(cases, answers, strict=True)
        if not is_told(row.method, answer, expected)
    ]
    assert wrong == []
    assert not any(target.bucket.encode() in _content(answer) for answer in answers)
    assert house.state() == before


def _content(answer: Response) -> bytes:
    """What was told beside the error, which repeats what was asked for."""
    return answer.body if answer.status < 300 else b""


@pytest.mark.parametrize("row", ROWS, ids=case)
def test_the_owner_is_not_refused_the_same_requests(
    house: House, target: Target, row: Operation
) -> None:
    attempt = Attempt(row, target)

    answers = house.send_all([attempt.signed(form, house.owner) for form in FORMS])

    if not row.implemented:
        assert [told(answer) for answer in answers if answer.status == 403] == []
    elif row.name != "AbortMultipartUpload":  # there is nothing to abort a second time
        allowed = OWNER_IS_TOLD.get(row.name, {200, 204, 206})
        assert [told(answer) for answer in answers if answer.status not in allowed] == []


def test_who_may_not_delete_is_told_so_for_every_key(house: House, target: Target) -> None:
    [row] = [row for row in TABLE if row.name == "DeleteObjects"]
    house.forbid_user("s3:DeleteObject")

    answer = house.send(Attempt(row, target).signed("header", house.user))

    assert b"<Error><Key>" in answer.body
    assert b"<Code>AccessDenied</Code>" in answer.body
    assert b"<Deleted>" not in answer.body


# --- what a refusal tells

OBJECT_ROWS = [row for row in ROWS if row.level == "object"]
CONDITIONS = ({}, {"if-match": '"0"'}, {"if-none-match": "*"}, {"range": "bytes=100-"})


def nowhere(target: Target) -> Target:
    """Names like the target's, of things that are not."""
    return replace(
        target,
        key=f"key-{random_hex(len(target.key) - 4)}"[: len(target.key)],
        version=random_hex(len(target.version))[: len(target.version)],
        upload=random_hex(len(target.upload))[: len(target.upload)],
    )


def fingerprint(answer: Response, target: Target) -> tuple[object, ...]:
    """All a client sees, but for what names the request and repeats its own words."""
    body = answer.body
    for own in (target.key, target.version, target.upload):
        body = body.replace(own.encode(), b"OWN")
    cut = body.partition(b"<RequestId>")[0]
    kept = [
        (n, v) for n, v in answer.headers if n not in (b"x-amz-request-id", b"x-amz-id-2", b"date")
    ]
    return answer.status, sorted(kept), cut


@pytest.mark.parametrize("row", OBJECT_ROWS, ids=case)
def test_a_refusal_tells_nobody_whether_there_is_something(house: House, row: Operation) -> None:
    there, gone = house.target, nowhere(house.target)
    house.forbid_user(right_to(row))
    seen = []
    for target in (there, gone):
        requests = []
        for condition in CONDITIONS:
            attempt = Attempt(row, target, condition)
            requests.append(attempt.by_nobody("header", house))
            requests += [attempt.signed("header", who) for who in (house.stranger, house.user)]
            requests.append(attempt.signed("presigned", house.stranger))
        seen.append([fingerprint(answer, target) for answer in house.send_all(requests)])

    assert seen[0] == seen[1]


@pytest.mark.parametrize("source", ["there", "gone"])
@pytest.mark.parametrize("name", ["CopyObject", "UploadPartCopy"])
def test_nobody_copies_from_a_bucket_of_others(house: House, name: str, source: str) -> None:
    target = house.furnish() if source == "there" else nowhere(house.target)
    own = f"stranger-{random_hex(8)}"
    house.ask(house.stranger, "PUT", f"/{own}")
    begun = house.ask(house.stranger, "POST", f"/{own}/a?uploads=").body
    upload = begun.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
    query = "" if name == "CopyObject" else f"?partNumber=1&uploadId={upload}"

    for path in (target.key, f"{target.key}?versionId={target.version}"):
        wanted = {"x-amz-copy-source": f"/{target.bucket}/{path}"}
        answer = house.ask(house.stranger, "PUT", f"/{own}/a{query}", b"", wanted)

        assert told(answer) == DENIED


@pytest.mark.parametrize("right", ["s3:GetObject", "s3:GetObjectVersion"])
def test_a_user_copies_only_what_it_may_read(house: House, target: Target, right: str) -> None:
    house.forbid_user(right)
    version = f"?versionId={target.version}" if right.endswith("Version") else ""
    wanted = {"x-amz-copy-source": f"/{target.bucket}/{target.key}{version}"}

    answer = house.ask(house.user, "PUT", f"/{target.bucket}/copied", b"", wanted)

    assert told(answer) == DENIED


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("query", ["", "?versionId={}"])
def test_who_may_not_list_does_not_learn_what_is_missing(
    house: House, method: str, query: str
) -> None:
    house.forbid_user("s3:ListBucket")
    missing = nowhere(house.target)

    answer = house.ask(
        house.user, method, f"/{missing.bucket}/{missing.key}{query.format(missing.version)}"
    )

    assert is_told(method, answer, DENIED)


def test_a_right_taken_away_is_gone_with_the_next_request(house: House, target: Target) -> None:
    path = f"/{target.bucket}/{target.key}"
    house.forbid_user("s3:CreateBucket")
    assert house.ask(house.user, "GET", path).status == 200

    house.forbid_user("s3:GetObject")

    assert told(house.ask(house.user, "GET", path)) == DENIED
