"""aws-chunked bodies through the gateway: their signatures, trailers and lengths."""

from __future__ import annotations

import pytest

from core import checksums, sigv4
from core.sigv4_client import Signer
from tests.support import asgi
from tests.support.asgi import Client, Handled, assert_refused
from tests.support.framing import frames


def streaming(client: Client, mode: str, length: int | str, **more: str) -> dict[str, str]:
    extra = {"x-amz-decoded-content-length": str(length), "content-encoding": "aws-chunked", **more}
    return client.signer.headers(
        "PUT", asgi.ENDPOINT + "/bucket/a", payload_hash=mode, headers=extra
    )


async def test_a_signed_streaming_body_continues_the_signature(
    client: Client, handled: Handled
) -> None:
    headers = streaming(client, sigv4.STREAMING, 5)

    framed = frames(b"hello", signed=client.signer.chain(headers))
    response = await client.plain("PUT", "/bucket/a", framed, headers=headers)

    assert (response.status, handled.received) == (200, b"hello")


async def test_a_streaming_body_signed_with_another_key_does_not_match(
    client: Client, handled: Handled
) -> None:
    headers = streaming(client, sigv4.STREAMING, 5)
    other = Signer(asgi.ACCESS_KEY, "wrong")

    framed = frames(b"hello", signed=other.chain(headers))
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
