"""Objects as a client reads them."""

from __future__ import annotations

from botocore.client import BaseClient


def body_of(s3: BaseClient, bucket: str, key: str = "a", version_id: str | None = None) -> bytes:
    version = {"VersionId": version_id} if version_id else {}
    return s3.get_object(Bucket=bucket, Key=key, **version)["Body"].read()
