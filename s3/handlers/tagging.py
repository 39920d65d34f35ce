"""The tags of an object's version."""

from __future__ import annotations

from objects import tagging
from objects.store import Store
from s3.bodies import read_document
from s3.described import version_header
from s3.existing import existing
from s3.shapes.tagging import parse_object_tags, tagging_result
from s3.subject import bucket_of, key_of
from s3.wire import Call, Reply, xml_reply


async def get_object_tagging(call: Call, store: Store) -> Reply:
    """GET ?tagging: an untagged object has an empty set."""
    version = existing(call)
    return xml_reply(
        tagging_result(version.tags), headers=version_header(bucket_of(call), version.wire_id)
    )


async def put_object_tagging(call: Call, store: Store) -> Reply:
    """PUT ?tagging: the whole set, in place of any before."""
    tags = parse_object_tags(await read_document(call))
    version = existing(call)
    await tagging.put(store, call.found, key_of(call), tags)
    return Reply(200, version_header(bucket_of(call), version.wire_id))


async def delete_object_tagging(call: Call, store: Store) -> Reply:
    """DELETE ?tagging."""
    version = existing(call)
    await tagging.put(store, call.found, key_of(call), {})
    return Reply(204, version_header(bucket_of(call), version.wire_id), None)
