"""PutObject and DeleteObject."""

from collections.abc import Mapping

from objects import delete, write
from objects.store import Store
from s3 import drafts
from s3.described import new_version_header, version_header
from s3.subject import bucket_of, key_of
from s3.wire import Call, Header, Reply


async def put_object(call: Call, store: Store) -> Reply:
    """PUT: keep the body as the latest version of the key."""
    written = await write.put(store, call.found, key_of(call), call.body, drafts.put_draft(call))
    headers: list[Header] = [(b"etag", f'"{written.etag}"'.encode())]
    headers += checksum_echo(written.checksums)
    headers += new_version_header(written.version_id)
    return Reply(200, headers)


def checksum_echo(checksum: Mapping[str, str] | None) -> list[Header]:
    """Say again the checksum that was verified and is kept."""
    if not checksum:
        return []
    return [
        (f"x-amz-checksum-{checksum['algorithm'].lower()}".encode(), checksum["value"].encode()),
        (b"x-amz-checksum-type", checksum["type"].encode()),
    ]


async def delete_object(call: Call, store: Store) -> Reply:
    """DELETE: remove the version named, or the key's current one."""
    deleted = await delete.delete(
        store,
        call.found,
        key_of(call),
        call.query.get("versionId"),
        drafts.conditions(call.headers),
    )
    headers: list[Header] = []
    if deleted.is_marker:
        headers.append((b"x-amz-delete-marker", b"true"))
    headers += version_header(bucket_of(call), deleted.version_id)
    return Reply(204, headers, None)
