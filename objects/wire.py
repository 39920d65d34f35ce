"""Version ids and upload ids as clients see them: hex, or `null`."""

from __future__ import annotations

from uuid import UUID

from core.errors import InvalidArgument, NoSuchUpload
from core.names import is_hex

NULL = "null"
# How the look-up is asked for the null version; no version has this id.
NULL_ID = UUID(int=0)
# What stands for 32 zeros, which are well formed and the id of no version either.
_NOBODYS = UUID(int=1)


def version_id(text: str) -> UUID:
    """The id a client gave; `NULL_ID` for `null`, `InvalidArgument` for what no store of ours
    wrote."""
    if text == NULL:
        return NULL_ID
    if not is_hex(text, 32):
        raise InvalidArgument(
            "Invalid version id specified", argument_name="versionId", argument_value=text
        )
    found = UUID(hex=text)
    return _NOBODYS if found == NULL_ID else found


def shown(version: UUID, *, is_null: bool) -> str:
    """The id a client is shown."""
    return NULL if is_null else version.hex


def upload_id(text: str) -> UUID:
    """The upload a client means; an id of another form is of no upload."""
    if not is_hex(text, 32):
        raise NoSuchUpload(upload_id=text)
    return UUID(hex=text)
