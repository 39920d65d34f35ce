"""The tags of a bucket."""

from __future__ import annotations

import json

from buckets import control
from core.errors import NoSuchTagSet
from objects.store import Store
from s3.bodies import read_document
from s3.controlling import change
from s3.shapes.tagging import parse_bucket_tags, tagging_result
from s3.subject import bucket_of
from s3.wire import Call, Reply, xml_reply

KIND = "tagging"


async def get_bucket_tagging(call: Call, store: Store) -> Reply:
    """GET ?tagging."""
    kept = bucket_of(call).documents.get(KIND)
    if kept is None:
        raise NoSuchTagSet(bucket_name=call.bucket)
    return xml_reply(tagging_result(json.loads(kept)))


async def put_bucket_tagging(call: Call, store: Store) -> Reply:
    """PUT ?tagging: the whole set, in place of any before."""
    tags = parse_bucket_tags(await read_document(call))
    await change(call, store, control.put_document, bucket_of(call).id, KIND, json.dumps(tags))
    return Reply(204, body=None)


async def delete_bucket_tagging(call: Call, store: Store) -> Reply:
    """DELETE ?tagging; there need not be any."""
    await change(call, store, control.delete_document, bucket_of(call).id, KIND)
    return Reply(204, body=None)
