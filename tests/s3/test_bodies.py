"""Request bodies: lengths, digests, checksums, aws-chunked framing and trailers."""

from __future__ import annotations

import base64
import hashlib
import socket
import zlib

import pytest
from botocore.client import BaseClient

from core import sigv4
from core.checksums import ALGORITHMS, digest, encode
from tests.s3.raw import ANSWER_WITHIN_S, Answer, Raw
from tests.support.framing import frames

CONTENT = bytes(range(256)) * 80
MD5 = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
OTHER_MD5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
CRC32 = base64.b64encode(zlib.crc32(CONTENT).to_bytes(4, "big")).decode()


def put_framed(
    raw: Raw,
    path: str,
    *chunks: bytes,
    mode: str,
    headers: dict[str, str] | None = None,
    trailer: bytes = b"",
) -> Answer:
    """PUT an aws-chunked body; signed chunks where the mode has them."""
    length = str(sum(map(len, chunks)))
    sent = {"x-amz-decoded-content-length": length, "content-encoding": "aws-chunked"}
    sent |= headers or {}
    signed = raw.signer.headers("PUT", raw.endpoint + path, payload_hash=mode, headers=sent)
    chain = None if mode == sigv4.STREAMING_UNSIGNED_TRAILER else raw.signer.chain(signed)
    body = frames(*chunks, trailer=trailer, signed=chain)
    return raw.unsigned("PUT", path, headers=signed, body=body)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"content-md5": MD5}, 200, ""),
        ({"content-md5": OTHER_MD5}, 400, "BadDigest"),
        ({"content-md5": "short"}, 400, "InvalidDigest"),
        ({"content-md5": ""}, 400, "InvalidDigest"),
        ({"x-amz-checksum-crc32": CRC32}, 200, ""),
        ({"x-amz-checksum-crc32": "AAAAAA=="}, 400, "BadDigest"),
        ({"x-amz-checksum-crc32": "AAAA"}, 400, "InvalidRequest"),
        ({"x-amz-checksum-crc33": "AAAAAA=="}, 400, "InvalidRequest"),
        ({"x-amz-sdk-checksum-algorithm": "CRC32"}, 400, "InvalidRequest"),
        ({"x-amz-checksum-crc32": CRC32, "x-amz-sdk-checksum-algorithm": "SHA1"}, 400,
         "InvalidRequest"),
    ],
)  # fmt: skip
def test_what_a_put_claims_is_judged(raw, bucket, headers, status: int, code: str) -> None:
    answer = raw("PUT", f"/{bucket}/a", headers=headers, body=CONTENT)

    assert (answer.status, answer.code if answer.body else "") == (status, code)
    assert raw("HEAD", f"/{bucket}/a").status == (200 if status == 200 else 404)


def test_a_bad_digest_shows_both(raw, bucket) -> None:
    answer = raw("PUT", f"/{bucket}/a", headers={"content-md5": OTHER_MD5}, body=CONTENT)

    assert answer.xml.findtext("ExpectedDigest") is not None
    assert answer.xml.findtext("CalculatedDigest") is not None


def test_a_payload_that_is_not_what_was_signed_is_refused(raw, bucket) -> None:
    answer = raw("PUT", f"/{bucket}/a", body=CONTENT, payload_hash="0" * 64)

    assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch")
    assert answer.xml.findtext("ClientComputedContentSHA256") == "0" * 64
    found = answer.xml.findtext("S3ComputedContentSHA256")
    assert found == hashlib.sha256(CONTENT).hexdigest()


def test_the_payloads_hash_is_judged_before_its_digest(raw, bucket) -> None:
    headers = {"content-md5": OTHER_MD5}

    answer = raw("PUT", f"/{bucket}/a", headers=headers, body=CONTENT, payload_hash="0" * 64)

    assert answer.code == "XAmzContentSHA256Mismatch"


def test_a_malformed_digest_is_judged_before_the_payloads_hash(raw, bucket) -> None:
    headers = {"content-md5": "short"}

    answer = raw("PUT", f"/{bucket}/a", headers=headers, body=CONTENT, payload_hash="0" * 64)

    assert answer.code == "InvalidDigest"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_checksum_is_kept_and_shown_when_asked(s3: BaseClient, bucket, algorithm: str) -> None:
    name = f"Checksum{algorithm}"
    value = encode(digest(algorithm, CONTENT))

    answer = s3.put_object(Bucket=bucket, Key="a", Body=CONTENT, ChecksumAlgorithm=algorithm)

    shown = s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    assert answer[name] == shown[name] == value
    assert shown["ChecksumType"] == "FULL_OBJECT"
    assert name not in s3.head_object(Bucket=bucket, Key="a")


def test_without_a_checksum_the_store_makes_its_own(raw, bucket) -> None:
    raw("PUT", f"/{bucket}/a", body=CONTENT)

    answer = raw("HEAD", f"/{bucket}/a", headers={"x-amz-checksum-mode": "ENABLED"})

    expected = encode(digest("CRC64NVME", CONTENT))
    assert answer.headers["x-amz-checksum-crc64nvme"] == expected


def test_a_range_comes_without_a_checksum(s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=CONTENT)

    shown = s3.get_object(Bucket=bucket, Key="a", Range="bytes=0-9", ChecksumMode="ENABLED")

    assert "ChecksumCRC32" not in shown


def test_signed_chunks_are_put_together(raw, s3, bucket) -> None:
    answer = put_framed(raw, f"/{bucket}/a", CONTENT[:9000], CONTENT[9000:], mode=sigv4.STREAMING)

    assert answer.status == 200
    stored = s3.get_object(Bucket=bucket, Key="a")
    assert stored["Body"].read() == CONTENT
    assert "ContentEncoding" not in stored


@pytest.mark.parametrize("mode", [sigv4.STREAMING_TRAILER, sigv4.STREAMING_UNSIGNED_TRAILER])
def test_a_checksum_in_the_trailer_is_verified_and_kept(raw, bucket, mode: str) -> None:
    for value, status in ((CRC32, 200), ("AAAAAA==", 400)):
        answer = put_framed(
            raw,
            f"/{bucket}/a",
            CONTENT,
            mode=mode,
            headers={"x-amz-trailer": "x-amz-checksum-crc32"},
            trailer=f"x-amz-checksum-crc32:{value}".encode(),
        )
        assert answer.status == status

    shown = raw("HEAD", f"/{bucket}/a", headers={"x-amz-checksum-mode": "ENABLED"})
    assert shown.headers["x-amz-checksum-crc32"] == CRC32


def test_a_small_chunk_before_the_last_is_refused(raw, bucket) -> None:
    answer = put_framed(raw, f"/{bucket}/a", b"small", CONTENT, mode=sigv4.STREAMING)

    assert (answer.status, answer.code) == (400, "InvalidChunkSizeError")


def test_another_length_than_announced_is_incomplete(raw, bucket) -> None:
    answer = put_framed(
        raw,
        f"/{bucket}/a",
        CONTENT,
        mode=sigv4.STREAMING,
        headers={"x-amz-decoded-content-length": str(len(CONTENT) + 1)},
    )

    assert (answer.status, answer.code) == (400, "IncompleteBody")


def test_a_trailer_that_was_announced_must_come(raw, bucket) -> None:
    answer = put_framed(
        raw,
        f"/{bucket}/a",
        CONTENT,
        mode=sigv4.STREAMING_UNSIGNED_TRAILER,
        headers={"x-amz-trailer": "x-amz-checksum-crc32"},
    )

    assert (answer.status, answer.code) == (400, "MalformedTrailerError")


def test_many_keys_are_deleted_by_a_framed_body(raw, s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    body = b"<Delete><Object><Key>a</Key></Object></Delete>"
    path = f"/{bucket}?delete"
    headers = {
        "x-amz-decoded-content-length": str(len(body)),
        "x-amz-trailer": "x-amz-checksum-crc64nvme",
    }
    signed = raw.signer.headers(
        "POST",
        raw.endpoint + path,
        payload_hash=sigv4.STREAMING_UNSIGNED_TRAILER,
        headers=headers,
    )
    trailer = f"x-amz-checksum-crc64nvme:{encode(digest('CRC64NVME', body))}".encode()

    answer = raw.unsigned("POST", path, headers=signed, body=frames(body, trailer=trailer))

    assert answer.xml.findtext("Deleted/Key") == "a"


def test_fewer_bytes_than_announced_store_nothing(raw, s3, bucket) -> None:
    signed = raw.signer.headers("PUT", f"{raw.endpoint}/{bucket}/a", payload_hash=sigv4.UNSIGNED)
    head = f"PUT /{bucket}/a HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in {**signed, "content-length": "100"}.items()
    )
    with socket.create_connection((raw.host, raw.port), timeout=ANSWER_WITHIN_S) as connection:
        connection.sendall(head.encode() + b"\r\n" + b"x" * 50)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_body_refused_at_the_gate_is_never_asked_for(raw, bucket) -> None:
    head = (
        f"PUT /{bucket}/a HTTP/1.1\r\nhost: {raw.host}:{raw.port}\r\n"
        "content-length: 100\r\nexpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection((raw.host, raw.port), timeout=ANSWER_WITHIN_S) as connection:
        connection.sendall(head.encode())
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 403")


def test_an_answer_without_100_continue_is_the_last_of_its_connection(raw, bucket) -> None:
    signed = raw.signer.headers("PUT", f"{raw.endpoint}/{bucket}/a", payload_hash=sigv4.UNSIGNED)
    sent = {**signed, "content-length": "0", "expect": "100-continue"}
    head = f"PUT /{bucket}/a HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in sent.items()
    )
    answer = b""
    with socket.create_connection((raw.host, raw.port), timeout=ANSWER_WITHIN_S) as connection:
        connection.sendall(head.encode() + b"\r\n")
        while piece := connection.recv(65536):
            answer += piece

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer.lower()


def test_a_body_let_in_is_asked_for(raw, s3, bucket) -> None:
    signed = raw.signer.headers("PUT", f"{raw.endpoint}/{bucket}/a", payload_hash=sigv4.UNSIGNED)
    sent = {**signed, "content-length": "4", "expect": "100-continue"}
    head = f"PUT /{bucket}/a HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in sent.items()
    )
    with socket.create_connection((raw.host, raw.port), timeout=ANSWER_WITHIN_S) as connection:
        connection.sendall(head.encode() + b"\r\n")
        first = connection.recv(65536)
        connection.sendall(b"body")
        second = connection.recv(65536)

    assert first.startswith(b"HTTP/1.1 100")
    assert second.startswith(b"HTTP/1.1 200")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"body"


@pytest.mark.parametrize("coding", ["gzip, chunked", "identity, chunked"])
def test_a_body_coded_for_its_way_is_refused(raw, s3, bucket, coding: str) -> None:
    signed = raw.signer.headers("PUT", f"{raw.endpoint}/{bucket}/a", payload_hash=sigv4.UNSIGNED)
    lines = [f"PUT /{bucket}/a HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in signed.items()]
    lines += [f"transfer-encoding: {coding}", "", "3\r\nabc\r\n0\r\n\r\n"]

    with socket.create_connection((raw.host, raw.port), timeout=ANSWER_WITHIN_S) as wire:
        wire.sendall("\r\n".join(lines).encode())
        status = wire.recv(4096).split()[1]

    assert status in (b"400", b"501")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
