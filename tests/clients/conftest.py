"""One live store for all clients, a bucket in it, and boto3 as the witness of what clients did."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.client import BaseClient

from tests.clients.client import Client
from tests.clients.registry import MAKERS
from tests.s3.accounts import Account, create_account
from tests.support.local_store import LocalStore, running_store

# What `make run` has, but for the room a test machine may not have.
SETTINGS = {
    "OBJSTORE_NODES_RESERVE_BYTES": "16MiB",
    "OBJSTORE_NODES_RESERVE_FRACTION": "0",
}
LARGE_BYTES = 11 * 1024 * 1024 + 13
BUCKET = "clients"


@pytest.fixture(scope="session")
def store() -> Iterator[LocalStore]:
    """A store as `make run` starts it."""
    with running_store(SETTINGS) as running:
        yield running


@pytest.fixture(scope="session")
def account(store: LocalStore) -> Account:
    return create_account(store, "clients")


@pytest.fixture(scope="session")
def witness(account: Account) -> BaseClient:
    """boto3, which puts what a client must find and looks at what it has put."""
    s3 = account.client(retries={"max_attempts": 10, "mode": "standard"})
    s3.create_bucket(Bucket=BUCKET)
    return s3


@pytest.fixture
def client(
    request: pytest.FixtureRequest, account: Account, witness: BaseClient, tmp_path: Path
) -> Client:
    """The client a test is parametrized with, by its name."""
    return MAKERS[request.param](account, BUCKET, tmp_path)


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """Where this test's keys begin: the name of the test and of its client, as a directory."""
    return "".join(c if c.isalnum() else "-" for c in request.node.name) + "/"


@pytest.fixture(scope="session")
def large_body() -> bytes:
    """More than two parts of 5 MiB, every block different."""
    return random.Random(11).randbytes(LARGE_BYTES)


@pytest.fixture(scope="session")
def large_file(large_body: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("large") / "large"
    file.write_bytes(large_body)
    return file


@pytest.fixture(scope="session")
def large_key(witness: BaseClient, large_body: bytes) -> str:
    """An object that tests only read."""
    witness.put_object(Bucket=BUCKET, Key="shared/large", Body=large_body)
    return "shared/large"
