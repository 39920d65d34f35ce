"""Which bucket and key a request names: parsed once, from the raw bytes.

Here: path style and virtual-host style, the query, percent-decoding. Not here: what the names mean.

Keys are taken as sent: decoded exactly once, never normalised (`a//b`, `./x`, `../x` are different
keys). What is decoded here is what is authorised, routed and stored.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import unquote_to_bytes

from core.errors import AuthorizationQueryParametersError, InvalidArgument, InvalidURI
from core.names import check_bucket_name, check_key

_HEX = frozenset(b"0123456789abcdefABCDEF")
_NO_QUERY: dict[str, str] = {}


class Hosts:
    """Which host names carry a bucket: `bucket.DOMAIN` for each configured domain."""

    def __init__(self, domains: tuple[str, ...]) -> None:
        self._suffixes = tuple("." + domain.lower() for domain in domains)
        self._exact = frozenset(domain.lower() for domain in domains)
        self._known: dict[str, str | None] = {}

    def bucket(self, host: str) -> str | None:
        """The bucket a `Host` header names, allowed or not; None for path style. Remembered."""
        try:
            return self._known[host]
        except KeyError:
            if len(self._known) > 10_000:
                self._known.clear()
            found = self._known[host] = self._find(host)
            return found

    def _find(self, host: str) -> str | None:
        name = host.lower()
        if not name.endswith("]"):
            name = name.rpartition(":")[0] if name.rpartition(":")[2].isdigit() else name
        if name in self._exact:
            return None
        for suffix in sorted(self._suffixes, key=len, reverse=True):
            if name.endswith(suffix):
                return name[: -len(suffix)]
        return None


def split_path(raw_path: bytes, host_bucket: str | None) -> tuple[str | None, str | None]:
    """Bucket and key of a raw path; None for what it does not name.

    A name no bucket may have is refused in a host, too: in path style the request would mean
    another bucket.
    """
    if host_bucket is not None:
        return check_bucket_name(host_bucket), _key(raw_path[1:])
    raw_bucket, _, raw_key = raw_path[1:].partition(b"/")
    if not raw_bucket and not raw_key:
        return None, None
    return _bucket(raw_bucket), _key(raw_key)


def parse_query(raw_query: bytes) -> dict[str, str]:
    """The query's names and values, decoded.

    A name that comes twice must have one value: a signature does not tell their order, so whoever
    holds a presigned URL could choose between them.
    """
    if not raw_query:
        return _NO_QUERY
    query: dict[str, str] = {}
    for piece in raw_query.split(b"&"):
        if not piece:
            continue
        raw_name, _, raw_value = piece.partition(b"=")
        name = decode(raw_name.replace(b"+", b" "))
        value = decode(raw_value.replace(b"+", b" "))
        if name not in query:
            query[name] = value
        elif name.startswith("X-Amz-"):
            raise AuthorizationQueryParametersError(f"{name} is given more than once.")
        elif query[name] != value:
            raise InvalidArgument("A parameter has two values.", argument_name=name)
    return query


def decode(raw: bytes) -> str:
    """Percent-decoded once, as UTF-8; `InvalidURI` when it is not."""
    if b"%" in raw:
        if not all(_HEX.issuperset(after[:2]) and len(after) > 1 for after in raw.split(b"%")[1:]):
            raise InvalidURI()
        raw = unquote_to_bytes(raw)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidURI() from None


@lru_cache(maxsize=4096)
def _bucket(raw_bucket: bytes) -> str:
    return check_bucket_name(decode(raw_bucket))


def _key(raw_key: bytes) -> str | None:
    return check_key(decode(raw_key)) if raw_key else None
