"""Rules about multipart uploads."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.model.both import (
    Both,
    colors,
    copy_source,
    keys,
    page_sizes,
    part_sizes,
    places,
    which,
)
from tests.model.reference import Bucket, Refused, Upload, Version, md5


class Uploads(Both):
    """Uploads, their parts and their end."""

    @rule(key=keys, color=colors)
    def begin_upload(self, key: str, color: str) -> None:
        headers = {"x-amz-meta-color": color}

        def expected() -> Upload:
            self.here.uploads.append(Upload("", key, {"color": color}))
            return self.here.uploads[-1]

        done = self.change(
            lambda: self.there.ask("POST", key, {"uploads": ""}, headers=headers), expected
        )
        if done is not None:
            answer, (made,) = done
            made.wire_id = answer.xml.findtext("UploadId", "")
            assert answer.status == 200
            assert made.wire_id

    @precondition(lambda self: self.here.uploads)
    @rule(choice=st.integers(0, 9), number=st.integers(1, 4), size=part_sizes)
    def put_part(self, choice: int, number: int, size: int) -> None:
        upload = self.upload_at(choice)
        body = self.new_body(size)
        query = {"partNumber": str(number), "uploadId": upload.wire_id}

        done = self.change(
            lambda: self.there.ask("PUT", upload.key, query, body=body),
            lambda: self.keep_part(choice, number, body),
        )
        if done is not None:
            answer, _ = done
            assert (answer.status, answer.headers["etag"]) == (200, f'"{md5(body)}"')

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
        source = self.key_at(place)
        upload = self.upload_at(choice)
        wire_id = self.id_of(source, version)
        headers = {"x-amz-copy-source": copy_source(self.there.bucket, source, wire_id)}
        if cut is not None:
            headers["x-amz-copy-source-range"] = f"bytes={min(cut)}-{max(cut)}"
        query = {"partNumber": str(number), "uploadId": upload.wire_id}

        def expected() -> bytes:
            whole = self.copied_from(source, wire_id).content
            if cut is None:
                return self.keep_part(choice, number, whole)
            if max(cut) >= len(whole):
                raise Refused(416, "InvalidRange")
            return self.keep_part(choice, number, whole[min(cut) : max(cut) + 1])

        done = self.change(
            lambda: self.there.ask("PUT", upload.key, query, headers=headers), expected
        )
        if done is not None:
            answer, (part,) = done
            assert answer.xml.findtext("ETag", "").strip('"') == md5(part)

    def keep_part(self, choice: int, number: int, body: bytes) -> bytes:
        self.upload_at(choice).parts[number] = body
        return body

    @precondition(lambda self: self.here.uploads)
    @rule(
        choice=st.integers(0, 9), condition=st.sampled_from(("", "", "absent", "right", "wrong")),
        numbers=st.sampled_from((None, None, None, [1], [2, 3], [1, 2, 3])),
    )  # fmt: skip
    def complete(self, choice: int, condition: str, numbers: list[int] | None) -> None:
        upload = self.upload_at(choice)
        chosen = numbers or sorted(upload.parts)
        if not chosen:
            return
        headers = self.condition_on(upload.key, condition)

        def expected() -> Version:
            found = self.upload_at(choice)
            Bucket.assembled(found, chosen)
            self.check_conditions(found.key, headers)
            return self.here.complete(found, chosen)

        done = self.change(lambda: self.ask_to_complete(upload, chosen, headers), expected)
        if done is not None:
            answer, (made,) = done
            self.learn_of(made, answer)
            assert answer.xml.findtext("ETag") == f'"{made.etag}"'
            again = self.ask_to_complete(upload, chosen, {}, again=True)
            assert (again.status, again.xml.findtext("ETag")) == (200, f'"{made.etag}"')
            assert again.headers.get("x-amz-version-id") == answer.headers.get("x-amz-version-id")

    @precondition(lambda self: self.here.uploads)
    @rule(choice=st.integers(0, 9))
    def abort(self, choice: int) -> None:
        upload = self.upload_at(choice)
        query = {"uploadId": upload.wire_id}
        done = self.change(
            lambda: self.there.ask("DELETE", upload.key, query),
            lambda: self.here.uploads.remove(self.upload_at(choice)),
        )
        assert done is None or done[0].status == 204
        answer = self.there.ask("GET", upload.key, query)
        assert (answer.status, answer.code) == (404, "NoSuchUpload")

    @precondition(lambda self: self.here.uploads)
    @rule(choice=st.integers(0, 9), size=page_sizes)
    def list_parts(self, choice: int, size: int) -> None:
        upload = self.upload_at(choice)
        expected = [(n, len(part), md5(part)) for n, part in sorted(upload.parts.items())]
        assert self.there.parts(upload.key, upload.wire_id, size) == expected

    @rule()
    def list_uploads(self) -> None:
        expected = sorted(self.here.uploads, key=lambda upload: upload.key.encode())
        assert self.there.uploads() == [(one.key, one.wire_id) for one in expected]
