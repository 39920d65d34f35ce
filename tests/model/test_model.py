"""The store beside a dictionary: whatever is asked, in whatever order, both say the same.

Here: the rules a Hypothesis machine draws from, each one request and what it must answer, and the
comparison of everything in the end. `make chaos` runs the long form, in which processes are killed
between requests while sealing, coding and collecting go on.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.checksums import digest, encode
from tests.model.client import Client
from tests.model.reference import PART_MIN, Bucket, Refused, Upload, Version, md5
from tests.s3.raw import Answer, Raw
from tests.support import faults
from tests.support.local_store import SMALL, LocalStore, running_store

pytestmark = pytest.mark.timeout(1500)

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


class Model(RuleBasedStateMachine):
    """One bucket; `here` is the dictionary, `there` the store."""

    raw: Raw

    def __init__(self) -> None:
        super().__init__()
        self.here = Bucket()
        self.there = Client(self.raw, f"model-{_RUN}-{next(_numbers)}")
        self.count = 0

    @initialize(
        early=st.lists(keys, max_size=3),
        status=st.sampled_from(("", "Enabled", "Enabled", "Suspended")),
        late=st.lists(st.tuples(keys, sizes), min_size=2, max_size=8),
    )
    def make(self, early: list[str], status: str, late: list[tuple[str, int]]) -> None:
        """A bucket in which something lies already, from before and after its versioning."""
        assert self.there.ask("PUT").status == 200
        for key in early:
            self.put(key, 10, "red", {}, "")
        if status:
            self.set_versioning(status)
        for key, size in late:
            self.put(key, size, "green", {"a": "1"}, "")

    # --- objects

    @rule(key=keys, size=sizes, color=colors, tags=tag_sets, condition=conditions)
    def put(self, key: str, size: int, color: str, tags: dict[str, str], condition: str) -> None:
        body = self._body(size)
        headers = {"x-amz-meta-color": color, **self._condition(key, condition)}
        if tags:
            headers["x-amz-tagging"] = "&".join(f"{n}={v}" for n, v in tags.items()).replace(
                " ", "+"
            )

        def expected() -> Version:
            self._check(key, headers)
            made = Version(body, md5(body), {"color": color}, tags)
            return self.here.add(key, made)

        self._writes(expected, self.there.ask("PUT", key, headers=headers, body=body))

    @rule(place=places, choice=which, method=st.sampled_from(("GET", "HEAD")), condition=conditions)
    def read(self, place: int, choice: int | None, method: str, condition: str) -> None:
        key = self._key(place)
        wire_id = self._wire_id(key, choice)
        headers = self._condition(key, condition)
        answer = self.there.ask(method, key, _version(wire_id), headers=headers)

        def expected() -> Version:
            found = self.here.find(key, wire_id)
            if "if-match" in headers and headers["if-match"] not in ("*", found.etag):
                raise Refused(412, "PreconditionFailed")
            if headers.get("if-none-match") == "*":
                raise Refused(304, "")
            return found

        found = self._answered(expected, answer, has_body=method == "GET")
        if found is not None:
            self._is_shown(found, answer)
            assert answer.body == (found.content if method == "GET" else b"")

    @rule(place=places, choice=which, first=edges, last=st.just(-1) | edges)
    def read_range(self, place: int, choice: int | None, first: int, last: int) -> None:
        key = self._key(place)
        wire_id = self._wire_id(key, choice)
        shown = f"bytes={first}-{last}" if last >= first else f"bytes=-{first}"
        answer = self.there.ask("GET", key, _version(wire_id), headers={"range": shown})

        def expected() -> bytes:
            whole = self.here.find(key, wire_id).content
            part = whole[first : last + 1] if last >= first else whole[max(0, len(whole) - first) :]
            if not part or (last < first and not first):
                raise Refused(416, "InvalidRange")
            return part

        part = self._answered(expected, answer)
        if part is not None:
            assert (answer.status, answer.body) == (206, part)

    @rule(place=places, number=st.integers(1, 4))
    def read_part(self, place: int, number: int) -> None:
        key = self._key(place)
        answer = self.there.ask("GET", key, {"partNumber": str(number)})

        def expected() -> bytes:
            found = self.here.find(key, None)
            parts = found.parts or [len(found.content)]
            if number > len(parts):
                raise Refused(416, "InvalidPartNumber")
            start = sum(parts[: number - 1])
            return found.content[start : start + parts[number - 1]]

        part = self._answered(expected, answer)
        if part is not None:
            assert answer.body == part

    @rule(key=keys)
    def delete(self, key: str) -> None:
        answer = self.there.ask("DELETE", key)

        assert answer.status == 204
        marker = self.here.delete(key)
        assert (answer.headers.get("x-amz-delete-marker") == "true") == (marker is not None)
        if marker is not None and not marker.is_null:
            self._learn(marker, answer.headers["x-amz-version-id"])

    @rule(place=places, choice=named)
    def delete_version(self, place: int, choice: int) -> None:
        key = self._key(place)
        wire_id = self._wire_id(key, choice) or UNKNOWN
        answer = self.there.ask("DELETE", key, {"versionId": wire_id})

        assert answer.status == 204
        gone = self.here.delete_version(key, wire_id)
        was_marker = gone is not None and gone.is_marker
        assert (answer.headers.get("x-amz-delete-marker") == "true") == was_marker

    @rule(place=places, condition=st.sampled_from(("right", "wrong")))
    def delete_if(self, place: int, condition: str) -> None:
        key = self._key(place)
        current = self.here.current(key)
        if current is None:
            return
        answer = self.there.ask("DELETE", key, headers=self._condition(key, condition))

        assert answer.status == (204 if condition == "right" else 412)
        if condition == "right":
            marker = self.here.delete(key)
            if marker is not None and not marker.is_null:
                self._learn(marker, answer.headers["x-amz-version-id"])

    @rule(chosen=st.lists(st.tuples(keys, which), min_size=1, max_size=3))
    def delete_many(self, chosen: list[tuple[str, int | None]]) -> None:
        # The outcome of one key named twice depends on an order S3 does not promise.
        wanted = {key: self._wire_id(key, choice) for key, choice in chosen}
        entries = "".join(
            f"<Object><Key>{key}</Key>"
            + (f"<VersionId>{wire_id}</VersionId>" if wire_id else "")
            + "</Object>"
            for key, wire_id in wanted.items()
        )
        document = f"<Delete>{entries}</Delete>".encode()
        headers = {"x-amz-checksum-crc32": _crc32(document)}
        answer = self.there.ask("POST", None, {"delete": ""}, headers=headers, body=document)

        assert answer.status == 200
        told = {one.findtext("Key"): one for one in answer.xml.findall("Deleted")}
        assert told.keys() == wanted.keys()
        for key, wire_id in wanted.items():
            if wire_id:
                self.here.delete_version(key, wire_id)
                continue
            marker = self.here.delete(key)
            assert (told[key].findtext("DeleteMarker") == "true") == (marker is not None)
            if marker is not None and not marker.is_null:
                self._learn(marker, str(told[key].findtext("DeleteMarkerVersionId")))

    @rule(place=places, choice=which, key=keys, color=st.none() | colors)
    def copy(self, place: int, choice: int | None, key: str, color: str | None) -> None:
        source = self._key(place)
        wire_id = self._wire_id(source, choice)
        headers = {"x-amz-copy-source": _source(self.there.bucket, source, wire_id)}
        if color is not None:
            headers |= {"x-amz-metadata-directive": "REPLACE", "x-amz-meta-color": color}
        answer = self.there.ask("PUT", key, headers=headers)

        def expected() -> Version:
            found = self._source(source, wire_id)
            if source == key and wire_id is None and color is None:
                raise Refused(400, "InvalidRequest")
            metadata = found.metadata if color is None else {"color": color}
            made = Version(found.content, "", dict(metadata), dict(found.tags), parts=found.parts)
            return self.here.add(key, made)

        made = self._answered(expected, answer)
        if made is not None:
            made.etag = answer.xml.findtext("ETag", "").strip('"')
            made.parts = made.parts if "-" in made.etag else None
            self._learn_of(made, answer)

    # --- tags

    @rule(place=places, choice=which, tags=tag_sets)
    def put_tags(self, place: int, choice: int | None, tags: dict[str, str]) -> None:
        key = self._key(place)
        wire_id = self._wire_id(key, choice)
        rows = "".join(f"<Tag><Key>{n}</Key><Value>{v}</Value></Tag>" for n, v in tags.items())
        document = f"<Tagging><TagSet>{rows}</TagSet></Tagging>".encode()
        answer = self.there.ask("PUT", key, {"tagging": "", **_version(wire_id)}, body=document)

        found = self._answered(lambda: self.here.find(key, wire_id), answer)
        if found is not None:
            found.tags = tags

    @rule(place=places, choice=which)
    def read_tags(self, place: int, choice: int | None) -> None:
        key = self._key(place)
        wire_id = self._wire_id(key, choice)
        answer = self.there.ask("GET", key, {"tagging": "", **_version(wire_id)})

        found = self._answered(lambda: self.here.find(key, wire_id), answer)
        if found is not None:
            told = [(one.findtext("Key"), one.findtext("Value")) for one in answer.xml.iter("Tag")]
            assert sorted(told) == sorted(found.tags.items())

    @rule(place=places, choice=which)
    def delete_tags(self, place: int, choice: int | None) -> None:
        key = self._key(place)
        wire_id = self._wire_id(key, choice)
        answer = self.there.ask("DELETE", key, {"tagging": "", **_version(wire_id)})

        found = self._answered(lambda: self.here.find(key, wire_id), answer)
        if found is not None:
            found.tags = {}

    # --- the bucket

    @rule(status=st.sampled_from(("Enabled", "Enabled", "Suspended")))
    def set_versioning(self, status: str) -> None:
        document = f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>"
        assert self.there.ask("PUT", None, {"versioning": ""}, body=document.encode()).status == 200
        self.here.versioning = status

    @rule(prefix=prefixes, delimiter=delimiters, size=page_sizes)
    def list_objects(self, prefix: str, delimiter: str, size: int) -> None:
        expected = [
            (name, None if version is None else f'"{version.etag}"')
            for name, version in self.here.listed(prefix, delimiter)
        ]
        assert self.there.listing(prefix, delimiter, size) == expected

    @rule(prefix=prefixes, delimiter=delimiters, size=page_sizes)
    def list_versions(self, prefix: str, delimiter: str, size: int) -> None:
        assert self.there.versions(prefix, delimiter, size) == self._versions(prefix, delimiter)

    # --- uploads

    @rule(key=keys, color=colors)
    def begin_upload(self, key: str, color: str) -> None:
        answer = self.there.ask("POST", key, {"uploads": ""}, headers={"x-amz-meta-color": color})
        assert answer.status == 200
        wire_id = answer.xml.findtext("UploadId", "")
        self.here.uploads.append(Upload(wire_id, key, {"color": color}))

    @precondition(lambda self: self.here.uploads)
    @rule(choice=st.integers(0, 9), number=st.integers(1, 4), size=part_sizes)
    def put_part(self, choice: int, number: int, size: int) -> None:
        upload = self._upload(choice)
        body = self._body(size)
        query = {"partNumber": str(number), "uploadId": upload.wire_id}
        answer = self.there.ask("PUT", upload.key, query, body=body)
        assert (answer.status, answer.headers["etag"]) == (200, f'"{md5(body)}"')
        upload.parts[number] = body

    @precondition(lambda self: self.here.uploads)
    @rule(
        choice=st.integers(0, 9), number=st.integers(1, 4), place=places, version=which,
        cut=st.none() | st.tuples(st.integers(0, 3000), st.integers(0, 3000)),
    )  # fmt: skip
    def copy_part(
        self,
        choice: int,
        number: int,
        place: int,
        version: int | None,
        cut: tuple[int, int] | None,
    ) -> None:
        source = self._key(place)
        upload = self._upload(choice)
        wire_id = self._wire_id(source, version)
        headers = {"x-amz-copy-source": _source(self.there.bucket, source, wire_id)}
        if cut is not None:
            headers["x-amz-copy-source-range"] = f"bytes={min(cut)}-{max(cut)}"
        query = {"partNumber": str(number), "uploadId": upload.wire_id}
        answer = self.there.ask("PUT", upload.key, query, headers=headers)

        def expected() -> bytes:
            whole = self._source(source, wire_id).content
            if cut is None:
                return whole
            if max(cut) >= len(whole):
                raise Refused(416, "InvalidRange")
            return whole[min(cut) : max(cut) + 1]

        part = self._answered(expected, answer)
        if part is not None:
            assert answer.xml.findtext("ETag", "").strip('"') == md5(part)
            upload.parts[number] = part

    @precondition(lambda self: self.here.uploads)
    @rule(
        choice=st.integers(0, 9), condition=st.sampled_from(("", "", "absent", "right", "wrong")),
        numbers=st.sampled_from((None, None, None, [1], [2, 3], [1, 2, 3])),
    )  # fmt: skip
    def complete(self, choice: int, condition: str, numbers: list[int] | None) -> None:
        upload = self._upload(choice)
        chosen = numbers or sorted(upload.parts)
        if not chosen:
            return
        headers = self._condition(upload.key, condition)
        answer = self._complete(upload, chosen, headers)

        def expected() -> Version:
            Bucket.assembled(upload, chosen)
            self._check(upload.key, headers)
            return self.here.complete(upload, chosen)

        made = self._answered(expected, answer)
        if made is not None:
            self._learn_of(made, answer)
            assert answer.xml.findtext("ETag") == f'"{made.etag}"'
            again = self._complete(upload, chosen, {})
            assert (again.status, again.xml.findtext("ETag")) == (200, f'"{made.etag}"')
            assert again.headers.get("x-amz-version-id") == answer.headers.get("x-amz-version-id")

    @precondition(lambda self: self.here.uploads)
    @rule(choice=st.integers(0, 9))
    def abort(self, choice: int) -> None:
        upload = self._upload(choice)
        assert self.there.ask("DELETE", upload.key, {"uploadId": upload.wire_id}).status == 204
        self.here.uploads.remove(upload)
        answer = self.there.ask("GET", upload.key, {"uploadId": upload.wire_id})
        assert (answer.status, answer.code) == (404, "NoSuchUpload")

    @precondition(lambda self: self.here.uploads)
    @rule(choice=st.integers(0, 9), size=page_sizes)
    def list_parts(self, choice: int, size: int) -> None:
        upload = self._upload(choice)
        expected = [(n, len(part), md5(part)) for n, part in sorted(upload.parts.items())]
        assert self.there.parts(upload.key, upload.wire_id, size) == expected

    @rule()
    def list_uploads(self) -> None:
        expected = sorted(self.here.uploads, key=lambda upload: upload.key.encode())
        assert self.there.uploads() == [(one.key, one.wire_id) for one in expected]

    # --- the end

    def teardown(self) -> None:
        """Everything there is, compared."""
        assert self.there.versions("", "", 1000) == self._versions("", "")
        for key, versions in self.here.keys.items():
            for version in versions:
                if not version.is_marker:
                    answer = self.there.ask("GET", key, {"versionId": version.wire_id})
                    assert (answer.status, answer.body) == (200, version.content)
                    self._is_shown(version, answer)
        empty = not self.here.keys
        assert self.there.ask("DELETE").status == (204 if empty else 409)

    # --- between both

    def _body(self, size: int) -> bytes:
        self.count += 1
        return content(self.count, size)

    def _key(self, place: int) -> str:
        there = sorted(self.here.keys)
        return there[place % len(there)] if there and place < len(KEYS) else KEYS[place % len(KEYS)]

    def _wire_id(self, key: str, choice: int | None) -> str | None:
        """The id a choice means; None means the current version."""
        if choice is None:
            return None
        versions = self.here.versions(key)
        return versions[choice % len(versions)].wire_id if versions and choice >= 0 else UNKNOWN

    def _upload(self, choice: int) -> Upload:
        return self.here.uploads[choice % len(self.here.uploads)]

    def _condition(self, key: str, condition: str) -> dict[str, str]:
        current = self.here.current(key)
        return {
            "": {},
            "absent": {"if-none-match": "*"},
            "right": {"if-match": current.etag if current else "0" * 32},
            "wrong": {"if-match": "f" * 32},
            "any": {"if-match": "*"},
        }[condition]

    def _check(self, key: str, headers: dict[str, str]) -> None:
        self.here.check(key, headers.get("if-match"), headers.get("if-none-match"))

    def _source(self, key: str, wire_id: str | None) -> Version:
        try:
            return self.here.find(key, wire_id)
        except Refused as why:
            raise (Refused(400, "InvalidRequest") if why.status == 405 else why) from None

    def _complete(self, upload: Upload, numbers: list[int], headers: dict[str, str]) -> Answer:
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber>"
            f"<ETag>{md5(upload.parts.get(number, b'never'))}</ETag></Part>"
            for number in numbers
        )
        document = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
        query = {"uploadId": upload.wire_id}
        return self.there.ask("POST", upload.key, query, headers=headers, body=document)

    def _answered(
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

    def _writes(self, expected: Callable[[], Version], answer: Answer) -> None:
        made = self._answered(expected, answer)
        if made is not None:
            assert answer.headers["etag"] == f'"{made.etag}"'
            self._learn_of(made, answer)

    def _learn_of(self, made: Version, answer: Answer) -> None:
        told = answer.headers.get("x-amz-version-id")
        if made.is_null:
            assert told in (None, "null")
        else:
            assert told is not None
            self._learn(made, told)

    def _learn(self, made: Version, wire_id: str) -> None:
        known = {one.wire_id for versions in self.here.keys.values() for one in versions}
        assert wire_id not in known | {"null"}
        made.wire_id = wire_id

    def _is_shown(self, version: Version, answer: Answer) -> None:
        assert answer.headers["etag"] == f'"{version.etag}"'
        assert int(answer.headers["content-length"]) == len(version.content)
        assert answer.headers.get("x-amz-meta-color") == version.metadata.get("color")
        assert int(answer.headers.get("x-amz-tagging-count", "0")) == len(version.tags)
        shown = answer.headers.get("x-amz-version-id")
        assert shown == (version.wire_id if self.here.versioning else None)

    def _versions(self, prefix: str, delimiter: str) -> list[tuple[str, ...]]:
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


def _version(wire_id: str | None) -> dict[str, str]:
    return {} if wire_id is None else {"versionId": wire_id}


def _source(bucket: str, key: str, wire_id: str | None) -> str:
    return quote(f"/{bucket}/{key}") + (f"?versionId={wire_id}" if wire_id else "")


def _crc32(body: bytes) -> str:
    return encode(digest("CRC32", body))


@pytest.fixture(scope="module")
def store() -> Iterator[LocalStore]:
    with running_store({**SMALL, "OBJSTORE_LIMITS_BUCKETS": "1000000"}) as local:
        yield local


def run(store: LocalStore, machine: type[Model], examples: int, steps: int) -> None:
    access = store.access
    machine.raw = Raw(access.endpoint, access.access_key, access.secret_key)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_store_answers_as_the_dictionary_does(store: LocalStore) -> None:
    run(store, Model, examples=40, steps=25)


class Hurt(Model):
    """The same while processes die; whoever asks then asks a store that is back."""

    store: LocalStore

    @rule(role=st.sampled_from(("gateway", "worker", "node", "dispatcher")))
    def kill(self, role: str) -> None:
        faults.kill(faults.pids(self.store.home, role)[:1])
        self.store.wait_until_ready()


@pytest.mark.chaos
def test_the_store_answers_as_the_dictionary_does_while_processes_die(store: LocalStore) -> None:
    Hurt.store = store
    run(store, Hurt, examples=500, steps=80)
