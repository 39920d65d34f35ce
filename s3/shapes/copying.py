"""The documents of CopyObject and UploadPartCopy."""

from collections.abc import Mapping
from datetime import datetime

from s3 import xml
from s3.shapes.multipart import checksum_elements
from s3.xml import element, timestamp


def copy_object_result(
    etag: str, last_modified: datetime, checksums: Mapping[str, str], checksum_type: str | None
) -> bytes:
    """Print CopyObjectResult."""
    return xml.document(
        "CopyObjectResult",
        (
            element("LastModified", timestamp(last_modified)),
            element("ETag", f'"{etag}"'),
            checksum_elements(checksums, checksum_type),
        ),
    )


def copy_part_result(etag: str, last_modified: datetime, checksums: Mapping[str, str]) -> bytes:
    """Print CopyPartResult."""
    return xml.document(
        "CopyPartResult",
        (
            element("LastModified", timestamp(last_modified)),
            element("ETag", f'"{etag}"'),
            checksum_elements(checksums),
        ),
    )
