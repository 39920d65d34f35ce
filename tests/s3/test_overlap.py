"""Writers that overlap: who finishes last wins, and readers see one whole object."""

from __future__ import annotations

import socket
from collections.abc import Mapping

import pytest

from core import sigv4
from tests.s3.objects import body_of
from tests.s3.raw import ANSWER_WITHIN_S, Raw

SIZE = 3_000_000


class SlowPut:
    """A PUT whose body is sent when the test wants it."""

    def __init__(self, raw: Raw, path: str, headers: Mapping[str, str] | None = None) -> None:
        signed = raw.signer.headers(
            "PUT", raw.endpoint + path, payload_hash=sigv4.UNSIGNED, headers=headers
        )
        sent = {**signed, "content-length": str(SIZE), "connection": "close"}
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        self.connection = socket.create_connection((raw.host, raw.port), timeout=ANSWER_WITHIN_S)
        self.connection.sendall(f"PUT {path} HTTP/1.1\r\n{head}\r\n".encode())
        self.left = SIZE

    def send(self, byte: bytes, count: int | None = None) -> None:
        """Send `count` bytes of the body, or what is left of it."""
        size = self.left if count is None else count
        self.connection.sendall(byte * size)
        self.left -= size

    def finish(self) -> int:
        """Read the answer; its status."""
        answer = b""
        while piece := self.connection.recv(65536):
            answer += piece
        self.connection.close()
        return int(answer.split()[1])


def test_the_write_that_finishes_last_is_kept(raw, s3, bucket) -> None:
    slow = SlowPut(raw, f"/{bucket}/a")
    slow.send(b"s", SIZE // 2)
    s3.put_object(Bucket=bucket, Key="a", Body=b"quick" * 1000)
    assert body_of(s3, bucket) == b"quick" * 1000

    slow.send(b"s")

    assert slow.finish() == 200
    assert body_of(s3, bucket) == b"s" * SIZE


def test_a_write_that_is_never_finished_changes_nothing(raw, s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"before")
    slow = SlowPut(raw, f"/{bucket}/a")
    slow.send(b"s", SIZE - 1)

    slow.connection.shutdown(socket.SHUT_WR)
    while slow.connection.recv(65536):
        pass
    slow.connection.close()

    assert body_of(s3, bucket) == b"before"
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 1


@pytest.mark.parametrize("condition", [{"if-none-match": "*"}, {"if-match": '"other"'}])
def test_a_condition_is_judged_when_the_write_finishes(raw, s3, bucket, condition) -> None:
    slow = SlowPut(raw, f"/{bucket}/a", condition)
    slow.send(b"s", SIZE // 2)
    s3.put_object(Bucket=bucket, Key="a", Body=b"quick")

    slow.send(b"s")

    assert slow.finish() == 412
    assert body_of(s3, bucket) == b"quick"


def test_a_part_that_is_sent_first_but_finished_last_is_kept(raw, s3, bucket) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
    slow = SlowPut(raw, f"/{bucket}/a?partNumber=1&uploadId={upload}")
    slow.send(b"s", SIZE // 2)
    s3.upload_part(Bucket=bucket, Key="a", UploadId=upload, PartNumber=1, Body=b"quick")

    slow.send(b"s")

    assert slow.finish() == 200
    (part,) = s3.list_parts(Bucket=bucket, Key="a", UploadId=upload)["Parts"]
    assert part["Size"] == SIZE


def test_a_reader_goes_on_reading_what_it_began(s3, bucket) -> None:
    content = b"0123456789" * 500_000
    s3.put_object(Bucket=bucket, Key="a", Body=content)
    reading = s3.get_object(Bucket=bucket, Key="a")["Body"]
    first = reading.read(100_000)

    s3.put_object(Bucket=bucket, Key="a", Body=b"new")

    assert first + reading.read() == content
    assert body_of(s3, bucket) == b"new"


def test_a_bucket_deleted_meanwhile_takes_nothing(raw, s3, bucket) -> None:
    slow = SlowPut(raw, f"/{bucket}/a")
    slow.send(b"s", SIZE // 2)
    s3.delete_bucket(Bucket=bucket)

    slow.send(b"s")

    assert slow.finish() == 404


def test_versioning_enabled_meanwhile_is_obeyed(raw, s3, bucket) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"before")
    slow = SlowPut(raw, f"/{bucket}/a")
    slow.send(b"s", SIZE // 2)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    slow.send(b"s")

    assert slow.finish() == 200
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 2
