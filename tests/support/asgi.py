"""An ASGI client, a store of one tenant and a stand-in for handlers: the gateway without a network
or database.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from buckets.views import BucketView
from core.checksums import EMPTY_SHA256
from core.config import Config
from core.sigv4_client import Signer
from objects.found import Found, Question
from s3.access_log import AccessLog
from s3.gateway import Gateway
from s3.operations import Operation, match
from s3.wire import Call, Reply
from tenants.access import ALLOW_ALL, compile_policy
from tenants.principal import Caller

ENDPOINT = "http://127.0.0.1:9000"
URL = ENDPOINT + "/bucket/key"
TENANT, OTHER = UUID(int=1), UUID(int=2)
ACCESS_KEY, SECRET = "AKTEST", "a secret of forty characters, more or less"
STRANGER_KEY, STRANGER_SECRET = "AKOTHER", "another secret"
ACCOUNT = "123456789012"
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def caller(
    key_id: str = ACCESS_KEY, secret: str = SECRET, tenant: UUID = TENANT, **more: Any
) -> Caller:
    """A root user's key."""
    given: dict[str, Any] = {
        "enabled": True,
        "expires_at": None,
        "user_id": tenant,
        "user_name": "root",
        "is_root": True,
        "policy": compile_policy(ALLOW_ALL),
        "account_id": ACCOUNT,
        "canonical_id": "a" * 64,
        "display_name": "test",
        "suspended": False,
    }
    return Caller(key_id=key_id, secret=secret, tenant_id=tenant, **{**given, **more})


def bucket(name: str = "bucket", tenant: UUID = TENANT) -> BucketView:
    return BucketView(
        id=UUID(int=77),
        name=name,
        tenant_id=tenant,
        account_id=ACCOUNT,
        canonical_id="a" * 64,
        display_name="test",
        region="us-east-1",
        versioning="",
        storage_policy="ec-6-3",
        ack="fast",
        object_lock=False,
        documents={},
        created=NOW,
        revision=1,
    )


class FakeStore:
    """Answers look-ups from two dictionaries and remembers the questions."""

    def __init__(self) -> None:
        self.callers = {
            ACCESS_KEY: caller(),
            STRANGER_KEY: caller(STRANGER_KEY, STRANGER_SECRET, OTHER, account_id="2" * 12),
        }
        self.buckets = {"bucket": bucket()}
        self.asked: list[Question] = []

    async def look(self, question: Question) -> Found:
        self.asked.append(question)
        return Found(
            question,
            self.callers.get(question.access_key or ""),
            self.buckets.get(question.bucket or ""),
            None,
            {},
        )


class Handled:
    """Stands in for every handler: keeps the call, reads its body, answers what it is told."""

    def __init__(self) -> None:
        self.reply: Reply | Exception = Reply(200)
        self.calls: list[Call] = []
        self.received: bytes | None = None

    def find(self, *asked: Any) -> Operation:
        return replace(match(*asked), handler=self)

    async def __call__(self, call: Call, store: Any) -> Reply:
        self.calls.append(call)
        pieces = []
        while piece := await call.body.read():
            pieces.append(piece)
        self.received = b"".join(pieces)
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


@dataclass
class Response:
    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    is_complete: bool = False
    # How many pieces of the request's body were asked for.
    reads: int = 0

    def __getitem__(self, name: str) -> str:
        [value] = [value for one, value in self.headers if one == name.encode()]
        return value.decode("latin-1")

    def __contains__(self, name: str) -> bool:
        return any(one == name.encode() for one, _ in self.headers)


class Client:
    """Speaks ASGI to a gateway, as the server would."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.signer = Signer(ACCESS_KEY, SECRET)

    async def signed(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        *,
        headers: dict[str, str] | None = None,
        payload_hash: str | None = None,
        signer: Signer | None = None,
        pieces: list[bytes] | None = None,
    ) -> Response:
        """A request signed in its headers. `pieces` are what the body arrives in."""
        if payload_hash is None:
            payload_hash = EMPTY_SHA256 if body is None else "UNSIGNED-PAYLOAD"
        sent = (signer or self.signer).headers(
            method, ENDPOINT + target, payload_hash=payload_hash, headers=headers
        )
        return await self.plain(method, target, body, headers=sent, pieces=pieces)

    async def plain(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        *,
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        pieces: list[bytes] | None = None,
        raw_path: bytes | None = None,
        host: str = "127.0.0.1:9000",
    ) -> Response:
        """A request with these headers and no others but Host and Content-Length."""
        given = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
        if not any(name == "host" for name, _ in given):
            given.insert(0, ("host", host))
        if body is not None and not any(
            name in ("content-length", "transfer-encoding") for name, _ in given
        ):
            given.append(("content-length", str(len(body))))
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "scheme": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode() if raw_path is None else raw_path,
            "query_string": query.encode(),
            "headers": [(n.encode(), v.encode("latin-1")) for n, v in given],
            "client": ("127.0.0.1", "50000"),
        }
        return await self._speak(scope, [body or b""] if pieces is None else pieces)

    async def _speak(self, scope: dict[str, Any], pieces: list[bytes]) -> Response:
        response = Response()
        waiting = list(pieces)

        async def receive() -> dict[str, Any]:
            response.reads += 1
            if waiting:
                piece = waiting.pop(0)
                return {"type": "http.request", "body": piece, "more_body": bool(waiting)}
            if response.status:
                await asyncio.Event().wait()  # a client that stays and listens
            return {"type": "http.disconnect"}

        async def send(event: dict[str, Any]) -> None:
            if event["type"] == "http.response.start":
                response.status = event["status"]
                response.headers = event["headers"]
            else:
                response.body += bytes(event["body"])
                response.is_complete = not event["more_body"]

        await self._gateway.serve(scope, receive, send)
        return response


def make_client(
    handled: Handled,
    *,
    store: FakeStore | None = None,
    log: AccessLog | None = None,
    **settings: str,
) -> Client:
    """A client of a gateway with these settings, whose handlers are all `handled`."""
    config = Config.from_env(settings)
    return Client(Gateway(config, store or FakeStore(), log, handled.find))


def assert_refused(response: Response, status: int, code: str) -> None:
    assert (response.status, f"<Code>{code}</Code>".encode() in response.body) == (status, True), (
        response.body
    )
