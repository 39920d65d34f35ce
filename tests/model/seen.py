"""The whole bucket as the store shows it, and how far a dictionary agrees with that.

Here: reading everything there is, comparing it, taking over what only the store could say (ids,
the ETag of a copy). Not here: which dictionaries are permitted (tests.model.unsure).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.model.client import Client, text
from tests.model.reference import Bucket, Upload, Version, md5

# A version's id, an ETag or an upload's id that no answer has told yet.
UNTOLD = "", "null"


@dataclass
class Seen:
    """What the store shows; of parts it shows number, size and MD5."""

    bucket: Bucket = field(default_factory=Bucket)
    parts: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)


@dataclass
class Comparison:
    """Where a dictionary and the store differ, a sentence each; if nowhere, what to take over."""

    differences: list[str] = field(default_factory=list)
    lessons: list[Callable[[], None]] = field(default_factory=list)

    def learn(self) -> None:
        for lesson in self.lessons:
            lesson()


def look(there: Client) -> Seen:
    """Ask for everything; AssertionError where the store contradicts itself."""
    seen = Seen()
    root = there.ask("GET", None, {"versioning": ""}).xml
    seen.bucket.versioning = root.findtext("Status", "")
    for key, wire_id, kind, latest in there.versions("", "", 1000):
        versions = seen.bucket.keys.setdefault(key, [])
        assert (latest == "true") == (not versions), f"{key} {wire_id}: which is the latest?"
        is_marker = kind == "DeleteMarker"
        version = Version(is_marker=is_marker, is_null=wire_id == "null", wire_id=wire_id)
        if not is_marker:
            _read(there, key, version)
        versions.insert(0, version)
    for key, wire_id in there.uploads():
        seen.bucket.uploads.append(Upload(wire_id, key, {}))
        seen.parts[wire_id] = there.parts(key, wire_id, 1000)
    return seen


def compare(here: Bucket, seen: Seen) -> Comparison:
    """Everything of the one against everything of the other."""
    found = Comparison()
    if here.versioning != seen.bucket.versioning:
        found.differences.append(f"versioning: {here.versioning!r}, {seen.bucket.versioning!r}")
    for key in sorted(here.keys.keys() | seen.bucket.keys.keys()):
        _compare_key(found, key, here, seen.bucket.versions(key))
    _compare_uploads(found, here, seen)
    return found


def _read(there: Client, key: str, version: Version) -> None:
    query = {"versionId": version.wire_id}
    answer = there.ask("GET", key, query)
    assert answer.status == 200, f"{key} {version.wire_id} is listed, but: {answer.body!r}"
    version.content = answer.body
    version.etag = answer.headers["etag"].strip('"')
    color = answer.headers.get("x-amz-meta-color")
    version.metadata = {} if color is None else {"color": color}
    tags = there.ask("GET", key, {"tagging": "", **query}).xml
    version.tags = {text(one, "Key"): text(one, "Value") for one in tags.iter("Tag")}
    assert int(answer.headers.get("x-amz-tagging-count", "0")) == len(version.tags)


def _compare_key(found: Comparison, key: str, here: Bucket, theirs: list[Version]) -> None:
    ours = here.versions(key)
    known = {one.wire_id for versions in here.keys.values() for one in versions}
    if len(ours) != len(theirs) or not all(map(_is_same, ours, theirs)):
        found.differences.append(f"{key!r}: {_described(ours)}, the store has {_described(theirs)}")
        return
    for mine, other in zip(ours, theirs, strict=True):
        if mine.wire_id != other.wire_id:
            if other.wire_id in known:
                found.differences.append(f"{key!r}: the id {other.wire_id} was given twice")
            found.lessons.append(functools.partial(_learn, mine, other))
        elif mine.etag != other.etag:
            found.lessons.append(functools.partial(_learn, mine, other))


def _is_same(mine: Version, other: Version) -> bool:
    is_untold = not mine.is_null and mine.wire_id in UNTOLD
    return (
        mine.is_marker == other.is_marker
        and mine.is_null == other.is_null
        and (is_untold or mine.wire_id == other.wire_id)
        and mine.content == other.content
        and mine.metadata == other.metadata
        and mine.tags == other.tags
        and (mine.etag == other.etag or (not mine.etag and _is_of_copy(other)))
    )


def _is_of_copy(other: Version) -> bool:
    return other.is_marker or "-" in other.etag or other.etag == md5(other.content)


def _learn(mine: Version, other: Version) -> None:
    mine.wire_id = other.wire_id
    mine.etag = other.etag
    mine.parts = mine.parts if "-" in mine.etag else None


def _compare_uploads(found: Comparison, here: Bucket, seen: Seen) -> None:
    ours = sorted(here.uploads, key=lambda upload: upload.key.encode())
    theirs = seen.bucket.uploads
    shown = [(one.key, _parts(one)) for one in ours]
    stored = [(one.key, seen.parts[one.wire_id]) for one in theirs]
    ids = [(one.wire_id, two.wire_id) for one, two in zip(ours, theirs, strict=False)]
    known = {one.wire_id for one in ours}
    if shown != stored or any(mine not in (other, "") for mine, other in ids):
        found.differences.append(
            f"uploads: {shown} {[one.wire_id for one in ours]},"
            f" the store has {stored} {[one.wire_id for one in theirs]}"
        )
        return
    for mine, other in zip(ours, theirs, strict=True):
        if not mine.wire_id:
            assert other.wire_id not in known
            found.lessons.append(functools.partial(_name, mine, other))


def _name(mine: Upload, other: Upload) -> None:
    mine.wire_id = other.wire_id


def _parts(upload: Upload) -> list[tuple[int, int, str]]:
    return [(number, len(part), md5(part)) for number, part in sorted(upload.parts.items())]


def _described(versions: list[Version]) -> str:
    shown = [
        f"{one.wire_id} "
        + (
            "marker"
            if one.is_marker
            else f"{len(one.content)} B {md5(one.content)[:8]} {one.etag} {one.metadata} {one.tags}"
        )
        for one in versions
    ]
    return "[" + ", ".join(shown) + "]"
