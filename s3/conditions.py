"""Conditions in request headers: judged here for reads, carried to the commit for writes.

Here: entity tags and HTTP dates as clients write them; the precedence of S3 for reads.
Not here: the judgement of writes, which happens with the commit (objects).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache

from core.errors import NotModified, PreconditionFailed, StoreError
from objects.draft import tags_of

READ_HEADERS = frozenset(("if-match", "if-none-match", "if-modified-since", "if-unmodified-since"))
_SOURCE = "x-amz-copy-source-"
SOURCE_HEADERS = frozenset(_SOURCE + name for name in READ_HEADERS)


@lru_cache(maxsize=4096)
def http_date(moment: datetime) -> str:
    """Print a time as HTTP headers do."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def parse_http_date(text: str) -> datetime | None:
    """Read an HTTP date; None when it is none, which makes its header as if absent."""
    try:
        moment = parsedate_to_datetime(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def names(header: str, etag: str) -> bool:
    """Say whether a header of entity tags, or `*`, names this one."""
    return header.strip() == "*" or etag in tags_of(header)


@dataclass(frozen=True, slots=True)
class _Four:
    match: str | None
    none_match: str | None
    modified: datetime | None
    unmodified: datetime | None


def _read(headers: Mapping[str, str], prefix: str) -> _Four:
    modified = headers.get(f"{prefix}if-modified-since")
    unmodified = headers.get(f"{prefix}if-unmodified-since")
    return _Four(
        headers.get(f"{prefix}if-match"),
        headers.get(f"{prefix}if-none-match"),
        None if modified is None else parse_http_date(modified),
        None if unmodified is None else parse_http_date(unmodified),
    )


def judge_read(
    headers: Mapping[str, str],
    *,
    etag: str,
    last_modified: datetime,
    now: datetime,
    repeated: tuple[tuple[str, str], ...],
) -> None:
    """Raise when a GET or HEAD must not be answered with the object.

    `repeated` are the headers a 304 says again.
    """
    four = _read(headers, "")
    _judge_matching(four, etag, last_modified, prefix="")
    if four.none_match is not None:
        if names(four.none_match, etag):
            raise NotModified(headers=repeated)
    elif four.modified is not None and last_modified <= four.modified <= now:
        # A date in the future is no date of a copy the client can have.
        raise NotModified(headers=repeated)


def judge_source(headers: Mapping[str, str], *, etag: str, last_modified: datetime) -> None:
    """Raise when the source of a copy is not what the request expects; never a 304."""
    four = _read(headers, _SOURCE)
    _judge_matching(four, etag, last_modified, prefix=_SOURCE)
    if four.none_match is not None:
        if names(four.none_match, etag):
            raise _failed(f"{_SOURCE}If-None-Match")
    elif four.modified is not None and last_modified <= four.modified:
        raise _failed(f"{_SOURCE}If-Modified-Since")


def _judge_matching(four: _Four, etag: str, last_modified: datetime, *, prefix: str) -> None:
    if four.match is not None:
        if not names(four.match, etag):
            raise _failed(f"{prefix}If-Match")
    elif four.unmodified is not None and last_modified > four.unmodified:
        raise _failed(f"{prefix}If-Unmodified-Since")


def _failed(condition: str) -> StoreError:
    return PreconditionFailed(condition=condition)


def still_applies(if_range: str, *, etag: str, last_modified: datetime) -> bool:
    """Say whether a Range may be honoured under this If-Range header."""
    moment = parse_http_date(if_range)
    if moment is not None:
        return last_modified == moment
    # A weak tag never allows a range.
    return not if_range.strip().startswith("W/") and tags_of(if_range) == [etag]
