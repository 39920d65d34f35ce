"""One store for all clients of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.clients.tools import Client
from tests.support.local_store import SMALL, LocalStore, running_store


@pytest.fixture(scope="module")
def store() -> Iterator[LocalStore]:
    """Small segments, so that clients meet objects in every state."""
    with running_store(SMALL) as made:
        yield made


@pytest.fixture
def client(store: LocalStore, tmp_path: Path) -> Client:
    home = tmp_path / "home"
    home.mkdir()
    return Client(store.access, home)


@pytest.fixture
def s3(store: LocalStore):
    """boto3 as its users make it, default checksums and retries included."""
    access = store.access
    return boto3.client(
        "s3",
        endpoint_url=access.endpoint,
        region_name=access.region,
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key,
    )


@pytest.fixture
def bucket(s3, request: pytest.FixtureRequest) -> str:
    """A bucket of the test's own."""
    name = f"b-{abs(hash(request.node.nodeid)) % 10**12}"
    s3.create_bucket(Bucket=name)
    return name
