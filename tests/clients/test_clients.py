"""Every client does everything, and boto3 looks at what it did (or did what it has to see)."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.clients.client import Client
from tests.clients.conftest import BUCKET
from tests.clients.registry import MATRIX

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.parametrize("client", MATRIX, indirect=True),
]

BODY = bytes(range(256)) * 257
OTHER_BODY = BODY[::-1] + b"longer than the first"
# What file names look like where people live.
NAMES = {"plain", "with space", "ünïcödé/日本", "a+b&c=d", "50%", "deep/er/still"}


def _stored(witness: BaseClient, key: str) -> bytes:
    return bytes(witness.get_object(Bucket=BUCKET, Key=key)["Body"].read())


def _store(witness: BaseClient, key: str, body: bytes = BODY) -> str:
    witness.put_object(Bucket=BUCKET, Key=key, Body=body)
    return key


def _file(directory: Path, body: bytes) -> Path:
    file = directory / "to put"
    file.write_bytes(body)
    return file


def test_what_a_client_puts_is_stored(
    client: Client, witness: BaseClient, prefix: str, tmp_path: Path
) -> None:
    client.put(prefix + "a key", _file(tmp_path, BODY))

    assert _stored(witness, prefix + "a key") == BODY


def test_an_empty_file_is_an_object(
    client: Client, witness: BaseClient, prefix: str, tmp_path: Path
) -> None:
    client.put(prefix + "empty", _file(tmp_path, b""))

    assert _stored(witness, prefix + "empty") == b""


def test_a_client_gets_what_is_stored(client: Client, witness: BaseClient, prefix: str) -> None:
    key = _store(witness, prefix + "a key")

    assert client.get(key) == BODY


def test_a_client_gets_a_large_object(client: Client, large_key: str, large_body: bytes) -> None:
    assert client.get(large_key) == large_body


def test_a_client_lists_every_key(client: Client, witness: BaseClient, prefix: str) -> None:
    keys = {_store(witness, prefix + name, b"x") for name in NAMES}

    assert client.keys(prefix) == keys


def test_a_client_gets_a_range(client: Client, large_key: str, large_body: bytes) -> None:
    # Across the border of its second part and of cells.
    start, stop = 5 * 1024 * 1024 - 1000, 5 * 1024 * 1024 + 70_000

    assert client.get_range(large_key, start, stop) == large_body[start:stop]


def test_the_last_of_two_puts_is_what_is_read(
    client: Client, witness: BaseClient, prefix: str, tmp_path: Path
) -> None:
    key = _store(witness, prefix + "twice")

    client.put(key, _file(tmp_path, OTHER_BODY))

    assert client.get(key) == OTHER_BODY
    assert _stored(witness, key) == OTHER_BODY


def test_a_copy_has_the_bytes_of_its_source(
    client: Client, witness: BaseClient, prefix: str
) -> None:
    source = _store(witness, prefix + "from here")

    client.copy(source, prefix + "to there")

    assert _stored(witness, prefix + "to there") == BODY
    assert _stored(witness, source) == BODY


def test_a_large_file_is_stored_in_parts(
    client: Client, witness: BaseClient, prefix: str, large_file: Path, large_body: bytes
) -> None:
    client.put_in_parts(prefix + "large", large_file)

    assert _stored(witness, prefix + "large") == large_body
    assert "-" in witness.head_object(Bucket=BUCKET, Key=prefix + "large")["ETag"]


def test_only_what_a_client_deletes_is_gone(
    client: Client, witness: BaseClient, prefix: str
) -> None:
    key, kept = _store(witness, prefix + "gone"), _store(witness, prefix + "gone too")

    client.delete(key)

    with pytest.raises(ClientError, match="NoSuchKey"):
        _stored(witness, key)
    assert _stored(witness, kept) == BODY
