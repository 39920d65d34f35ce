"""The documents of multipart uploads."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from core.errors import InvalidArgument, MalformedXML
from s3 import xml
from s3.shapes.buckets import Party
from s3.shapes.names import Encoder
from s3.xml import Node, element, timestamp

MAX_PARTS = 10_000
CHECKSUM_ELEMENTS = {
    "CRC32": "ChecksumCRC32",
    "CRC32C": "ChecksumCRC32C",
    "CRC64NVME": "ChecksumCRC64NVME",
    "SHA1": "ChecksumSHA1",
    "SHA256": "ChecksumSHA256",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class CompletedPart:
    """One part as a CompleteMultipartUpload body names it."""

    number: int
    etag: str
    checksums: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class PartRow:
    """One part as ListParts shows it."""

    number: int
    size: int
    etag: str
    last_modified: datetime
    checksums: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadRow:
    """One upload as ListMultipartUploads shows it."""

    key: str
    upload_id: str
    initiator: Party
    owner: Party
    storage_class: str
    initiated: datetime
    checksum_algorithm: str | None
    checksum_type: str | None


def checksum_elements(checksums: Mapping[str, str], kind: str | None = None) -> str:
    """Print Checksum* elements and, when there is one, their type."""
    printed = "".join(
        element(CHECKSUM_ELEMENTS[algorithm], value) for algorithm, value in checksums.items()
    )
    return printed + element("ChecksumType", kind) if printed else ""


def parse_complete(body: bytes) -> tuple[CompletedPart, ...]:
    """Read a CompleteMultipartUpload body of 1 to 10,000 parts."""
    node = xml.parse(body, "CompleteMultipartUpload")
    node.only("Part")
    if not 1 <= len(node.children) <= MAX_PARTS:
        raise MalformedXML()
    return tuple(map(_completed_part, node.children))


def _completed_part(node: Node) -> CompletedPart:
    node.only("PartNumber", "ETag", *CHECKSUM_ELEMENTS.values())
    number = node.required("PartNumber").strip()
    if not (number.isascii() and number.isdigit()):
        raise MalformedXML()
    if len(number) > len(str(MAX_PARTS)) or not 1 <= int(number) <= MAX_PARTS:
        raise InvalidArgument(
            "Part number must be an integer between 1 and 10000, inclusive",
            argument_name="partNumber",
            argument_value=number,
        )
    checksums = {
        algorithm: value
        for algorithm, name in CHECKSUM_ELEMENTS.items()
        if (value := node.value(name))
    }
    return CompletedPart(
        number=int(number), etag=node.required("ETag").strip().strip('"'), checksums=checksums
    )


def initiate_result(bucket: str, key: str, upload_id: str) -> bytes:
    """Print InitiateMultipartUploadResult."""
    return xml.document(
        "InitiateMultipartUploadResult",
        element("Bucket", bucket) + element("Key", key) + element("UploadId", upload_id),
    )


def complete_result(
    *,
    location: str,
    bucket: str,
    key: str,
    etag: str,
    checksums: Mapping[str, str],
    checksum_type: str | None,
) -> bytes:
    """Print CompleteMultipartUploadResult."""
    return xml.document(
        "CompleteMultipartUploadResult",
        (
            element("Location", location),
            element("Bucket", bucket),
            element("Key", key),
            element("ETag", f'"{etag}"'),
            checksum_elements(checksums, checksum_type),
        ),
    )


def parts_result(
    parts: Iterable[PartRow],
    *,
    encode: Encoder,
    bucket: str,
    key: str,
    upload_id: str,
    initiator: Party,
    owner: Party,
    storage_class: str,
    marker: int,
    next_marker: int | None,
    max_parts: int,
    checksum_algorithm: str | None,
    checksum_type: str | None,
) -> bytes:
    """Print ListPartsResult; `next_marker` is None on the last page."""
    rows = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber>"
        f"<LastModified>{timestamp(part.last_modified)}</LastModified>"
        f"<ETag>&quot;{part.etag}&quot;</ETag><Size>{part.size}</Size>"
        f"{checksum_elements(part.checksums)}</Part>"
        for part in parts
    )
    return xml.document(
        "ListPartsResult",
        (
            element("Bucket", bucket),
            element("Key", encode(key)),
            element("UploadId", upload_id),
            element("PartNumberMarker", marker),
            element("NextPartNumberMarker", next_marker),
            element("MaxParts", max_parts),
            element("IsTruncated", next_marker is not None),
            element("EncodingType", encode.kind),
            element("ChecksumAlgorithm", checksum_algorithm),
            element("ChecksumType", checksum_type),
            rows,
            initiator.shown("Initiator"),
            owner.shown(),
            element("StorageClass", storage_class),
        ),
    )


def uploads_result(
    uploads: Iterable[UploadRow],
    prefixes: Iterable[str],
    *,
    encode: Encoder,
    bucket: str,
    prefix: str,
    delimiter: str | None,
    key_marker: str,
    upload_id_marker: str,
    next_markers: tuple[str, str | None] | None,
    max_uploads: int,
) -> bytes:
    """Print ListMultipartUploadsResult; `next_markers` is None on the last page."""
    next_key, next_upload = next_markers or (None, None)
    return xml.document(
        "ListMultipartUploadsResult",
        (
            element("Bucket", bucket),
            element("KeyMarker", encode(key_marker)),
            element("UploadIdMarker", upload_id_marker),
            element("NextKeyMarker", None if next_key is None else encode(next_key)),
            element("NextUploadIdMarker", next_upload),
            element("Prefix", encode(prefix)),
            element("Delimiter", encode(delimiter) if delimiter else None),
            element("EncodingType", encode.kind),
            element("MaxUploads", max_uploads),
            element("IsTruncated", next_markers is not None),
            "".join(_upload(row, encode) for row in uploads),
            encode.common_prefixes(prefixes),
        ),
    )


def _upload(row: UploadRow, encode: Encoder) -> str:
    return (
        f"<Upload>{element('Key', encode(row.key))}{element('UploadId', row.upload_id)}"
        f"{row.initiator.shown('Initiator')}{row.owner.shown()}"
        f"{element('StorageClass', row.storage_class)}"
        f"<Initiated>{timestamp(row.initiated)}</Initiated>"
        f"{element('ChecksumAlgorithm', row.checksum_algorithm)}"
        f"{element('ChecksumType', row.checksum_type)}</Upload>"
    )
