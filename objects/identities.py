"""Callers and buckets as compiled values, remembered per process until their revisions move.

A remembered value is used only after a look-up has shown, in this request, that its revisions are
the current ones. Absence is never remembered.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar

from buckets.views import BucketView
from core import metrics
from core.database import MISC, Lanes
from tenants.access import compile_policy
from tenants.keyring import Keyring
from tenants.principal import Caller

Value = TypeVar("Value")

_CALLER = """
SELECT k.revision, u.revision, t.revision, k.id, k.secret, k.enabled, k.expires_at,
       u.id, u.name, u.is_root, u.policy, u.suspended, t.id, t.account_id, t.canonical_id,
       t.display_name, t.suspended
FROM access_key k JOIN account_user u ON u.id = k.user_id JOIN tenant t ON t.id = u.tenant_id
WHERE k.id = %s
"""
_BUCKET = """
SELECT b.revision, o.revision, b.id, b.name, b.tenant_id, o.account_id, o.canonical_id,
       o.display_name, b.region, b.versioning, b.storage_policy, b.ack, b.object_lock, b.created,
       (SELECT jsonb_object_agg(d.kind, d.body) FROM bucket_document d WHERE d.bucket_id = b.id)
FROM bucket b JOIN tenant o ON o.id = b.tenant_id
WHERE b.name = %s
"""


class Remembered(Generic[Value]):
    """A bounded cache of values by name, each with the revisions it was read at.

    `kind` is what metrics call it.
    """

    __slots__ = ("_bytes", "_kind", "_load", "_room", "_values")

    def __init__(
        self,
        kind: str,
        load: Callable[[Any], Awaitable[tuple[tuple[int, ...], Value] | None]],
        room: int,
    ) -> None:
        self._kind = (kind,)
        self._load = load
        self._room = room
        self._values: OrderedDict[Hashable, tuple[tuple[int, ...], Value, int]] = OrderedDict()
        self._bytes = 0

    def known(self, name: Hashable, revisions: tuple[int, ...]) -> Value | None:
        """The value, if it was read at these revisions."""
        kept = self._values.get(name)
        if kept is not None and kept[0] == revisions:
            self.hit(kept[1])
            return kept[1]
        metrics.cache_misses.add(self._kind)
        return None

    def hit(self, value: Value | None) -> None:
        """A value of this cache was at hand."""
        if value is not None:
            metrics.cache_hits.add(self._kind)

    async def fresh(self, name: Hashable) -> tuple[tuple[int, ...], Value] | None:
        """The value as it is now, remembered from here on; None when there is none."""
        loaded = await self._load(name)
        kept = self._values.get(name)
        # Two loads may overtake one another: revisions never fall.
        if loaded is None or kept is None or kept[0] <= loaded[0]:
            self._forget(name)
            if loaded is not None:
                size = _bytes_of((name, loaded), set())
                self._values[name] = *loaded, size
                self._bytes += size
            while len(self._values) > self._room:
                self._forget(next(iter(self._values)))
            metrics.cache_size.set(self._bytes, self._kind)
        return loaded

    def _forget(self, name: Hashable) -> None:
        kept = self._values.pop(name, None)
        if kept is not None:
            self._bytes -= kept[2]


def _bytes_of(value: Any, seen: set[int]) -> int:
    """About what a plain value and all that hangs on it take in memory."""
    if id(value) in seen or isinstance(value, type):
        return 0
    seen.add(id(value))
    parts: list[Any] = []
    if isinstance(value, dict):
        parts = [*value, *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        parts = [*value]
    elif hasattr(value, "__dict__"):
        parts = [vars(value)]
    names = getattr(type(value), "__slots__", ())
    parts += [getattr(value, name, None) for name in names]
    return sys.getsizeof(value) + sum(_bytes_of(part, seen) for part in parts)


def callers(lanes: Lanes, keyring: Keyring, room: int) -> Remembered[Caller]:
    """The cache of access keys: revisions of key, user, tenant."""

    async def load(access_key: str) -> tuple[tuple[int, ...], Caller] | None:
        row = await lanes.fetch_one(MISC, _CALLER, (access_key,))
        if row is None:
            return None
        (
            key_id, sealed, enabled, expires_at, user_id, user_name, is_root, policy,
            user_suspended, tenant_id, account_id, canonical_id, display_name, tenant_suspended,
        ) = row[3:]  # fmt: skip
        return row[:3], Caller(
            key_id=key_id,
            secret=keyring.open(sealed, key_id),
            enabled=enabled,
            expires_at=expires_at,
            user_id=user_id,
            user_name=user_name,
            is_root=is_root,
            policy=compile_policy(policy),
            tenant_id=tenant_id,
            account_id=account_id,
            canonical_id=canonical_id,
            display_name=display_name,
            suspended=user_suspended or tenant_suspended,
        )

    return Remembered("access_keys", load, room)


def buckets(lanes: Lanes, room: int) -> Remembered[BucketView]:
    """The cache of buckets by name: revisions of bucket and owner."""

    async def load(name: str) -> tuple[tuple[int, ...], BucketView] | None:
        row = await lanes.fetch_one(MISC, _BUCKET, (name,))
        if row is None:
            return None
        (
            bucket_id, name, tenant_id, account_id, canonical_id, display_name, region, versioning,
            storage_policy, ack, object_lock, created, documents,
        ) = row[2:]  # fmt: skip
        return row[:2], BucketView(
            id=bucket_id,
            name=name,
            tenant_id=tenant_id,
            account_id=account_id,
            canonical_id=canonical_id,
            display_name=display_name,
            region=region,
            versioning=versioning,
            storage_policy=storage_policy,
            ack=ack,
            object_lock=object_lock,
            documents=documents or {},
            created=created,
            revision=row[0],
        )

    return Remembered("buckets", load, room)
