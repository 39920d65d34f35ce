"""One live store for all tests of this directory, two tenants, and a fresh bucket per test; and a
gateway in this process.
"""

from __future__ import annotations

import importlib
import itertools
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from botocore.client import BaseClient

from tests.s3.accounts import Account, create_account, create_user
from tests.s3.raw import Raw
from tests.support.local_store import LocalStore, running_store

if TYPE_CHECKING:
    from tests.support.house import House

SETTINGS = {
    "OBJSTORE_LIMITS_PART_MIN_BYTES": "5MiB",
    "OBJSTORE_LIMITS_BUCKETS": "100000",
    "OBJSTORE_PACKING_SEAL_AFTER_S": "30",
}
_numbers = itertools.count(1)
_RUN = secrets.token_hex(4)


@pytest.fixture(scope="session")
def store() -> Iterator[LocalStore]:
    """A store as `make run` starts it."""
    with running_store(SETTINGS) as local:
        yield local


@pytest.fixture(scope="session")
def account(store: LocalStore) -> Account:
    return create_account(store, "main")


@pytest.fixture(scope="session")
def other_account(store: LocalStore) -> Account:
    return create_account(store, "other")


@pytest.fixture(scope="session")
def reader(store: LocalStore, account: Account) -> Account:
    """A user who may only read and list."""
    return create_user(store, account, "reader", "read")


@pytest.fixture(scope="session")
def writer(store: LocalStore, account: Account) -> Account:
    """A user who may only write."""
    return create_user(store, account, "writer", "write")


@pytest.fixture(scope="session")
def disabled(store: LocalStore, account: Account) -> Account:
    """A user who might do anything, and did, until the key was disabled."""
    user = create_user(store, account, "disabled", "admin")
    user.client().list_buckets()
    store.manage("key", "disable", user.access_key)
    return user


@pytest.fixture(scope="session")
def s3(account: Account) -> BaseClient:
    return account.client()


@pytest.fixture(scope="session")
def other_s3(other_account: Account) -> BaseClient:
    return other_account.client()


@pytest.fixture(scope="session")
def raw(account: Account) -> Raw:
    return account.raw()


@pytest.fixture
def name() -> str:
    """A bucket name nobody uses."""
    return f"bucket-{_RUN}-{next(_numbers)}"


@pytest.fixture
def bucket(s3: BaseClient, name: str) -> str:
    """A fresh bucket."""
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def versioned(s3: BaseClient, bucket: str) -> str:
    """A fresh bucket with versioning enabled."""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


@pytest.fixture(scope="module")
def house(module_database: str) -> Iterator[House]:
    """Another gateway, in this process and over a database of the module's own."""
    # A conftest may be loaded before Django is set up, and models need that.
    made = importlib.import_module("tests.support.house").House()
    yield made
    made.close()
