"""Tenants and users: making, finding, suspending them.

Promise: each change is one transaction with its audit entry; it holds from the next request on.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from core.errors import EntityAlreadyExists, NoSuchEntity, ValidationError
from core.names import random_hex
from tenants import access, audit, credentials
from tenants.models import AccountUser, Tenant
from tenants.views import Issued, TenantView, UserView

ROOT = "root"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@ -]{0,62}[A-Za-z0-9]|[A-Za-z0-9]")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")


@dataclass(frozen=True, kw_only=True)
class Created:
    """A new tenant, its root user, and the root's key with its secret, told once."""

    tenant: TenantView
    user: UserView
    access_key: str
    secret: str


def create_tenant(
    name: str,
    email: str | None = None,
    actor: str = "",
    *,
    access_key: str | None = None,
    secret_key: str | None = None,
    display_name: str | None = None,
) -> Created:
    """Create a tenant with its root user and a first key (given, or made up)."""
    _check_name("tenant", name)
    if email is not None and not _EMAIL.fullmatch(email):
        raise ValidationError(f"{email!r} is not an e-mail address.")
    with transaction.atomic():
        tenant = _add_tenant(name, email, display_name or name)
        root = AccountUser.objects.create(
            tenant=tenant, name=ROOT, is_root=True, policy=access.ALLOW_ALL
        )
        key = credentials.add_key(root, key_id=access_key, secret=secret_key)
        audit.record(actor, "tenant.create", tenant.account_id, name=name, key=key.access_key)
        # Defaults the database filled in.
        tenant.refresh_from_db()
        root.refresh_from_db()
    return Created(
        tenant=TenantView.of(tenant),
        user=UserView.of(root),
        access_key=key.access_key,
        secret=key.secret_key,
    )


def find_tenant(name: str) -> Tenant:
    """The tenant of that name or account id."""
    found = Tenant.objects.filter(name=name).first()
    found = found or Tenant.objects.filter(account_id=name).first()
    if found is None:
        raise NoSuchEntity(f"There is no tenant {name!r}.")
    return found


def tenants() -> list[TenantView]:
    """All tenants by name."""
    return [TenantView.of(tenant) for tenant in Tenant.objects.order_by("name")]


def suspend(name: str, actor: str = "", *, suspended: bool = True) -> TenantView:
    """Suspend a tenant, or lift it: none of its keys is served while suspended."""
    with transaction.atomic():
        tenant = find_tenant(name)
        tenant.suspended = suspended
        tenant.save(update_fields=["suspended"])
        action = "tenant.suspend" if suspended else "tenant.resume"
        audit.record(actor, action, tenant.account_id)
    return TenantView.of(tenant)


def create_user(
    tenant_name: str, name: str, allow: Sequence[str], actor: str = ""
) -> tuple[UserView, Issued]:
    """Create a user who may do what the words of `access.GRANTS` say, with a first key."""
    _check_name("user", name)
    policy = access.grant(allow)
    with transaction.atomic():
        tenant = find_tenant(tenant_name)
        try:
            with transaction.atomic():
                user = AccountUser.objects.create(tenant=tenant, name=name, policy=policy)
        except IntegrityError:
            raise EntityAlreadyExists(f"{tenant.name} already has a user {name!r}.") from None
        key = credentials.add_key(user)
        audit.record(
            actor,
            "user.create",
            f"{tenant.account_id}/{name}",
            allow=list(allow),
            key=key.access_key,
        )
        user.refresh_from_db()
    return UserView.of(user), key


def find_user(tenant_name: str, name: str = ROOT) -> AccountUser:
    """The user of that name in that tenant."""
    tenant = find_tenant(tenant_name)
    found = AccountUser.objects.select_related("tenant").filter(tenant=tenant, name=name).first()
    if found is None:
        raise NoSuchEntity(f"{tenant.name} has no user {name!r}.")
    return found


def users(tenant_name: str | None = None) -> list[UserView]:
    """All users, or those of one tenant."""
    found = AccountUser.objects.select_related("tenant").order_by("tenant__name", "name")
    if tenant_name is not None:
        found = found.filter(tenant=find_tenant(tenant_name))
    return [UserView.of(user) for user in found]


def _add_tenant(name: str, email: str | None, display_name: str) -> Tenant:
    if Tenant.objects.filter(name=name).exists():
        raise EntityAlreadyExists(f"There is already a tenant {name!r}.")
    if email is not None and Tenant.objects.filter(email=email).exists():
        raise EntityAlreadyExists(f"Another tenant already uses {email}.")
    try:
        with transaction.atomic():
            return Tenant.objects.create(
                name=name,
                email=email,
                display_name=display_name,
                account_id=_account_id(),
                canonical_id=random_hex(64),
            )
    except IntegrityError:
        raise EntityAlreadyExists(f"There is already a tenant {name!r}.") from None


def _account_id() -> str:
    while True:
        made = f"{secrets.randbelow(9 * 10**11) + 10**11}"
        if not Tenant.objects.filter(account_id=made).exists():
            return made


def _check_name(of: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValidationError(
            f"{name!r} cannot name a {of}: 1-64 letters, digits and . _ @ - or spaces within."
        )
