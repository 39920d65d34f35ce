"""Rules about objects and their tags."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.model.both import (
    UNKNOWN,
    Both,
    colors,
    conditions,
    copy_source,
    crc32,
    edges,
    keys,
    named,
    places,
    sizes,
    tag_sets,
    version_query,
    which,
)
from tests.model.reference import Refused, Version, md5


class Objects(Both):
    """Puts, reads, deletes, copies, tags."""

    @rule(key=keys, size=sizes, color=colors, tags=tag_sets, condition=conditions)
    def put(self, key: str, size: int, color: str, tags: dict[str, str], condition: str) -> None:
        body = self.new_body(size)
        headers = {"x-amz-meta-color": color, **self.condition_on(key, condition)}
        if tags:
            headers["x-amz-tagging"] = "&".join(f"{n}={v}" for n, v in tags.items()).replace(
                " ", "+"
            )

        def expected() -> Version:
            self.check_conditions(key, headers)
            made = Version(body, md5(body), {"color": color}, tags)
            return self.here.add(key, made)

        done = self.change(lambda: self.there.ask("PUT", key, headers=headers, body=body), expected)
        if done is not None:
            answer, (made,) = done
            assert answer.headers["etag"] == f'"{made.etag}"'
            self.learn_of(made, answer)

    @rule(place=places, choice=which, method=st.sampled_from(("GET", "HEAD")), condition=conditions)
    def read(self, place: int, choice: int | None, method: str, condition: str) -> None:
        key = self.key_at(place)
        wire_id = self.id_of(key, choice)
        headers = self.condition_on(key, condition)
        answer = self.there.ask(method, key, version_query(wire_id), headers=headers)

        def expected() -> Version:
            found = self.here.find(key, wire_id)
            if "if-match" in headers and headers["if-match"] not in ("*", found.etag):
                raise Refused(412, "PreconditionFailed")
            if headers.get("if-none-match") == "*":
                raise Refused(304, "")
            return found

        found = self.answered(expected, answer, has_body=method == "GET")
        if found is not None:
            self.is_shown(found, answer)
            assert answer.body == (found.content if method == "GET" else b"")

    @rule(place=places, choice=which, first=edges, last=st.just(-1) | edges)
    def read_range(self, place: int, choice: int | None, first: int, last: int) -> None:
        key = self.key_at(place)
        wire_id = self.id_of(key, choice)
        shown = f"bytes={first}-{last}" if last >= first else f"bytes=-{first}"
        answer = self.there.ask("GET", key, version_query(wire_id), headers={"range": shown})

        def expected() -> bytes:
            whole = self.here.find(key, wire_id).content
            part = whole[first : last + 1] if last >= first else whole[max(0, len(whole) - first) :]
            if not part or (last < first and not first):
                raise Refused(416, "InvalidRange")
            return part

        part = self.answered(expected, answer)
        if part is not None:
            assert (answer.status, answer.body) == (206, part)

    @rule(place=places, number=st.integers(1, 4))
    def read_part(self, place: int, number: int) -> None:
        key = self.key_at(place)
        answer = self.there.ask("GET", key, {"partNumber": str(number)})

        def expected() -> bytes:
            found = self.here.find(key, None)
            parts = found.parts or [len(found.content)]
            if number > len(parts):
                raise Refused(416, "InvalidPartNumber")
            start = sum(parts[: number - 1])
            return found.content[start : start + parts[number - 1]]

        part = self.answered(expected, answer)
        if part is not None:
            assert answer.body == part

    @rule(key=keys)
    def delete(self, key: str) -> None:
        done = self.change(lambda: self.there.ask("DELETE", key), lambda: self.here.delete(key))
        if done is None:
            return
        answer, (marker,) = done
        assert answer.status == 204
        assert (answer.headers.get("x-amz-delete-marker") == "true") == (marker is not None)
        if marker is not None and not marker.is_null:
            self.learn(marker, answer.headers["x-amz-version-id"])

    @rule(place=places, choice=named)
    def delete_version(self, place: int, choice: int) -> None:
        key = self.key_at(place)
        wire_id = self.id_of(key, choice) or UNKNOWN
        done = self.change(
            lambda: self.there.ask("DELETE", key, {"versionId": wire_id}),
            lambda: self.here.delete_version(key, wire_id),
        )
        if done is None:
            return
        answer, (gone,) = done
        assert answer.status == 204
        was_marker = gone is not None and gone.is_marker
        assert (answer.headers.get("x-amz-delete-marker") == "true") == was_marker

    @rule(place=places, condition=st.sampled_from(("right", "wrong")))
    def delete_if(self, place: int, condition: str) -> None:
        key = self.key_at(place)
        if self.here.current(key) is None:
            return
        headers = self.condition_on(key, condition)

        def expected() -> Version | None:
            self.check_conditions(key, headers)
            return self.here.delete(key)

        done = self.change(lambda: self.there.ask("DELETE", key, headers=headers), expected)
        if done is None:
            return
        answer, (marker,) = done
        assert answer.status == 204
        if marker is not None and not marker.is_null:
            self.learn(marker, answer.headers["x-amz-version-id"])

    @rule(chosen=st.lists(st.tuples(keys, which), min_size=1, max_size=3))
    def delete_many(self, chosen: list[tuple[str, int | None]]) -> None:
        # The outcome of one key named twice depends on an order S3 does not promise.
        wanted = {key: self.id_of(key, choice) for key, choice in chosen}
        entries = "".join(
            f"<Object><Key>{key}</Key>"
            + (f"<VersionId>{wire_id}</VersionId>" if wire_id else "")
            + "</Object>"
            for key, wire_id in wanted.items()
        )
        document = f"<Delete>{entries}</Delete>".encode()
        headers = {"x-amz-checksum-crc32": crc32(document)}

        def gone(key: str, wire_id: str | None) -> Callable[[], Version | None]:
            if wire_id:
                return lambda: self.here.delete_version(key, wire_id)
            return lambda: self.here.delete(key)

        done = self.change(
            lambda: self.told_of_all(
                self.there.ask("POST", None, {"delete": ""}, headers=headers, body=document), wanted
            ),
            *(gone(key, wire_id) for key, wire_id in wanted.items()),
        )
        if done is None:
            return
        answer, found = done
        assert answer.status == 200
        told = {one.findtext("Key"): one for one in answer.xml.findall("Deleted")}
        assert told.keys() == wanted.keys()
        for (key, wire_id), marker in zip(wanted.items(), found, strict=True):
            if wire_id:
                continue
            assert (told[key].findtext("DeleteMarker") == "true") == (marker is not None)
            if marker is not None and not marker.is_null:
                self.learn(marker, str(told[key].findtext("DeleteMarkerVersionId")))

    @rule(place=places, choice=which, key=keys, color=st.none() | colors)
    def copy(self, place: int, choice: int | None, key: str, color: str | None) -> None:
        source = self.key_at(place)
        wire_id = self.id_of(source, choice)
        headers = {"x-amz-copy-source": copy_source(self.there.bucket, source, wire_id)}
        if color is not None:
            headers |= {"x-amz-metadata-directive": "REPLACE", "x-amz-meta-color": color}

        def expected() -> Version:
            found = self.copied_from(source, wire_id)
            if source == key and wire_id is None and color is None:
                raise Refused(400, "InvalidRequest")
            metadata = found.metadata if color is None else {"color": color}
            made = Version(found.content, "", dict(metadata), dict(found.tags), parts=found.parts)
            return self.here.add(key, made)

        done = self.change(lambda: self.there.ask("PUT", key, headers=headers), expected)
        if done is not None:
            answer, (made,) = done
            made.etag = answer.xml.findtext("ETag", "").strip('"')
            made.parts = made.parts if "-" in made.etag else None
            self.learn_of(made, answer)

    # --- tags

    @rule(place=places, choice=which, tags=tag_sets)
    def put_tags(self, place: int, choice: int | None, tags: dict[str, str]) -> None:
        key = self.key_at(place)
        wire_id = self.id_of(key, choice)
        rows = "".join(f"<Tag><Key>{n}</Key><Value>{v}</Value></Tag>" for n, v in tags.items())
        document = f"<Tagging><TagSet>{rows}</TagSet></Tagging>".encode()
        query = {"tagging": "", **version_query(wire_id)}

        self.change(
            lambda: self.there.ask("PUT", key, query, body=document),
            lambda: self.tag(key, wire_id, tags),
        )

    @rule(place=places, choice=which)
    def read_tags(self, place: int, choice: int | None) -> None:
        key = self.key_at(place)
        wire_id = self.id_of(key, choice)
        answer = self.there.ask("GET", key, {"tagging": "", **version_query(wire_id)})

        found = self.answered(lambda: self.here.find(key, wire_id), answer)
        if found is not None:
            told = [(one.findtext("Key"), one.findtext("Value")) for one in answer.xml.iter("Tag")]
            assert sorted(told) == sorted(found.tags.items())

    @rule(place=places, choice=which)
    def delete_tags(self, place: int, choice: int | None) -> None:
        key = self.key_at(place)
        wire_id = self.id_of(key, choice)
        query = {"tagging": "", **version_query(wire_id)}

        self.change(
            lambda: self.there.ask("DELETE", key, query), lambda: self.tag(key, wire_id, {})
        )

    def tag(self, key: str, wire_id: str | None, tags: dict[str, str]) -> None:
        self.here.find(key, wire_id).tags = tags
