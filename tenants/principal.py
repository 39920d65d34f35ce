"""Who makes a request: an access key and everything that is decided from it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tenants.access import Policy


class Caller:
    """One access key with its user and tenant, as of one revision. Cached; never changed."""

    __slots__ = (
        "account_id",
        "canonical_id",
        "display_name",
        "enabled",
        "expires_at",
        "is_root",
        "key_id",
        "policy",
        "secret",
        "suspended",
        "tenant_id",
        "user_id",
        "user_name",
    )

    def __init__(
        self,
        *,
        key_id: str,
        secret: str,
        enabled: bool,
        expires_at: datetime | None,
        user_id: UUID,
        user_name: str,
        is_root: bool,
        policy: Policy,
        tenant_id: UUID,
        account_id: str,
        canonical_id: str,
        display_name: str,
        suspended: bool,
    ) -> None:
        self.key_id = key_id
        self.secret = secret
        self.enabled = enabled
        self.expires_at = expires_at
        self.user_id = user_id
        self.user_name = user_name
        self.is_root = is_root
        self.policy = policy
        self.tenant_id = tenant_id
        self.account_id = account_id
        self.canonical_id = canonical_id
        self.display_name = display_name
        self.suspended = suspended

    def __repr__(self) -> str:
        # Never the secret: a Caller may end up in a traceback.
        return f"Caller({self.key_id}, {self.account_id}/{self.user_name})"

    def may_sign(self, now: float) -> bool:
        """Whether the key counts at all at that time (seconds since 1970): enabled, not expired,
        nobody above it suspended.
        """
        return (
            self.enabled
            and not self.suspended
            and (self.expires_at is None or now < self.expires_at.timestamp())
        )
