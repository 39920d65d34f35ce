"""Tenants of the store under test, and clients that sign as them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import boto3
from botocore.client import BaseClient
from botocore.config import Config

from tests.s3.raw import ANSWER_WITHIN_S, Raw
from tests.support.local_store import LocalStore


@dataclass(frozen=True, kw_only=True)
class Account:
    """A tenant with a key, as `manage.py tenant create` tells it."""

    endpoint: str
    access_key: str
    secret_key: str
    canonical_id: str
    display_name: str
    account_id: str
    email: str

    @property
    def name(self) -> str:
        """The tenant's name."""
        return self.display_name

    def client(self, **options: object) -> BaseClient:
        """A boto3 client that never retries: a test sees every answer."""
        return client_for(self.endpoint, self.access_key, self.secret_key, **options)

    def raw(self) -> Raw:
        """A client of exactly the bytes a test writes."""
        return Raw(self.endpoint, self.access_key, self.secret_key)


def client_for(endpoint: str, access_key: str, secret_key: str, **options: object) -> BaseClient:
    """A boto3 client; `options` go into its configuration."""
    settings: dict[str, object] = {
        "s3": {"addressing_style": "path"},
        "retries": {"max_attempts": 0},
        "read_timeout": ANSWER_WITHIN_S,
    }
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        config=Config(**{**settings, **options}),
    )


def patient_client(store: LocalStore) -> BaseClient:
    """A client with the store's first key that tries again, for stores that come and go."""
    access = store.access
    return client_for(
        access.endpoint,
        access.access_key,
        access.secret_key,
        retries={"max_attempts": 10, "mode": "standard"},
        read_timeout=120,
    )


def create_account(store: LocalStore, name: str) -> Account:
    """Make a tenant with a root key."""
    email = f"{name}@example.com"
    made = store.manage_json("tenant", "create", name, "--email", email)
    return Account(
        endpoint=store.access.endpoint,
        access_key=str(made["access_key"]),
        secret_key=str(made["secret_key"]),
        canonical_id=str(made["canonical_id"]),
        display_name=str(made["display_name"]),
        account_id=str(made["account_id"]),
        email=email,
    )


def create_user(store: LocalStore, account: Account, name: str, allow: str) -> Account:
    """Make a user of the account, who may do what the words of `--allow` say."""
    made = store.manage_json("user", "create", name, "--tenant", account.name, "--allow", allow)
    keys = {"access_key": str(made["access_key"]), "secret_key": str(made["secret_key"])}
    return replace(account, **keys)
