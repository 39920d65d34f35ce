"""Headers that a signer moved into a presigned URL's query, as aws-sdk-js does by default.

Here: which of them count. Not here: checksums, which such signers take of an empty body, and tags,
which S3 does not look for there.

They are under the signature like the rest of the query. A header of that name wins: it is signed,
too.
"""

from __future__ import annotations

import re

from core.errors import InvalidArgument
from s3.wire import Call

_NAMES = frozenset(("x-amz-acl", "x-amz-storage-class", "x-amz-website-redirect-location"))
_META = "x-amz-meta-"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
# What goes out as a header later may hold no line's end.
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def restore(call: Call) -> None:
    """Give a presigned call the headers its query holds.

    Raises `InvalidArgument` for what no header could be, and for one that is there twice: the
    order of a query is not signed.
    """
    found: dict[str, str] = {}
    for name, value in call.query.items():
        header = name.lower()
        if header not in _NAMES and not header.startswith(_META):
            continue
        if header in found or not _TOKEN.fullmatch(header) or _CONTROLS.search(value):
            raise InvalidArgument(argument_name=name, argument_value=value)
        found[header] = value.strip(" \t").encode().decode("latin-1")
    for header, value in found.items():
        call.headers.setdefault(header, value)
