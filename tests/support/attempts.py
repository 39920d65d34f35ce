"""Every operation of the store: the right it demands, and a request for it upon a target.

The rights are written down here once more, as AWS documents them: the operations table is not to be
its own judge. A new operation has to be added before its tests pass.
"""

# The tables below are read by their columns.
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from core.checksums import digest, encode
from s3.operations import Operation
from tests.support import raw_asgi
from tests.support.house import House, Target
from tests.support.raw_asgi import Request

# The right to an operation, and to the same upon a version named by its id.
RIGHTS: dict[str, tuple[str, ...]] = {
    "ListBuckets": ("s3:ListAllMyBuckets",),
    "ListDirectoryBuckets": ("s3express:ListAllMyDirectoryBuckets",),
    "WriteGetObjectResponse": ("s3-object-lambda:WriteGetObjectResponse",),
    "CreateBucket": ("s3:CreateBucket",),
    "HeadBucket": ("s3:ListBucket",),
    "DeleteBucket": ("s3:DeleteBucket",),
    "ListObjects": ("s3:ListBucket",),
    "ListObjectsV2": ("s3:ListBucket",),
    "ListObjectVersions": ("s3:ListBucketVersions",),
    "ListMultipartUploads": ("s3:ListBucketMultipartUploads",),
    "DeleteObjects": ("s3:DeleteObject",),
    "PostObject": ("s3:PutObject",),
    "GetBucketLocation": ("s3:GetBucketLocation",),
    "GetBucketVersioning": ("s3:GetBucketVersioning",),
    "PutBucketVersioning": ("s3:PutBucketVersioning",),
    "GetBucketAcl": ("s3:GetBucketAcl",),
    "PutBucketAcl": ("s3:PutBucketAcl",),
    "GetBucketTagging": ("s3:GetBucketTagging",),
    "PutBucketTagging": ("s3:PutBucketTagging",),
    "DeleteBucketTagging": ("s3:PutBucketTagging",),
    "GetBucketPolicy": ("s3:GetBucketPolicy",),
    "PutBucketPolicy": ("s3:PutBucketPolicy",),
    "DeleteBucketPolicy": ("s3:DeleteBucketPolicy",),
    "GetBucketPolicyStatus": ("s3:GetBucketPolicyStatus",),
    "GetBucketCors": ("s3:GetBucketCORS",),
    "PutBucketCors": ("s3:PutBucketCORS",),
    "DeleteBucketCors": ("s3:PutBucketCORS",),
    "GetBucketLifecycleConfiguration": ("s3:GetLifecycleConfiguration",),
    "PutBucketLifecycleConfiguration": ("s3:PutLifecycleConfiguration",),
    "DeleteBucketLifecycle": ("s3:PutLifecycleConfiguration",),
    "GetBucketWebsite": ("s3:GetBucketWebsite",),
    "PutBucketWebsite": ("s3:PutBucketWebsite",),
    "DeleteBucketWebsite": ("s3:DeleteBucketWebsite",),
    "GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "PutBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "DeleteBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "GetObjectLockConfiguration": ("s3:GetBucketObjectLockConfiguration",),
    "PutObjectLockConfiguration": ("s3:PutBucketObjectLockConfiguration",),
    "GetPublicAccessBlock": ("s3:GetBucketPublicAccessBlock",),
    "PutPublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "DeletePublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "GetBucketOwnershipControls": ("s3:GetBucketOwnershipControls",),
    "PutBucketOwnershipControls": ("s3:PutBucketOwnershipControls",),
    "DeleteBucketOwnershipControls": ("s3:PutBucketOwnershipControls",),
    "GetBucketReplication": ("s3:GetReplicationConfiguration",),
    "PutBucketReplication": ("s3:PutReplicationConfiguration",),
    "DeleteBucketReplication": ("s3:PutReplicationConfiguration",),
    "GetBucketLogging": ("s3:GetBucketLogging",),
    "PutBucketLogging": ("s3:PutBucketLogging",),
    "GetBucketNotificationConfiguration": ("s3:GetBucketNotification",),
    "PutBucketNotificationConfiguration": ("s3:PutBucketNotification",),
    "GetBucketAccelerateConfiguration": ("s3:GetAccelerateConfiguration",),
    "PutBucketAccelerateConfiguration": ("s3:PutAccelerateConfiguration",),
    "GetBucketRequestPayment": ("s3:GetBucketRequestPayment",),
    "PutBucketRequestPayment": ("s3:PutBucketRequestPayment",),
    "ListBucketAnalyticsConfigurations": ("s3:GetAnalyticsConfiguration",),
    "GetBucketAnalyticsConfiguration": ("s3:GetAnalyticsConfiguration",),
    "PutBucketAnalyticsConfiguration": ("s3:PutAnalyticsConfiguration",),
    "DeleteBucketAnalyticsConfiguration": ("s3:PutAnalyticsConfiguration",),
    "ListBucketInventoryConfigurations": ("s3:GetInventoryConfiguration",),
    "GetBucketInventoryConfiguration": ("s3:GetInventoryConfiguration",),
    "PutBucketInventoryConfiguration": ("s3:PutInventoryConfiguration",),
    "DeleteBucketInventoryConfiguration": ("s3:PutInventoryConfiguration",),
    "ListBucketMetricsConfigurations": ("s3:GetMetricsConfiguration",),
    "GetBucketMetricsConfiguration": ("s3:GetMetricsConfiguration",),
    "PutBucketMetricsConfiguration": ("s3:PutMetricsConfiguration",),
    "DeleteBucketMetricsConfiguration": ("s3:PutMetricsConfiguration",),
    "ListBucketIntelligentTieringConfigurations": ("s3:GetIntelligentTieringConfiguration",),
    "GetBucketIntelligentTieringConfiguration": ("s3:GetIntelligentTieringConfiguration",),
    "PutBucketIntelligentTieringConfiguration": ("s3:PutIntelligentTieringConfiguration",),
    "DeleteBucketIntelligentTieringConfiguration": ("s3:PutIntelligentTieringConfiguration",),
    "GetBucketAbac": ("s3:GetBucketAbac",),
    "PutBucketAbac": ("s3:PutBucketAbac",),
    "CreateSession": ("s3express:CreateSession",),
    "CreateBucketMetadataConfiguration": ("s3:CreateBucketMetadataTableConfiguration",),
    "GetBucketMetadataConfiguration": ("s3:GetBucketMetadataTableConfiguration",),
    "DeleteBucketMetadataConfiguration": ("s3:DeleteBucketMetadataTableConfiguration",),
    "CreateBucketMetadataTableConfiguration": ("s3:CreateBucketMetadataTableConfiguration",),
    "GetBucketMetadataTableConfiguration": ("s3:GetBucketMetadataTableConfiguration",),
    "DeleteBucketMetadataTableConfiguration": ("s3:DeleteBucketMetadataTableConfiguration",),
    "UpdateBucketMetadataAnnotationTableConfiguration": (
        "s3:UpdateBucketMetadataAnnotationTableConfiguration",
    ),
    "UpdateBucketMetadataInventoryTableConfiguration": (
        "s3:UpdateBucketMetadataInventoryTableConfiguration",
    ),
    "UpdateBucketMetadataJournalTableConfiguration": (
        "s3:UpdateBucketMetadataJournalTableConfiguration",
    ),
    "GetObject": ("s3:GetObject", "s3:GetObjectVersion"),
    "HeadObject": ("s3:GetObject", "s3:GetObjectVersion"),
    "PutObject": ("s3:PutObject",),
    "CopyObject": ("s3:PutObject",),
    "DeleteObject": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    "GetObjectAttributes": ("s3:GetObjectAttributes", "s3:GetObjectVersionAttributes"),
    "GetObjectTagging": ("s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
    "PutObjectTagging": ("s3:PutObjectTagging", "s3:PutObjectVersionTagging"),
    "DeleteObjectTagging": ("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"),
    "GetObjectAcl": ("s3:GetObjectAcl", "s3:GetObjectVersionAcl"),
    "PutObjectAcl": ("s3:PutObjectAcl", "s3:PutObjectVersionAcl"),
    "CreateMultipartUpload": ("s3:PutObject",),
    "UploadPart": ("s3:PutObject",),
    "UploadPartCopy": ("s3:PutObject",),
    "CompleteMultipartUpload": ("s3:PutObject",),
    "AbortMultipartUpload": ("s3:AbortMultipartUpload",),
    "ListParts": ("s3:ListMultipartUploadParts",),
    "GetObjectRetention": ("s3:GetObjectRetention", "s3:GetObjectRetention"),
    "PutObjectRetention": ("s3:PutObjectRetention", "s3:PutObjectRetention"),
    "GetObjectLegalHold": ("s3:GetObjectLegalHold", "s3:GetObjectLegalHold"),
    "PutObjectLegalHold": ("s3:PutObjectLegalHold", "s3:PutObjectLegalHold"),
    "GetObjectTorrent": ("s3:GetObjectTorrent", "s3:GetObjectVersionTorrent"),
    "RestoreObject": ("s3:RestoreObject", "s3:RestoreObject"),
    "SelectObjectContent": ("s3:GetObject",),
    "RenameObject": ("s3express:CreateSession",),
    "UpdateObjectEncryption": ("s3:UpdateObjectEncryption", "s3:UpdateObjectEncryption"),
    "ListObjectAnnotations": ("s3:ListObjectAnnotations", "s3:ListObjectAnnotations"),
    "GetObjectAnnotation": ("s3:GetObjectAnnotation", "s3:GetObjectAnnotation"),
    "PutObjectAnnotation": ("s3:PutObjectAnnotation", "s3:PutObjectAnnotation"),
    "DeleteObjectAnnotation": ("s3:DeleteObjectAnnotation", "s3:DeleteObjectAnnotation"),
}
PUBLIC = {"Preflight"}

BODIES = {
    "PutBucketVersioning": "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
    "PutBucketTagging": "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    "PutObjectTagging": "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    "PutBucketOwnershipControls": "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter"
    "</ObjectOwnership></Rule></OwnershipControls>",
    "DeleteObjects": "<Delete><Object><Key>{key}</Key></Object></Delete>",
    "CompleteMultipartUpload": "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
    "<ETag>{part}</ETag></Part></CompleteMultipartUpload>",
    "PutObject": "another content",
    "UploadPart": "another part",
}  # fmt: skip
HEADERS = {
    "CopyObject": {"x-amz-copy-source": "/{bucket}/{key}", "x-amz-metadata-directive": "REPLACE"},
    "UploadPartCopy": {"x-amz-copy-source": "/{bucket}/{key}"},
    "GetObjectAttributes": {"x-amz-object-attributes": "ETag"},
    "PutBucketAcl": {"x-amz-acl": "private"},
    "PutObjectAcl": {"x-amz-acl": "private"},
}
QUERY = {
    "versionId": "{version}", "uploadId": "{upload}", "partNumber": "2", "list-type": "2",
    "select-type": "2", "id": "a", "annotationName": "a",
}  # fmt: skip

Form = Callable[..., Request]
FORMS: dict[str, Form] = {
    "header": raw_asgi.in_header,
    "presigned": raw_asgi.presigned,
    "chunked": raw_asgi.chunked,
    "trailer": raw_asgi.with_trailer,
    "unsigned trailer": raw_asgi.with_unsigned_trailer,
}


def right_to(row: Operation) -> str:
    rights = RIGHTS[row.name]
    return rights[1] if "versionId" in row.query else rights[0]


class Attempt:
    """One operation upon a target, ready to be signed by anybody in any form."""

    def __init__(self, row: Operation, target: Target, headers: dict[str, str] | None = None):
        names = {name: getattr(target, name) for name in ("bucket", "key", "version", "upload")}
        names["part"] = target.part
        level = {"service": "/", "bucket": "/{bucket}", "object": "/{bucket}/{key}"}[row.level]
        pairs = [f"{n}={quote(QUERY.get(n, '').format(**names))}" for n in row.query]
        self.method = row.method
        self.target = level.format(**names) + ("?" + "&".join(pairs) if pairs else "")
        self.body = BODIES.get(row.name, "").format(**names).encode()
        self.headers = {n: v.format(**names) for n, v in HEADERS.get(row.name, {}).items()}
        if row.name == "DeleteObjects":
            self.headers["x-amz-checksum-sha256"] = encode(digest("SHA256", self.body))
        self.headers |= headers or {}

    def signed(self, form: str, signer, **when) -> Request:  # type: ignore[no-untyped-def]
        return FORMS[form](signer, self.method, self.target, self.body, self._headers(form), **when)

    def _headers(self, form: str) -> dict[str, str]:
        """A trailer's checksum takes the place of one in the head."""
        if "trailer" not in form:
            return self.headers
        return {n: v for n, v in self.headers.items() if not n.startswith("x-amz-checksum-")}

    def by_nobody(self, form: str, house: House) -> Request:
        """What is left of the signed request without who signed it."""
        whole = self.signed(form, house.owner)
        query = b"&".join(p for p in whole.query.split(b"&") if not p.startswith(b"X-Amz-"))
        return replace(whole, query=query).without_header(b"authorization")
