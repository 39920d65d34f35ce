"""Concurrent mixed clients that write what they did into a ledger.

Here: puts of three sizes (packed, inline, multipart), gets of wholes and ranges, deletes, over
few enough keys that operations meet. Not here: reading everything in the end (`final_reads`), what
is allowed (`judgement`) and what goes wrong meanwhile (`faults`).

Promise: an outcome is `ok` only for a 2xx answer read to its end, `refused` only for a 4xx one;
everything else, a timeout and a closed connection included, is `unknown`.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from benchmarks.client import Access, Answer, Connection, Fault, Signer
from tests.support.judgement import UNREADABLE
from tests.support.ledger import ABSENT, Ledger, Outcome

# A request without an answer by then is unknown; the store should answer or close far earlier.
ANSWER_WITHIN_S = 60.0
PAUSE_AFTER_FAILURE_S = 0.1
TRICKLE_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Mix:
    """What the clients do. `inline_bytes` should reach the store's `inline_from`; 0 leaves out."""

    clients: int = 8
    keys: int = 40
    small_bytes: int = 16 << 10
    inline_bytes: int = 0
    part_bytes: int = 0
    buckets: tuple[str, ...] = ("plain",)
    seed: int = 1
    weights: Mapping[str, int] = field(
        default_factory=lambda: {
            "put": 8,
            "get": 5,
            "range": 2,
            "delete": 1,
            "inline": 1,
            "multipart": 1,
            "abort": 1,
            "abandon": 1,
        }
    )


def content(seed: int, number: int, size: int) -> bytes:
    """The body of operation `number`: unlike any other, and the same whenever it is made again."""
    block = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return (f"{number:016x}".encode() + block * (size // len(block) + 1))[:size]


def hash_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def value_of(answer: Answer | None) -> str:
    """What an answer to a GET says the value is."""
    if answer is not None and answer.status == 200:
        return hash_of(answer.body)
    return ABSENT if answer is not None and answer.status == 404 else UNREADABLE


class Load:
    """Runs clients until told to stop."""

    def __init__(self, access: Access, ledger: Ledger, mix: Mix) -> None:
        self.counts: Counter[str] = Counter()
        self._signer = Signer(access)
        self._ledger = ledger
        self._mix = mix
        self._stop = threading.Event()
        self._numbers = iter(range(1 << 40))

    async def make_buckets(self, *further: str) -> None:
        for bucket in (*self._mix.buckets, *further):
            await self._make_bucket(bucket)

    async def run(self) -> None:
        await asyncio.gather(*(self._client(n) for n in range(self._mix.clients)))

    async def trickle(self, bucket: str) -> None:
        """One small object now and then, so that its segment stays small until it is old."""
        connection = Connection(self._signer.host, self._signer.port)
        while not self._stop.is_set():
            number = next(self._numbers)
            body = content(self._mix.seed, number, 100)
            await self.put(connection, f"{bucket}/key-{number % 7:04d}", body)
            await asyncio.sleep(TRICKLE_S)
        connection.close()

    def stop(self) -> None:
        self._stop.set()

    async def put(self, connection: Connection, key: str, body: bytes) -> Outcome:
        """One acknowledged, refused or unknown put."""
        number = self._ledger.begin("put", key, hash_of(body))
        answer = await self._send(connection, "PUT", key, body=body)
        outcome = self._finish("put", answer)
        self._ledger.end(number, outcome, version=_version(answer, outcome))
        return outcome

    async def _client(self, index: int) -> None:
        mix, chance = self._mix, random.Random(f"{self._mix.seed}:{index}")
        connection = Connection(self._signer.host, self._signer.port)
        names = [
            n
            for n in mix.weights
            if (n != "inline" or mix.inline_bytes)
            and (n not in ("multipart", "abort", "abandon") or mix.part_bytes)
        ]
        weights = [mix.weights[name] for name in names]
        while not self._stop.is_set():
            key = f"{chance.choice(mix.buckets)}/key-{chance.randrange(mix.keys):04d}"
            outcome = await self._step(connection, chance.choices(names, weights)[0], key, chance)
            if outcome == "unknown":
                await asyncio.sleep(PAUSE_AFTER_FAILURE_S)
        connection.close()

    async def _step(
        self, connection: Connection, name: str, key: str, chance: random.Random
    ) -> Outcome:
        number, mix = next(self._numbers), self._mix
        if name == "put":
            return await self.put(
                connection, key, content(mix.seed, number, chance.randint(32, mix.small_bytes))
            )
        if name == "inline":
            size = chance.randint(mix.inline_bytes, 2 * mix.inline_bytes)
            return await self.put(connection, key, content(mix.seed, number, size))
        if name == "multipart":
            body = content(mix.seed, number, mix.part_bytes + chance.randint(1, mix.part_bytes))
            return await self._multipart(connection, key, body)
        if name in ("abort", "abandon"):
            return await self._unfinished(connection, key, abort=name == "abort")
        if name == "delete":
            return await self._delete(connection, key)
        if name == "range":
            return await self._range(connection, key, chance)
        return await self._get(connection, key)

    async def _delete(self, connection: Connection, key: str) -> Outcome:
        number = self._ledger.begin("delete", key, ABSENT)
        outcome = self._finish("delete", await self._send(connection, "DELETE", key))
        self._ledger.end(number, outcome)
        return outcome

    async def _get(self, connection: Connection, key: str) -> Outcome:
        number = self._ledger.begin("get", key, "")
        answer = await self._send(connection, "GET", key)
        value = value_of(answer)
        outcome: Outcome = "unknown" if value == UNREADABLE else "ok"
        self.counts[f"get {outcome}"] += 1
        self._ledger.end(number, outcome, value=value)
        return outcome

    async def _range(self, connection: Connection, key: str, chance: random.Random) -> Outcome:
        """A range must be a piece of the whole that has the same ETag."""
        start = chance.randrange(64)
        wanted = (("range", f"bytes={start}-{start + chance.randrange(1, 70_000)}"),)
        piece = await self._send(connection, "GET", key, headers=wanted)
        if piece is None or piece.status != 206:
            return "unknown" if piece is None or piece.status >= 500 else "refused"
        whole = await self._send(
            connection, "GET", key, headers=(("if-match", piece.headers.get("etag", "")),)
        )
        if whole is not None and whole.status == 200:
            if whole.body[start : start + len(piece.body)] != piece.body:
                raise AssertionError(f"{key}: a range was not a piece of its object")
            self.counts["range ok"] += 1
        return "ok"

    async def _multipart(self, connection: Connection, key: str, body: bytes) -> Outcome:
        begun = await self._send(connection, "POST", key, query=(("uploads", ""),))
        found = re.search(rb"<UploadId>([^<]+)</UploadId>", begun.body) if _good(begun) else None
        if found is None:
            return "unknown"
        upload = ("uploadId", found[1].decode())
        xml = ""
        cut = self._mix.part_bytes
        for part, piece in enumerate((body[:cut], body[cut:]), start=1):
            answer = await self._send(
                connection, "PUT", key, query=(("partNumber", str(part)), upload), body=piece
            )
            if not _good(answer):
                return "unknown"
            etag = answer.headers["etag"]
            xml += f"<Part><PartNumber>{part}</PartNumber><ETag>{etag}</ETag></Part>"
        document = f"<CompleteMultipartUpload>{xml}</CompleteMultipartUpload>".encode()
        number = self._ledger.begin("put", key, hash_of(body))
        answer = await self._send(connection, "POST", key, query=(upload,), body=document)
        if _good(answer) and b"<Error>" in answer.body:
            answer = None  # the error came after the 200: it may or may not have happened
        outcome = self._finish("multipart", answer)
        self._ledger.end(number, outcome, version=_version(answer, outcome))
        return outcome

    async def _unfinished(self, connection: Connection, key: str, *, abort: bool) -> Outcome:
        """An upload with one part that is never completed: it must leave no trace."""
        begun = await self._send(connection, "POST", key, query=(("uploads", ""),))
        found = re.search(rb"<UploadId>([^<]+)</UploadId>", begun.body) if _good(begun) else None
        if found is None:
            return "unknown"
        upload = ("uploadId", found[1].decode())
        part = content(self._mix.seed, next(self._numbers), 1000)
        await self._send(connection, "PUT", key, query=(("partNumber", "1"), upload), body=part)
        if not abort:
            return "ok"
        return self._finish("abort", await self._send(connection, "DELETE", key, query=(upload,)))

    async def _send(
        self,
        connection: Connection,
        method: str,
        key: str,
        *,
        query: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        headers: Iterable[tuple[str, str]] = (),
    ) -> Answer | None:
        """The answer, or None when there was none that can be trusted."""
        head = self._signer.head(
            method,
            f"/{key}",
            query=query,
            sha256=hash_of(body),
            length=len(body) if method in ("PUT", "POST") else None,
            headers=headers,
        )
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await connection.ask(head, [body] if body else [])
        except (Fault, OSError, TimeoutError, ValueError):
            return None

    def _finish(self, kind: str, answer: Answer | None) -> Outcome:
        outcome: Outcome = "unknown"
        if answer is not None and answer.status < 300:
            outcome = "ok"
        elif answer is not None and answer.status < 500:
            outcome = "refused"
            self.counts[f"{kind} refused {answer.status} {_code(answer)}"] += 1
        self.counts[f"{kind} {outcome}"] += 1
        return outcome

    async def _make_bucket(self, bucket: str) -> None:
        connection = Connection(self._signer.host, self._signer.port)
        answer = await self._send(connection, "PUT", bucket)
        if answer is None or answer.status not in (200, 409):
            raise AssertionError(f"cannot make bucket {bucket}: {answer}")
        if bucket.startswith("versioned"):
            document = (
                b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
            )
            answer = await self._send(
                connection, "PUT", bucket, query=(("versioning", ""),), body=document
            )
            if not _good(answer):
                raise AssertionError(f"cannot enable versioning of {bucket}: {answer}")
        connection.close()


def _good(answer: Answer | None) -> bool:
    return answer is not None and answer.status < 300


def _version(answer: Answer | None, outcome: Outcome) -> str | None:
    if answer is None or outcome != "ok":
        return None
    version = answer.headers.get("x-amz-version-id")
    return None if version == "null" else version


def _code(answer: Answer) -> str:
    found = re.search(rb"<Code>([^<]+)</Code>", answer.body)
    return found[1].decode() if found else "?"
