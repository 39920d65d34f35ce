"""Nobody does what he may not: every row of the operations table, every kind of caller, every form
of signature. A new operation is in here by being in the table.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

import pytest
from botocore.client import BaseClient

from core import sigv4
from s3.operations import TABLE, Operation
from tests.s3.accounts import Account
from tests.s3.framing import frames
from tests.s3.raw import Answer, Raw

BODY = b"<Delete><Object><Key>kept</Key></Object></Delete>"
MD5 = base64.b64encode(hashlib.md5(BODY).digest()).decode()
ROWS = [row for row in TABLE if not row.public]
GUARDED = [row for row in ROWS if row.level != "service"]
READS = ("s3:Get*", "s3:List*")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A bucket with a version and an open upload, and the keys that are tried on it."""

    bucket: str
    version_id: str
    upload_id: str
    owner: BaseClient
    stranger: Raw
    reader: Raw
    disabled: Raw

    def path(self, row: Operation) -> str:
        """The path and query of an operation upon this scene."""
        values = {
            "versionId": self.version_id,
            "uploadId": self.upload_id,
            "partNumber": "1",
            "list-type": "2",
            "select-type": "2",
        }
        path = {"service": "/", "bucket": f"/{self.bucket}", "object": f"/{self.bucket}/kept"}
        query = "&".join(f"{name}={values.get(name, '')}" for name in row.query)
        return f"{path[row.level]}?{query}" if query else path[row.level]

    def headers(self, row: Operation) -> dict[str, str]:
        """The headers that make a request this operation and not another."""
        if row.header:
            return {row.header: f"/{self.bucket}/kept"}
        return {"content-md5": MD5} if row.name == "DeleteObjects" else {}

    def is_untouched(self) -> bool:
        """Say whether everything is as it was."""
        listed = self.owner.list_object_versions(Bucket=self.bucket)
        uploads = self.owner.list_multipart_uploads(Bucket=self.bucket)
        return (
            [one["VersionId"] for one in listed["Versions"]] == [self.version_id]
            and "DeleteMarkers" not in listed
            and [one["UploadId"] for one in uploads["Uploads"]] == [self.upload_id]
        )


@pytest.fixture(scope="module")
def scene(
    s3: BaseClient, account: Account, other_account: Account, reader: Account, disabled: Account
) -> Scene:
    bucket = f"scene-{account.account_id}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="kept", Body=b"content")["VersionId"]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="kept")["UploadId"]
    return Scene(
        bucket=bucket,
        version_id=version,
        upload_id=upload,
        owner=s3,
        stranger=other_account.raw(),
        reader=reader.raw(),
        disabled=disabled.raw(),
    )


def body_of(row: Operation) -> bytes:
    """A body the operation can take for one of its own."""
    return b"" if row.body == "none" or row.name == "CreateBucket" else BODY


def by_header(raw: Raw, row: Operation, path: str, headers: Mapping[str, str]) -> Answer:
    return raw(row.method, path, headers=headers, body=body_of(row))


def presigned(raw: Raw, row: Operation, path: str, headers: Mapping[str, str]) -> Answer:
    address = raw.signer.presign(row.method, raw.endpoint + path, expires_s=60, headers=headers)
    return raw.unsigned(
        row.method, address.removeprefix(raw.endpoint), headers=dict(headers), body=body_of(row)
    )


def chunked(raw: Raw, row: Operation, path: str, headers: Mapping[str, str]) -> Answer:
    return framed(raw, row, path, headers, sigv4.STREAMING)


def with_trailer(raw: Raw, row: Operation, path: str, headers: Mapping[str, str]) -> Answer:
    return framed(raw, row, path, headers, sigv4.STREAMING_UNSIGNED_TRAILER)


def framed(raw: Raw, row: Operation, path: str, headers: Mapping[str, str], mode: str) -> Answer:
    body = body_of(row)
    sent = {**headers, "x-amz-decoded-content-length": str(len(body))}
    signed = raw.signer.headers(row.method, raw.endpoint + path, payload_hash=mode, headers=sent)
    chain = raw.signer.chain(signed) if mode == sigv4.STREAMING else None
    return raw.unsigned(
        row.method, path, headers=signed, body=frames(*filter(None, [body]), signed=chain)
    )


Form = Callable[[Raw, Operation, str, Mapping[str, str]], Answer]
PLAIN: tuple[Form, ...] = (by_header, presigned)
WITH_BODY: tuple[Form, ...] = (chunked, with_trailer)
CASES = [
    pytest.param(row, form, id=f"{row.name} {'&'.join(row.query)} {form.__name__}")
    for row in GUARDED
    for form in (PLAIN if row.body == "none" else PLAIN + WITH_BODY)
]


def named(row: Operation) -> str:
    return f"{row.name} {'&'.join(row.query)}"


def is_denied(answer: Answer, row: Operation, code: str) -> bool:
    return answer.status == 403 and (row.method == "HEAD" or answer.code == code)


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_nobody_does_anything_unsigned(scene: Scene, row: Operation) -> None:
    answer = scene.stranger.unsigned(
        row.method,
        scene.path(row),
        headers=scene.headers(row),
        body=body_of(row),
    )

    assert is_denied(answer, row, "AccessDenied")


@pytest.mark.parametrize(("row", "form"), CASES)
def test_another_tenant_does_nothing(scene: Scene, row: Operation, form: Form) -> None:
    answer = form(scene.stranger, row, scene.path(row), scene.headers(row))

    if row.name == "CreateBucket":
        assert (answer.status, answer.code) == (409, "BucketAlreadyExists")
    else:
        assert is_denied(answer, row, "AccessDenied")


@pytest.mark.parametrize(("row", "form"), CASES)
def test_a_disabled_key_does_nothing(scene: Scene, row: Operation, form: Form) -> None:
    answer = form(scene.disabled, row, scene.path(row), scene.headers(row))

    assert is_denied(answer, row, "InvalidAccessKeyId")


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_an_expired_address_does_nothing(scene: Scene, account: Account, row: Operation) -> None:
    raw = account.raw()
    address = raw.signer.presign(
        row.method,
        raw.endpoint + scene.path(row),
        expires_s=60,
        headers=scene.headers(row),
        now=datetime.now(UTC) - timedelta(seconds=90),
    )

    answer = raw.unsigned(
        row.method, address.removeprefix(raw.endpoint), headers=scene.headers(row)
    )

    assert is_denied(answer, row, "AccessDenied")


@pytest.mark.parametrize(("row", "form"), CASES)
def test_a_reader_does_what_reads_and_nothing_else(
    scene: Scene, row: Operation, form: Form
) -> None:
    answer = form(scene.reader, row, scene.path(row), scene.headers(row))

    if row.name == "DeleteObjects":
        # Its keys are judged one by one.
        assert answer.xml.findtext("Error/Code") == "AccessDenied"
    elif any(fnmatchcase(row.action, pattern) for pattern in READS):
        assert answer.status != 403
    else:
        assert is_denied(answer, row, "AccessDenied")


def test_a_wrong_signature_is_refused_for_every_operation(scene: Scene, account: Account) -> None:
    forger = Raw(account.endpoint, account.access_key, "not the secret")

    refused = [
        is_denied(by_header(forger, row, scene.path(row), scene.headers(row)), row,
                  "SignatureDoesNotMatch")
        for row in ROWS
    ]  # fmt: skip

    assert all(refused)


@pytest.fixture(scope="module", autouse=True)
def untouched(scene: Scene) -> Iterator[None]:
    """After all of it, and in whatever order it went, everything is as it was."""
    yield
    assert scene.is_untouched()
    assert scene.owner.get_object(Bucket=scene.bucket, Key="kept")["Body"].read() == b"content"
