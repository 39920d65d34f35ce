"""The page of S3 compatibility, generated from the operations table:
`python manage.py s3_compatibility > docs/s3-compatibility.md`.
"""

from s3.handlers.absent import StandIn
from s3.operations import TABLE, Operation

HEAD = """# S3 compatibility

Generated from `s3/operations.py` by `python manage.py s3_compatibility`; do not edit.

Every operation of S3 has a row. *Served* means it does what S3 documents; the others say what a
client is told instead. A subresource that is in no row is `501 NotImplemented`; one that is, asked
by another method, is `405 MethodNotAllowed` with `Allow`.
"""
CHOICES = """## Where S3 leaves a choice

- Creating one's own bucket again is 200 and changes nothing; `409 BucketAlreadyOwnedByYou` when the
  request carries another ACL or ownership than the bucket has.
- A query name S3 does not know is `501 NotImplemented`, whatever its value, so that a request never
  does something else than it says. Names beginning with `x-` choose nothing; of a presigned URL's,
  `x-amz-meta-*`, `x-amz-acl`, `x-amz-storage-class` and `x-amz-website-redirect-location` count as
  headers, which is where aws-sdk-js puts them.
- A host `NAME.domain` whose name no bucket may have is `400 InvalidBucketName`.
- Canned ACLs are checked, kept and shown, but give nobody else access; grants by header or document
  that are no canned ACL are `501 NotImplemented`. With `BucketOwnerEnforced` lists are refused.
- `If-None-Match` with an entity tag on a write is honoured. A conditional delete of a key that does
  not exist is 204 and leaves no delete marker.
- A part number beyond the last part is `416 InvalidPartNumber`.
- Storage classes are kept and shown; objects of every class are read at once.
- Metadata and other stored header values come back byte for byte as they were sent.
- What cannot be parsed as HTTP is `400 BadRequest`, and the connection ends; so it does behind
  `400 RequestHeaderSectionTooLarge` when a head has over 64 KiB or 200 fields. HTTP/1.1 without
  Host, or any request with two, is `400 InvalidRequest`.
- Path and query may hold UTF-8 that is not percent-encoded, signed as it is or encoded; bytes
  that are no UTF-8 are `400 InvalidURI`. Not so in a request sent before an earlier one of its
  connection was answered (`400 BadRequest`), in one that begins with a whole URL, or in a host.
- The body of an operation that takes none is ignored. Up to 64 KiB of it must have the hash that
  was signed for it (`400 XAmzContentSHA256Mismatch`); a larger one is not looked at.
- The end of a range may have any number of digits: what is beyond the object ends with it.
- An empty continuation token is none. `X-Amz-Expires` out of its bounds is 403.
- In `x-amz-copy-source` a bare `+` is a space; in a path it is a plus sign.
- A copy shares the bytes of its source where both have the same storage policy: the ETag stays,
  also that of a multipart object.
- Server-side encryption headers are `501 NotImplemented`; object lock headers are
  `400 InvalidRequest`, as in any bucket without object lock.
"""
COLUMNS = ("Operation", "Request", "Policy action", "Answer")
LEVELS = (
    ("service", "Service", "/"),
    ("bucket", "Buckets", "/bucket"),
    ("object", "Objects", "/bucket/key"),
)


def page() -> str:
    """Return the whole page."""
    sections = [_section(level, title, path) for level, title, path in LEVELS]
    return "\n".join([HEAD, _summary(), *sections, CHOICES])


def _summary() -> str:
    names = {row.name for row in TABLE}
    served = {row.name for row in TABLE if row.implemented}
    return f"{len(served)} of {len(names)} operations are served.\n"


def _section(level: str, title: str, path: str) -> str:
    rows = [row for row in TABLE if row.level == level]
    lines = [f"## {title}", "", f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [_line(row, path) for row in rows]
    return "\n".join([*lines, ""])


def _line(row: Operation, path: str) -> str:
    query = f"?{'&'.join(row.query)}" if row.query else ""
    header = f" with `{row.header}`" if row.header else ""
    answer = row.handler.says if isinstance(row.handler, StandIn) else "served"
    action = f"`{row.action}`" if row.action else "-"
    return f"| {row.name} | `{row.method} {path}{query}`{header} | {action} | {answer} |"
