"""The listings of a bucket: ListObjects, ListObjectsV2 and ListObjectVersions.

A row is printed by one formatting step from a plain tuple: 50,000 keys a second are wanted of the
whole way from the database to the wire.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from s3 import xml
from s3.shapes.buckets import Party
from s3.shapes.names import Encoder
from s3.xml import element, stamp

# key, last modified (`2026-01-31 12:00:00`, perhaps with a fraction, in UTC), ETag, size, storage
# class, checksum ({"algorithm", "type", "value"})
ObjectRow = tuple[str, str, str, int, str, Mapping[str, str] | None]
# key, version id, is latest, is marker, then as above
VersionRow = tuple[str, str, bool, bool, str, str, int, str, Mapping[str, str] | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What the three listings have in common in their requests."""

    bucket: str
    prefix: str
    delimiter: str | None
    max_keys: int
    encode: Encoder

    def head(self) -> str:
        """Print what every listing repeats of its request."""
        return (
            element("Name", self.bucket)
            + element("Prefix", self.encode(self.prefix))
            + element("MaxKeys", self.max_keys)
            + element("Delimiter", self.encode(self.delimiter) if self.delimiter else None)
            + element("EncodingType", self.encode.kind)
        )


def objects_result(
    asked: Asked,
    rows: Iterable[ObjectRow],
    prefixes: Iterable[str],
    *,
    owner: Party,
    marker: str,
    next_marker: str | None,
    truncated: bool,
) -> bytes:
    """Print ListBucketResult as version 1 of the listing."""
    return xml.document(
        "ListBucketResult",
        (
            asked.head(),
            element("Marker", asked.encode(marker)),
            element("NextMarker", None if next_marker is None else asked.encode(next_marker)),
            element("IsTruncated", truncated),
            object_rows(rows, asked.encode, owner),
            asked.encode.common_prefixes(prefixes),
        ),
    )


def objects_v2_result(
    asked: Asked,
    rows: Iterable[ObjectRow],
    prefixes: Iterable[str],
    *,
    owner: Party | None,
    count: int,
    start_after: str | None,
    token: str | None,
    next_token: str | None,
) -> bytes:
    """Print ListBucketResult as version 2 of the listing."""
    return xml.document(
        "ListBucketResult",
        (
            asked.head(),
            element("KeyCount", count),
            element("StartAfter", None if start_after is None else asked.encode(start_after)),
            element("ContinuationToken", token),
            element("NextContinuationToken", next_token),
            element("IsTruncated", next_token is not None),
            object_rows(rows, asked.encode, owner),
            asked.encode.common_prefixes(prefixes),
        ),
    )


def versions_result(
    asked: Asked,
    rows: Iterable[VersionRow],
    prefixes: Iterable[str],
    *,
    owner: Party,
    key_marker: str,
    version_id_marker: str,
    next_markers: tuple[str, str | None] | None,
) -> bytes:
    """Print ListVersionsResult; `next_markers` is None on the last page."""
    next_key, next_version = next_markers or (None, None)
    return xml.document(
        "ListVersionsResult",
        (
            asked.head(),
            element("KeyMarker", asked.encode(key_marker)),
            element("VersionIdMarker", version_id_marker),
            element("NextKeyMarker", None if next_key is None else asked.encode(next_key)),
            element("NextVersionIdMarker", next_version),
            element("IsTruncated", next_markers is not None),
            version_rows(rows, asked.encode, owner),
            asked.encode.common_prefixes(prefixes),
        ),
    )


def object_rows(rows: Iterable[ObjectRow], encode: Encoder, owner: Party | None) -> str:
    """Print Contents elements."""
    spelled, owned = encode.printed, owner.shown() if owner else ""
    return "".join(
        [
            f"<Contents><Key>{spelled(key)}</Key><LastModified>{stamp(modified)}</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size>{owned}"
            f"<StorageClass>{storage_class}</StorageClass>"
            f"{_checksum(checksum) if checksum else ''}</Contents>"
            for key, modified, etag, size, storage_class, checksum in rows
        ]
    )


def version_rows(rows: Iterable[VersionRow], encode: Encoder, owner: Party) -> str:
    """Print Version and DeleteMarker elements in one sequence."""
    spelled, owned = encode.printed, owner.shown()
    return "".join(
        [
            f"<DeleteMarker><Key>{spelled(key)}</Key><VersionId>{version_id}</VersionId>"
            f"<IsLatest>{'true' if latest else 'false'}</IsLatest>"
            f"<LastModified>{stamp(modified)}</LastModified>{owned}</DeleteMarker>"
            if marker
            else f"<Version><Key>{spelled(key)}</Key><VersionId>{version_id}</VersionId>"
            f"<IsLatest>{'true' if latest else 'false'}</IsLatest>"
            f"<LastModified>{stamp(modified)}</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size>{owned}"
            f"<StorageClass>{storage}</StorageClass>"
            f"{_checksum(checksum) if checksum else ''}</Version>"
            for key, version_id, latest, marker, modified, etag, size, storage, checksum in rows
        ]
    )


def _checksum(checksum: Mapping[str, str]) -> str:
    return (
        f"<ChecksumAlgorithm>{checksum['algorithm']}</ChecksumAlgorithm>"
        f"<ChecksumType>{checksum['type']}</ChecksumType>"
    )
