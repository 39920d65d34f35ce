"""Access keys: issuing, listing, rotating, disabling, deleting them.

Promise: a secret is told once, when its key is issued; the database holds it sealed. A key that was
disabled, deleted or has expired is refused from the next request on.
"""

from __future__ import annotations

import re
import secrets
import string
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from core.errors import EntityAlreadyExists, NoSuchEntity, ValidationError
from tenants import audit
from tenants.keyring import keyring
from tenants.models import AccessKey, AccountUser
from tenants.views import Issued, KeyView

# Base 32 as AWS writes it: nothing that looks like something else.
_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_SECRET_ALPHABET = string.ascii_letters + string.digits
_ID = re.compile(r"[A-Za-z0-9._+=@-]{3,128}")
_MIN_SECRET, _MAX_SECRET = 8, 128


def add_key(
    user: AccountUser,
    *,
    key_id: str | None = None,
    secret: str | None = None,
    expires_at: datetime | None = None,
) -> Issued:
    """Give `user` a new key, inside the caller's transaction."""
    key_id = key_id or "OS" + _random(_ID_ALPHABET, 18)
    secret = secret or _random(_SECRET_ALPHABET, 40)
    if not _ID.fullmatch(key_id):
        raise ValidationError(
            "An access key id is 3 to 128 letters, digits and . _ + = @ -, nothing else."
        )
    sealed = _sealed(secret, key_id)
    try:
        with transaction.atomic():
            AccessKey.objects.create(id=key_id, user=user, secret=sealed, expires_at=expires_at)
    except IntegrityError:
        raise EntityAlreadyExists(f"There is already an access key {key_id}.") from None
    return Issued(
        access_key=key_id,
        secret_key=secret,
        user=user.name,
        tenant=user.tenant.name,
        expires_at=expires_at,
    )


def issue_key(user: AccountUser, actor: str = "", *, expires_at: datetime | None = None) -> Issued:
    """Give `user` one more key."""
    with transaction.atomic():
        issued = add_key(user, expires_at=expires_at)
        audit.record(actor, "key.create", issued.access_key, user=str(user))
    return issued


def ensure(
    user: AccountUser, actor: str = "", *, key_id: str | None = None, secret: str | None = None
) -> Issued:
    """The user's key of that id, made where there is none, with that secret if one is given."""
    with transaction.atomic():
        key = AccessKey.objects.filter(pk=key_id, user=user).first()
        if key is None:
            issued = add_key(user, key_id=key_id, secret=secret)
            audit.record(actor, "key.create", issued.access_key, user=str(user))
            return issued
        kept = keyring().open(bytes(key.secret), key.id)
        if secret and secret != kept:
            key.secret = _sealed(secret, key.id)
            key.save(update_fields=["secret"])
            audit.record(actor, "key.replace_secret", key.id)
    return Issued(
        access_key=key.id,
        secret_key=secret or kept,
        user=user.name,
        tenant=user.tenant.name,
        expires_at=key.expires_at,
    )


def rotate(key_id: str, actor: str = "", *, now: datetime, keep_s: float = 0) -> Issued:
    """Issue a successor; the old key is disabled, at once or when `keep_s` seconds have passed."""
    with transaction.atomic():
        old = find_key(key_id)
        issued = add_key(old.user)
        if keep_s > 0:
            until = now + timedelta(seconds=keep_s)
            old.expires_at = until if old.expires_at is None else min(old.expires_at, until)
        else:
            old.enabled = False
        old.save(update_fields=["enabled", "expires_at"])
        audit.record(actor, "key.rotate", key_id, successor=issued.access_key, keep_s=keep_s)
    return issued


def enable(key_id: str, actor: str = "", *, enabled: bool = True) -> KeyView:
    """Enable or disable a key."""
    with transaction.atomic():
        key = find_key(key_id)
        key.enabled = enabled
        key.save(update_fields=["enabled"])
        audit.record(actor, "key.enable" if enabled else "key.disable", key_id)
    return KeyView.of(key)


def disable(key_id: str, actor: str = "") -> KeyView:
    """Refuse a key from the next request on."""
    return enable(key_id, actor, enabled=False)


def delete(key_id: str, actor: str = "") -> None:
    """Forget a key and its secret."""
    with transaction.atomic():
        find_key(key_id).delete()
        audit.record(actor, "key.delete", key_id)


def find_key(key_id: str) -> AccessKey:
    """The key of that id, with its user and tenant."""
    found = AccessKey.objects.select_related("user__tenant").filter(pk=key_id).first()
    if found is None:
        raise NoSuchEntity(f"There is no access key {key_id}.")
    return found


def list_keys(user: AccountUser | None = None, *, tenant: str | None = None) -> list[KeyView]:
    """All keys, those of a user, or those of a tenant's users."""
    found = AccessKey.objects.select_related("user__tenant").order_by("created", "id")
    if user is not None:
        found = found.filter(user=user)
    if tenant is not None:
        found = found.filter(user__tenant__name=tenant)
    return [KeyView.of(key) for key in found]


def _sealed(secret: str, key_id: str) -> bytes:
    if not _MIN_SECRET <= len(secret) <= _MAX_SECRET or not secret.isprintable():
        raise ValidationError(
            f"A secret is {_MIN_SECRET} to {_MAX_SECRET} printable characters long."
        )
    return keyring().seal(secret, key_id)


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
