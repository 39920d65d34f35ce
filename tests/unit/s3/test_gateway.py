"""The gateway: bodies, answers, errors, probes, and what every response carries."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import orjson
import psycopg
import pytest

from core import checksums, clock, metrics, sigv4
from core.config import Config
from core.errors import MethodNotAllowed, NoSuchKey, NotModified, UnknownOutcome
from core.streams import Whole
from objects.found import Found
from s3.access_log import AccessLog
from s3.gateway import Gateway
from s3.operations import Operation, match
from s3.wire import Call, Reply, header
from tests.support import asgi
from tests.support.asgi import Client, FakeStore, Response
from tests.support.clock import FakeClock


class Handled:
    """Stands in for every handler: keeps the call, reads its body, answers what it is told."""

    def __init__(self) -> None:
        self.reply: Reply | Exception = Reply(200)
        self.calls: list[Call] = []
        self.received: bytes | None = None

    def find(self, *asked: Any) -> Operation:
        return replace(match(*asked), handler=self)

    async def __call__(self, call: Call, store: Any) -> Reply:
        self.calls.append(call)
        pieces = []
        while piece := await call.body.read():
            pieces.append(piece)
        self.received = b"".join(pieces)
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


@pytest.fixture(autouse=True)
def moment() -> Iterator[None]:
    with clock.use(FakeClock(asgi.NOW)):
        yield


@pytest.fixture
def handled() -> Handled:
    return Handled()


@pytest.fixture
def client(handled: Handled) -> Client:
    return make_client(handled)


def make_client(handled: Handled, log: AccessLog | None = None, **settings: str) -> Client:
    config = Config.from_env(settings)
    return Client(Gateway(config, FakeStore(), log, handled.find))


def assert_refused(response: Response, status: int, code: str) -> None:
    assert (response.status, f"<Code>{code}</Code>".encode() in response.body) == (status, True), (
        response.body
    )


@pytest.mark.parametrize("reply", [Reply(200), NoSuchKey()], ids=["answered", "refused"])
async def test_a_finished_request_leaves_nothing_to_the_collector(
    client: Client, handled: Handled, reply: Reply | Exception
) -> None:
    handled.reply = reply
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await client.signed("PUT", "/bucket/key", b"body")
        handled.calls.clear()
        if isinstance(reply, Exception):
            reply.__traceback__ = None  # ours, kept by this test
        gc.collect()
        assert not [type(one) for one in gc.garbage if isinstance(one, Call | Found | Reply)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


# --- what every response carries


async def test_every_response_names_its_request(client: Client) -> None:
    first, second = await client.signed("GET", "/bucket/a"), await client.plain("GET", "/bucket/a")

    assert first["x-amz-request-id"] != second["x-amz-request-id"]
    for response in (first, second):
        assert response["x-amz-id-2"]
        assert response["date"] == "Sat, 31 Jan 2026 12:00:00 GMT"
        assert response["server"] == "objstore"


async def test_the_error_body_repeats_the_request_id(client: Client) -> None:
    response = await client.plain("GET", "/bucket/a")

    assert f"<RequestId>{response['x-amz-request-id']}</RequestId>".encode() in response.body
    assert response["content-type"] == "application/xml"
    assert b"<Resource>/bucket/a</Resource>" in response.body


async def test_the_length_of_a_body_is_announced(client: Client, handled: Handled) -> None:
    handled.reply = Reply(200, [], b"hello")

    response = await client.signed("GET", "/bucket/a")

    assert (response["content-length"], response.body) == ("5", b"hello")


async def test_a_head_announces_a_length_and_sends_nothing(
    client: Client, handled: Handled
) -> None:
    handled.reply = Reply(200, [], None, length=77)

    response = await client.signed("HEAD", "/bucket/a")

    assert (response["content-length"], response.body) == ("77", b"")


async def test_a_failed_head_has_no_body(client: Client, handled: Handled) -> None:
    handled.reply = NoSuchKey(key="a")

    response = await client.signed("HEAD", "/bucket/a")

    assert (response.status, response.body, response.is_complete) == (404, b"", True)


@pytest.mark.parametrize("status", [204, 304])
async def test_these_statuses_have_neither_body_nor_type(
    client: Client, handled: Handled, status: int
) -> None:
    handled.reply = Reply(status, [(b"content-type", b"text/plain"), (b"etag", b'"a"')])

    response = await client.signed("GET", "/bucket/a")

    assert (response.status, response.body) == (status, b"")
    assert "content-type" not in response
    assert response["etag"] == '"a"'


async def test_not_modified_as_an_error_keeps_its_headers(client: Client, handled: Handled) -> None:
    handled.reply = NotModified(headers=(("ETag", '"a"'),))

    response = await client.signed("GET", "/bucket/a")

    assert (response.status, response.body, response["etag"]) == (304, b"", '"a"')


# --- errors


async def test_an_error_shows_its_details(client: Client, handled: Handled) -> None:
    handled.reply = NoSuchKey(key="a<&>\x01")

    response = await client.signed("GET", "/bucket/a")

    assert_refused(response, 404, "NoSuchKey")
    assert "<Key>a&lt;&amp;&gt;�</Key>".encode() in response.body


async def test_an_error_may_bring_headers(client: Client, handled: Handled) -> None:
    handled.reply = MethodNotAllowed(headers=(("Allow", "GET, HEAD"),))

    assert (await client.signed("GET", "/bucket/a"))["allow"] == "GET, HEAD"


async def test_what_nobody_foresaw_is_an_internal_error(client: Client, handled: Handled) -> None:
    handled.reply = ZeroDivisionError("a secret of ours")

    response = await client.signed("GET", "/bucket/a")

    assert_refused(response, 500, "InternalError")
    assert b"secret" not in response.body


async def test_a_database_that_is_too_slow_is_a_503(client: Client, handled: Handled) -> None:
    handled.reply = psycopg.errors.QueryCanceled("canceling statement due to statement timeout")

    assert_refused(await client.signed("GET", "/bucket/a"), 503, "ServiceUnavailable")


async def test_an_inner_error_is_shown_as_what_it_is_seen_as(
    client: Client, handled: Handled
) -> None:
    handled.reply = UnknownOutcome("the commit was lost", version_id="x")

    response = await client.signed("GET", "/bucket/a")

    assert_refused(response, 503, "ServiceUnavailable")
    assert b"commit" not in response.body
    assert b"VersionId" not in response.body
    assert response["retry-after"] == "1"


async def test_a_line_break_in_a_header_is_not_sent(client: Client, handled: Handled) -> None:
    handled.reply = Reply(200, [(b"x-amz-meta-a", b"one\r\nset-cookie: two")])

    response = await client.signed("GET", "/bucket/a")

    assert response.status == 400
    assert not any(b"set-cookie" in value for _, value in response.headers)


def test_a_header_outside_latin_1_is_sent_as_utf_8() -> None:
    assert header(b"x-amz-meta-a", "日本") == (b"x-amz-meta-a", "日本".encode())


# --- addressing


async def test_a_key_is_decoded_once(client: Client, handled: Handled) -> None:
    await client.signed("GET", "/bucket/a%2520b%2Fc//../%C3%A4+d")

    assert handled.calls[0].key == "a%20b/c//../ä+d"


async def test_a_bucket_may_be_in_the_host(client: Client, handled: Handled) -> None:
    headers = client.signer.headers("GET", "http://bucket.s3.localhost:9000/a/b")

    await client.plain("GET", "/a/b", headers=headers)

    assert (handled.calls[0].bucket, handled.calls[0].key) == ("bucket", "a/b")


async def test_a_bucket_in_the_host_alone_is_the_bucket(client: Client, handled: Handled) -> None:
    headers = client.signer.headers("GET", "http://bucket.localhost/?location")

    await client.plain("GET", "/?location", headers=headers)

    assert handled.calls[0].operation.name == "GetBucketLocation"


@pytest.mark.parametrize(
    "raw_path", [b"/bucket/\xff", b"/bucket/%FF", b"/bucket/%zz", b"/bucket/%4"]
)
async def test_a_path_that_is_no_text_is_refused(client: Client, raw_path: bytes) -> None:
    response = await client.plain("GET", "/", raw_path=raw_path)

    assert_refused(response, 400, "InvalidURI")


async def test_a_key_of_1025_bytes_is_too_long(client: Client) -> None:
    assert_refused(await client.plain("GET", "/bucket/" + "a" * 1025), 400, "KeyTooLongError")


@pytest.mark.parametrize("path", ["/Bucket", "/a_b/key", "/ab", "//key", "/health/key"])
async def test_a_bad_bucket_name_is_refused_before_anything_else(client: Client, path: str) -> None:
    assert_refused(await client.plain("PUT", path), 400, "InvalidBucketName")


async def test_a_query_value_is_decoded(client: Client, handled: Handled) -> None:
    await client.signed("GET", "/bucket?prefix=a%2Fb%20c&list-type=2")

    assert handled.calls[0].query == {"prefix": "a/b c", "list-type": "2"}


async def test_repeated_headers_are_joined(client: Client, handled: Handled) -> None:
    headers = list(client.signer.headers("PUT", asgi.ENDPOINT + "/bucket/a").items())
    headers += [("accept", "a"), ("accept", "b")]

    await client.plain("PUT", "/bucket/a", b"", headers=headers)

    assert handled.calls[0].headers["accept"] == "a,b"


@pytest.mark.parametrize("name", ["host", "content-length", "transfer-encoding"])
async def test_a_header_that_frames_the_request_may_come_once(client: Client, name: str) -> None:
    headers = [
        ("host", "h"),
        ("content-length", "1"),
        ("transfer-encoding", "chunked"),
        (name, "2"),
    ]

    assert_refused(await client.plain("PUT", "/bucket/a", headers=headers), 400, "InvalidRequest")


# --- bodies


async def test_a_small_body_is_in_memory(client: Client, handled: Handled) -> None:
    await client.signed("PUT", "/bucket/a", b"hello", pieces=[b"he", b"llo"])

    assert handled.received == b"hello"
    assert isinstance(handled.calls[0].body, Whole)


async def test_a_small_body_is_read_once(client: Client) -> None:
    response = await client.signed("PUT", "/bucket/a", b"hello", pieces=[b"hello", b""])

    assert response.reads == 1


async def test_a_large_body_is_read_piece_by_piece(client: Client, handled: Handled) -> None:
    pieces = [b"a" * 50_000, b"b" * 50_000]

    await client.signed("PUT", "/bucket/a", b"".join(pieces), pieces=pieces)

    assert handled.received == b"".join(pieces)
    assert not isinstance(handled.calls[0].body, Whole)
    assert handled.calls[0].body.length == 100_000


@pytest.mark.parametrize("size", [5, 100_000])
async def test_fewer_bytes_than_announced_are_an_incomplete_body(client: Client, size: int) -> None:
    response = await client.signed("PUT", "/bucket/a", b"x" * size, pieces=[b"x" * (size - 1)])

    assert_refused(response, 400, "IncompleteBody")


@pytest.mark.parametrize("size", [5, 100_000])
async def test_a_client_that_goes_away_leaves_an_incomplete_body(
    client: Client, handled: Handled, size: int
) -> None:
    response = await client.signed("PUT", "/bucket/a", b"x" * size, pieces=[])

    assert_refused(response, 400, "IncompleteBody")
    assert handled.received is None


async def test_more_bytes_than_announced_are_an_incomplete_body(client: Client) -> None:
    response = await client.signed("PUT", "/bucket/a", b"hello", pieces=[b"hello more"])

    assert_refused(response, 400, "IncompleteBody")


async def test_a_put_without_a_length_is_refused(client: Client) -> None:
    assert_refused(await client.signed("PUT", "/bucket/a"), 411, "MissingContentLength")


async def test_a_chunked_transfer_is_read_to_its_end(client: Client, handled: Handled) -> None:
    headers = client.signer.headers("PUT", asgi.ENDPOINT + "/bucket/a", payload_hash=sigv4.UNSIGNED)
    headers["transfer-encoding"] = "chunked"

    await client.plain("PUT", "/bucket/a", b"", headers=headers, pieces=[b"ab", b"c"])

    assert handled.received == b"abc"


async def test_a_long_chunked_transfer_gets_its_length(tmp_path: Path, handled: Handled) -> None:
    client = make_client(handled, OBJSTORE_HOME=str(tmp_path))
    headers = client.signer.headers("PUT", asgi.ENDPOINT + "/bucket/a", payload_hash=sigv4.UNSIGNED)
    headers["transfer-encoding"] = "chunked"
    pieces = [bytes([n]) * 700_000 for n in range(5)]

    await client.plain("PUT", "/bucket/a", b"", headers=headers, pieces=pieces)

    assert handled.received == b"".join(pieces)
    assert handled.calls[0].body.length == 3_500_000
    assert list((tmp_path / "tmp").iterdir()) == []


async def test_an_endless_chunked_transfer_is_too_large(tmp_path: Path, handled: Handled) -> None:
    client = make_client(handled, OBJSTORE_HOME=str(tmp_path), OBJSTORE_LIMITS_PUT_BYTES="2MiB")
    headers = client.signer.headers("PUT", asgi.ENDPOINT + "/bucket/a", payload_hash=sigv4.UNSIGNED)
    headers["transfer-encoding"] = "chunked"

    response = await client.plain(
        "PUT", "/bucket/a", b"", headers=headers, pieces=[bytes(1 << 20)] * 3
    )

    assert_refused(response, 400, "EntityTooLarge")


async def test_too_many_headers_are_refused(client: Client) -> None:
    headers = {"x-a": "a" * 10_000, "x-b": "b" * 10_000}

    response = await client.signed("GET", "/bucket/a", headers=headers)

    assert_refused(response, 400, "RequestHeaderSectionTooLarge")


async def test_over_five_gibibytes_are_too_large(client: Client) -> None:
    headers = client.signer.headers("PUT", asgi.ENDPOINT + "/bucket/a", payload_hash=sigv4.UNSIGNED)
    headers["content-length"] = str((5 << 30) + 1)

    response = await client.plain("PUT", "/bucket/a", headers=headers)

    assert_refused(response, 400, "EntityTooLarge")
    assert response["connection"] == "close"


async def test_the_signed_hash_is_handed_on_with_the_body(client: Client, handled: Handled) -> None:
    digest = sha256(b"hello").hexdigest()

    await client.signed("PUT", "/bucket/a", b"hello", payload_hash=digest)

    assert handled.calls[0].payload_sha256 == digest


def streaming(client: Client, mode: str, length: int | str, **more: str) -> dict[str, str]:
    extra = {"x-amz-decoded-content-length": str(length), "content-encoding": "aws-chunked", **more}
    return client.signer.headers(
        "PUT", asgi.ENDPOINT + "/bucket/a", payload_hash=mode, headers=extra
    )


def signed_frame(client: Client, headers: dict[str, str], payload: bytes) -> bytes:
    chain = client.signer.chain(headers)
    framed = b""
    for chunk in (payload, b""):
        signature = chain.chunk(sha256(chunk).hexdigest())
        framed += f"{len(chunk):x};chunk-signature={signature}\r\n".encode() + chunk + b"\r\n"
    return framed


async def test_a_signed_streaming_body_continues_the_signature(
    client: Client, handled: Handled
) -> None:
    headers = streaming(client, sigv4.STREAMING, 5)

    framed = signed_frame(client, headers, b"hello")
    response = await client.plain("PUT", "/bucket/a", framed, headers=headers)

    assert (response.status, handled.received) == (200, b"hello")


async def test_a_streaming_body_signed_with_another_key_does_not_match(
    client: Client, handled: Handled
) -> None:
    headers = streaming(client, sigv4.STREAMING, 5)
    other = Client.__new__(Client)
    other.signer = type(client.signer)(asgi.ACCESS_KEY, "wrong")

    framed = signed_frame(other, headers, b"hello")
    response = await client.plain("PUT", "/bucket/a", framed, headers=headers)

    assert_refused(response, 403, "SignatureDoesNotMatch")
    assert handled.received is None


async def test_an_unsigned_trailer_is_handed_on(client: Client, handled: Handled) -> None:
    value = checksums.encode(checksums.digest("CRC32", b"hello"))
    headers = streaming(
        client, sigv4.STREAMING_UNSIGNED_TRAILER, 5, **{"x-amz-trailer": "x-amz-checksum-crc32"}
    )
    framed = f"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{value}\r\n\r\n".encode()

    await client.plain("PUT", "/bucket/a", framed, headers=headers)

    assert handled.received == b"hello"
    assert handled.calls[0].body.trailer == {"x-amz-checksum-crc32": value}


async def test_an_unsigned_body_still_needs_a_signed_request(client: Client) -> None:
    headers = streaming(client, sigv4.STREAMING_UNSIGNED_TRAILER, 5)
    headers["authorization"] = headers["authorization"][:-1] + (
        "0" if headers["authorization"][-1] != "0" else "1"
    )

    response = await client.plain("PUT", "/bucket/a", b"5\r\nhello\r\n0\r\n\r\n", headers=headers)

    assert_refused(response, 403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("length", ["", "abc", "-1"])
async def test_a_streaming_body_needs_its_decoded_length(client: Client, length: str) -> None:
    headers = streaming(client, sigv4.STREAMING, length)

    response = await client.plain("PUT", "/bucket/a", b"0\r\n\r\n", headers=headers)

    assert_refused(response, 411, "MissingContentLength")


@pytest.mark.parametrize(
    ("announced", "mode", "code"),
    [
        ("x-amz-checksum-foo", sigv4.STREAMING_UNSIGNED_TRAILER, "InvalidRequest"),
        ("foo", sigv4.STREAMING_UNSIGNED_TRAILER, "InvalidRequest"),
        ("x-amz-content-sha256", sigv4.STREAMING_UNSIGNED_TRAILER, "InvalidRequest"),
        (
            "x-amz-checksum-crc32,x-amz-checksum-sha1",
            sigv4.STREAMING_UNSIGNED_TRAILER,
            "InvalidRequest",
        ),
        ("x-amz-checksum-crc32", sigv4.STREAMING, "MalformedTrailerError"),
        ("x-amz-checksum-crc32", sigv4.UNSIGNED, "MalformedTrailerError"),
    ],
)
async def test_a_trailer_that_cannot_be_is_refused_before_the_body(
    client: Client, announced: str, mode: str, code: str
) -> None:
    headers = streaming(client, mode, 5, **{"x-amz-trailer": announced})

    response = await client.plain("PUT", "/bucket/a", b"0\r\n\r\n", headers=headers)

    assert_refused(response, 400, code)


async def test_commas_around_one_trailer_are_tolerated(client: Client, handled: Handled) -> None:
    value = checksums.encode(checksums.digest("CRC32", b"hello"))
    headers = streaming(
        client, sigv4.STREAMING_UNSIGNED_TRAILER, 5, **{"x-amz-trailer": ",x-amz-checksum-crc32,"}
    )
    framed = f"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{value}\r\n\r\n".encode()

    assert (await client.plain("PUT", "/bucket/a", framed, headers=headers)).status == 200


async def test_content_encoding_alone_does_not_frame_a_body(
    client: Client, handled: Handled
) -> None:
    await client.signed("PUT", "/bucket/a", b"raw", headers={"content-encoding": "aws-chunked"})

    assert handled.received == b"raw"


# --- refusing early, draining, limits


async def test_a_refused_body_that_was_to_be_asked_for_is_not(client: Client) -> None:
    response = await client.plain(
        "PUT", "/bucket/a", b"hello", headers=[("expect", "100-continue"), ("content-length", "5")]
    )

    assert_refused(response, 403, "AccessDenied")
    assert response.reads == 0


@pytest.mark.parametrize(
    ("body", "is_last"), [(b"", True), (b"hello", False)], ids=["empty", "asked for"]
)
async def test_without_100_continue_the_answer_is_the_last_of_its_connection(
    client: Client, body: bytes, is_last: bool
) -> None:
    response = await client.signed("PUT", "/bucket/a", body, headers={"expect": "100-continue"})

    assert response.status == 200
    assert ("connection" in response) == is_last


async def test_a_refused_body_under_way_is_read_away(client: Client) -> None:
    response = await client.plain("PUT", "/bucket/a", b"hello", pieces=[b"he", b"llo"])

    assert_refused(response, 403, "AccessDenied")
    assert response.reads == 2
    assert "connection" not in response


async def test_a_large_refused_body_is_not_read_away(client: Client) -> None:
    headers = [("content-length", str(1 << 30))]

    response = await client.plain("PUT", "/bucket/a", b"x", headers=headers)

    assert_refused(response, 403, "AccessDenied")
    assert (response.reads, response["connection"]) == (0, "close")


async def test_beyond_the_cap_clients_are_told_to_slow_down(handled: Handled) -> None:
    client = make_client(handled, OBJSTORE_S3_INFLIGHT="1", OBJSTORE_S3_RETRY_AFTER_S="7")
    inner: list[Response] = []

    class Nested(Handled):
        async def __call__(self, call: Call, store: Any) -> Reply:
            inner.append(await client.signed("GET", "/bucket/b"))
            return Reply(200)

    nested = Nested()
    client._gateway._find = nested.find
    outer = await client.signed("GET", "/bucket/a")

    assert outer.status == 200
    assert_refused(inner[0], 503, "SlowDown")
    assert inner[0]["retry-after"] == "7"


# --- streams


class Pieces:
    """A stream of these pieces; an exception among them is raised."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = list(pieces)
        self.is_closed = False

    async def next(self) -> bytes:
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def close(self) -> None:
        self.is_closed = True


async def test_a_stream_is_sent_and_closed(client: Client, handled: Handled) -> None:
    pieces = Pieces(b"one", b"two")
    handled.reply = Reply(200, [], pieces, length=6)

    response = await client.signed("GET", "/bucket/a")

    assert (response.body, response["content-length"]) == (b"onetwo", "6")
    assert (response.is_complete, pieces.is_closed) == (True, True)


async def test_a_stream_that_fails_is_broken_off(client: Client, handled: Handled) -> None:
    pieces = Pieces(b"one", NoSuchKey(key="a"))
    handled.reply = Reply(200, [], pieces, length=6)

    response = await client.signed("GET", "/bucket/a")

    assert (response.body, response.is_complete, pieces.is_closed) == (b"one", False, True)


async def test_a_stream_shorter_than_announced_is_broken_off(
    client: Client, handled: Handled
) -> None:
    pieces = Pieces(b"one")
    handled.reply = Reply(200, [], pieces, length=6)

    with pytest.raises(AssertionError):
        await client.signed("GET", "/bucket/a")

    assert pieces.is_closed


async def test_a_stream_nobody_listens_to_is_closed(handled: Handled) -> None:
    pieces = Pieces(*[b"x"] * 1000)
    handled.reply = Reply(200, [], pieces, length=1000)
    client = make_client(handled)
    headers = client.signer.headers("GET", asgi.ENDPOINT + "/bucket/a")
    sent = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)
        await asyncio.sleep(0)  # as a socket would

    await client._gateway.serve(
        {
            "type": "http",
            "scheme": "http",
            "method": "GET",
            "raw_path": b"/bucket/a",
            "query_string": b"",
            "headers": [(n.encode(), v.encode()) for n, v in headers.items()],
        },
        receive,
        send,
    )

    assert len(sent) < 10
    assert pieces.is_closed


# --- probes, counts, log


async def test_health_is_answered_to_anybody(client: Client) -> None:
    response = await client.plain("GET", "/health")

    assert (response.status, response.body) == (200, b"OK")


async def test_health_of_a_virtual_host_is_an_object(client: Client, handled: Handled) -> None:
    headers = client.signer.headers("GET", "http://bucket.localhost/health")

    await client.plain("GET", "/health", headers=headers)

    assert handled.calls[0].key == "health"


async def test_a_request_is_counted(client: Client) -> None:
    labels = ("GET", "GetObject", "200")
    before = metrics.requests.value(labels)

    await client.signed("GET", "/bucket/a")

    assert metrics.requests.value(labels) == before + 1


@pytest.fixture
def log_file() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        yield file


async def test_a_request_is_one_line_of_the_log(handled: Handled, log_file: IO[bytes]) -> None:
    log = AccessLog(log_file.fileno())
    client = make_client(handled, log)
    url = client.signer.presign("GET", asgi.ENDPOINT + "/bucket/a", expires_s=60)

    await client.plain("GET", url.removeprefix(asgi.ENDPOINT))
    log.write()

    os.lseek(log_file.fileno(), 0, os.SEEK_SET)
    text = log_file.read()
    line = orjson.loads(text)
    assert (line["operation"], line["status"], line["access_key"], line["path"]) == (
        "GetObject",
        200,
        asgi.ACCESS_KEY,
        "/bucket/a",
    )
    signature = url.rpartition("=")[2]
    assert signature.encode() not in text


async def test_a_refusal_is_logged_with_its_code(handled: Handled, log_file: IO[bytes]) -> None:
    log = AccessLog(log_file.fileno())

    await make_client(handled, log).plain("GET", "/bucket/a")
    log.write()

    os.lseek(log_file.fileno(), 0, os.SEEK_SET)
    assert orjson.loads(log_file.read())["error"] == "AccessDenied"
