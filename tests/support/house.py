"""A gateway in this process over real PostgreSQL, with two tenants living in it.

Here: one owner with a bucket full of things to be after, a user of the same tenant, a key that was
disabled, a stranger; their signers; what the database holds, to see that a refusal changed nothing.
Not here: requests (tests.support.raw_asgi), what each of them may do (the tests).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from buckets import control
from core.config import config
from core.database import MISC
from core.names import random_hex
from core.sigv4_client import Signer
from s3.gateway import Gateway
from tenants import accounts, credentials
from tenants.models import AccountUser
from tests.support.asgi import Response
from tests.support.namespace import store_in_memory
from tests.support.raw_asgi import RawClient, Request, in_header

T = TypeVar("T")

# What a refused request must leave as it was, for one bucket.
_STATE = """
SELECT md5(coalesce(string_agg(row, ',' ORDER BY row), '')) FROM (
    SELECT v::text FROM version v WHERE v.bucket_id = %(bucket)s
    UNION ALL SELECT e::text FROM extent e JOIN version v ON v.id = e.version_id
        WHERE v.bucket_id = %(bucket)s
    UNION ALL SELECT u::text FROM upload u WHERE u.bucket_id = %(bucket)s
    UNION ALL SELECT p::text FROM part p JOIN upload u ON u.id = p.upload_id
        WHERE u.bucket_id = %(bucket)s
    UNION ALL SELECT b::text FROM bucket b WHERE b.id = %(bucket)s OR b.tenant_id = %(stranger)s
    UNION ALL SELECT d::text FROM bucket_document d WHERE d.bucket_id = %(bucket)s
) AS everything (row)
"""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What there is to be after: names of things of the owner that exist."""

    bucket: str
    key: str
    version: str
    upload: str
    part: str


class House:
    """Speaks to its gateway synchronously: one loop, kept for a module's tests."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._opened = store_in_memory()
        self.store, _ = self._runner.run(self._opened.__aenter__())
        self._client = RawClient(Gateway(config(), self.store))
        mine = self._control(accounts.create_tenant, f"owner-{random_hex(8)}")
        theirs = self._control(accounts.create_tenant, f"stranger-{random_hex(8)}")
        self.owner = Signer(mine.access_key, mine.secret)
        self.stranger = Signer(theirs.access_key, theirs.secret)
        self._tenant, self._stranger = mine.tenant, theirs.tenant
        _, key = self._control(accounts.create_user, mine.tenant.name, "user", ["admin"], "")
        self.user = Signer(key.access_key, key.secret_key)
        _, key = self._control(accounts.create_user, mine.tenant.name, "gone", ["admin"], "")
        self.disabled = Signer(key.access_key, key.secret_key)
        self._control(credentials.disable, key.access_key)
        self._bucket = self._control(
            control.create, mine.tenant.id, f"bucket-{random_hex(8)}", region="us-east-1"
        )
        self._control(control.set_versioning, self._bucket.id, "Enabled")
        self.target = self.furnish()

    def send(self, request: Request) -> Response:
        return self._runner.run(self._client.send(request))

    def send_all(self, requests: Sequence[Request]) -> list[Response]:
        """One after the other, in one go."""

        async def each() -> list[Response]:
            return [await self._client.send(request) for request in requests]

        return self._runner.run(each())

    def ask(
        self,
        signer: Signer,
        method: str,
        target: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> Response:
        """A request signed in its header."""
        return self.send(in_header(signer, method, target, body, headers))

    def forbid_user(self, *actions: str) -> None:
        """From now on the owner's user may do everything but this."""
        statement = {"Effect": "Allow", "NotAction": list(actions), "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        self._control(
            AccountUser.objects.filter(tenant_id=self._tenant.id, name="user").update, policy=policy
        )

    def furnish(self) -> Target:
        """One more object, and an upload under its key, in the owner's bucket."""
        key = f"key-{random_hex(8)}"
        path = f"/{self._bucket.name}/{key}"
        made = self.ask(self.owner, "PUT", path, b"content", {"x-amz-meta-a": "b"})
        assert made.status == 200, made.body
        begun = self.ask(self.owner, "POST", f"{path}?uploads=")
        upload = begun.body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
        part = self.ask(self.owner, "PUT", f"{path}?partNumber=1&uploadId={upload}", b"part")
        assert part.status == 200, part.body
        return Target(
            bucket=self._bucket.name,
            key=key,
            version=made["x-amz-version-id"],
            upload=upload,
            part=part["etag"],
        )

    def state(self) -> str:
        """A digest of all there is in the owner's bucket, and of the stranger's buckets."""
        names = {"bucket": self._bucket.id, "stranger": self._stranger.id}
        rows = self._run(self.store.lanes.fetch(MISC, _STATE, names))  # type: ignore[arg-type]
        return str(rows[0][0])

    def close(self) -> None:
        self._runner.run(self._opened.__aexit__(None, None, None))
        self._runner.close()

    def _control(self, verb: Any, *arguments: Any, **named: Any) -> Any:
        return self._run(self.store.control(verb, *arguments, **named))

    def _run(self, wanted: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(wanted)
