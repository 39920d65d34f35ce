"""Whatever byte of a signed request is changed, the request is refused and nothing is stored.

Heads are judged by a gateway whose handlers only note that they were reached; bodies by the real
handlers over PostgreSQL, because the payload's hash is compared where it is digested.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import sigv4
from core.config import Config
from core.sigv4_client import Signer
from s3.gateway import Gateway
from s3.operations import Operation, match
from s3.wire import Call, Reply
from tests.support import raw_asgi
from tests.support.asgi import ACCESS_KEY, SECRET, FakeStore
from tests.support.house import House
from tests.support.mutations import flips, signed_parts
from tests.support.raw_asgi import RawClient, Request

SIGNER = Signer(ACCESS_KEY, SECRET)
DOCUMENT = b"<Delete><Object><Key>a</Key></Object></Delete>"
META = {"x-amz-meta-color": "dark  blue", "content-type": "text/plain", "range": "bytes=0-9"}
HEADS = {
    "read": raw_asgi.in_header(
        SIGNER,
        "GET",
        "/bucket/a%20key/b+c?versionId=0123456789abcdef0123456789abcdef&response-expires=a%2Fb",
        headers=META,
    ),
    "write": raw_asgi.in_header(SIGNER, "PUT", "/bucket/%C3%A4//../key", headers=META),
    "document": raw_asgi.in_header(SIGNER, "POST", "/bucket?delete", DOCUMENT),
    "presigned read": raw_asgi.presigned(SIGNER, "GET", "/bucket/key?partNumber=1"),
    "presigned write": raw_asgi.presigned(
        SIGNER, "PUT", "/bucket/key", b"body", {"x-amz-acl": "private", "content-type": "a/b"}
    ),
}
BODY = bytes(range(256)) * 33  # a whole chunk and a little more
LONGEST = 80


class Reached:
    """A handler for everything, that remembers having got a whole body."""

    def __init__(self) -> None:
        self.count = 0

    def find(self, *asked: Any) -> Operation:
        return replace(match(*asked), handler=self)

    async def __call__(self, call: Call, store: Any) -> Reply:
        while await call.body.read():
            pass
        self.count += 1
        return Reply(200)


class Judge:
    """Says of requests whether their handler was reached."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._reached = Reached()
        gateway = Gateway(Config.from_env({}), FakeStore(), None, self._reached.find)  # type: ignore[arg-type]
        self._client = RawClient(gateway)

    def admitted(self, requests: list[Request]) -> list[Request]:
        """Those that got through."""

        async def ask() -> list[Request]:
            through = []
            for request in requests:
                before = self._reached.count
                response = await self._client.send(request)
                if self._reached.count > before or response.status < 400:
                    through.append(request)
            return through

        return self._runner.run(ask())

    def close(self) -> None:
        self._runner.close()


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    made = Judge()
    yield made
    made.close()


@pytest.mark.parametrize("request_", HEADS.values(), ids=HEADS.keys())
def test_a_signed_head_is_admitted_as_it_is(judge: Judge, request_: Request) -> None:
    assert judge.admitted([request_]) == [request_]


@pytest.mark.parametrize("name", HEADS)
def test_no_head_with_one_bit_changed_is_admitted(judge: Judge, name: str) -> None:
    changed = [
        (part, rebuild(raw))
        for part, original, rebuild in signed_parts(HEADS[name])
        for raw in flips(original)
        if not part.startswith("name") or raw.lower() != original
    ]

    through = set(judge.admitted([request for _, request in changed]))

    assert [(part, one) for part, one in changed if one in through] == []
    assert len(changed) > 1000


def test_no_other_method_is_admitted(judge: Judge) -> None:
    others = [
        replace(head, method=method)
        for head in HEADS.values()
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE")
        if method != head.method
    ]

    assert judge.admitted(others) == []


def test_no_flipped_bit_of_a_signed_document_is_admitted(judge: Judge) -> None:
    head = HEADS["document"]

    assert judge.admitted([replace(head, body=body) for body in flips(head.body)]) == []


def means_the_same(part: str, one: bytes, other: bytes) -> bool:
    """Whether S3 gives both one meaning: then either may be sent for the other."""
    if part == "query":
        return parameters(one) == parameters(other)
    if part == "path":
        return unquote_to_bytes(one) == unquote_to_bytes(other)
    if part.startswith("value"):
        return one.split() == other.split()
    if part == "authorization":
        return one.replace(b" ", b"") == other.replace(b" ", b"")
    return one.lower() == other.lower()


def parameters(query: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values, decoded."""
    pairs = [piece.replace(b"+", b" ").partition(b"=") for piece in query.split(b"&") if piece]
    return sorted((unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in pairs)


@settings(max_examples=1000, deadline=None)
@given(data=st.data())
def test_no_head_with_a_stretch_replaced_is_admitted(judge: Judge, data: st.DataObject) -> None:
    head = data.draw(st.sampled_from(sorted(HEADS)))
    part, original, rebuild = data.draw(st.sampled_from(list(signed_parts(HEADS[head]))))
    start = data.draw(st.integers(0, len(original)))
    stop = data.draw(st.integers(start, min(len(original), start + 8)))
    instead = data.draw(
        st.binary(max_size=4) | st.sampled_from((b" ", b"&", b"%00", b"=", b"/", b",", b";", b"+"))
    )
    changed = original[:start] + instead + original[stop:]
    if means_the_same(part, original, changed):
        return

    assert judge.admitted([rebuild(changed)]) == []


def test_only_blanks_are_folded_where_a_value_is_signed() -> None:
    # The second byte of this letter is one that Latin-1 calls a space.
    value = "à  b".encode().decode("latin-1")

    canonical = sigv4.canonical_request(
        method="PUT", raw_path=b"/", raw_query=b"", headers={"x-amz-meta-a": value},
        signed_headers="x-amz-meta-a", payload_hash="",
    )  # fmt: skip

    assert b"x-amz-meta-a:" + value.replace("  ", " ").encode("latin-1") in canonical


# --- bodies

Make = Callable[..., Request]
FORMS: dict[str, Make] = {
    "hashed": raw_asgi.in_header,
    "chunked": raw_asgi.chunked,
    "trailer": raw_asgi.with_trailer,
    "unsigned trailer": raw_asgi.with_unsigned_trailer,
}


def at_stake(body: bytes) -> list[int]:
    """Where to change a body: everywhere in its framing, here and there in the payload."""
    edges = set(range(min(160, len(body)))) | set(range(max(0, len(body) - 700), len(body)))
    return sorted(edges | set(range(0, len(body), 97)))


@pytest.mark.parametrize("form", FORMS)
def test_a_body_is_stored_as_it_was_signed(house: House, form: str) -> None:
    path = f"/{house.target.bucket}/whole-{form.replace(' ', '-')}"

    assert house.send(FORMS[form](house.owner, "PUT", path, BODY)).status == 200

    assert house.ask(house.owner, "GET", path).body == BODY


@pytest.mark.parametrize("form", FORMS)
def test_no_body_with_one_bit_changed_is_stored(house: House, form: str) -> None:
    path = f"/{house.target.bucket}/changed-{form.replace(' ', '-')}"
    request = FORMS[form](house.owner, "PUT", path, BODY)
    body = request.body
    changed = [
        (at, body[:at] + bytes((body[at] ^ 1 << at % 8,)) + body[at + 1 :]) for at in at_stake(body)
    ]
    # The case of letters in a chunk's size or a trailer's name says nothing.
    changed = [(at, one) for at, one in changed if one.lower() != body.lower()]

    answers = house.send_all([replace(request, body=one) for _, one in changed])

    taken = [
        (at, body[max(0, at - 20) : at + 20], one[at])
        for (at, one), answer in zip(changed, answers, strict=True)
        if answer.status < 400
    ]
    assert taken == []
    assert house.ask(house.owner, "GET", path).status == 404


@pytest.mark.parametrize("form", ["chunked", "trailer"])
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_no_body_cut_or_joined_otherwise_is_stored(
    house: House, form: str, data: st.DataObject
) -> None:
    path = f"/{house.target.bucket}/cut-{form}"
    request = FORMS[form](house.owner, "PUT", path, BODY)
    body = request.body
    start = data.draw(st.integers(0, len(body)), "start")
    stop = data.draw(st.integers(start, min(len(body), start + LONGEST)), "stop")
    how = data.draw(st.sampled_from(("drop", "repeat", "end here", "begin again")))
    stretch = body[start:stop]
    changed = {
        "drop": body[:start] + body[stop:],
        "repeat": body[:stop] + stretch + body[stop:],
        "end here": body[:start],
        "begin again": body[:start] + body,
    }[how]
    if changed.rstrip(b"\r\n") == body.rstrip(b"\r\n"):
        return  # clients may leave out the very last line break

    answer = house.send(
        replace(request, body=changed).with_header(b"content-length", str(len(changed)).encode())
    )

    assert answer.status >= 400
    assert house.ask(house.owner, "GET", path).status == 404


def test_chunks_of_another_request_are_not_stored(house: House) -> None:
    path = f"/{house.target.bucket}/borrowed"
    mine = raw_asgi.chunked(house.owner, "PUT", path, BODY)
    other = raw_asgi.chunked(house.owner, "PUT", f"{path}-too", BODY)

    answer = house.send(replace(mine, body=other.body))

    assert answer.status == 403
    assert house.ask(house.owner, "GET", path).status == 404
