"""The document of GetObjectAttributes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from s3 import xml
from s3.shapes.multipart import checksum_elements
from s3.xml import element

ASKABLE = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")


@dataclass(frozen=True, kw_only=True, slots=True)
class AttributePart:
    """One part of a multipart object."""

    number: int
    size: int
    checksums: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class PartsPage:
    """A page of an object's parts."""

    total: int
    marker: int
    max_parts: int
    parts: tuple[AttributePart, ...]
    truncated: bool

    def shown(self) -> str:
        """Print ObjectParts."""
        last = self.parts[-1].number if self.parts else self.marker
        rows = "".join(
            f"<Part><PartNumber>{part.number}</PartNumber><Size>{part.size}</Size>"
            f"{checksum_elements(part.checksums)}</Part>"
            for part in self.parts
        )
        return (
            f"<ObjectParts>{element('PartsCount', self.total)}"
            f"{element('PartNumberMarker', self.marker)}"
            f"{element('NextPartNumberMarker', last)}{element('MaxParts', self.max_parts)}"
            f"{element('IsTruncated', self.truncated)}{rows}</ObjectParts>"
        )


def attributes_result(elements: Iterable[str]) -> bytes:
    """Print GetObjectAttributesResponse from the elements that were asked for."""
    return xml.document("GetObjectAttributesResponse", elements)


def checksum_shown(checksums: Mapping[str, str], kind: str) -> str:
    """Print the Checksum attribute."""
    return f"<Checksum>{checksum_elements(checksums, kind)}</Checksum>"
