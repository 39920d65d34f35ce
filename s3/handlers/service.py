"""ListBuckets: the caller's own buckets."""

from __future__ import annotations

import base64
import binascii

from buckets import control
from core.errors import AccessDenied, InvalidArgument
from core.names import is_bucket_name
from objects.store import Store
from s3.paging import number
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
    after = _read(token) if token else ""
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
            token=_write(shown[-1].name) if len(found) > most else None,
        )
    )


def _write(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _read(token: str) -> str:
    try:
        name = base64.b64decode(token, altchars=b"-_", validate=True).decode()
        if not is_bucket_name(name):
            raise ValueError(token)
        return name
    except (ValueError, binascii.Error) as error:
        raise InvalidArgument(
            "The continuation token provided is incorrect",
            argument_name="continuation-token",
            argument_value=token,
        ) from error
