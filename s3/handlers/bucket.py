"""Buckets themselves: create, head, delete, location, versioning, ownership of their objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buckets import control
from core.config import config
from core.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    InvalidBucketAclWithObjectOwnership,
    InvalidLocationConstraint,
    InvalidRequest,
    OperationNotImplemented,
    OwnershipControlsNotFoundError,
)
from core.names import check_bucket_name
from objects.store import Store
from s3.bodies import read_document
from s3.controlling import change
from s3.handlers import acl
from s3.ownership import OWNERSHIP
from s3.shapes import buckets as shapes
from s3.shapes.acl import BUCKET_CANNED, checked_canned
from s3.subject import bucket_of
from s3.wire import Call, Reply, header, xml_reply

if TYPE_CHECKING:
    from buckets.views import BucketView

_ACL = "x-amz-acl"
_OWNERSHIP = "x-amz-object-ownership"


async def create_bucket(call: Call, store: Store) -> Reply:
    """PUT bucket. To create one's own bucket again changes nothing; `409` if it should have."""
    name = check_bucket_name(str(call.bucket))
    documents = _documents(call)
    asked = shapes.parse_create(await read_document(call))
    region = config().s3.region
    if asked.location not in (None, "", region):
        raise InvalidLocationConstraint(location_constraint=asked.location)
    bucket = call.found.bucket
    if bucket is None:
        # What a bucket is without being told is not written down.
        kept = {kind: body for kind, body in documents.items() if body != acl.DEFAULT}
        await change(
            call, store, control.create, call.caller.tenant_id, name, region=region, documents=kept
        )
    elif bucket.tenant_id != call.caller.tenant_id:
        raise BucketAlreadyExists(bucket_name=name)
    else:
        _same(bucket, call, documents)
    return Reply(200, [header(b"location", f"/{name}")])


def _documents(call: Call) -> dict[str, str]:
    """Return the settings a creation asks for, as the documents that keep them."""
    headers = call.headers
    granted = [name for name in headers if name.startswith("x-amz-grant-")]
    if granted and _ACL in headers:
        raise InvalidRequest("Specifying both Canned ACLs and Header Grants is not allowed")
    if granted:
        raise OperationNotImplemented(header=granted[0])
    if headers.get("x-amz-bucket-object-lock-enabled", "false").lower() != "false":
        raise OperationNotImplemented(header="x-amz-bucket-object-lock-enabled")
    documents = {}
    if _ACL in headers:
        documents[acl.KIND] = checked_canned(headers[_ACL], BUCKET_CANNED)
    if _OWNERSHIP in headers:
        documents[OWNERSHIP] = shapes.checked_ownership(headers[_OWNERSHIP])
    if (
        documents.get(OWNERSHIP) == shapes.ENFORCED
        and documents.get(acl.KIND, "private") != "private"
    ):
        raise InvalidBucketAclWithObjectOwnership()
    return documents


def _same(bucket: BucketView, call: Call, documents: dict[str, str]) -> None:
    kept = {acl.KIND: acl.DEFAULT, OWNERSHIP: "ObjectWriter", **bucket.documents}
    if any(kept.get(kind) != body for kind, body in documents.items()):
        raise BucketAlreadyOwnedByYou(bucket_name=bucket.name)


async def head_bucket(call: Call, store: Store) -> Reply:
    """HEAD bucket: it exists and may be listed."""
    region = header(b"x-amz-bucket-region", bucket_of(call).region)
    return Reply(200, [region], None, 0)


async def delete_bucket(call: Call, store: Store) -> Reply:
    """DELETE bucket, if nothing is in it; open uploads go with it."""
    await change(call, store, control.delete, bucket_of(call).id)
    return Reply(204, body=None)


async def get_bucket_location(call: Call, store: Store) -> Reply:
    """GET ?location."""
    return xml_reply(shapes.location_result(bucket_of(call).region))


async def get_bucket_versioning(call: Call, store: Store) -> Reply:
    """GET ?versioning."""
    return xml_reply(shapes.versioning_result(bucket_of(call).versioning))


async def put_bucket_versioning(call: Call, store: Store) -> Reply:
    """PUT ?versioning: enable or suspend; there is no way back to neither."""
    status = shapes.parse_versioning(await read_document(call))
    await change(call, store, control.set_versioning, bucket_of(call).id, status)
    return Reply(200)


async def get_bucket_ownership(call: Call, store: Store) -> Reply:
    """GET ?ownershipControls."""
    kept = bucket_of(call).documents.get(OWNERSHIP)
    if kept is None:
        raise OwnershipControlsNotFoundError(bucket_name=call.bucket)
    return xml_reply(shapes.ownership_result(kept))


async def put_bucket_ownership(call: Call, store: Store) -> Reply:
    """PUT ?ownershipControls."""
    kind = shapes.parse_ownership(await read_document(call))
    bucket = bucket_of(call)
    if kind == shapes.ENFORCED and bucket.documents.get(acl.KIND, "private") != "private":
        raise InvalidBucketAclWithObjectOwnership(bucket_name=call.bucket)
    await change(call, store, control.put_document, bucket.id, OWNERSHIP, kind)
    return Reply(200)


async def delete_bucket_ownership(call: Call, store: Store) -> Reply:
    """DELETE ?ownershipControls."""
    await change(call, store, control.delete_document, bucket_of(call).id, OWNERSHIP)
    return Reply(204, body=None)
