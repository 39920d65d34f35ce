"""ListObjects, ListObjectsV2 and ListObjectVersions: parameters in, one page of rows out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from core.errors import InvalidArgument
from objects import listing
from objects.store import Store
from s3.paging import limit, read_token, write_token
from s3.shapes.buckets import Party
from s3.shapes.listing import Asked, objects_result, objects_v2_result, versions_result
from s3.shapes.names import Encoder
from s3.subject import bucket_of
from s3.wire import Call, Reply, xml_reply

if TYPE_CHECKING:
    from buckets.views import BucketView

PAGE = 1000


async def list_objects(call: Call, store: Store) -> Reply:
    """GET bucket: one page of current objects after a marker."""
    asked = _asked(call)
    marker = call.query.get("marker", "")
    page = await listing.list_objects(
        store, bucket_of(call), asked.prefix, asked.delimiter, marker, _cap(asked)
    )
    return xml_reply(
        objects_result(
            asked,
            page.entries,
            page.prefixes,
            owner=owner_of(bucket_of(call)),
            marker=marker,
            next_marker=page.next if page.truncated and asked.delimiter else None,
            truncated=page.truncated,
        )
    )


async def list_objects_v2(call: Call, store: Store) -> Reply:
    """GET bucket?list-type=2: one page after a token, or after a key."""
    if call.query["list-type"] != "2":
        raise InvalidArgument(
            "Invalid List Type specified in Request",
            argument_name="list-type",
            argument_value=call.query["list-type"],
        )
    asked = _asked(call)
    token = call.query.get("continuation-token")
    start_after = call.query.get("start-after")
    after = read_token(token) if token else (start_after or "")
    page = await listing.list_objects(
        store, bucket_of(call), asked.prefix, asked.delimiter, after, _cap(asked)
    )
    return xml_reply(
        objects_v2_result(
            asked,
            page.entries,
            page.prefixes,
            owner=owner_of(bucket_of(call)) if _is_true(call.query, "fetch-owner") else None,
            count=len(page.entries) + len(page.prefixes),
            start_after=start_after,
            token=token,
            next_token=write_token(page.next) if page.truncated and page.next else None,
        )
    )


async def list_object_versions(call: Call, store: Store) -> Reply:
    """GET bucket?versions: one page of versions and delete markers."""
    asked = _asked(call)
    key_marker = call.query.get("key-marker", "")
    version_id_marker = call.query.get("version-id-marker", "")
    if version_id_marker and not key_marker:
        raise InvalidArgument(
            "A version-id marker cannot be specified without a key marker.",
            argument_name="version-id-marker",
            argument_value=version_id_marker,
        )
    page = await listing.list_versions(
        store,
        bucket_of(call),
        asked.prefix,
        asked.delimiter,
        key_marker,
        version_id_marker or None,
        _cap(asked),
    )
    return xml_reply(
        versions_result(
            asked,
            page.entries,
            page.prefixes,
            owner=owner_of(bucket_of(call)),
            key_marker=key_marker,
            version_id_marker=version_id_marker,
            next_markers=page.next if page.truncated else None,
        )
    )


def owner_of(bucket: BucketView) -> Party:
    """Return the bucket's owner, which is also the owner of all it holds."""
    return Party(canonical_id=bucket.canonical_id, display_name=bucket.display_name)


def _asked(call: Call) -> Asked:
    query = call.query
    return Asked(
        bucket=bucket_of(call).name,
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter") or None,
        max_keys=limit(query, "max-keys", default=PAGE),
        encode=Encoder(query.get("encoding-type")),
    )


def _cap(asked: Asked) -> int:
    return min(asked.max_keys, PAGE)


def _is_true(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").lower() == "true"
