"""What the rules share: the dictionary and the store side by side, and comparing their answers.

Here: what is drawn from, the choice of versions, conditions, how an answer is held against what the
dictionary says. Not here: the rules.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from core.checksums import digest, encode
from tests.model.client import Client
from tests.model.reference import PART_MIN, Bucket, Refused, Upload, Version, md5
from tests.s3.raw import Answer

KEYS = ("a", "a/", "a/b", "a//", "b c+d", "é/ü%41")
keys = st.sampled_from(KEYS)
# A key there is something under, if there is any; from `len(KEYS)` on any key.
places = st.integers(0, len(KEYS) + 1)
prefixes = st.sampled_from(("", "a", "a/", "a/b", "é", "none"))
delimiters = st.sampled_from(("", "/", "b"))
page_sizes = st.sampled_from((1, 2, 3, 1000))
# From inline_from on a body is coded as it comes; below, it is packed.
sizes = st.sampled_from((0, 1, 10, 1000, 1001, 5000, 70_000, 530_000))
part_sizes = st.sampled_from((1000, PART_MIN, PART_MIN + 1, 100_000))
edges = st.sampled_from((0, 1, 9, 10, 999, 5000, 65_536, 131_072, 529_999))
colors = st.sampled_from(("red", "green", "dark  blue"))
tag_sets = st.dictionaries(st.sampled_from(("a", "b", "c d")), st.sampled_from(("", "1", "x/y")))
conditions = st.sampled_from(("", "", "", "absent", "right", "wrong", "any"))
# Which version is meant: the current one, one of those there are, or one that never was.
which = st.sampled_from((None, None, None, 0, 1, 2, 3, -1))
named = st.sampled_from((0, 0, 1, 2, 3, -1))
UNKNOWN = "0" * 31 + "1"
_numbers = itertools.count()
_RUN = secrets.token_hex(4)


def content(number: int, size: int) -> bytes:
    """Bytes unlike those of any other request."""
    return (f"{number:08d}".encode() * (size // 8 + 1))[:size]


class Both(RuleBasedStateMachine):
    """One bucket; `here` is the dictionary, `there` the store."""

    raw: Callable[..., Answer]
    client: type[Client] = Client
    # What the removal of an empty bucket is answered with.
    gone: tuple[int, ...] = (204,)

    def __init__(self) -> None:
        super().__init__()
        self.here = Bucket()
        self.there = self.client(self.raw, f"model-{_RUN}-{next(_numbers)}")
        self.count = 0

    # --- the end

    def teardown(self) -> None:
        """Everything there is, compared."""
        assert self.there.versions("", "", 1000) == self.versions_here("", "")
        for key, versions in self.here.keys.items():
            for version in versions:
                if not version.is_marker:
                    answer = self.there.ask("GET", key, {"versionId": version.wire_id})
                    assert (answer.status, answer.body) == (200, version.content)
                    self.is_shown(version, answer)
        status = self.there.ask("DELETE", again=True).status
        assert status in ((409,) if self.here.keys else self.gone)

    # --- between both

    def change(
        self, ask: Callable[[], Answer], *effects: Callable[[], Any]
    ) -> tuple[Answer, list[Any]] | None:
        """Ask for a change; the answer, and what came of each effect it has on the dictionary.

        None: nothing is left to look at. Both refuse alike, or nobody was told what happened (see
        `Unsure`). Effects find what they change by name: `here` may be another dictionary by then.
        """
        answer = ask()
        found = self.answered(lambda: [effect() for effect in effects], answer)
        return None if found is None else (answer, found)

    def new_body(self, size: int) -> bytes:
        self.count += 1
        return content(self.count, size)

    def key_at(self, place: int) -> str:
        there = sorted(self.here.keys)
        return there[place % len(there)] if there and place < len(KEYS) else KEYS[place % len(KEYS)]

    def id_of(self, key: str, choice: int | None) -> str | None:
        """The id a choice means; None means the current version."""
        if choice is None:
            return None
        versions = self.here.versions(key)
        return versions[choice % len(versions)].wire_id if versions and choice >= 0 else UNKNOWN

    def told_of_all(self, answer: Answer, keys: Collection[str]) -> Answer:
        """The answer to a request about several keys, once it tells of each of them."""
        return answer

    def upload_at(self, choice: int) -> Upload:
        return self.here.uploads[choice % len(self.here.uploads)]

    def condition_on(self, key: str, condition: str) -> dict[str, str]:
        current = self.here.current(key)
        return {
            "": {},
            "absent": {"if-none-match": "*"},
            "right": {"if-match": current.etag if current else "0" * 32},
            "wrong": {"if-match": "f" * 32},
            "any": {"if-match": "*"},
        }[condition]

    def check_conditions(self, key: str, headers: dict[str, str]) -> None:
        self.here.check(key, headers.get("if-match"), headers.get("if-none-match"))

    def copied_from(self, key: str, wire_id: str | None) -> Version:
        try:
            return self.here.find(key, wire_id)
        except Refused as why:
            raise (Refused(400, "InvalidRequest") if why.status == 405 else why) from None

    def ask_to_complete(
        self, upload: Upload, numbers: list[int], headers: dict[str, str], *, again: bool = False
    ) -> Answer:
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber>"
            f"<ETag>{md5(upload.parts.get(number, b'never'))}</ETag></Part>"
            for number in numbers
        )
        document = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
        query = {"uploadId": upload.wire_id}
        return self.there.ask(
            "POST", upload.key, query, headers=headers, body=document, again=again
        )

    def answered(
        self, expected: Callable[[], Any], answer: Answer, *, has_body: bool = True
    ) -> Any:
        """What the dictionary says; None when both refuse alike."""
        refused: Refused | None = None
        try:
            found = expected()
        except Refused as why:
            refused = why
        if refused is None:
            assert answer.status < 300, answer.body
            return found
        shows = has_body and answer.status != 304
        assert answer.status == refused.status, answer.body
        assert not shows or answer.code == refused.code, answer.body
        return None

    def learn_of(self, made: Version, answer: Answer) -> None:
        told = answer.headers.get("x-amz-version-id")
        if made.is_null:
            assert told in (None, "null")
        else:
            assert told is not None
            self.learn(made, told)

    def learn(self, made: Version, wire_id: str) -> None:
        known = {one.wire_id for versions in self.here.keys.values() for one in versions}
        assert wire_id not in known | {"null"}
        made.wire_id = wire_id

    def is_shown(self, version: Version, answer: Answer) -> None:
        assert answer.headers["etag"] == f'"{version.etag}"'
        assert int(answer.headers["content-length"]) == len(version.content)
        assert answer.headers.get("x-amz-meta-color") == version.metadata.get("color")
        assert int(answer.headers.get("x-amz-tagging-count", "0")) == len(version.tags)
        shown = answer.headers.get("x-amz-version-id")
        assert shown == (version.wire_id if self.here.versioning else None)

    def versions_here(self, prefix: str, delimiter: str) -> list[tuple[str, ...]]:
        return [
            (name,)
            if version is None
            else (
                name,
                version.wire_id,
                "DeleteMarker" if version.is_marker else "Version",
                "true" if version is self.here.versions(name)[-1] else "false",
            )
            for name, version in self.here.listed_versions(prefix, delimiter)
        ]


def version_query(wire_id: str | None) -> dict[str, str]:
    return {} if wire_id is None else {"versionId": wire_id}


def copy_source(bucket: str, key: str, wire_id: str | None) -> str:
    return quote(f"/{bucket}/{key}") + (f"?versionId={wire_id}" if wire_id else "")


def crc32(body: bytes) -> str:
    return encode(digest("CRC32", body))
