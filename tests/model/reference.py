"""S3 as a few dictionaries: what a bucket holds, obviously right, beside which the store is run.

Here: versions, markers, uploads, and what each request does to them or is refused with. Not here:
HTTP, XML, signatures, the order in which things are asked (test_model).

A version's id is learnt from the store; everything else is said here first. A request's refusal is
`Refused(status, code)`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

PART_MIN = 64 << 10


class Refused(Exception):
    """What S3 answers instead of doing it."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code


@dataclass(eq=False)
class Version:
    """One version; a marker has no content."""

    content: bytes = b""
    etag: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    is_marker: bool = False
    is_null: bool = True
    wire_id: str = "null"
    parts: list[int] | None = None


@dataclass(eq=False)
class Upload:
    """An open upload."""

    wire_id: str
    key: str
    metadata: dict[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


class Bucket:
    """One bucket: for each key its versions, oldest first."""

    def __init__(self) -> None:
        self.versioning = ""
        self.keys: dict[str, list[Version]] = {}
        self.uploads: list[Upload] = []

    # --- finding

    def versions(self, key: str) -> list[Version]:
        return self.keys.get(key, [])

    def current(self, key: str) -> Version | None:
        """The latest version with content."""
        found = self.versions(key)
        return found[-1] if found and not found[-1].is_marker else None

    def find(self, key: str, wire_id: str | None) -> Version:
        """What a read is about."""
        if wire_id is None:
            found = self.current(key)
            if found is None:
                raise Refused(404, "NoSuchKey")
            return found
        for version in self.versions(key):
            if version.wire_id == wire_id:
                if version.is_marker:
                    raise Refused(405, "MethodNotAllowed")
                return version
        raise Refused(404, "NoSuchVersion")

    # --- objects

    def check(self, key: str, if_match: str | None, if_none_match: str | None) -> None:
        """The conditions of a write."""
        current = self.current(key)
        if if_none_match == "*" and current is not None:
            raise Refused(412, "PreconditionFailed")
        if if_match is not None:
            if current is None:
                raise Refused(404, "NoSuchKey")
            if if_match not in ("*", current.etag):
                raise Refused(412, "PreconditionFailed")

    def add(self, key: str, version: Version) -> Version:
        """Make it the latest, in place of the null version where versions are not kept."""
        version.is_null = self.versioning != "Enabled"
        kept = self.versions(key)
        if version.is_null:
            kept = [one for one in kept if not one.is_null]
        self.keys[key] = [*kept, version]
        return version

    def delete(self, key: str) -> Version | None:
        """Without an id: the marker that was put, if one was."""
        if self.versioning:
            return self.add(key, Version(is_marker=True))
        self.keys.pop(key, None)
        return None

    def delete_version(self, key: str, wire_id: str) -> Version | None:
        """What was there under that id, gone for good."""
        for version in self.versions(key):
            if version.wire_id == wire_id:
                self.keys[key] = [one for one in self.versions(key) if one is not version]
                if not self.keys[key]:
                    del self.keys[key]
                return version
        return None

    # --- uploads

    def complete(self, upload: Upload, numbers: list[int]) -> Version:
        """The object of these parts takes the upload's place."""
        version = self.assembled(upload, numbers)
        self.uploads.remove(upload)
        return self.add(upload.key, version)

    @staticmethod
    def assembled(upload: Upload, numbers: list[int]) -> Version:
        """The object these parts make."""
        if any(number not in upload.parts for number in numbers):
            raise Refused(400, "InvalidPart")
        if any(len(upload.parts[number]) < PART_MIN for number in numbers[:-1]):
            raise Refused(400, "EntityTooSmall")
        parts = [upload.parts[number] for number in numbers]
        digests = b"".join(hashlib.md5(part).digest() for part in parts)
        return Version(
            content=b"".join(parts),
            etag=f"{md5(digests)}-{len(parts)}",
            metadata=upload.metadata,
            parts=[len(part) for part in parts],
        )

    # --- listings

    def listed(self, prefix: str, delimiter: str) -> list[tuple[str, Version | None]]:
        """Keys and common prefixes, in the order of their bytes; a prefix has no version."""
        there = [key for key in self.keys if self.current(key) is not None]
        names = dict(rolled_up(there, prefix, delimiter))
        return [
            (name, None if names[name] is None else self.current(name))
            for name in sorted(names, key=str.encode)
        ]

    def listed_versions(self, prefix: str, delimiter: str) -> list[tuple[str, Version | None]]:
        """Every version of every key, newest first, and common prefixes."""
        names = dict(rolled_up(list(self.keys), prefix, delimiter))
        found: list[tuple[str, Version | None]] = []
        for name in sorted(names, key=str.encode):
            if names[name] is None:
                found.append((name, None))
            else:
                found += [(name, version) for version in reversed(self.versions(name))]
        return found


def rolled_up(keys: list[str], prefix: str, delimiter: str) -> list[tuple[str, str | None]]:
    """Each key below the prefix under its own name, or rolled into a common prefix."""
    found: list[tuple[str, str | None]] = []
    for key in keys:
        if key.startswith(prefix):
            head, cut, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            found.append((prefix + head + cut, None) if cut else (key, key))
    return found
