"""Multipart uploads as a whole: create, complete, abort, list. Parts are in s3.handlers.parts."""

from __future__ import annotations

from core import checksums
from core.errors import InvalidArgument, InvalidRequest, MalformedXML, MissingRequestBodyError
from core.names import is_hex
from objects import multipart
from objects.assembly import MAX_OBJECT_BYTES
from objects.store import Store
from s3 import drafts
from s3.bodies import read_whole
from s3.described import new_version_header
from s3.handlers.listing import owner_of
from s3.paging import limit, number
from s3.shapes import multipart as shapes
from s3.shapes.names import Encoder
from s3.subject import bucket_of, key_of
from s3.wire import Call, Header, Reply, header, xml_reply

MAX_UPLOADS = 1000


async def create_multipart_upload(call: Call, store: Store) -> Reply:
    """POST ?uploads: begin an upload that holds everything but the bytes."""
    algorithm, kind = _announced(call)
    upload_id = await multipart.create(
        store,
        call.found,
        key_of(call),
        drafts.upload_draft(call),
        checksum_algorithm=algorithm,
        checksum_type=kind,
    )
    headers: list[Header] = []
    if algorithm is not None and kind is not None:
        headers = [
            header(b"x-amz-checksum-algorithm", algorithm),
            header(b"x-amz-checksum-type", kind),
        ]
    return xml_reply(
        shapes.initiate_result(bucket_of(call).name, key_of(call), upload_id), headers=headers
    )


def _announced(call: Call) -> tuple[str | None, str | None]:
    named = call.headers.get("x-amz-checksum-algorithm")
    kind = call.headers.get("x-amz-checksum-type")
    if named is None:
        if kind is not None:
            raise InvalidRequest(
                "The x-amz-checksum-type header can only be used with the"
                " x-amz-checksum-algorithm header."
            )
        return None, None
    algorithm = checksums.check_algorithm(named)
    kind = checksums.default_type(algorithm) if kind is None else kind.upper()
    if not checksums.is_type_allowed(algorithm, kind):
        raise InvalidRequest(
            f"The {kind} checksum type cannot be used with the {algorithm.lower()}"
            " checksum algorithm."
        )
    return algorithm, kind


async def complete_multipart_upload(call: Call, store: Store) -> Reply:
    """POST ?uploadId: make the listed parts the latest version of the key."""
    parts = shapes.parse_complete(await _list_of_parts(call))
    size = call.headers.get("x-amz-mp-object-size")
    kind = call.headers.get("x-amz-checksum-type")
    written = await multipart.complete(
        store,
        call.found,
        key_of(call),
        call.query["uploadId"],
        parts,
        conditions=drafts.conditions(call.headers),
        checksum=_whole_checksum(call),
        checksum_type=None if kind is None else kind.upper(),
        size=None
        if size is None
        else number("x-amz-mp-object-size", size, least=0, most=MAX_OBJECT_BYTES),
    )
    stored = written.checksums
    document = shapes.complete_result(
        location=_location(call),
        bucket=bucket_of(call).name,
        key=key_of(call),
        etag=written.etag,
        checksums={stored["algorithm"]: stored["value"]} if stored else {},
        checksum_type=stored["type"] if stored else None,
    )
    return xml_reply(document, headers=new_version_header(written.version_id))


def _whole_checksum(call: Call) -> tuple[str, str] | None:
    """Return the checksum the request gives: here it is the object's, not that of the body."""
    given = [
        (algorithm, call.headers[name])
        for name, algorithm in checksums.HEADERS.items()
        if name in call.headers
    ]
    if len(given) > 1:
        raise InvalidRequest("Expecting a single x-amz-checksum- header. Multiple are not allowed.")
    return given[0] if given else None


async def _list_of_parts(call: Call) -> bytes:
    body = await read_whole(call)
    if not body:
        raise MalformedXML(MissingRequestBodyError.says)
    return body


def _location(call: Call) -> str:
    scheme = "https" if call.secure else "http"
    return f"{scheme}://{call.host}{call.raw_path.decode('ascii', 'replace')}"


async def abort_multipart_upload(call: Call, store: Store) -> Reply:
    """DELETE ?uploadId: drop the upload and its parts."""
    await multipart.abort(store, call.found, key_of(call), call.query["uploadId"])
    return Reply(204, body=None)


async def list_multipart_uploads(call: Call, store: Store) -> Reply:
    """GET bucket?uploads: one page of open uploads, by key and then by time."""
    query = call.query
    encode = Encoder(query.get("encoding-type"))
    asked = limit(query, "max-uploads", default=MAX_UPLOADS, least=0)
    key_marker = query.get("key-marker", "")
    # Without a key there is nothing the upload's id could stand after.
    upload_id_marker = query.get("upload-id-marker", "") if key_marker else ""
    if upload_id_marker and not is_hex(upload_id_marker, 32):
        raise InvalidArgument(
            "Invalid uploadId marker",
            argument_name="upload-id-marker",
            argument_value=upload_id_marker,
        )
    page = await multipart.list_uploads(
        store,
        bucket_of(call),
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter") or None,
        key_marker=key_marker,
        upload_id_marker=upload_id_marker or None,
        limit=min(asked, MAX_UPLOADS),
    )
    owner = owner_of(bucket_of(call))
    rows = [
        shapes.UploadRow(
            key=upload.key,
            upload_id=upload.upload_id,
            initiator=owner,
            owner=owner,
            storage_class=upload.storage_class,
            initiated=upload.initiated,
            checksum_algorithm=upload.checksum_algorithm,
            checksum_type=upload.checksum_type,
        )
        for upload in page.uploads
    ]
    return xml_reply(
        shapes.uploads_result(
            rows,
            page.prefixes,
            encode=encode,
            bucket=bucket_of(call).name,
            prefix=query.get("prefix", ""),
            delimiter=query.get("delimiter") or None,
            key_marker=key_marker,
            upload_id_marker=upload_id_marker,
            next_markers=page.next if page.truncated else None,
            max_uploads=asked,
        )
    )
