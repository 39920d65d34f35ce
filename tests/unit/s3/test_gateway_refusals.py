"""What the S3 port says to what is no request, and to requests at the edge of HTTP."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from http.client import HTTPResponse
from io import BytesIO
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import orjson
import pytest

from core import metrics
from core.config import Config
from core.sigv4_client import Signer
from s3 import connection
from s3.access_log import AccessLog
from s3.gateway import Gateway
from s3.wire import Reply
from tests.support import asgi
from tests.support.asgi import FakeStore, Handled
from tests.support.peer import Peer, turns

pytestmark = pytest.mark.usefixtures("moment")

ENDLESS = b"GET /key HTTP/1.1\r\nX: " + bytes([97]) * connection.HEAD_BYTES


class Door(Peer):
    """A client of a gateway, and the gateway's log."""

    def __init__(self, handled: Handled, log: AccessLog, fd: int) -> None:
        gateway = Gateway(Config.from_env({}), FakeStore(), log, handled.find)
        super().__init__(gateway.serve, gateway.refuse)
        self._log = log
        self._fd = fd

    async def ask(self, request: bytes) -> HTTPResponse:
        """The answer, parsed as a client does that knows the method; its body is still to read."""
        method = request.partition(b" ")[0].decode("latin-1")
        sent = await self.say(request)
        answer = HTTPResponse(_Came(sent), method=method)  # type: ignore[arg-type]
        answer.begin()
        return answer

    def logged(self) -> list[dict[str, Any]]:
        self._log.write()
        text = os.pread(self._fd, 1 << 20, 0)
        return [orjson.loads(line) for line in text.splitlines()]


class _Came:
    """What `HTTPResponse` reads from."""

    def __init__(self, sent: bytes) -> None:
        self._sent = sent

    def makefile(self, _: str) -> BytesIO:
        return BytesIO(self._sent)


@pytest.fixture
def log_fd() -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        yield file.fileno()


@pytest.fixture
async def door(handled: Handled, log_fd: int) -> AsyncIterator[Door]:
    made = Door(handled, AccessLog(log_fd), log_fd)
    yield made
    made.leave()
    await turns()


def code_of(document: bytes) -> str | None:
    return ElementTree.fromstring(document).findtext("Code")


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"NONSENSE\r\n\r\n", "BadRequest"),
        (b"GET /k ey HTTP/1.1\r\n\r\n", "BadRequest"),
        (b"PUT /b/k HTTP/1.1\r\nContent-Length: x\r\n\r\n", "BadRequest"),
        (ENDLESS, "RequestHeaderSectionTooLarge"),
    ],
)
async def test_what_is_no_request_is_told_so_by_an_error_of_s3(
    door: Door, bad: bytes, code: str
) -> None:
    answer = await door.ask(bad)

    document = ElementTree.fromstring(answer.read())
    assert (answer.status, document.findtext("Code")) == (400, code)
    assert answer.headers["content-type"] == "application/xml"
    assert answer.headers["x-amz-request-id"] == document.findtext("RequestId")
    assert answer.headers["x-amz-id-2"] == document.findtext("HostId")
    assert answer.headers["date"]
    assert answer.headers["server"]
    assert answer.headers["connection"] == "close"
    assert door.wire.ended == "told"


async def test_a_refused_head_has_no_body(door: Door) -> None:
    answers = await door.say(b"HEAD /k ey HTTP/1.1\r\n\r\n")

    assert answers.startswith(b"HTTP/1.1 400 ")
    assert answers.endswith(b"\r\n\r\n")


async def test_a_refusal_is_one_line_of_the_log(door: Door) -> None:
    answer = await door.ask(b"PUT /b/k?secret HTTP/1.1\r\nUser-Agent: odd\r\nX: y\r\nX : y\r\n\r\n")

    [line] = door.logged()
    assert (line["method"], line["path"], line["query"]) == ("PUT", "/b/k", [])
    assert (line["status"], line["error"], line["agent"]) == (400, "BadRequest", "odd")
    assert line["request_id"] == answer.headers["x-amz-request-id"]
    assert line["peer"] == "127.0.0.1"


async def test_of_what_is_not_understood_the_log_says_nothing(door: Door) -> None:
    await door.say(b"\x16\x03\x01\xff")

    [line] = door.logged()
    assert (line["method"], line["path"], line["error"]) == ("", "", "BadRequest")


async def test_a_refusal_is_counted(door: Door) -> None:
    errors, requests = ("BadRequest", "Unknown"), ("", "Unknown", "400")
    before = metrics.errors.value(errors), metrics.requests.value(requests)

    await door.say(b"NONSENSE\r\n\r\n")

    after = metrics.errors.value(errors), metrics.requests.value(requests)
    assert after == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize("path", [b"/", b"/bucket/key", b"/health"])
@pytest.mark.parametrize("hosts", [b"", b"Host: a\r\nHost: a\r\n", b"Host: a\r\nHost: b\r\n"])
async def test_a_request_names_one_host(door: Door, path: bytes, hosts: bytes) -> None:
    answer = await door.ask(b"GET " + path + b" HTTP/1.1\r\n" + hosts + b"\r\n")

    assert (answer.status, code_of(answer.read())) == (400, "InvalidRequest")


async def test_an_old_client_need_not_name_a_host(door: Door) -> None:
    answer = await door.ask(b"GET /health HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.read()) == (200, b"OK")


async def test_an_old_client_without_a_host_is_judged_like_others(door: Door) -> None:
    answer = await door.ask(b"GET /bucket/key HTTP/1.0\r\n\r\n")
    assert (answer.status, code_of(answer.read())) == (403, "AccessDenied")


@pytest.mark.parametrize("signs", [quote, str], ids=["escaped", "as it is sent"])
async def test_a_raw_path_may_be_signed_escaped_or_as_it_is(
    door: Door, handled: Handled, signs: Any
) -> None:
    path = "/bucket/bücher/€"
    handled.reply = Reply(200, [], b"found")

    answer = await door.ask(signed("GET", path, signs(path)))

    assert (answer.status, answer.read()) == (200, b"found")
    assert handled.calls[0].key == "bücher/€"
    assert [line["path"] for line in door.logged()] == [path]


async def test_another_raw_path_than_was_signed_is_refused(door: Door) -> None:
    answer = await door.ask(signed("GET", "/bucket/bücher", "/bucket/bucher"))

    assert (answer.status, code_of(answer.read())) == (403, "SignatureDoesNotMatch")


async def test_a_raw_path_that_is_no_utf8_is_an_invalid_uri(door: Door) -> None:
    answer = await door.ask(b"GET /bucket/\xff HTTP/1.1\r\nHost: 127.0.0.1:9000\r\n\r\n")

    assert (answer.status, code_of(answer.read())) == (400, "InvalidURI")
    assert [line["path"] for line in door.logged()] == ["/bucket/\\xff"]


def signed(method: str, path: str, as_signed: str) -> bytes:
    """A request for one path with the signature of another."""
    signer = Signer(asgi.ACCESS_KEY, asgi.SECRET)
    headers = signer.headers(method, asgi.ENDPOINT + as_signed, payload_hash="UNSIGNED-PAYLOAD")
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()
