"""What crosses floors of a tenant, a user, a key: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tenants.models import AccessKey, AccountUser, Tenant


@dataclass(frozen=True, kw_only=True)
class TenantView:
    """A tenant."""

    id: UUID
    name: str
    account_id: str
    canonical_id: str
    display_name: str
    email: str | None
    suspended: bool
    created: datetime

    @classmethod
    def of(cls, tenant: Tenant) -> TenantView:
        return cls(**{name: getattr(tenant, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class UserView:
    """A user of a tenant."""

    id: UUID
    tenant: str
    name: str
    is_root: bool
    suspended: bool
    created: datetime

    @classmethod
    def of(cls, user: AccountUser) -> UserView:
        return cls(
            id=user.id,
            tenant=user.tenant.name,
            name=user.name,
            is_root=user.is_root,
            suspended=user.suspended,
            created=user.created,
        )


@dataclass(frozen=True, kw_only=True)
class KeyView:
    """An access key without its secret."""

    id: str
    tenant: str
    user: str
    enabled: bool
    expires_at: datetime | None
    created: datetime

    @classmethod
    def of(cls, key: AccessKey) -> KeyView:
        return cls(
            id=key.id,
            tenant=key.user.tenant.name,
            user=key.user.name,
            enabled=key.enabled,
            expires_at=key.expires_at,
            created=key.created,
        )


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A new access key with its secret, told once."""

    access_key: str
    secret_key: str
    user: str
    tenant: str
    expires_at: datetime | None
