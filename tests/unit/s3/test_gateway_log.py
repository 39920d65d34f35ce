"""Who watches the gateway: probes, counts, the log of requests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import IO

import orjson
import pytest

from core import metrics
from s3.access_log import AccessLog
from tests.support import asgi
from tests.support.asgi import Client, Handled, make_client

pytestmark = pytest.mark.usefixtures("moment")


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
    client = make_client(handled, log=log)
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

    await make_client(handled, log=log).plain("GET", "/bucket/a")
    log.write()

    os.lseek(log_file.fileno(), 0, os.SEEK_SET)
    assert orjson.loads(log_file.read())["error"] == "AccessDenied"
