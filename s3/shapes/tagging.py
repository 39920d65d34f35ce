"""Tag sets: the XML document, the header form, and the limits S3 puts on both."""

from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from core.errors import BadRequest, InvalidTag, MalformedXML
from s3 import xml
from s3.xml import element

OBJECT_TAGS = 10
BUCKET_TAGS = 50
KEY_LENGTH = 128
VALUE_LENGTH = 256


def parse_object_tags(body: bytes) -> dict[str, str]:
    """Read a Tagging document for an object."""
    tags = _tag_set(body)
    if len(tags) > OBJECT_TAGS:
        raise InvalidTag("Object tags cannot be greater than 10.")
    return tags


def parse_bucket_tags(body: bytes) -> dict[str, str]:
    """Read a Tagging document for a bucket."""
    tags = _tag_set(body)
    if len(tags) > BUCKET_TAGS:
        raise BadRequest("Bucket tag count cannot be greater than 50.")
    return tags


def parse_tagging_header(header: str) -> dict[str, str]:
    """Read `x-amz-tagging`: query-encoded pairs."""
    tags: dict[str, str] = {}
    for pair in header.split("&"):
        if not pair:
            continue
        name, _, value = pair.partition("=")
        _add(tags, _decoded(name), _decoded(value))
    if len(tags) > OBJECT_TAGS:
        raise InvalidTag("Object tags cannot be greater than 10.")
    return tags


def tagging_result(tags: Mapping[str, str]) -> bytes:
    """Print a Tagging document, keys in order."""
    rows = "".join(
        f"<Tag>{element('Key', key)}{element('Value', value)}</Tag>"
        for key, value in sorted(tags.items())
    )
    return xml.document("Tagging", f"<TagSet>{rows}</TagSet>")


def _decoded(text: str) -> str:
    """Decode one side of a pair; the header's bytes come as Latin-1 text."""
    try:
        return unquote_to_bytes(text.replace("+", " ").encode("latin-1")).decode()
    except UnicodeDecodeError as error:
        raise InvalidTag() from error


def _tag_set(body: bytes) -> dict[str, str]:
    node = xml.parse(body, "Tagging")
    node.only("TagSet")
    tag_set = node.child("TagSet")
    if tag_set is None:
        raise MalformedXML()
    tag_set.only("Tag")
    tags: dict[str, str] = {}
    for tag in tag_set.children:
        tag.only("Key", "Value")
        _add(tags, tag.required("Key"), tag.required("Value"))
    return tags


def _add(tags: dict[str, str], key: str, value: str) -> None:
    if not 1 <= len(key) <= KEY_LENGTH:
        raise InvalidTag("The TagKey you have provided is invalid.", tag_key=key)
    if len(value) > VALUE_LENGTH:
        raise InvalidTag("The TagValue you have provided is invalid.", tag_key=key)
    if key.lower().startswith("aws:"):
        raise InvalidTag("System tags cannot be added/updated by requester.", tag_key=key)
    if "\0" in key or "\0" in value:
        raise InvalidTag("A tag cannot hold the character U+0000.")
    if key in tags:
        raise InvalidTag("Cannot provide multiple Tags with the same key.", tag_key=key)
    tags[key] = value
