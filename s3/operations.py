"""Every operation of S3, one line each: how it is recognised, who may do it, who answers it.

Here: the table, and `match`, which finds the one row a request means.
Not here: authentication (s3.gate), the answers themselves (s3.handlers).

Promise: a request is matched by *all* its subresources, so an unknown or unexpected one can never
fall through to another operation: what S3 does not know is `NotImplemented`, what it knows by
another method is `MethodNotAllowed`. Metrics labels, policy actions and docs/s3-compatibility.md
all derive from this table.
"""

# One line for each operation, however long: the table is read by its columns.
# ruff: noqa: E501

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from core.errors import InvalidArgument, MethodNotAllowed, OperationNotImplemented
from s3.handlers import (
    absent,
    acl,
    attributes,
    bucket,
    bucket_tagging,
    copying,
    cors,
    delete_objects,
    listing,
    multipart,
    object_read,
    object_write,
    parts,
    service,
    tagging,
)
from s3.wire import Handler

Level = Literal["service", "bucket", "object"]
Want = Literal["none", "head", "data"]
Body = Literal["none", "xml", "payload"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """One row: `query` names its subresources, `optional` those it also takes as parameters."""

    name: str
    method: str
    level: Level
    query: tuple[str, ...]
    optional: tuple[str, ...]
    header: str
    action: str
    want: Want
    body: Body
    handler: Handler
    public: bool

    @property
    def implemented(self) -> bool:
        """Say whether the operation does what S3 says, rather than refuse or report absence."""
        return not isinstance(self.handler, absent.StandIn)


def _rows(
    name: str,
    method: str,
    level: Level,
    query: str = "",
    *,
    action: str | None = None,
    handler: Handler = absent.not_implemented,
    want: Want = "none",
    body: Body = "none",
    optional: str = "",
    header: str = "",
    versioned: str = "",
    public: bool = False,
) -> Iterable[Operation]:
    """One row, and beside it the row of the same operation upon a version named by its id."""
    row = Operation(
        name=name,
        method=method,
        level=level,
        query=_names(query),
        optional=_names(optional),
        header=header,
        action=f"s3:{name}" if action is None else action,
        want=want,
        body=body,
        handler=handler,
        public=public,
    )
    yield row
    if versioned:
        yield replace(row, query=(*row.query, "versionId"), action=versioned)


def _names(joined: str) -> tuple[str, ...]:
    return tuple(joined.split("&")) if joined else ()


_row = _rows
_absent = absent.refusing
_empty = absent.answering
_gone = absent.no_content
_GET, _PUT, _DELETE, _POST, _HEAD = "GET", "PUT", "DELETE", "POST", "HEAD"

# fmt: off
_SERVICE: tuple[Iterable[Operation], ...] = (
    _row("ListBuckets", _GET, "service", action="s3:ListAllMyBuckets", handler=service.list_buckets),
    _row("ListDirectoryBuckets", _GET, "service", "directory-buckets", action="s3express:ListAllMyDirectoryBuckets"),
    _row("Preflight", "OPTIONS", "service", action="", handler=cors.preflight, public=True),
    _row("WriteGetObjectResponse", _POST, "service", "WriteGetObjectResponse", action="s3-object-lambda:WriteGetObjectResponse"),
)

_BUCKET: tuple[Iterable[Operation], ...] = (
    _row("CreateBucket", _PUT, "bucket", handler=bucket.create_bucket, body="xml"),
    _row("HeadBucket", _HEAD, "bucket", action="s3:ListBucket", handler=bucket.head_bucket),
    _row("DeleteBucket", _DELETE, "bucket", handler=bucket.delete_bucket),
    _row("ListObjects", _GET, "bucket", action="s3:ListBucket", handler=listing.list_objects),
    _row("ListObjectsV2", _GET, "bucket", "list-type", action="s3:ListBucket", handler=listing.list_objects_v2),
    _row("ListObjectVersions", _GET, "bucket", "versions", action="s3:ListBucketVersions", handler=listing.list_object_versions),
    _row("ListMultipartUploads", _GET, "bucket", "uploads", action="s3:ListBucketMultipartUploads", handler=multipart.list_multipart_uploads),
    _row("DeleteObjects", _POST, "bucket", "delete", action="", handler=delete_objects.delete_objects, body="xml"),
    _row("PostObject", _POST, "bucket", action="s3:PutObject", body="payload"),
    _row("Preflight", "OPTIONS", "bucket", action="", handler=cors.preflight, public=True),
    _row("GetBucketLocation", _GET, "bucket", "location", handler=bucket.get_bucket_location),
    _row("GetBucketVersioning", _GET, "bucket", "versioning", handler=bucket.get_bucket_versioning),
    _row("PutBucketVersioning", _PUT, "bucket", "versioning", handler=bucket.put_bucket_versioning, body="xml"),
    _row("GetBucketAcl", _GET, "bucket", "acl", handler=acl.get_bucket_acl),
    _row("PutBucketAcl", _PUT, "bucket", "acl", handler=acl.put_bucket_acl, body="xml"),
    _row("GetBucketTagging", _GET, "bucket", "tagging", handler=bucket_tagging.get_bucket_tagging),
    _row("PutBucketTagging", _PUT, "bucket", "tagging", handler=bucket_tagging.put_bucket_tagging, body="xml"),
    _row("DeleteBucketTagging", _DELETE, "bucket", "tagging", action="s3:PutBucketTagging", handler=bucket_tagging.delete_bucket_tagging),
    _row("GetBucketPolicy", _GET, "bucket", "policy", handler=_absent("NoSuchBucketPolicy")),
    _row("PutBucketPolicy", _PUT, "bucket", "policy"),
    _row("DeleteBucketPolicy", _DELETE, "bucket", "policy", handler=_gone),
    _row("GetBucketPolicyStatus", _GET, "bucket", "policyStatus", handler=_empty("PolicyStatus", "<IsPublic>false</IsPublic>")),
    _row("GetBucketCors", _GET, "bucket", "cors", action="s3:GetBucketCORS", handler=_absent("NoSuchCORSConfiguration")),
    _row("PutBucketCors", _PUT, "bucket", "cors", action="s3:PutBucketCORS"),
    _row("DeleteBucketCors", _DELETE, "bucket", "cors", action="s3:PutBucketCORS", handler=_gone),
    _row("GetBucketLifecycleConfiguration", _GET, "bucket", "lifecycle", action="s3:GetLifecycleConfiguration", handler=_absent("NoSuchLifecycleConfiguration")),
    _row("PutBucketLifecycleConfiguration", _PUT, "bucket", "lifecycle", action="s3:PutLifecycleConfiguration"),
    _row("DeleteBucketLifecycle", _DELETE, "bucket", "lifecycle", action="s3:PutLifecycleConfiguration", handler=_gone),
    _row("GetBucketWebsite", _GET, "bucket", "website", handler=_absent("NoSuchWebsiteConfiguration")),
    _row("PutBucketWebsite", _PUT, "bucket", "website"),
    _row("DeleteBucketWebsite", _DELETE, "bucket", "website", handler=_gone),
    _row("GetBucketEncryption", _GET, "bucket", "encryption", action="s3:GetEncryptionConfiguration", handler=_absent("ServerSideEncryptionConfigurationNotFoundError")),
    _row("PutBucketEncryption", _PUT, "bucket", "encryption", action="s3:PutEncryptionConfiguration"),
    _row("DeleteBucketEncryption", _DELETE, "bucket", "encryption", action="s3:PutEncryptionConfiguration", handler=_gone),
    _row("GetObjectLockConfiguration", _GET, "bucket", "object-lock", action="s3:GetBucketObjectLockConfiguration", handler=_absent("ObjectLockConfigurationNotFoundError")),
    _row("PutObjectLockConfiguration", _PUT, "bucket", "object-lock", action="s3:PutBucketObjectLockConfiguration"),
    _row("GetPublicAccessBlock", _GET, "bucket", "publicAccessBlock", action="s3:GetBucketPublicAccessBlock", handler=_absent("NoSuchPublicAccessBlockConfiguration")),
    _row("PutPublicAccessBlock", _PUT, "bucket", "publicAccessBlock", action="s3:PutBucketPublicAccessBlock"),
    _row("DeletePublicAccessBlock", _DELETE, "bucket", "publicAccessBlock", action="s3:PutBucketPublicAccessBlock", handler=_gone),
    _row("GetBucketOwnershipControls", _GET, "bucket", "ownershipControls", handler=bucket.get_bucket_ownership),
    _row("PutBucketOwnershipControls", _PUT, "bucket", "ownershipControls", handler=bucket.put_bucket_ownership, body="xml"),
    _row("DeleteBucketOwnershipControls", _DELETE, "bucket", "ownershipControls", action="s3:PutBucketOwnershipControls", handler=bucket.delete_bucket_ownership),
    _row("GetBucketReplication", _GET, "bucket", "replication", action="s3:GetReplicationConfiguration", handler=_absent("ReplicationConfigurationNotFoundError")),
    _row("PutBucketReplication", _PUT, "bucket", "replication", action="s3:PutReplicationConfiguration"),
    _row("DeleteBucketReplication", _DELETE, "bucket", "replication", action="s3:PutReplicationConfiguration", handler=_gone),
    _row("GetBucketLogging", _GET, "bucket", "logging", handler=_empty("BucketLoggingStatus")),
    _row("PutBucketLogging", _PUT, "bucket", "logging"),
    _row("GetBucketNotificationConfiguration", _GET, "bucket", "notification", action="s3:GetBucketNotification", handler=_empty("NotificationConfiguration")),
    _row("PutBucketNotificationConfiguration", _PUT, "bucket", "notification", action="s3:PutBucketNotification"),
    _row("GetBucketAccelerateConfiguration", _GET, "bucket", "accelerate", action="s3:GetAccelerateConfiguration", handler=_empty("AccelerateConfiguration")),
    _row("PutBucketAccelerateConfiguration", _PUT, "bucket", "accelerate", action="s3:PutAccelerateConfiguration"),
    _row("GetBucketRequestPayment", _GET, "bucket", "requestPayment", handler=_empty("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>")),
    _row("PutBucketRequestPayment", _PUT, "bucket", "requestPayment"),
    _row("ListBucketAnalyticsConfigurations", _GET, "bucket", "analytics", action="s3:GetAnalyticsConfiguration", handler=_empty("ListBucketAnalyticsConfigurationsResult", "<IsTruncated>false</IsTruncated>")),
    _row("GetBucketAnalyticsConfiguration", _GET, "bucket", "analytics&id", action="s3:GetAnalyticsConfiguration", handler=_absent("NoSuchConfiguration")),
    _row("PutBucketAnalyticsConfiguration", _PUT, "bucket", "analytics&id", action="s3:PutAnalyticsConfiguration"),
    _row("DeleteBucketAnalyticsConfiguration", _DELETE, "bucket", "analytics&id", action="s3:PutAnalyticsConfiguration", handler=_gone),
    _row("ListBucketInventoryConfigurations", _GET, "bucket", "inventory", action="s3:GetInventoryConfiguration", handler=_empty("ListInventoryConfigurationsResult", "<IsTruncated>false</IsTruncated>")),
    _row("GetBucketInventoryConfiguration", _GET, "bucket", "inventory&id", action="s3:GetInventoryConfiguration", handler=_absent("NoSuchConfiguration")),
    _row("PutBucketInventoryConfiguration", _PUT, "bucket", "inventory&id", action="s3:PutInventoryConfiguration"),
    _row("DeleteBucketInventoryConfiguration", _DELETE, "bucket", "inventory&id", action="s3:PutInventoryConfiguration", handler=_gone),
    _row("ListBucketMetricsConfigurations", _GET, "bucket", "metrics", action="s3:GetMetricsConfiguration", handler=_empty("ListMetricsConfigurationsResult", "<IsTruncated>false</IsTruncated>")),
    _row("GetBucketMetricsConfiguration", _GET, "bucket", "metrics&id", action="s3:GetMetricsConfiguration", handler=_absent("NoSuchConfiguration")),
    _row("PutBucketMetricsConfiguration", _PUT, "bucket", "metrics&id", action="s3:PutMetricsConfiguration"),
    _row("DeleteBucketMetricsConfiguration", _DELETE, "bucket", "metrics&id", action="s3:PutMetricsConfiguration", handler=_gone),
    _row("ListBucketIntelligentTieringConfigurations", _GET, "bucket", "intelligent-tiering", action="s3:GetIntelligentTieringConfiguration", handler=_empty("ListBucketIntelligentTieringConfigurationsOutput", "<IsTruncated>false</IsTruncated>")),
    _row("GetBucketIntelligentTieringConfiguration", _GET, "bucket", "intelligent-tiering&id", action="s3:GetIntelligentTieringConfiguration", handler=_absent("NoSuchConfiguration")),
    _row("PutBucketIntelligentTieringConfiguration", _PUT, "bucket", "intelligent-tiering&id", action="s3:PutIntelligentTieringConfiguration"),
    _row("DeleteBucketIntelligentTieringConfiguration", _DELETE, "bucket", "intelligent-tiering&id", action="s3:PutIntelligentTieringConfiguration", handler=_gone),
    _row("GetBucketAbac", _GET, "bucket", "abac"),
    _row("PutBucketAbac", _PUT, "bucket", "abac"),
    _row("CreateSession", _GET, "bucket", "session", action="s3express:CreateSession"),
    _row("CreateBucketMetadataConfiguration", _POST, "bucket", "metadataConfiguration", action="s3:CreateBucketMetadataTableConfiguration"),
    _row("GetBucketMetadataConfiguration", _GET, "bucket", "metadataConfiguration", action="s3:GetBucketMetadataTableConfiguration"),
    _row("DeleteBucketMetadataConfiguration", _DELETE, "bucket", "metadataConfiguration", action="s3:DeleteBucketMetadataTableConfiguration"),
    _row("CreateBucketMetadataTableConfiguration", _POST, "bucket", "metadataTable"),
    _row("GetBucketMetadataTableConfiguration", _GET, "bucket", "metadataTable"),
    _row("DeleteBucketMetadataTableConfiguration", _DELETE, "bucket", "metadataTable"),
    _row("UpdateBucketMetadataAnnotationTableConfiguration", _PUT, "bucket", "metadataAnnotationTable"),
    _row("UpdateBucketMetadataInventoryTableConfiguration", _PUT, "bucket", "metadataInventoryTable"),
    _row("UpdateBucketMetadataJournalTableConfiguration", _PUT, "bucket", "metadataJournalTable"),
)

_OBJECT: tuple[Iterable[Operation], ...] = (
    _row("GetObject", _GET, "object", handler=object_read.get_object, want="data", versioned="s3:GetObjectVersion", optional="partNumber"),
    _row("HeadObject", _HEAD, "object", action="s3:GetObject", handler=object_read.head_object, want="head", versioned="s3:GetObjectVersion", optional="partNumber"),
    _row("PutObject", _PUT, "object", handler=object_write.put_object, body="payload"),
    _row("CopyObject", _PUT, "object", action="s3:PutObject", handler=copying.copy_object, header="x-amz-copy-source"),
    _row("DeleteObject", _DELETE, "object", handler=object_write.delete_object, versioned="s3:DeleteObjectVersion"),
    _row("Preflight", "OPTIONS", "object", action="", handler=cors.preflight, public=True),
    _row("GetObjectAttributes", _GET, "object", "attributes", handler=attributes.get_object_attributes, want="head", versioned="s3:GetObjectVersionAttributes"),
    _row("GetObjectTagging", _GET, "object", "tagging", handler=tagging.get_object_tagging, want="head", versioned="s3:GetObjectVersionTagging"),
    _row("PutObjectTagging", _PUT, "object", "tagging", handler=tagging.put_object_tagging, want="head", body="xml", versioned="s3:PutObjectVersionTagging"),
    _row("DeleteObjectTagging", _DELETE, "object", "tagging", handler=tagging.delete_object_tagging, want="head", versioned="s3:DeleteObjectVersionTagging"),
    _row("GetObjectAcl", _GET, "object", "acl", handler=acl.get_object_acl, want="head", versioned="s3:GetObjectVersionAcl"),
    _row("PutObjectAcl", _PUT, "object", "acl", handler=acl.put_object_acl, want="head", body="xml", versioned="s3:PutObjectVersionAcl"),
    _row("CreateMultipartUpload", _POST, "object", "uploads", action="s3:PutObject", handler=multipart.create_multipart_upload),
    _row("UploadPart", _PUT, "object", "partNumber&uploadId", action="s3:PutObject", handler=parts.upload_part, body="payload"),
    _row("UploadPartCopy", _PUT, "object", "partNumber&uploadId", action="s3:PutObject", handler=copying.upload_part_copy, header="x-amz-copy-source"),
    _row("CompleteMultipartUpload", _POST, "object", "uploadId", action="s3:PutObject", handler=multipart.complete_multipart_upload, body="xml"),
    _row("AbortMultipartUpload", _DELETE, "object", "uploadId", handler=multipart.abort_multipart_upload),
    _row("ListParts", _GET, "object", "uploadId", action="s3:ListMultipartUploadParts", handler=parts.list_parts),
    _row("GetObjectRetention", _GET, "object", "retention", handler=absent.without_object_lock, versioned="s3:GetObjectRetention"),
    _row("PutObjectRetention", _PUT, "object", "retention", handler=absent.without_object_lock, versioned="s3:PutObjectRetention"),
    _row("GetObjectLegalHold", _GET, "object", "legal-hold", handler=absent.without_object_lock, versioned="s3:GetObjectLegalHold"),
    _row("PutObjectLegalHold", _PUT, "object", "legal-hold", handler=absent.without_object_lock, versioned="s3:PutObjectLegalHold"),
    _row("GetObjectTorrent", _GET, "object", "torrent", handler=absent.torrent, versioned="s3:GetObjectVersionTorrent"),
    _row("RestoreObject", _POST, "object", "restore", versioned="s3:RestoreObject"),
    _row("SelectObjectContent", _POST, "object", "select&select-type", action="s3:GetObject"),
    _row("RenameObject", _PUT, "object", "renameObject", action="s3express:CreateSession"),
    _row("UpdateObjectEncryption", _PUT, "object", "encryption", versioned="s3:UpdateObjectEncryption"),
    _row("ListObjectAnnotations", _GET, "object", "annotation", versioned="s3:ListObjectAnnotations"),
    _row("GetObjectAnnotation", _GET, "object", "annotation&annotationName", versioned="s3:GetObjectAnnotation"),
    _row("PutObjectAnnotation", _PUT, "object", "annotation&annotationName", versioned="s3:PutObjectAnnotation"),
    _row("DeleteObjectAnnotation", _DELETE, "object", "annotation&annotationName", versioned="s3:DeleteObjectAnnotation"),
)
# fmt: on

TABLE: tuple[Operation, ...] = tuple(
    row for rows in (*_SERVICE, *_BUCKET, *_OBJECT) for row in rows
)

# Query names that only parametrise an operation and never choose one.
PARAMETERS = frozenset(
    (
        "prefix", "delimiter", "marker", "max-keys", "encoding-type", "continuation-token",
        "start-after", "fetch-owner", "key-marker", "version-id-marker", "upload-id-marker",
        "max-uploads", "max-parts", "part-number-marker", "max-buckets", "bucket-region",
        "max-directory-buckets", "response-content-type", "response-content-language",
        "response-expires", "response-cache-control", "response-content-disposition",
        "response-content-encoding", "annotationName",
        "AWSAccessKeyId", "Signature", "Expires",
    )
)  # fmt: skip

_Choices = dict[tuple[str, str, frozenset[str]], dict[str, Operation]]


def _index(table: Iterable[Operation]) -> _Choices:
    """Key every row by method, level and each set of names that chooses it."""
    choices: _Choices = {}
    for row in table:
        for extra in _subsets(row.optional):
            by_header = choices.setdefault(
                (row.method, row.level, frozenset(row.query + extra)), {}
            )
            assert row.header not in by_header, row
            by_header[row.header] = row
    return choices


def _subsets(names: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    for size in range(len(names) + 1):
        yield from combinations(names, size)


_CHOICES = _index(TABLE)
_SELECTORS = frozenset(name for row in TABLE for name in (*row.query, *row.optional))
_NO_NAMES: frozenset[str] = frozenset()
# The plain requests, found by one look-up and without building a set.
_PLAIN = {key[:2]: found for key, found in _CHOICES.items() if not key[2]}
_BY_HEADER = "x-amz-copy-source"
assert all(row.header in ("", _BY_HEADER) for row in TABLE)


def match(
    method: str, level: Level, query: Mapping[str, str], headers: Container[str]
) -> Operation:
    """Find the operation a request means; `headers` holds lower-case names."""
    names = _selecting(query) if query else _NO_NAMES
    found = _CHOICES.get((method, level, names)) if names else _PLAIN.get((method, level))
    if found is None:
        raise _unmatched(method, level, names)
    if len(found) > 1 and _BY_HEADER in headers:
        return found[_BY_HEADER]
    return found[""]


def _selecting(query: Mapping[str, str]) -> frozenset[str]:
    names = []
    for name, value in query.items():
        if name in _SELECTORS:
            names.append(name)
        elif name not in PARAMETERS and name[:2] not in ("x-", "X-"):
            raise OperationNotImplemented(
                "A query parameter you provided implies functionality that is not implemented.",
                argument_name=name,
                argument_value=value,
            )
    return frozenset(names)


def _unmatched(method: str, level: Level, names: frozenset[str]) -> Exception:
    if "versionId" in names and (method, level, names - {"versionId"}) in _CHOICES:
        return InvalidArgument(
            "This operation does not accept a version-id.",
            argument_name="versionId",
            argument_value="",
        )
    allowed = sorted({m for m, where, chosen in _CHOICES if where == level and chosen == names})
    if allowed:
        return MethodNotAllowed(
            method=method,
            resource_type=_resource(level, names),
            headers=(("Allow", ", ".join(allowed)),),
        )
    if len(names) > 1:
        return InvalidArgument(
            f"Conflicting query string parameters: {', '.join(sorted(names))}",
            argument_name="ResourceType",
            argument_value=sorted(names)[0],
        )
    return OperationNotImplemented(resource_type=_resource(level, names))


def _resource(level: Level, names: frozenset[str]) -> str:
    shown = "-".join(sorted(names)).upper()
    return shown or {"service": "SERVICE", "bucket": "BUCKET", "object": "OBJECT"}[level]
