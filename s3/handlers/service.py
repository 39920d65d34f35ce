"""ListBuckets: the caller's own buckets."""

from __future__ import annotations

from buckets import control
from core.errors import AccessDenied, InvalidArgument
from objects.store import Store
from s3.paging import number, read_token, write_token
from s3.shapes.buckets import BucketRow, Party, buckets_result
from s3.wire import Call, Reply, xml_reply

MAX_BUCKETS = 10_000


async def list_buckets(call: Call, store: Store) -> Reply:
    """GET /: the buckets of the caller's account, by name."""
    caller = call.caller
    if caller is None:
        raise AccessDenied()
    query = call.query
    asked = query.get("max-buckets")
    most = MAX_BUCKETS if asked is None else number("max-buckets", asked, least=1, most=MAX_BUCKETS)
    prefix, region = query.get("prefix"), query.get("bucket-region")
    token = query.get("continuation-token")
    after = read_token(token) if token else ""
    if prefix is not None and "\0" in prefix:
        # No name holds it, the database takes it in no text, and XML could not say it again.
        raise InvalidArgument(argument_name="prefix", argument_value=prefix)
    found = await store.control(control.list_for, caller.tenant_id, prefix or "", after, most + 1)
    shown = found[:most]
    rows = [
        BucketRow(name=bucket.name, created=bucket.created, region=bucket.region)
        for bucket in shown
        if region is None or bucket.region == region
    ]
    return xml_reply(
        buckets_result(
            Party(canonical_id=caller.canonical_id, display_name=caller.display_name),
            rows,
            prefix=prefix,
            token=write_token(shown[-1].name) if len(found) > most else None,
        )
    )
