"""Multipart uploads in few words, step by step or all at once."""

from __future__ import annotations

from typing import Any

from botocore.client import BaseClient

PART = 5 << 20


def begin(s3: BaseClient, bucket: str, key: str = "a", **options: Any) -> str:
    """The id of a new upload."""
    return s3.create_multipart_upload(Bucket=bucket, Key=key, **options)["UploadId"]


def send(
    s3: BaseClient, bucket: str, upload: str, number: int, body: bytes, key: str = "a"
) -> dict[str, Any]:
    """A part, as a completion lists it."""
    etag = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)[
        "ETag"
    ]
    return {"PartNumber": number, "ETag": etag}


def complete(
    s3: BaseClient,
    bucket: str,
    upload: str,
    *parts: dict[str, Any],
    key: str = "a",
    **options: Any,
) -> dict[str, Any]:
    return s3.complete_multipart_upload(
        Bucket=bucket,
        Key=key,
        UploadId=upload,
        MultipartUpload={"Parts": list(parts)},
        **options,
    )


def upload_of(s3: BaseClient, bucket: str, *bodies: bytes, **options: Any) -> dict[str, Any]:
    """An object of these parts."""
    upload = begin(s3, bucket, **options)
    parts = [send(s3, bucket, upload, number, body) for number, body in enumerate(bodies, 1)]
    return complete(s3, bucket, upload, *parts)
