"""The parts of an upload: UploadPart and ListParts. Copied parts are in s3.handlers.copying."""

from __future__ import annotations

from objects import multipart
from objects.store import Store
from s3 import drafts
from s3.handlers.listing import owner_of
from s3.handlers.object_write import checksum_echo
from s3.paging import limit, number
from s3.shapes import multipart as shapes
from s3.shapes.names import Encoder
from s3.subject import bucket_of, key_of
from s3.wire import Call, Reply, xml_reply

MAX_PARTS = 1000


def part_number(call: Call) -> int:
    """Return the part number of the query."""
    return number("partNumber", call.query["partNumber"], least=1, most=shapes.MAX_PARTS)


async def upload_part(call: Call, store: Store) -> Reply:
    """PUT ?partNumber&uploadId: keep the body as one part; sending a number again replaces it."""
    written = await multipart.upload_part(
        store,
        call.found,
        key_of(call),
        call.query["uploadId"],
        part_number(call),
        call.body,
        drafts.part_draft(call),
    )
    headers = [(b"etag", f'"{written.etag}"'.encode())]
    return Reply(200, headers + checksum_echo(written.checksums))


async def list_parts(call: Call, store: Store) -> Reply:
    """GET ?uploadId: one page of the upload's parts."""
    query = call.query
    asked = limit(query, "max-parts", default=MAX_PARTS)
    marker = limit(query, "part-number-marker", default=0)
    encode = Encoder(query.get("encoding-type"))
    page = await multipart.list_parts(
        store,
        call.found,
        key_of(call),
        query["uploadId"],
        after=marker,
        limit=min(asked, MAX_PARTS),
    )
    owner = owner_of(bucket_of(call))
    rows = [
        shapes.PartRow(
            number=part.number,
            size=part.size,
            etag=part.etag,
            last_modified=part.last_modified,
            checksums=part.checksums,
        )
        for part in page.parts
    ]
    return xml_reply(
        shapes.parts_result(
            rows,
            encode=encode,
            bucket=bucket_of(call).name,
            key=key_of(call),
            upload_id=query["uploadId"],
            initiator=owner,
            owner=owner,
            storage_class=page.upload.storage_class,
            marker=marker,
            next_marker=rows[-1].number if page.truncated and rows else None,
            max_parts=asked,
            checksum_algorithm=page.upload.checksum_algorithm,
            checksum_type=page.upload.checksum_type,
        )
    )
