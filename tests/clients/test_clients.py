"""Every client does everything, and boto3 looks at what it did (or did what it has to see)."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from django.core.files.base import ContentFile
from django.db import connection
from pytest_django.fixtures import Settings

from tests.clients.client import Client
from tests.clients.commands import AwsCli
from tests.clients.conftest import BUCKET
from tests.clients.documents import Document
from tests.clients.libraries import storage_options
from tests.clients.registry import MATRIX
from tests.clients.trees import digests, make_tree
from tests.s3.accounts import Account

pytestmark = pytest.mark.cluster

each_client = pytest.mark.parametrize("client", MATRIX, indirect=True)

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


@each_client
def test_what_a_client_puts_is_stored(
    client: Client, witness: BaseClient, prefix: str, tmp_path: Path
) -> None:
    client.put(prefix + "a key", _file(tmp_path, BODY))

    assert _stored(witness, prefix + "a key") == BODY


@each_client
def test_an_empty_file_is_an_object(
    client: Client, witness: BaseClient, prefix: str, tmp_path: Path
) -> None:
    client.put(prefix + "empty", _file(tmp_path, b""))

    assert _stored(witness, prefix + "empty") == b""


@each_client
def test_a_client_gets_what_is_stored(client: Client, witness: BaseClient, prefix: str) -> None:
    key = _store(witness, prefix + "a key")

    assert client.get(key) == BODY


@each_client
def test_a_client_gets_a_large_object(client: Client, large_key: str, large_body: bytes) -> None:
    assert client.get(large_key) == large_body


@each_client
def test_a_client_lists_every_key(client: Client, witness: BaseClient, prefix: str) -> None:
    keys = {_store(witness, prefix + name, b"x") for name in NAMES}

    assert client.keys(prefix) == keys


@each_client
def test_a_client_gets_a_range(client: Client, large_key: str, large_body: bytes) -> None:
    # Across the border of its second part and of cells.
    start, stop = 5 * 1024 * 1024 - 1000, 5 * 1024 * 1024 + 70_000

    assert client.get_range(large_key, start, stop) == large_body[start:stop]


@each_client
def test_the_last_of_two_puts_is_what_is_read(
    client: Client, witness: BaseClient, prefix: str, tmp_path: Path
) -> None:
    key = _store(witness, prefix + "twice")

    client.put(key, _file(tmp_path, OTHER_BODY))

    assert client.get(key) == OTHER_BODY
    assert _stored(witness, key) == OTHER_BODY


@each_client
def test_a_copy_has_the_bytes_of_its_source(
    client: Client, witness: BaseClient, prefix: str
) -> None:
    source = _store(witness, prefix + "from here")

    client.copy(source, prefix + "to there")

    assert _stored(witness, prefix + "to there") == BODY
    assert _stored(witness, source) == BODY


@each_client
def test_a_large_file_is_stored_in_parts(
    client: Client, witness: BaseClient, prefix: str, large_file: Path, large_body: bytes
) -> None:
    client.put_in_parts(prefix + "large", large_file)

    assert _stored(witness, prefix + "large") == large_body
    assert "-" in witness.head_object(Bucket=BUCKET, Key=prefix + "large")["ETag"]


@each_client
def test_only_what_a_client_deletes_is_gone(
    client: Client, witness: BaseClient, prefix: str
) -> None:
    key, kept = _store(witness, prefix + "gone"), _store(witness, prefix + "gone too")

    client.delete(key)

    with pytest.raises(ClientError, match="NoSuchKey"):
        _stored(witness, key)
    assert _stored(witness, kept) == BODY


def test_awscli_syncs_a_small_tree_up_and_down_again(
    account: Account, witness: BaseClient, prefix: str, tmp_path: Path
) -> None:
    aws = AwsCli(account, BUCKET, tmp_path)
    up, down = make_tree(tmp_path / "up", 40), tmp_path / "down"

    aws.aws("s3", "sync", "--only-show-errors", up, aws.url(prefix))
    aws.aws("s3", "sync", "--only-show-errors", aws.url(prefix), down)

    assert digests(down) == digests(up)


@pytest.fixture
def documents(
    account: Account, witness: BaseClient, settings: Settings, db: None
) -> type[Document]:
    """A model with a FileField, in a project whose default storage is this store."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": storage_options(account, BUCKET),
        },
    }
    with connection.schema_editor() as editor:
        editor.create_model(Document)
    return Document


def test_a_django_file_field_keeps_its_files_here(
    documents: type[Document], witness: BaseClient
) -> None:
    documents().file.save("a report.txt", ContentFile(BODY))

    document = documents.objects.get()
    assert document.file.read() == BODY
    assert document.file.size == len(BODY)
    assert _stored(witness, document.file.name) == BODY


def test_the_deleted_file_of_a_django_file_field_is_gone(
    documents: type[Document], witness: BaseClient
) -> None:
    document = documents()
    document.file.save("gone.txt", ContentFile(BODY))
    key = document.file.name

    document.file.delete()

    with pytest.raises(ClientError, match="NoSuchKey"):
        _stored(witness, key)
