"""Access control lists: canned ones are checked, kept and shown. They grant others nothing."""

from __future__ import annotations

from buckets import control
from core.errors import (
    InvalidRequest,
    MissingSecurityHeader,
    OperationNotImplemented,
    UnexpectedContent,
)
from objects import tagging
from objects.store import Store
from s3.bodies import read_document
from s3.controlling import change
from s3.described import version_header
from s3.existing import existing
from s3.handlers.listing import owner_of
from s3.ownership import check_acl, is_enforced
from s3.shapes.acl import BUCKET_CANNED, OBJECT_CANNED, acl_result, checked_canned, parse_acl
from s3.subject import bucket_of, key_of
from s3.wire import Call, Reply, xml_reply

KIND = "acl"
DEFAULT = "private"


async def get_bucket_acl(call: Call, store: Store) -> Reply:
    """GET bucket?acl."""
    bucket = bucket_of(call)
    return xml_reply(acl_result(owner_of(bucket), bucket.documents.get(KIND, DEFAULT)))


async def put_bucket_acl(call: Call, store: Store) -> Reply:
    """PUT bucket?acl."""
    name = await _asked(call, BUCKET_CANNED)
    check_acl(bucket_of(call), name)
    await change(call, store, control.put_document, bucket_of(call).id, KIND, name)
    return Reply(200)


async def get_object_acl(call: Call, store: Store) -> Reply:
    """GET object?acl: the list of one version."""
    version = existing(call)
    bucket = bucket_of(call)
    shown = DEFAULT if is_enforced(bucket) else version.acl or DEFAULT
    return xml_reply(
        acl_result(owner_of(bucket), shown), headers=version_header(bucket, version.wire_id)
    )


async def put_object_acl(call: Call, store: Store) -> Reply:
    """PUT object?acl: replace the list of one version; its ETag and time stay."""
    name = await _asked(call, OBJECT_CANNED)
    check_acl(bucket_of(call), name)
    version = existing(call)
    await tagging.amend(store, call.found, key_of(call), {"acl": name})
    return Reply(200, version_header(bucket_of(call), version.wire_id))


async def _asked(call: Call, offered: frozenset[str]) -> str:
    """Return the canned list a request means, by header or by document but never both."""
    canned = call.headers.get("x-amz-acl")
    granted = [name for name in call.headers if name.startswith("x-amz-grant-")]
    if granted and canned is not None:
        raise InvalidRequest("Specifying both Canned ACLs and Header Grants is not allowed")
    if granted:
        raise OperationNotImplemented(header=granted[0])
    body = await read_document(call)
    if canned is None and not body:
        raise MissingSecurityHeader(missing_header_name="x-amz-acl")
    if canned is None:
        return parse_acl(body, owner_of(bucket_of(call)))
    if body:
        raise UnexpectedContent()
    return checked_canned(canned, offered)
